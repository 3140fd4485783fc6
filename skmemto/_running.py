"""One series as its rows come: what has to be remembered of those before.

The stations after the network, looking back only. A step replaces what it remembers
and changes nothing in place, so that a copy of it goes on by itself.
"""

from copy import copy
from dataclasses import replace
from typing import NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from skmemto._criteria import (
    CalibratedCriterion,
    Criterion,
    InputDeviation,
    LatentDeviation,
    average_of_known,
)
from skmemto._deviations import RowDeviations
from skmemto._rarity import Rarity, wider_span
from skmemto._smoothing import own_share, smooth_next
from skmemto._stuck import Motion, StuckFollower

# A series of which the end is not known.
ENDLESS = np.array([[0, np.iinfo(np.int64).max]])


class RunningScore(Protocol):
    """Scores rows, high = anomalous, from what a criterion makes of them."""

    def next(self, *numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """Score the next rows (n,)."""


class RunningRarity:
    """The rarity of rows."""

    def __init__(self, rarity: Rarity):
        self.rarity = rarity
        self._near: NDArray[np.float64] | None = None
        self._wide: NDArray[np.float64] | None = None

    def next(self, *numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """Score the next rows (n,) from their worst ratios and their power means."""
        worst, mean = numbers
        span, typical = self.rarity.span, self.rarity.typical
        near, self._near = smooth_next(mean, span, typical, self._near)
        wide, self._wide = smooth_next(mean, wider_span(span), typical, self._wide)
        return self.rarity.of_averages(worst, near, wide)


class RunningMean:
    """The average of what is known."""

    def __init__(self, span: int):
        self.span = span
        self._weights: NDArray[np.float64] | None = None
        self._total: NDArray[np.float64] | None = None

    def next(self, *numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """Average the next rows (n,)."""
        (values,) = numbers
        if self.span == 1:
            return values
        known = (~np.isnan(values)).astype(np.float64)
        weights, self._weights = smooth_next(known, self.span, 0.0, self._weights)
        values = np.nan_to_num(values)
        total, self._total = smooth_next(values, self.span, 0.0, self._total)
        return average_of_known(total, weights, own_share(self.span, 0))


class Scored(NamedTuple):
    """Scores of rows (n,), high = anomalous; and with moved channels rebased."""

    scores: NDArray[np.float64]
    rebased: NDArray[np.float64]
    unknown: NDArray[np.bool_]  # without any value
    stuck: NDArray[np.bool_]  # (n, F)


class RunningSeries:
    """What is remembered of one series.

    Parameters
    ----------
    criterion, following : Criterion
        The latter with a follower of its own for channels that move on; or the same.
    motion : Motion or None
        Which channels always move; None where stuck sensors do not count.
    n_features, window_size : int
        Of the rows and windows.
    """

    def __init__(
        self,
        criterion: Criterion,
        following: Criterion,
        motion: Motion | None,
        n_features: int,
        window_size: int,
    ):
        self.n_rows = 0
        self.recent = np.empty((0, n_features))  # rows that the next windows begin with
        self._window_size = window_size
        self._criteria = [criterion, following]
        self._scores = [_running_score(criterion) for criterion in self._criteria]
        self._stuck = None if motion is None else StuckFollower(motion)
        self._rarity_of_stuck = 0.0 if motion is None else motion.rarity

    def copy(self) -> Self:
        """Return a series that goes on by itself from here."""
        new = copy(self)
        new._criteria = [_copied(criterion) for criterion in self._criteria]
        new._scores = [copy(score) for score in self._scores]
        new._stuck = copy(self._stuck)
        return new

    def next(self, X: NDArray, deviations: RowDeviations) -> Scored:
        """Score the next rows (n, F), whose deviations are numbered from 0."""
        deviations = deviations._replace(rows=self.n_rows + deviations.rows)
        stuck = np.zeros(X.shape, dtype=bool)
        if self._stuck is not None:
            stuck = self._stuck.next(X)
        is_stuck, both = stuck.any(axis=1), []
        for criterion, score in zip(self._criteria, self._scores, strict=True):
            numbers = criterion.reduce(deviations, ENDLESS)
            unknown = np.isnan(numbers[-1])
            scores = np.array(score.next(*numbers))
            scores[is_stuck] = np.fmax(scores[is_stuck], self._rarity_of_stuck)
            both.append(scores)
        self.n_rows += len(X)
        n_kept = self._window_size - 1
        rows = np.concatenate([self.recent, X])
        self.recent = rows[max(0, len(rows) - n_kept) :].copy()
        scores, rebased = both
        return Scored(scores, rebased, unknown, stuck)


def _copied(criterion: Criterion) -> Criterion:
    """Copy what a criterion remembers: who follows the channels."""
    if isinstance(criterion, CalibratedCriterion) and criterion.follower is not None:
        return replace(criterion, follower=copy(criterion.follower))
    return criterion


def _running_score(criterion: Criterion) -> RunningScore:
    if isinstance(criterion, CalibratedCriterion):
        return RunningRarity(criterion.rarity)
    assert isinstance(criterion, InputDeviation | LatentDeviation)
    return RunningMean(criterion.span)
