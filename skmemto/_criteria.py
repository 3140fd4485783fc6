"""Deviations -> anomaly score of each time step (high = anomalous).

A criterion works in two steps, so that the input deviations (n_samples,
n_features) of a long history need not be in memory at once: `reduce` turns those
of a few rows into one number for each, `score` those of a whole series, with the
latent deviations, into scores.

NaN is the deviation of a missing value, and the number of a row without any.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from skmemto._blockwise import RunningMoments, row_blocks

# Channels that are constant in training are reconstructed exactly. They are measured
# by this share of the scale of the worst channel.
_LEAST_SHARE = 1e-4
# Beyond the largest error of its channel in training an error counts by this share of
# its logarithm: ten times the largest counts 1.23 times as much. In full it would drown
# all other rows and channels.
_SHARE_BEYOND = 0.1
# Order of the power mean over the channels: 1 would be the mean, in which one channel
# drowns among many; infinity the maximum, which hangs on the worst channel alone.
_ORDER = 4
# Order of the power mean over time: 1 would be the mean, in which one row drowns.
_TIME_ORDER = 1.5


class Criterion(ABC):
    """How deviations become a score."""

    time_order: ClassVar[float] = 1.0  # of the power mean that smooths the scores

    def reduce(self, input_deviations: NDArray) -> NDArray[np.float64]:
        """Turn input deviations (n, F) into one number for each row (n,).

        By default the mean over the channels that are observed.
        """
        return _observed_mean(input_deviations)

    @abstractmethod
    def score(self, reduced: NDArray, latent: NDArray) -> NDArray[np.float64]:
        """Score one series from reduced and latent deviations (n,)."""


class InputDeviation(Criterion):
    """Mean input deviation over the channels: the paper's ISD (eq. 10)."""

    def score(self, reduced: NDArray, latent: NDArray) -> NDArray[np.float64]:
        """Return the mean itself."""
        return reduced


class LatentDeviation(Criterion):
    """The latent deviation alone: of MEMTO the paper's LSD (eq. 9)."""

    def score(self, reduced: NDArray, latent: NDArray) -> NDArray[np.float64]:
        """Return the latent deviation itself."""
        return latent


@dataclass(frozen=True)
class SoftmaxCriterion(Criterion):
    """The paper's criterion: softmax of LSD within each window, times ISD (eq. 11)."""

    window_size: int
    temperature: float

    def score(self, reduced: NDArray, latent: NDArray) -> NDArray[np.float64]:
        """Weigh the ISD of each step by its share of the window's LSD."""
        weights = windowed_softmax(latent, self.window_size, self.temperature)
        return np.multiply(weights, reduced, out=weights)


class Calibration(NamedTuple):
    """What the input deviations of each channel are like on the training data."""

    scale: NDArray[np.float64]  # mean plus standard deviation
    limit: NDArray[np.float64]  # what counts in full at most


def measure_deviations(blocks: Iterable[NDArray], n_features: int) -> Calibration:
    """Measure the input deviations (n, n_features) of the training data, in blocks.

    The standard deviation in the scale tells a channel with rare large deviations from
    one that deviates evenly: the former is no news when it deviates again.
    """
    moments, largest = RunningMoments(n_features), np.zeros(n_features)
    for block in blocks:
        moments.update(block)
        largest = np.fmax(largest, np.fmax.reduce(block, axis=0))
    scale = moments.mean + np.sqrt(moments.variance)
    scale[moments.count == 0] = np.nan
    least = max(_LEAST_SHARE * np.nanmax(scale), np.finfo(float).eps)
    never_deviated = scale < least
    scale = np.maximum(scale, least)
    largest = np.maximum(largest, scale)
    # News of a channel that never deviated counts as much as that of any can.
    largest[never_deviated] = np.nanmax(largest / scale) * least
    return Calibration(scale, largest)


@dataclass(frozen=True)
class CalibratedCriterion(Criterion):
    """Power mean over the channels of the deviation in units of each channel's own.

    A channel that is hard to reconstruct on normal data has to deviate more to
    count as much as one that is easy, and none counts much more than its limit.
    """

    calibration: Calibration
    time_order: ClassVar[float] = _TIME_ORDER

    def reduce(self, input_deviations: NDArray) -> NDArray[np.float64]:
        """Combine the channels, each divided by its scale."""
        return _observed_mean(self._powers(input_deviations)) ** (1 / _ORDER)

    def contributions(self, input_deviations: NDArray) -> NDArray[np.float64]:
        """Share `reduce` out among the channels (n, F), so that they sum to it."""
        powers = np.nan_to_num(self._powers(input_deviations))
        total = powers.sum(axis=1, keepdims=True)
        shares = np.divide(powers, total, out=np.zeros_like(powers), where=total > 0)
        return shares * self.reduce(input_deviations)[:, np.newaxis]

    def score(self, reduced: NDArray, latent: NDArray) -> NDArray[np.float64]:
        """Return the power mean itself."""
        return reduced

    def _powers(self, input_deviations: NDArray) -> NDArray[np.float64]:
        scale, limit = self.calibration
        ratio = input_deviations / limit
        excess = np.zeros_like(ratio)
        np.log(ratio, out=excess, where=ratio > 1)  # slow, and few exceed 1
        values = np.minimum(input_deviations, limit) / scale
        values *= 1 + _SHARE_BEYOND * excess
        return _fourth_power(values)


def _fourth_power(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Raise to `_ORDER` in place; squares take a tenth of the time of a power."""
    np.square(values, out=values)
    return np.square(values, out=values)


def make_criterion(
    name: str, *, window_size: int, temperature: float, calibration: Calibration
) -> Criterion:
    """Make the criterion that the estimators' parameter `criterion` names."""
    if name == "softmax":
        return SoftmaxCriterion(window_size, temperature)
    if name == "calibrated":
        return CalibratedCriterion(calibration)
    return InputDeviation() if name == "isd" else LatentDeviation()


def _observed_mean(values: NDArray) -> NDArray[np.float64]:
    """Mean of each row (n, F) over what is not NaN; NaN where all is."""
    n_observed = (~np.isnan(values)).sum(axis=1)
    n_observed = np.where(n_observed == 0, np.nan, n_observed)
    return np.nansum(values, axis=1) / n_observed


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
