"""Deviations -> anomaly score of each time step (high = anomalous).

A criterion works in two steps, so that the input deviations (n_samples,
n_features) of a long history need not be in memory at once: `reduce` turns those
of a few rows into one number for each, `score` those of a whole series, with the
latent deviations, into scores.

NaN is the deviation of a missing reading, and the number of a row without any.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.special import softmax
from sklearn.preprocessing import StandardScaler

from skmemto._scaling import add_rows, row_blocks

# Channels that are constant in training are reconstructed exactly. They are measured
# by this share of the scale of the worst channel.
_LEAST_SHARE = 1e-4
# Beyond the largest error of its channel in training an error counts by this share of
# its logarithm: ten times the largest counts 1.23 times as much. In full it would drown
# all other rows and channels.
_SHARE_BEYOND = 0.1
# Order of the power mean over the channels: 1 would be the mean, in which one channel
# drowns among many; infinity the maximum, which hangs on the worst channel alone.
_SQUARINGS = 2
_ORDER = 2**_SQUARINGS
# Order of the power mean over time: 1 would be the mean, in which one row drowns.
_TIME_ORDER = 1.5
# The average over time is of two spans: one keeps short anomalies sharp, the other, so
# many times as long, carries long ones over their quiet moments.
_LONGER = 5


class Deviations(NamedTuple):
    """How far each time step is from what a model expects."""

    input: NDArray[np.float64]
    latent: NDArray[np.float64]


class Criterion(Protocol):
    """How deviations become a score."""

    time_order: float  # of the power mean by which the scores are smoothed

    def reduce(self, input_deviations: NDArray) -> NDArray:
        """Turn input deviations (n, F) into one number for each row (n,)."""

    def score(self, error: NDArray, latent: NDArray) -> NDArray:
        """Score one series from reduced and latent deviations (n,)."""


class InputDeviation:
    """Mean input deviation over the channels: the paper's ISD (eq. 10)."""

    time_order = 1.0

    def reduce(self, input_deviations: NDArray) -> NDArray:
        """Average over the channels that are observed."""
        return _observed_mean(input_deviations)

    def score(self, error: NDArray, latent: NDArray) -> NDArray:
        """Return the error itself."""
        return error


class LatentDeviation(InputDeviation):
    """Distance to the nearest memory item alone: the paper's LSD (eq. 9)."""

    def score(self, error: NDArray, latent: NDArray) -> NDArray:
        """Return the latent deviation itself."""
        return latent


@dataclass(frozen=True)
class SoftmaxCriterion(InputDeviation):
    """The paper's criterion: softmax of LSD within each window, times ISD (eq. 11)."""

    window_size: int
    temperature: float

    def score(self, error: NDArray, latent: NDArray) -> NDArray:
        """Weigh the error of each step by its share of the window's deviation."""
        weights = windowed_softmax(latent, self.window_size, self.temperature)
        return np.multiply(weights, error, out=weights)


class Calibration(NamedTuple):
    """What the input deviations of each channel are like on the training data."""

    scale: NDArray[np.float64]  # mean plus standard deviation
    limit: NDArray[np.float64]  # what counts in full at most


def calibrate(parts: Iterable[NDArray]) -> Calibration:
    """Measure the input deviations of the training data.

    The standard deviation in the scale tells a channel with rare large errors from
    one that errs evenly: the former is no news when it errs again.

    Parameters
    ----------
    parts : iterable of ndarray of shape (n, n_features)
        Input deviations, some rows at a time.
    """
    moments, largest = StandardScaler(), 0.0
    for part in parts:
        add_rows(moments, part)
        largest = np.fmax(largest, np.fmax.reduce(part, axis=0))
    scale = moments.mean_ + np.sqrt(moments.var_)
    scale[np.broadcast_to(moments.n_samples_seen_ == 0, scale.shape)] = np.nan
    least = max(_LEAST_SHARE * np.nanmax(scale), np.finfo(float).eps)
    never_erred = scale < least
    scale = np.maximum(scale, least)
    largest = np.maximum(largest, scale)
    # News of a channel that never erred counts as much as that of any channel can.
    largest[never_erred] = np.nanmax(largest / scale) * least
    return Calibration(scale, largest)


@dataclass(frozen=True)
class CalibratedCriterion:
    """Power mean over the channels of the error in units of each channel's own.

    A channel that is hard to reconstruct on normal data has to deviate more to
    count as much as one that is easy, and none counts much more than its limit.
    """

    calibration: Calibration
    time_order: ClassVar[float] = _TIME_ORDER

    def reduce(self, input_deviations: NDArray) -> NDArray:
        """Combine the channels, each divided by its scale."""
        return _observed_mean(self._powers(input_deviations)) ** (1 / _ORDER)

    def contributions(self, input_deviations: NDArray) -> NDArray:
        """Share `reduce` out among the channels (n, F), so that they sum to it."""
        powers = np.nan_to_num(self._powers(input_deviations))
        total = powers.sum(axis=1, keepdims=True)
        shares = np.divide(powers, total, out=np.zeros_like(powers), where=total > 0)
        return shares * self.reduce(input_deviations)[:, np.newaxis]

    def score(self, error: NDArray, latent: NDArray) -> NDArray:
        """Return the calibrated error itself."""
        return error

    def _powers(self, input_deviations: NDArray) -> NDArray:
        scale, limit = self.calibration
        ratio = input_deviations / limit
        excess = np.zeros_like(ratio)
        np.log(ratio, out=excess, where=ratio > 1)  # slow, and few exceed 1
        powers = np.minimum(input_deviations, limit) / scale
        powers *= 1 + _SHARE_BEYOND * excess
        for _ in range(_SQUARINGS):
            np.square(powers, out=powers)
        return powers


