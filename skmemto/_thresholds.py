"""Anomaly scores of normal data -> the score above which a step is an anomaly.

Here scores are high for anomalies.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

# Peaks over threshold: share of the training scores taken as the tail, the
# smallest tail that is worth a fit, and the share of normal data that may be
# flagged. Siffer et al. (2017) take the 98 % quantile as initial threshold.
_TAIL = 0.02
_MIN_EXCESSES = 50
_RISK = 1e-3
# Below this p-value of a Kolmogorov-Smirnov test the fit describes the tail badly.
_MIN_P_VALUE = 1e-3


def threshold(
    scores: NDArray[np.float64], contamination: float | Literal["auto"]
) -> float:
    """Return the threshold that belongs to `contamination`.

    A number is the share of `scores` that shall lie above the threshold; "auto"
    puts it where a share of `_RISK` of normal data is expected.
    """
    if contamination == "auto":
        return peaks_over_threshold(scores, risk=_RISK)
    return float(np.percentile(scores, 100 * (1 - contamination)))


def peaks_over_threshold(scores: NDArray[np.float64], risk: float) -> float:
    """Extrapolate the tail of the scores to the quantile ``1 - risk``.

    A generalised Pareto distribution is fitted to the excesses over a high
    quantile: Siffer et al., "Anomaly Detection in Streams with Extreme Value
    Theory", KDD 2017, eq. 1. With too few excesses, or a fit that does not
    describe them, the empirical quantile is returned.
    """
    # Together, since each call copies all scores.
    empirical, initial = np.quantile(scores, [1 - risk, 1 - _TAIL])
    excesses = scores[scores > initial] - initial
    if excesses.size < _MIN_EXCESSES:
        return float(empirical)
    # In units of their mean, so that the optimiser meets numbers near 1.
    unit = excesses.mean()
    with np.errstate(all="ignore"):
        shape, _, scale = stats.genpareto.fit(excesses / unit, floc=0)
        tail = stats.genpareto(shape, scale=scale)
        fits = stats.kstest(excesses / unit, tail.cdf).pvalue > _MIN_P_VALUE
        extrapolated = initial + unit * tail.isf(risk * scores.size / excesses.size)
    return float(extrapolated if fits and np.isfinite(extrapolated) else empirical)
