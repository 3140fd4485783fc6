"""Series -> scaled series, in float64 and a block of rows at a time."""

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler
from sklearn.utils import gen_batches

from skmemto._series import SeriesBounds

_ROWS_PER_BLOCK = 65_536
# Scaled values beyond this are cut off: their squares would overflow float32.
_LARGEST_SCALED = 1e15
# What a network sees of standardized values: one reading beyond would spoil the
# reconstruction of all rows of its windows.
LARGEST_SEEN = 10.0


def fit_scaler(X: NDArray, series: SeriesBounds, standardize: bool) -> StandardScaler:
    """Fit a StandardScaler to the rows of the series; an idle one on demand."""
    scaler = StandardScaler(with_mean=standardize, with_std=standardize)
    # In blocks: StandardScaler makes float64 copies of what it is given.
    with np.errstate(over="ignore", invalid="ignore"):
        for start, stop in series:
            for rows in gen_batches(int(stop - start), _ROWS_PER_BLOCK):
                scaler.partial_fit(X[start:stop][rows])
    if standardize and not np.isfinite(scaler.scale_).all():
        feature = np.flatnonzero(~np.isfinite(scaler.scale_))[0]
        raise ValueError(
            f"Input X contains values too large to be standardized: the variance of "
            f"feature {feature} overflows float64. Rescale X before fit."
        )
    return scaler


def scale(scaler: StandardScaler, X: NDArray) -> NDArray[np.float64]:
    """Scale rows (..., n_features)."""
    rows = X.reshape(-1, X.shape[-1]).astype(np.float64)
    with np.errstate(over="ignore"):
        scaled = scaler.transform(rows).reshape(X.shape)
    return np.clip(scaled, -_LARGEST_SCALED, _LARGEST_SCALED, out=scaled)
