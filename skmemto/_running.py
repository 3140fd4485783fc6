"""Series as their rows come: what has to be remembered of those before.

The stations after the network, looking back only, for several series at once: all that
is remembered of S series is arrays with a first axis of S. Nothing is changed in place.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from skmemto._criteria import (
    CalibratedCriterion,
    Criterion,
    InputDeviation,
    LatentDeviation,
    average_of_known,
    limited,
    reduce_ratios,
    to_ratios,
)
from skmemto._deviations import RowDeviations
from skmemto._levels import (
    NEVER,
    Levels,
    MovedChannel,
    away_since,
    levels_before,
    moved_for_good,
    rebase,
)
from skmemto._rarity import wider_span
from skmemto._smoothing import own_share, smooth_next
from skmemto._stuck import Motion, StuckFollower, StuckState

# A series of which the end is not known.
ENDLESS = np.array([[0, np.iinfo(np.int64).max]])


class Running(NamedTuple):
    """What is remembered of S series."""

    n_rows: NDArray[np.int64]  # (S,)
    # Of the averages over time, as they are and with moved channels rebased: of the
    # power mean over two spans, and of the latent deviation; or of what is known and
    # its weight, first.
    sums: NDArray[np.float64]  # (S, 2, 3)
    level: NDArray[np.float64]  # of the channels (S, F)
    factors: NDArray[np.float64]  # the same, in units of the highest in training (S, F)
    since: NDArray[np.int64]  # when channels have been elsewhere (S, F)
    stuck: StuckState

    @classmethod
    def joined(cls, series: Sequence[Self]) -> Self:
        """Put series together."""
        return _joined(series)

    def each(self) -> list[Self]:
        """Take the series apart, so that each has memory of its own."""
        return [_one(self, i) for i in range(len(self.n_rows))]

    def moved(self, span: int) -> list[MovedChannel]:
        """Return the channels of one series that are elsewhere since over a span."""
        return moved_for_good(self.factors[0], self.since[0], int(self.n_rows[0]), span)


def _joined(parts: Sequence[Any]) -> Any:
    if isinstance(parts[0], tuple):
        return type(parts[0])(*map(_joined, zip(*parts, strict=True)))
    return np.concatenate(parts)


def _one(arrays: Any, i: int) -> Any:
    if isinstance(arrays, tuple):
        return type(arrays)(*(_one(array, i) for array in arrays))
    return arrays[i : i + 1].copy()


class Scored(NamedTuple):
    """Scores of the next rows (S, n), high = anomalous."""

    scores: NDArray[np.float64]
    rebased: NDArray[np.float64]  # with channels that have moved on
    unknown: NDArray[np.bool_]  # without any value
    stuck: NDArray[np.bool_]  # (S, n, F)


class RunningScores:
    """Scores series as their rows come.

    Parameters
    ----------
    criterion : Criterion
        Looks back only.
    levels : Levels or None
        To be followed; None where channels that move on do not count less.
    motion : Motion or None
        Which channels always move; None where stuck sensors do not count.
    n_features : int
        Of the rows.
    """

    def __init__(
        self,
        criterion: Criterion,
        levels: Levels | None,
        motion: Motion | None,
        n_features: int,
    ):
        self.criterion, self.levels, self.motion = criterion, levels, motion
        nothing = Motion(np.zeros(n_features, dtype=bool), 1, 1)
        self._stuck = StuckFollower(nothing if motion is None else motion)
        self._usual = np.zeros(n_features) if levels is None else levels.usual

    def start(self) -> Running:
        """Return what is remembered of one series before its first row."""
        return Running(
            np.zeros(1, dtype=np.int64),
            np.zeros((1, 2, 3)),
            self._usual[np.newaxis],
            np.ones((1, len(self._usual))),
            np.full((1, len(self._usual)), NEVER),
            self._stuck.start(),
        )

    def next(
        self, running: Running, X: NDArray, squares: NDArray, latent: NDArray
    ) -> tuple[Scored, Running]:
        """Score the next rows of S series.

        Parameters
        ----------
        running : Running
            What is remembered of them.
        X : ndarray of shape (S, n, F)
            The rows.
        squares : ndarray of shape (S, n, F)
            Their input deviations.
        latent : ndarray of shape (S, n)
            Their latent deviations.
        """
        if isinstance(self.criterion, CalibratedCriterion):
            ratios = self._ratios(self.criterion, running, squares)
            both, running = self._rebased(ratios, running)
            scores, unknown, sums = self._rarities(
                self.criterion, both, latent, running.sums
            )
        else:
            assert isinstance(self.criterion, InputDeviation | LatentDeviation)
            flat = RowDeviations(
                np.arange(latent.size), squares.reshape(-1, X.shape[2]), latent.ravel()
            )
            (values,) = self.criterion.reduce(flat, ENDLESS)
            values = values.reshape(latent.shape)
            scores, unknown, sums = _means(values, self.criterion.span, running.sums)
        stuck, of_stuck = self._stuck.next(X, running.stuck, running.n_rows)
        if self.motion is not None:
            is_stuck = stuck.any(axis=2)
            scores[:, is_stuck] = np.fmax(scores[:, is_stuck], self.motion.rarity)
        n_rows = running.n_rows + X.shape[1]
        running = running._replace(n_rows=n_rows, sums=sums, stuck=of_stuck)
        return Scored(scores[0], scores[1], unknown, stuck), running

    def _ratios(
        self, criterion: CalibratedCriterion, running: Running, squares: NDArray
    ) -> NDArray[np.float64]:
        """Return the deviations (S, n, F) in units of each channel's own."""
        rows = running.n_rows[:, np.newaxis] + np.arange(squares.shape[1])
        flat = RowDeviations(
            rows.ravel(), squares.reshape(-1, squares.shape[2]), np.empty(0)
        )
        context, calibration = criterion.context, criterion.calibration
        ratios = to_ratios(flat, ENDLESS, context, calibration)
        return ratios.reshape(squares.shape)

    def _rebased(
        self, ratios: NDArray[np.float64], running: Running
    ) -> tuple[NDArray[np.float64], Running]:
        """Return ratios as they are, and with moved channels rebased (2, S, n, F)."""
        both = np.stack([ratios, ratios])
        if self.levels is None:
            return both, running
        before, level = levels_before(ratios, running.level, self.levels)
        factors = rebase(both[1], before, self.levels)
        since = away_since(factors, running.since, running.n_rows)
        return both, running._replace(level=level, factors=factors[:, -1], since=since)

    def _rarities(
        self,
        criterion: CalibratedCriterion,
        ratios: NDArray[np.float64],
        latent: NDArray,
        sums: NDArray[np.float64],
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
        """Return scores (2, S, n), which rows are unknown, and sums over time."""
        largest, rarity = criterion.calibration.largest, criterion.rarity
        flat = limited(ratios.reshape(-1, ratios.shape[3]), largest)
        worst, mean = (
            of.reshape(ratios.shape[:3]) for of in reduce_ratios(flat, largest)
        )
        further = wider_span(rarity.span)
        averaged = (
            (mean, rarity.span, rarity.typical),
            (mean, further, rarity.typical),
            (np.stack([latent, latent]), further, rarity.typical_latent),
        )
        averages, after = [], []
        for i, (values, span, typical) in enumerate(averaged):
            average, left = smooth_next(values, span, typical, sums[:, :, i].T)
            averages.append(average)
            after.append(left.T)
        scores = rarity.of_averages(worst, *averages)
        return scores, np.isnan(mean[0]), np.stack(after, axis=2)


def _means(
    values: NDArray[np.float64], span: int, sums: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
    """Return averages of what is known (2, S, n), where nothing is, and sums."""
    unknown = np.isnan(values)
    if span > 1:
        known = np.stack([np.nan_to_num(values), (~unknown).astype(np.float64)])
        (total, weights), left = smooth_next(known, span, 0.0, sums[:, 0, :2].T)
        values = average_of_known(total, weights, own_share(span, 0))
        sums = np.zeros_like(sums)
        sums[:, 0, :2] = left.T
    return np.stack([values, values]), unknown, sums
