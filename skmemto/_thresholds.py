"""Anomaly scores of normal data -> the score above which a step is an anomaly.

Here scores are high for anomalies.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from skmemto._rarity import ALARMING_RARITY
from skmemto._tails import fit_tail

# What "auto" takes as an anomaly: of the calibrated criterion what is alarmingly rare;
# of other scores what one in a thousand would exceed.
_RISK = 1e-3


def enough_for_an_alarm(n_rows: int) -> bool:
    """Tell whether one of so many normal rows is expected to be an alarm."""
    return n_rows * 10**-ALARMING_RARITY >= 1


def rarest_as_alarm(rarities: NDArray[np.float64]) -> float:
    """Return the threshold that makes the rarest of few training rows (n,) an alarm."""
    highest = np.unique(rarities)[-2:]
    if len(highest) < 2:
        return ALARMING_RARITY  # all are alike
    return min(float(highest.mean()), ALARMING_RARITY)


def rarity_threshold(
    rarities: NDArray[np.float64], contamination: float | Literal["auto"], n_rows: int
) -> float:
    """Return the threshold that belongs to `contamination`, of rarities (n,).

    There are `n_rows` training rows, those without any value among them.
    """
    if contamination != "auto":
        return threshold(rarities, contamination)
    if enough_for_an_alarm(n_rows):
        return ALARMING_RARITY
    return rarest_as_alarm(rarities)


def threshold(
    scores: NDArray[np.float64], contamination: float | Literal["auto"], gap: int = 0
) -> float:
    """Return the threshold that belongs to `contamination`.

    A number is the share of `scores` that shall lie above the threshold; "auto"
    extrapolates their tail to where a share of `_RISK` of normal data is expected,
    peaks at most `gap` rows apart being one.
    """
    if contamination == "auto":
        return fit_tail(scores, gap).score(-np.log10(_RISK))
    return float(np.percentile(scores, 100 * (1 - contamination)))
