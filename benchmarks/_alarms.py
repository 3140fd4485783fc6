"""Alarms as an operator sees them: events found, false runs, rows flagged for nothing.

A false run is a run of flagged rows that lie further than FAR rows from any true event,
counted per 10,000 such rows.
"""

from collections.abc import Sequence

import numpy as np
from _data import Entity
from sklearn.base import BaseEstimator

from skmemto.metrics import compare_events
from skmemto.metrics._labels import segments

FAR = 50
# Rows beside an event that may be flagged without being off.
NEAR = 10
# Share of its training rows that a detector without a threshold of its own flags.
RISK = 0.001


def decisions(
    detector: BaseEstimator, entity: Entity, decades: Sequence[float] = (0.0,)
) -> list[np.ndarray]:
    """Decide on the test rows, with a fitted detector: above 0 is an alarm.

    Ours have a threshold of their own, in decades of rarity, which is moved by so many
    `decades`; for others it is the quantile of the training scores that so much less
    than RISK are above.
    """
    if hasattr(detector, "events"):
        alarm = -detector.decision_function(entity.test)
        return [alarm - moved for moved in decades]
    scores = -detector.score_samples(entity.test)
    trained = -detector.score_samples(entity.train)
    return [scores - np.quantile(trained, 1 - RISK * 10**-moved) for moved in decades]


def alarm_figures(labels: np.ndarray, alarm: np.ndarray) -> dict[str, float]:
    """Figures of alarms (decisions above 0) against labels, 1 = anomalous."""
    flags = (alarm > 0).astype(np.int8)
    runs = list(zip(*segments(flags), strict=True))
    found = compare_events(labels, runs).found
    far, off = (~_around(labels, reach) for reach in (FAR, NEAR))
    false_runs = len(segments(flags * far)[0])
    n_flagged = flags.sum()
    return {
        "events_found": found.mean() if len(found) else np.nan,
        "false_runs": 1e4 * false_runs / far.sum() if far.any() else 0.0,
        "flagged_normal": flags[labels == 0].mean(),
        "flagged_off": (flags * off).sum() / n_flagged if n_flagged else 0.0,
    }


def _around(labels: np.ndarray, reach: int) -> np.ndarray:
    """Tell which rows are within `reach` rows of a true event."""
    around = np.zeros(len(labels), dtype=bool)
    for start, stop in zip(*segments(labels.astype(np.int8)), strict=True):
        around[max(0, start - reach) : stop + reach] = True
    return around
