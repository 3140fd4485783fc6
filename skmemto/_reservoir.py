"""Rows learned from that are kept, to be learned again beside new ones.

A reservoir holds blocks of rows, evenly spaced over all there have been. New rows take
the place of old ones of any age, so that the share of old rows shrinks step by step: a
biased reservoir (Aggarwal, "On biased reservoir sampling in the presence of stream
evolution", VLDB 2006), of blocks instead of rows and without chance.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from skmemto._series import SeriesBounds, rows_of

# New rows take at most this share of a full reservoir, however many they are.
_LARGEST_SHARE_OF_NEW = 0.5


class Reservoir(NamedTuple):
    """Rows that are kept, and the series that they are pieces of."""

    X: NDArray  # (n, F)
    series: SeriesBounds

    def with_new(self, X: NDArray, series: SeriesBounds) -> tuple[NDArray, NDArray]:
        """Return all rows, new ones last, and all series."""
        bounds = np.concatenate([self.series, series + len(self.X)])
        return np.concatenate([self.X, X]), bounds

    def renewed(
        self, X: NDArray, series: SeriesBounds, size: int, block: int
    ) -> "Reservoir":
        """Return a reservoir that has taken new rows in."""
        room = max(int(_LARGEST_SHARE_OF_NEW * size), size - len(self.X))
        new = fill(X, series, room, block)
        old = fill(self.X, self.series, size - len(new.X), block)
        return Reservoir(*old.with_new(*new))


def fill(X: NDArray, series: SeriesBounds, size: int, block: int) -> Reservoir:
    """Copy at most `size` rows, in evenly spaced blocks of at most `block` rows."""
    kept = thin(series, size, block)
    lengths = kept[:, 1] - kept[:, 0]
    stops = np.cumsum(lengths)
    rows = rows_of(kept) if len(kept) else np.empty(0, dtype=np.int64)
    return Reservoir(X[rows], np.column_stack([stops - lengths, stops]))


def thin(series: SeriesBounds, size: int, block: int) -> SeriesBounds:
    """Return pieces of series, (n_pieces, 2), of at most `size` rows in all.

    All of them if they are so few; else evenly spaced pieces of at most `block` rows,
    those next to each other as one.
    """
    total = int((series[:, 1] - series[:, 0]).sum())
    if total <= size:
        return series
    if size == 0:
        return series[:0]
    block = min(block, size)
    pieces = [
        (of, first, min(first + block, stop))
        for of, (start, stop) in enumerate(series)
        for first in range(start, stop, block)
    ]
    n_kept = len(pieces) * size // total
    spaced = [pieces[int((i + 0.5) * len(pieces) / n_kept)] for i in range(n_kept)]
    return _joined(spaced, size)


def _joined(pieces: list[tuple[int, int, int]], size: int) -> SeriesBounds:
    """Join pieces (series, start, stop) that follow each other, up to `size` rows."""
    joined: list[list[int]] = []
    last = -1
    for of, start, stop in pieces:
        stop = min(stop, start + size)
        size -= stop - start
        if stop == start:
            break
        if of == last and joined[-1][1] == start:
            joined[-1][1] = stop
        else:
            joined.append([start, stop])
        last = of
    return np.array(joined, dtype=np.int64).reshape(-1, 2)
