"""Scores of normal data -> how rare a score is.

Rarity is ``-log10`` of the share of normal rows that score as high or higher: 3 is one
row in a thousand. Up to a high quantile that share is counted; beyond, a generalised
Pareto distribution is fitted to the peaks (peaks over threshold: Siffer et al.,
"Anomaly Detection in Streams with Extreme Value Theory", KDD 2017).
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# The tail is this share of the scores; of few scores more, up to the largest share, so
# that there are so many rows to fit.
_TAIL_SHARE, _LARGEST_TAIL_SHARE, _TAIL_ROWS = 0.02, 0.1, 30
_N_KNOTS = 24
# From an exponential tail to a very heavy one. A bounded one would make all that lies
# beyond it infinitely rare.
_LEAST_SHAPE, _LARGEST_SHAPE = 0.0, 0.5
# A peak that the others make less likely than this comes from a wrong row among the
# normal ones; at most so many of all rows are wrong.
_LEAST_LIKELY, _WRONG_SHARE = 1e-4, 0.01
_LOG10_E = math.log10(math.e)


class Tail(NamedTuple):
    """Distribution of the scores of normal data, its upper end extrapolated."""

    rarities: NDArray[np.float64]  # ascending from 0 to where the tail begins, (K,)
    scores: NDArray[np.float64]  # what is so rare, (K,)
    scale: float  # of the excess over the last of the scores
    shape: float  # 0 is an exponential tail, more a heavier one
    n_peaks: int  # what the tail was fitted to

    def rarity(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how rare scores (n,) are; it never stops rising with the score."""
        rarity = np.interp(scores, self.scores, self.rarities)
        excess = np.maximum(scores - self.scores[-1], 0.0) / self.scale
        if self.shape > 0:
            excess = np.log1p(self.shape * excess) / self.shape
        return np.add(rarity, _LOG10_E * excess, out=rarity)

    def score(self, rarity: float) -> float:
        """Return the score that is so rare."""
        beyond = (rarity - self.rarities[-1]) / _LOG10_E
        if beyond <= 0:
            return float(np.interp(rarity, self.rarities, self.scores))
        if self.shape > 0:
            beyond = math.expm1(self.shape * beyond) / self.shape
        return float(self.scores[-1] + self.scale * beyond)


def fit_tail(scores: NDArray[np.float64], gap: int) -> Tail:
    """Describe the scores (n,) of normal data, in time order.

    Exceedances at most `gap` rows apart are one event, which counts by its peak: rows
    in a row are no independent witnesses.
    """
    n = len(scores)
    share = min(max(_TAIL_SHARE, _TAIL_ROWS / n), _LARGEST_TAIL_SHARE)
    rarities = np.linspace(0, -math.log10(share), _N_KNOTS)
    knots = np.quantile(scores, 1 - 10**-rarities).astype(np.float64)
    peaks = _peaks(scores, knots[-1], gap)
    scale, shape, n_peaks = _fit_pareto(peaks, n_wrong=int(_WRONG_SHARE * n))
    # Scores that are all the same have no scale; any other is then news.
    least = float(np.finfo(np.float64).eps) * max(1.0, float(np.abs(knots).max()))
    return Tail(rarities, knots, max(scale, least), shape, n_peaks)


def _peaks(scores: NDArray[np.float64], start: float, gap: int) -> NDArray[np.float64]:
    """Excess over `start` of the highest score of each run of exceedances."""
    above = np.flatnonzero(scores > start)
    if not len(above):
        return np.zeros(0)
    firsts = np.flatnonzero(np.diff(above, prepend=above[0] - gap - 1) > gap)
    return np.maximum.reduceat(scores[above], firsts) - start


def _fit_pareto(
    excesses: NDArray[np.float64], n_wrong: int
) -> tuple[float, float, int]:
    """Fit scale and shape; also return the number of peaks that were right.

    Peaks that do not fit the others are left out, `n_wrong` at most.
    """
    kept = np.sort(excesses)
    for _ in range(min(n_wrong, len(kept) - 2)):
        scale, shape = _moments(kept[:-1])
        if len(kept) * _survival(kept[-1], scale, shape) > _LEAST_LIKELY:
            break
        kept = kept[:-1]
    return *_moments(kept), len(kept)


def _moments(excesses: NDArray[np.float64]) -> tuple[float, float]:
    """Scale and shape by probability-weighted moments (Hosking and Wallis, 1987)."""
    n = len(excesses)
    mean = float(excesses.mean()) if n else 0.0
    if n < 3 or mean == 0:
        return mean, _LEAST_SHAPE
    weighted = float(np.mean(excesses * (n - np.arange(n) - 0.65))) / n
    shape = 2 - mean / (mean - 2 * weighted) if mean > 2 * weighted else _LARGEST_SHAPE
    shape = min(max(shape, _LEAST_SHAPE), _LARGEST_SHAPE)
    return mean * (1 - shape), shape


def _survival(excess: float, scale: float, shape: float) -> float:
    if scale == 0:
        return 0.0 if excess > 0 else 1.0
    if shape == 0:
        return math.exp(-excess / scale)
    return (1 + shape * excess / scale) ** (-1 / shape)
