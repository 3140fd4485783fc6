"""Going through rows a block at a time: a long history is never copied whole."""

import math
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from skmemto._series import SeriesBounds

# Of all channels together: 1 MB in float64, for each temporary array of a block.
_VALUES_PER_BLOCK = 131_072


def row_blocks(X: NDArray) -> Iterator[slice]:
    """Cut rows (n, ...) into blocks, so that what is made of one takes little memory.

    X may be larger than memory: a copy of all of it must not be made.
    """
    values_per_row = max(1, math.prod(X.shape[1:]))
    return batches(len(X), max(1, _VALUES_PER_BLOCK // values_per_row))


def batches(n: int, size: int) -> Iterator[slice]:
    """Cut n rows into batches of a size, the last one of what is left.

    As scikit-learn's ``gen_batches``, whose check of its parameters takes as long as a
    layer of the network does for a row of a stream.
    """
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def series_blocks(X: NDArray, series: SeriesBounds) -> Iterator[tuple[int, NDArray]]:
    """Yield the rows of the series in blocks, each with the number of its first row."""
    for start, stop in series:
        for rows in row_blocks(X[start:stop]):
            yield int(start) + rows.start, X[start:stop][rows]


class RunningMoments:
    """Count, mean and variance of each channel, of rows that come in blocks.

    NaN does not count. The update is that of Chan, Golub and LeVeque (1979), which
    scikit-learn's scalers use as well; of those none says which channels it has not
    seen.

    Attributes
    ----------
    count, mean, variance : ndarray of shape (n_features,)
        Of what was seen; mean and variance of a channel not seen yet are 0.
    """

    def __init__(self, n_features: int):
        self.count = np.zeros(n_features, dtype=np.int64)
        self.mean = np.zeros(n_features)
        self.variance = np.zeros(n_features)

    @classmethod
    def of(cls, blocks: Iterable[NDArray], n_features: int) -> "RunningMoments":
        """Take in all blocks."""
        moments = cls(n_features)
        for rows in blocks:
            moments.update(rows)
        return moments

    def update(self, rows: NDArray) -> None:
        """Take in rows (n, n_features)."""
        missing = np.isnan(rows)
        count = len(rows) - missing.sum(axis=0)
        add_up = np.nansum if missing.any() else np.sum
        with np.errstate(all="ignore"):  # of empty channels, and values near 1e308
            total = add_up(rows, axis=0, dtype=np.float64)
            from_mean = rows - total / count
            correction = add_up(from_mean, axis=0)
            np.square(from_mean, out=from_mean)
            squares = add_up(from_mean, axis=0) - correction**2 / count

            all_count = self.count + count
            before = self.mean * self.count
            mean = (before + total) / all_count
            ratio = self.count / count
            both = self.variance * self.count + squares
            both += ratio / all_count * (before / ratio - total) ** 2
            variance = np.where(self.count == 0, squares, both) / all_count
        self.count = all_count
        self.mean = np.where(count == 0, self.mean, mean)
        self.variance = np.where(count == 0, self.variance, variance)
