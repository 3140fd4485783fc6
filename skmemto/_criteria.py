"""Deviations -> anomaly score of each time step (high = anomalous).

A criterion works in two steps, so that the input deviations (n_samples, n_features) of
a long history need not be in memory at once: `reduce` turns those of a few rows into
one or two numbers for each, `score` the numbers of a whole series into scores.

NaN is the deviation of a missing value, and the numbers of a row without any.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from skmemto._blockwise import row_blocks
from skmemto._context import Context
from skmemto._deviations import RowDeviations
from skmemto._levels import LevelFollower
from skmemto._rarity import Rarity, Reduced
from skmemto._series import SeriesBounds
from skmemto._smoothing import own_share, smooth

# Beyond its limit a deviation counts by a share of its logarithm: with a tenth, ten
# times the limit counts 1.23 times as much, so that it does not drown all other rows
# and channels; by itself it counts by all of its logarithm, so that it is seen.
_SHARE_BEYOND, _SHARE_BEYOND_ALONE = 0.1, 1.0
# Order of the power mean over the channels: 1 would be the mean, in which one channel
# drowns among many; infinity the maximum, which hangs on the worst channel alone.
ORDER = 4


class Criterion(ABC):
    """How deviations become a score."""

    n_numbers: ClassVar[int] = 1  # of each row, that `reduce` gives

    @abstractmethod
    def reduce(
        self, deviations: RowDeviations, series: SeriesBounds
    ) -> tuple[NDArray[np.float64], ...]:
        """Turn the deviations of some rows into numbers for each, (n,) each."""

    @abstractmethod
    def score(self, *numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """Score one series from the numbers of its rows; they may be overwritten."""


@dataclass(frozen=True)
class InputDeviation(Criterion):
    """Mean input deviation over the channels: the paper's ISD (eq. 10)."""

    span: int
    lookahead: int | None = None

    def reduce(
        self, deviations: RowDeviations, series: SeriesBounds
    ) -> tuple[NDArray[np.float64], ...]:
        """Take the mean over the channels that are observed."""
        return (observed_mean(deviations.input),)

    def score(self, *numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mean, smoothed."""
        return _smoothed(numbers[0], self.span, self.lookahead)


@dataclass(frozen=True)
class LatentDeviation(Criterion):
    """The latent deviation alone: of MEMTO the paper's LSD (eq. 9)."""

    span: int
    lookahead: int | None = None

    def reduce(
        self, deviations: RowDeviations, series: SeriesBounds
    ) -> tuple[NDArray[np.float64], ...]:
        """Take the latent deviation."""
        return (deviations.latent,)

    def score(self, *numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return it, smoothed."""
        return _smoothed(numbers[0], self.span, self.lookahead)


@dataclass(frozen=True)
class SoftmaxCriterion(Criterion):
    """The paper's criterion: softmax of LSD within each window, times ISD (eq. 11)."""

    span: int
    window_size: int
    temperature: float
    n_numbers: ClassVar[int] = 2

    def reduce(
        self, deviations: RowDeviations, series: SeriesBounds
    ) -> tuple[NDArray[np.float64], ...]:
        """Take the latent deviation and the mean of the input deviations."""
        return deviations.latent, observed_mean(deviations.input)

    def score(self, *numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weigh the ISD of each step by its share of the window's LSD."""
        latent, mean = numbers
        weights = windowed_softmax(latent, self.window_size, self.temperature)
        return _smoothed(np.multiply(weights, mean, out=weights), self.span)


class Calibration(NamedTuple):
    """What the input deviations of each channel are like on the training data."""

    scale: NDArray[np.float64]  # what they are divided by
    limit: NDArray[np.float64]  # what counts in full at most

    @property
    def largest(self) -> NDArray[np.float64]:
        """Return the largest ratio of each channel that counts in full (F,)."""
        return self.limit / self.scale


@dataclass(frozen=True)
class CalibratedCriterion(Criterion):
    """How rare a row is, from the deviations in units of each channel's own.

    A channel that is hard to reconstruct on normal data has to deviate more to
    count as much as one that is easy, and none counts much more than its limit.
    """

    calibration: Calibration
    context: Context
    rarity: Rarity
    follower: LevelFollower | None = None  # of channels that have moved on
    n_numbers: ClassVar[int] = 3

    def ratios(
        self, deviations: RowDeviations, series: SeriesBounds
    ) -> NDArray[np.float64]:
        """Return the deviations (n, F) in units of each channel's own, limited."""
        ratios = to_ratios(deviations, series, self.context, self.calibration)
        if self.follower is not None:
            self.follower.rebase(ratios, deviations.rows)
        return limited(ratios, self.calibration.largest)

    def reduce(
        self, deviations: RowDeviations, series: SeriesBounds
    ) -> tuple[NDArray[np.float64], ...]:
        """Take the worst of the channels, the latent deviation, their power mean."""
        ratios = self.ratios(deviations, series)
        worst, mean = reduce_ratios(ratios, self.calibration.largest)
        return worst, deviations.latent, mean

    def score(self, *numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how rare the rows are."""
        return self.rarity.of_series(Reduced(*numbers))


def to_ratios(
    deviations: RowDeviations,
    series: SeriesBounds,
    context: Context,
    calibration: Calibration,
) -> NDArray[np.float64]:
    """Return the deviations (n, F) in units of each channel's own.

    As they would be in the midst of a long series.
    """
    ratios = deviations.input / calibration.scale
    context.apply(ratios, deviations.rows, series)
    return ratios


def limited(
    ratios: NDArray[np.float64], largest: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Limit ratios (n, F) softly, beyond the largest of each channel."""
    values = ratios / largest
    excess = np.zeros_like(values)
    np.log(values, out=excess, where=values > 1)  # slow, and few exceed 1
    np.minimum(values, 1.0, out=values)
    values *= largest
    values *= 1 + _SHARE_BEYOND * excess
    return values


def reduce_ratios(
    ratios: NDArray[np.float64], largest: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the worst of the limited ratios (n, F) of each row, and the power mean."""
    # What is beyond the limit, by the larger share of its logarithm.
    beyond = (_SHARE_BEYOND_ALONE / _SHARE_BEYOND - 1) * (ratios - largest)
    worst = np.fmax.reduce(ratios + np.maximum(beyond, 0.0), axis=1)
    return worst, observed_mean(powers(ratios)) ** (1 / ORDER)


def powers(ratios: NDArray[np.float64]) -> NDArray[np.float64]:
    """Raise to `ORDER`; squares take a tenth of the time of a power."""
    squares = np.square(ratios)
    return np.square(squares, out=squares)


def observed_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of each row (n, F) over what is not NaN; NaN where all is."""
    n_observed = (~np.isnan(values)).sum(axis=1)
    n_observed = np.where(n_observed == 0, np.nan, n_observed)
    return np.nansum(values, axis=1) / n_observed


def _smoothed(
    values: NDArray[np.float64], span: int, lookahead: int | None = None
) -> NDArray[np.float64]:
    """Smooth by weights that sum to one; NaN where what is known weighs too little."""
    if span == 1:
        return values
    known = (~np.isnan(values)).astype(np.float64)
    weights = smooth(known, span, 0.0, lookahead)
    total = smooth(np.nan_to_num(values), span, 0.0, lookahead)
    return average_of_known(total, weights, own_share(span, lookahead))


def average_of_known(
    total: NDArray[np.float64], weights: NDArray[np.float64], own: float
) -> NDArray[np.float64]:
    """Divide sums (...) by the weights that are in them, `own` being that of one row.

    NaN where they are less than half of that: there all that is known is far away.
    """
    average = np.full(total.shape, np.nan)
    return np.divide(total, weights, out=average, where=weights >= own / 2)


def windowed_softmax(
    latent: NDArray, window_size: int, temperature: float
) -> NDArray[np.float64]:
    """Softmax of the latent deviations of one series within each window.

    Windows do not overlap, except that the last one is anchored to the end of the
    series and gives the weights of the steps left over.
    """
    n_steps = len(latent)
    length = min(window_size, n_steps)
    whole = n_steps - n_steps % length
    windows = latent[:whole].reshape(-1, length)
    weights = np.empty(n_steps)
    for rows in row_blocks(windows):
        steps = slice(rows.start * length, rows.stop * length)
        weights[steps] = _window_weights(windows[rows], temperature).ravel()
    if whole < n_steps:
        last = _window_weights(latent[np.newaxis, -length:], temperature)
        weights[whole:] = last[0, whole - n_steps :]
    return weights


def _window_weights(latent: NDArray, temperature: float) -> NDArray[np.float64]:
    """Softmax of each window (n, L); a step without any value takes no weight."""
    logits = np.nan_to_num(latent / temperature, nan=float(np.finfo(latent.dtype).min))
    return softmax(logits, axis=1)
