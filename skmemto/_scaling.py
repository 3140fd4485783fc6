"""Series -> scaled series, in float64 and a block of rows at a time.

A missing value, NaN, stays NaN. So does all of a channel without any value in training:
nothing is known of what is normal there.
"""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from skmemto._blockwise import RunningMoments, series_blocks
from skmemto._bounds import value_bounds
from skmemto._series import SeriesBounds, split_series

# Scaled values beyond this are cut off: their squares would overflow float32.
_LARGEST_SCALED = 1e15
# A channel that never moved has not moved when it differs by rounding, in units of its
# constant: float32 keeps seven digits.
_ROUNDING = 1e-6


class ChannelScaler(TransformerMixin, BaseEstimator):
    """Scales each channel to zero mean and unit variance.

    Parameters
    ----------
    standardize : bool, default=True
        Whether to scale at all. If not, it only tells which channels are unknown and
        which values absurd.

    Attributes
    ----------
    mean_, scale_ : ndarray of shape (n_features,)
        What is subtracted from each channel, and what it is then divided by: the
        standard deviation, and for a constant channel its constant, or 1 if that is 0.
        Absurd values do not count.
    lower_, upper_ : ndarray of shape (n_features,)
        Values below and above are absurd.
    constant_ : ndarray of bool of shape (n_features,)
        Channels that never moved in training; none without `standardize`.
    unknown_ : ndarray of bool of shape (n_features,)
        Channels without a value to learn from, or with one only among several rows.
        They become NaN.
    """

    def __init__(self, standardize: bool = True):
        self.standardize = standardize

    def fit(
        self, X: NDArray, y: Any = None, *, series: SeriesBounds | None = None
    ) -> Self:
        """Learn from the rows (n_samples, n_features) of the series; by default all.

        Raises
        ------
        ValueError
            If no channel has values to learn from, or a variance overflows.
        """
        series = split_series(None, len(X)) if series is None else series
        self.lower_, self.upper_ = value_bounds(X, series)
        blocks = (self.hide_absurd(rows) for _, rows in series_blocks(X, series))
        moments = RunningMoments.of(blocks, X.shape[1])
        n_rows = int((series[:, 1] - series[:, 0]).sum())
        self.unknown_ = moments.count < min(2, n_rows)
        if self.unknown_.all():
            raise ValueError(
                "Input X contains no values to learn from: in the training rows all "
                "are missing (NaN), or all but one of each channel."
            )
        self.mean_, self.scale_ = np.zeros(X.shape[1]), np.ones(X.shape[1])
        self.constant_ = np.zeros(X.shape[1], dtype=bool)
        if self.standardize:
            self._take(moments)
        return self

    def _take(self, moments: RunningMoments) -> None:
        known = ~self.unknown_
        mean, variance = moments.mean, moments.variance
        too_large = known & ~np.isfinite(variance)
        if too_large.any():
            raise ValueError(
                "Input X contains values too large to be standardized: the variance of "
                f"feature {np.flatnonzero(too_large)[0]} overflows float64. Rescale X "
                "before fit."
            )
        self.constant_ = known & _is_rounding(variance, mean, moments.count)
        constants = np.where(mean == 0, 1.0, np.abs(mean))
        scale = np.where(self.constant_, constants, np.sqrt(variance))
        self.mean_ = np.where(known, mean, 0.0)
        self.scale_ = np.where(known, scale, 1.0)

    def hide_absurd(self, X: NDArray) -> NDArray:
        """Return rows (..., n_features) with NaN in place of absurd values."""
        absurd = (self.lower_ > X) | (self.upper_ < X)
        return np.where(absurd, np.nan, X) if absurd.any() else X

    def transform(self, X: NDArray) -> NDArray[np.float64]:
        """Scale rows (..., n_features)."""
        scaled = X.astype(np.float64)
        with np.errstate(over="ignore"):
            scaled -= self.mean_
            scaled /= self.scale_
        if self.unknown_.any():
            scaled[..., self.unknown_] = np.nan
        if self.constant_.any():
            moved = scaled[..., self.constant_]
            scaled[..., self.constant_] = np.where(np.abs(moved) < _ROUNDING, 0, moved)
        return np.clip(scaled, -_LARGEST_SCALED, _LARGEST_SCALED, out=scaled)

    def inverse_transform(self, X: NDArray) -> NDArray[np.float64]:
        """Bring scaled rows (..., n_features) back to their units."""
        values = X * self.scale_
        values += self.mean_
        values[..., self.unknown_] = np.nan
        return values


def _is_rounding(
    variance: NDArray[np.float64], mean: NDArray[np.float64], count: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Tell where a variance is within the rounding of the sums that it is made of.

    The bound of Chan, Golub and LeVeque (1983), as in scikit-learn's scalers.
    """
    eps = np.finfo(np.float64).eps
    with np.errstate(over="ignore"):  # beyond 1e300; no variance is as large
        return variance <= count * eps * variance + (count * mean * eps) ** 2
