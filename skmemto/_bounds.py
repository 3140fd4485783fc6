"""Which values are absurd: a code for "no value", a spike of the wiring.

A value is absurd when it lies far from the bulk of its channel, with nothing between,
and such values are very few or always the same; or when it lies further outside the
range of the training data than that range is wide. It is taken as missing where
normal data are learned from, and a network does not see it: it would spoil the
reconstruction of all rows around. Its own deviation counts all the same.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from skmemto._blockwise import series_blocks
from skmemto._series import SeriesBounds

_SAMPLED_ROWS = 20_000
_BULK = (0.02, 0.98)
# In widths of the bulk: how far an absurd value is from it, and the gap before it.
_FAR, _GAP = 5.0, 3.0
# Absurd values are at most this share of a channel, and so few unless always the same.
_LARGEST_SHARE, _FEW_SHARE, _FEW = 0.01, 0.001, 3


class AbsurdValues(NamedTuple):
    """The absurd values of one channel."""

    channel: int
    n_values: int
    row: int  # of the first
    value: float


def value_bounds(
    X: NDArray, series: SeriesBounds
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the bounds (F,), (F,) of each channel beyond which values are absurd."""
    sample, n_rows = _sample(X, series)
    lower, upper = np.full(X.shape[1], -np.inf), np.full(X.shape[1], np.inf)
    for channel, column in enumerate(sample.T):
        values = np.sort(column[~np.isnan(column)])
        if len(values) > 1 and values[0] < values[-1]:
            lower[channel], upper[channel] = _channel_bounds(values, n_rows)
    return lower, upper


def find_absurd(
    X: NDArray,
    series: SeriesBounds,
    bounds: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> list[AbsurdValues]:
    """List the absurd values of each channel that has any."""
    lower, upper = bounds
    count = np.zeros(X.shape[1], dtype=np.int64)
    first = np.full(X.shape[1], -1)
    for start, rows in series_blocks(X, series):
        beyond = (rows < lower) | (rows > upper)
        new = beyond.any(axis=0) & (first < 0)
        first[new] = start + beyond[:, new].argmax(axis=0)
        count += beyond.sum(axis=0)
    return [
        AbsurdValues(int(c), int(count[c]), int(first[c]), float(X[first[c], c]))
        for c in np.flatnonzero(count)
    ]


def _channel_bounds(values: NDArray, n_rows: int) -> tuple[float, float]:
    """Bounds from the sorted values (n,) of one channel, not all the same."""
    low, high = np.quantile(values, _BULK)
    few = max(_FEW, int(_FEW_SHARE * n_rows))
    with np.errstate(over="ignore"):  # beyond 1e300, where nothing is a bound
        upper, largest = _gap_above(values, high, high - low, few)
        lower, smallest = (-x for x in _gap_above(-values[::-1], -low, high - low, few))
        width = largest - smallest
        return max(lower, smallest - width), min(upper, largest + width)


def _gap_above(
    values: NDArray, high: float, width: float, few: int
) -> tuple[float, float]:
    """Find where absurdly high values begin (inf if none), and the last that is not."""
    top = values[-1 - max(1, int(_LARGEST_SHARE * len(values))) :]
    gaps = (np.diff(top) > _GAP * width) & (top[1:] > high + _FAR * width)
    if width == 0 or not gaps.any():  # a channel that hardly ever moves has no bulk
        return np.inf, float(values[-1])
    last = int(gaps.argmax())
    beyond = top[last + 1 :]
    if len(beyond) > few and beyond[0] < beyond[-1]:
        return np.inf, float(values[-1])
    return float((top[last] + top[last + 1]) / 2), float(top[last])


def _sample(X: NDArray, series: SeriesBounds) -> tuple[NDArray[np.float64], int]:
    """Take some rows, and all extremes: (n, F), and the number of all rows."""
    n_rows = int((series[:, 1] - series[:, 0]).sum())
    step = max(1, n_rows // _SAMPLED_ROWS)
    parts = []
    for _, rows in series_blocks(X, series):
        parts.append(rows[::step])
        if step > 1:
            parts.append(np.fmin.reduce(rows, axis=0)[np.newaxis])
            parts.append(np.fmax.reduce(rows, axis=0)[np.newaxis])
    return np.concatenate(parts).astype(np.float64), n_rows
