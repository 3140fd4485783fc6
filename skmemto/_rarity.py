"""Power means of the rows -> how rare the rows are.

A row is looked at in three scopes: by itself, which finds a spike of one row; with its
neighbours, which finds what is a little odd for a while; and in wider surroundings,
which tell apart rows that nothing else does. In each, its rarity on normal data is
known (`Tail`), and the largest counts.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from skmemto._blockwise import row_blocks
from skmemto._history import overfitting, range_factor
from skmemto._series import SeriesBounds
from skmemto._smoothing import smooth
from skmemto._tails import Tail, fit_tail

# A row by itself has to be so many decades rarer than with its neighbours.
_DECADES_ALONE = 1.0
# The span of the wider surroundings, in those of the neighbours. They count up to this
# rarity and hardly beyond, and so raise no alarm: an anomaly would be as wide as they.
_WIDER = 5
_LARGEST_OF_WIDER = 1.5
_SHARE_BEYOND = 0.02


class Reduced(NamedTuple):
    """What is left of the channels of each row; NaN for a row without any value."""

    worst: NDArray[np.float64]  # ratio of the channel that deviates most (n,)
    mean: NDArray[np.float64]  # power mean of the ratios (n,)


class Rarity(NamedTuple):
    """How rare rows are, learned from normal ones."""

    span: int  # of the neighbours
    typical: float  # power mean
    alone: Tail
    near: Tail
    wide: Tail
    lookahead: int | None = None  # later rows that averages take in at most; None: all

    def of_series(self, reduced: Reduced) -> NDArray[np.float64]:
        """Return the rarity (n,) of the rows of one series, NaN where unknown."""
        rarity = reduced.worst  # of a long history each array counts
        near = smooth(reduced.mean, self.span, self.typical, self.lookahead)
        for rows in row_blocks(rarity):
            rarity[rows] = self._close_by(rarity[rows], near[rows])
        del near
        span = wider_span(self.span)
        wide = smooth(reduced.mean, span, self.typical, self.lookahead)
        for rows in row_blocks(rarity):
            rarity[rows] = np.fmax(rarity[rows], self._further(wide[rows]))
        return rarity

    def of_averages(
        self,
        worst: NDArray[np.float64],
        near: NDArray[np.float64],
        wide: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Return the rarity (n,) of rows from their averages over both spans."""
        return np.fmax(self._close_by(worst, near), self._further(wide))

    def _close_by(
        self, worst: NDArray[np.float64], near: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        alone = self.alone.rarity(worst) - _DECADES_ALONE
        return np.fmax(alone, self.near.rarity(near))

    def _further(self, wide: NDArray[np.float64]) -> NDArray[np.float64]:
        rarity = self.wide.rarity(wide)
        beyond = np.maximum(rarity - _LARGEST_OF_WIDER, 0.0)
        rarity += (_SHARE_BEYOND - 1) * beyond
        return rarity


def fit_rarity(
    reduced: Reduced, series: SeriesBounds, span: int, lookahead: int | None = None
) -> Rarity:
    """Learn from the rows (n,) of normal series."""
    known = ~np.isnan(reduced.mean)
    typical = float(reduced.mean[known].mean())
    if not reduced.mean[known].any():
        span = 1  # nothing ever deviated: what does, does so by itself
    alone = _fit_possible(reduced.worst[known], 0)
    # Averages hardly vary, and tell at once that new rows deviate a little more.
    more = overfitting(len(reduced.mean))
    near, wide = (
        _fit_possible(
            more * _smooth_all(reduced.mean, series, s, typical, lookahead)[known], s
        )
        for s in (span, wider_span(span))
    )
    return Rarity(span, typical, alone, near, wide, lookahead)


def _fit_possible(scores: NDArray[np.float64], gap: int) -> Tail:
    """Describe what scores (n,) may come to be, by how few of them are independent."""
    mean = scores.mean()
    return fit_tail(mean + range_factor(scores) * (scores - mean), gap)


def wider_span(span: int) -> int:
    """Return the span of the wider surroundings; none where nothing is smoothed."""
    return 1 if span == 1 else _WIDER * span


def _smooth_all(
    values: NDArray[np.float64],
    series: SeriesBounds,
    span: int,
    typical: float,
    lookahead: int | None,
) -> NDArray[np.float64]:
    smoothed = np.empty_like(values)
    for start, stop in series:
        smoothed[start:stop] = smooth(values[start:stop], span, typical, lookahead)
    return smoothed
