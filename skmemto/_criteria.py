"""Deviations -> anomaly score of each time step (high = anomalous).

A criterion works in two steps, so that the input deviations (n_samples,
n_features) of a long history need not be in memory at once: `reduce` turns those
of a few rows into one number for each, `score` those of a whole series, with the
latent deviations, into scores.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve1d
from scipy.special import softmax
from sklearn.preprocessing import StandardScaler

# Channels that are constant in training are reconstructed almost exactly. They are
# measured by this share of the scale of the worst channel.
_LEAST_SHARE = 1e-4


class Deviations(NamedTuple):
    """How far each time step is from what a model expects."""

    input: NDArray[np.float64]
    latent: NDArray[np.float64]


class Criterion(Protocol):
    """How deviations become a score."""

    def reduce(self, input_deviations: NDArray) -> NDArray:
        """Turn input deviations (n, F) into one number for each row (n,)."""

    def score(self, error: NDArray, latent: NDArray) -> NDArray:
        """Score one series from reduced and latent deviations (n,)."""


class InputDeviation:
    """Mean input deviation over the channels: the paper's ISD (eq. 10)."""

    def reduce(self, input_deviations: NDArray) -> NDArray:
        """Average over the channels."""
        return input_deviations.mean(axis=1)

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
        return weights * error


@dataclass(frozen=True)
class CalibratedCriterion:
    """Root mean square over the channels of the error in units of each channel's own.

    A channel that is hard to reconstruct on normal data has to deviate more to
    count as much as one that is easy. The mean square over the channels, rather
    than the mean, keeps what a single channel shows from drowning among many.
    """

    error_scale: NDArray

    def reduce(self, input_deviations: NDArray) -> NDArray:
        """Combine the channels, each divided by its scale."""
        least = _LEAST_SHARE * self.error_scale.max()
        scale = np.maximum(self.error_scale, least if least > 0 else 1.0)
        return np.sqrt(np.square(input_deviations / scale).mean(axis=1))

    def score(self, error: NDArray, latent: NDArray) -> NDArray:
        """Return the calibrated error itself."""
        return error


def error_scale(parts: Iterable[NDArray]) -> NDArray[np.float64]:
    """Return mean plus standard deviation of each channel's input deviations.

    The standard deviation tells a channel with rare large errors from one that errs
    evenly: the former is no news when it errs again.

    Parameters
    ----------
    parts : iterable of ndarray of shape (n, n_features)
        Input deviations of the training data, some rows at a time.
    """
    moments = StandardScaler()
    for part in parts:
        moments.partial_fit(part)
    return moments.mean_ + np.sqrt(moments.var_)


def make_criterion(
    name: str, *, window_size: int, temperature: float, error_scale: NDArray
) -> Criterion:
    """Make the criterion that the estimators' parameter `criterion` names."""
    if name == "softmax":
        return SoftmaxCriterion(window_size, temperature)
    if name == "calibrated":
        return CalibratedCriterion(error_scale)
    return InputDeviation() if name == "isd" else LatentDeviation()


def windowed_softmax(latent: NDArray, window_size: int, temperature: float) -> NDArray:
    """Softmax of the latent deviations of one series within each window.

    Windows do not overlap, except that the last one is anchored to the end of the
    series and gives the weights of the steps left over.
    """
    n_steps = len(latent)
    length = min(window_size, n_steps)
    whole = n_steps - n_steps % length
    logits = latent / temperature
    weights = softmax(logits[:whole].reshape(-1, length), axis=1).ravel()
    if whole < n_steps:
        last = softmax(logits[-length:])
        weights = np.append(weights, last[whole - n_steps :])
    return weights


def moving_average(scores: NDArray, length: int) -> NDArray:
    """Centred moving average of one series; shorter at its ends.

    Summed anew at each step: a running sum would carry the rounding error of one
    huge score along the rest of the series.
    """
    if length == 1 or len(scores) == 0:
        return scores
    kernel = np.ones(length)
    total = convolve1d(scores, kernel, mode="constant")
    return total / convolve1d(np.ones(len(scores)), kernel, mode="constant")
