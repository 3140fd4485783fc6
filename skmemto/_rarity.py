"""What deviates in each row -> how rare the row is.

A row is looked at in three scopes: by itself, which finds a spike of one row; with its
neighbours, which finds what is a little odd for a while; and in wider surroundings,
which tell apart rows that nothing else does. In each, its rarity on normal data is
known (`Tail`), and the largest counts: with its neighbours in full, the others as far
as they have earned it. A spike raises an alarm and no more, surroundings raise none.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from skmemto._blockwise import row_blocks
from skmemto._history import overfitting, range_factor
from skmemto._series import SeriesBounds
from skmemto._smoothing import smooth
from skmemto._tails import Tail, fit_tail

# The rarity that is an alarm: three in a thousand normal rows are as rare.
ALARMING_RARITY = 2.5
# A row by itself has to be so many decades rarer than with its neighbours.
_DECADES_ALONE = 1.0
# The span of the wider surroundings, in those of the neighbours. They count up to so
# many decades below an alarm and hardly beyond: an anomaly would be as wide as they.
_WIDER = 20
_DECADES_WIDER = 1.0
# What counts up to a limit goes on to rise beyond it by so much at most, and by half of
# that where it is so many decades rarer.
_ROOM_BEYOND, _HALFWAY = 0.5, 25.0


class Reduced(NamedTuple):
    """What is left of the channels of each row; NaN for a row without any value."""

    worst: NDArray[np.float64]  # ratio of the channel that deviates most (n,)
    latent: NDArray[np.float64]  # latent deviation (n,)
    mean: NDArray[np.float64]  # power mean of the ratios (n,)


class Rarity(NamedTuple):
    """How rare rows are, learned from normal ones."""

    span: int  # of the neighbours
    typical: float  # power mean
    typical_latent: float  # latent deviation
    alone: Tail
    near: Tail
    wide: Tail
    wide_latent: Tail
    alarming: float = ALARMING_RARITY  # what of the first two scopes is an alarm
    lookahead: int | None = None  # later rows that averages take in at most; None: all

    def of_series(self, reduced: Reduced) -> NDArray[np.float64]:
        """Return the rarity (n,) of the rows of one series, NaN where unknown.

        Of a long history each array counts: those given are overwritten.
        """
        rarity, latent, mean = reduced
        near = smooth(mean, self.span, self.typical, self.lookahead)
        for rows in row_blocks(rarity):
            rarity[rows] = self._close_by(rarity[rows], near[rows])
        del near
        span = wider_span(self.span)
        mean[:] = smooth(mean, span, self.typical, self.lookahead)
        wide_latent = smooth(latent, span, self.typical_latent, self.lookahead)
        for rows in row_blocks(rarity):
            further = self._further(mean[rows], wide_latent[rows])
            rarity[rows] = np.fmax(rarity[rows], further)
        return rarity

    def of_averages(
        self,
        worst: NDArray[np.float64],
        near: NDArray[np.float64],
        wide: NDArray[np.float64],
        wide_latent: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Return the rarity (n,) of rows from their averages over both spans."""
        return np.fmax(self._close_by(worst, near), self._further(wide, wide_latent))

    def _close_by(
        self, worst: NDArray[np.float64], near: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        alone = limited(self.alone.rarity(worst) - _DECADES_ALONE, self.alarming)
        return np.fmax(alone, self.near.rarity(near))

    def _further(
        self, wide: NDArray[np.float64], wide_latent: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the rarity of the latent one, or the mean of both where it is larger.

        Both limited, the latent one before the mean is taken too: in channels that have
        moved on the input deviations are rebased, the latent one is not.
        """
        most = self.alarming - _DECADES_WIDER
        of_latent = limited(self.wide_latent.rarity(wide_latent), most)
        of_both = limited((self.wide.rarity(wide) + of_latent) / 2, most)
        return np.maximum(of_both, of_latent)


def limited(rarity: NDArray[np.float64], most: float) -> NDArray[np.float64]:
    """Let rarities (n,) count in full up to `most`; beyond they go on to rise a bit."""
    excess = np.maximum(rarity - most, 0.0)  # may be infinite
    beyond = 1 - _HALFWAY / (excess + _HALFWAY)
    return np.minimum(rarity, most) + _ROOM_BEYOND * beyond


def fit_rarity(
    reduced: Reduced,
    series: SeriesBounds,
    span: int,
    lookahead: int | None = None,
    threshold_of: Callable[[NDArray[np.float64]], float] = lambda _: ALARMING_RARITY,
) -> Rarity:
    """Learn from the rows (n,) of normal series.

    `threshold_of` says what is an alarm, from the rarities of those rows.
    """
    known = ~np.isnan(reduced.mean)
    typical, typical_latent = (
        float(values[known].mean()) for values in (reduced.mean, reduced.latent)
    )
    if not reduced.mean[known].any():
        span = 1  # nothing ever deviated: what does, does so by itself
    # Averages hardly vary, and tell at once that new rows deviate a little more.
    more = overfitting(len(reduced.mean))

    def averaged(values: NDArray, width: int, usual: float) -> NDArray[np.float64]:
        return _smooth_all(values, series, width, usual, lookahead)[known]

    wider = wider_span(span)
    wide = _fit_possible(more * averaged(reduced.mean, wider, typical), wider)
    wide_latent = _fit_possible(averaged(reduced.latent, wider, typical_latent), wider)
    alone = _fit_possible(reduced.worst[known], 0)
    rarities = averaged(reduced.mean, span, typical)
    near = _fit_possible(more * rarities, span)
    worst = reduced.worst[known]
    for rows in row_blocks(rarities):
        of_alone = alone.rarity(worst[rows]) - _DECADES_ALONE
        rarities[rows] = np.fmax(of_alone, near.rarity(rarities[rows]))
    alarming = threshold_of(rarities)
    return Rarity(
        span,
        typical,
        typical_latent,
        alone,
        near,
        wide,
        wide_latent,
        alarming,
        lookahead,
    )


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
