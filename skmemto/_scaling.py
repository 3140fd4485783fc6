"""Series -> scaled series, in float64 and a block of rows at a time.

NaN, a missing reading, stays NaN. So does all of a channel without any reading in
training: nothing is known of what is normal there.
"""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler
from sklearn.utils import gen_batches

from skmemto._series import SeriesBounds

# Of all channels together: 1 MB in float64, for each temporary array of a block.
_VALUES_PER_BLOCK = 131_072
# Scaled values beyond this are cut off: their squares would overflow float32.
_LARGEST_SCALED = 1e15
# The moments of a channel without any reading yet.
_UNSEEN = {"mean_": 0.0, "var_": 0.0, "scale_": 1.0}
# What a network sees of standardized values: one reading beyond would spoil the
# reconstruction of all rows of its windows.
LARGEST_SEEN = 30.0


def row_blocks(X: NDArray) -> Iterator[slice]:
    """Cut rows (n, ...) into blocks, so that what is made of one takes little memory.

    X may be larger than memory: a copy of all of it must not be made.
    """
    values_per_row = max(1, math.prod(X.shape[1:]))
    return gen_batches(len(X), max(1, _VALUES_PER_BLOCK // values_per_row))


def fit_scaler(X: NDArray, series: SeriesBounds, standardize: bool) -> StandardScaler:
    """Fit a StandardScaler to the rows of the series; an idle one on demand.

    A channel without readings to learn from gets the mean NaN, and so is NaN when
    scaled; one reading among several rows is not enough either. A channel that is
    constant is measured by its constant, or by 1 if that is 0.
    """
    scaler = StandardScaler()
    # In blocks: StandardScaler makes float64 copies of what it is given.
    for start, stop in series:
        for rows in row_blocks(X[start:stop]):
            add_rows(scaler, X[start:stop][rows])
    n_rows = int((series[:, 1] - series[:, 0]).sum())
    known = np.broadcast_to(scaler.n_samples_seen_ >= min(2, n_rows), X.shape[1])
    if not known.any():
        raise ValueError(
            "Input X contains no readings to learn from: in the training rows all "
            "values are NaN, or all but one of each channel."
        )
    if standardize:
        _check_scale(scaler, known)
        constant = constant_channels(scaler)
        scaler.scale_[constant] = np.abs(scaler.mean_[constant])
        scaler.scale_[scaler.scale_ == 0] = 1.0
    else:
        scaler.mean_[:], scaler.var_[:], scaler.scale_[:] = 0.0, 1.0, 1.0
    scaler.mean_[~known] = np.nan
    return scaler


def add_rows(scaler: StandardScaler, rows: NDArray) -> None:
    """Take rows (n, F) into the moments of the scaler; NaN does not count."""
    empty = np.isnan(rows).all(axis=0)
    before = {
        name: np.array(getattr(scaler, name, np.full(len(empty), unseen)))
        for name, unseen in _UNSEEN.items()
    }
    with np.errstate(over="ignore", invalid="ignore"):
        scaler.partial_fit(rows)
    # StandardScaler would make NaN, for good, of a channel without a reading here.
    for name, values in before.items():
        getattr(scaler, name)[empty] = values[empty]


def _check_scale(scaler: StandardScaler, known: NDArray) -> None:
    too_large = known & ~np.isfinite(scaler.scale_)
    if too_large.any():
        raise ValueError(
            "Input X contains values too large to be standardized: the variance of "
            f"feature {np.flatnonzero(too_large)[0]} overflows float64. Rescale X "
            "before fit."
        )


def constant_channels(scaler: StandardScaler) -> NDArray[np.bool_]:
    """Tell which channels never moved in training; none if it was not standardized."""
    # Others are divided by the root of their variance.
    return scaler.var_ < 0.5 * scaler.scale_**2


def scale(scaler: StandardScaler, X: NDArray) -> NDArray[np.float64]:
    """Scale rows (..., n_features)."""
    scaled = X.astype(np.float64)
    # What `transform` does, whose checks of X would take longer than that.
    with np.errstate(over="ignore"):
        scaled -= scaler.mean_
        scaled /= scaler.scale_
    return np.clip(scaled, -_LARGEST_SCALED, _LARGEST_SCALED, out=scaled)