def make_criterion(
    name: str, *, window_size: int, temperature: float, calibration: Calibration
) -> Criterion:
    """Make the criterion that the estimators' parameter `criterion` names."""
    if name == "softmax":
        return SoftmaxCriterion(window_size, temperature)
    if name == "calibrated":
        return CalibratedCriterion(calibration)
    return InputDeviation() if name == "isd" else LatentDeviation()


def _observed_mean(values: NDArray) -> NDArray:
    """Mean of each row (n, F) over what is not NaN; NaN where all is."""
    n_observed = (~np.isnan(values)).sum(axis=1)
    n_observed = np.where(n_observed == 0, np.nan, n_observed)
    return np.nansum(values, axis=1) / n_observed


def windowed_softmax(latent: NDArray, window_size: int, temperature: float) -> NDArray:
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


def _window_weights(latent: NDArray, temperature: float) -> NDArray:
    """Softmax of each window (n, L); a step without any reading takes no weight."""
    logits = np.nan_to_num(latent / temperature, nan=np.finfo(latent.dtype).min)
    return softmax(logits, axis=1)


def smooth(values: NDArray, span: int, order: float) -> None:
    """Take the power mean of one series over time, in place; none with span 1.

    The weights are those of `exponential_average` with `span` and `_LONGER` times
    `span`. For any other order than 1 no value may be negative. Values (n,) become
    their means; values (n, F) are the parts of those that they sum to, and become the
    parts of the means.
    """
    if span == 1 or len(values) == 0:
        return
    _times_power_of_total(values, order - 1)
    values[:] = exponential_average(values, span, _LONGER * span)
    _times_power_of_total(values, 1 / order - 1)


def _times_power_of_total(values: NDArray, exponent: float) -> None:
    for rows in row_blocks(values):
        part = values[rows]
        total = part if part.ndim == 1 else part.sum(axis=1, keepdims=True)
        part *= np.where(total > 0, total, 1.0) ** exponent


def exponential_average(scores: NDArray, *spans: int) -> NDArray:
    """Average of one series along its rows, weights falling on both sides.

    With one span a row k steps away weighs ``((span - 1) / (span + 1)) ** k``, as in
    pandas' ``ewm(span=span)`` to both sides; with several, each has the same share of
    all weight. NaN takes the average of its neighbours, where these are near enough to
    weigh as much as one score would, and gives them nothing.
    """
    if len(scores) == 0:
        return scores
    # In blocks, so that a long series has no other array of its length: forwards for
    # the sums over earlier rows where each block begins, then backwards for all.
    blocks = list(row_blocks(scores))
    states = [np.zeros((len(spans), 2, 1, *scores.shape[1:]))]
    for rows in blocks[:-1]:
        x = _values_and_weights(scores[rows])
        states.append(_decaying_sums(x, spans, states[-1], lag=0)[1])
    after_block = np.zeros_like(states[0])
    # Further from what is known than the weight of one score, there is no average.
    average = np.full(scores.shape, np.nan)
    own_weight = sum(max(spans) / span for span in spans)
    for rows, before_block in zip(reversed(blocks), reversed(states), strict=True):
        x = _values_and_weights(scores[rows])
        before, _ = _decaying_sums(x, spans, before_block, lag=0)
        after, after_block = _decaying_sums(x[:, ::-1], spans, after_block, lag=1)
        total, weights = before + after[:, ::-1]
        np.divide(total, weights, out=average[rows], where=weights >= own_weight)
    return average


def _decaying_sums(
    x: NDArray, spans: tuple[int, ...], states: NDArray, *, lag: int
) -> tuple[NDArray, NDArray]:
    """Sum x (2, n, ...) over the rows so far by the weights of all spans.

    With lag 0 up to each row itself, with lag 1 up to the row before. Also returns the
    states to go on from, one for each span.
    """
    sums, next_states = np.zeros_like(x), np.empty_like(states)
    for i, span in enumerate(spans):
        decay = (span - 1) / (span + 1)
        weights = np.array([0.0, decay] if lag else [1.0]) * max(spans) / span
        y, next_states[i] = lfilter(weights, [1.0, -decay], x, axis=1, zi=states[i])
        sums += y
    return sums, next_states


def _values_and_weights(scores: NDArray) -> NDArray:
    """Stack scores and their weights (2, n, ...): both 0 where NaN."""
    known = ~np.isnan(scores)
    return np.stack([np.where(known, scores, 0.0), known])
