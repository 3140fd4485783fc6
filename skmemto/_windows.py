"""Series -> windows, and windows -> series.

Windows are named by the row of their first step. They are copied out of the
data one batch at a time, so that no array of n_windows x window_size x
n_features ever exists.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csc_array
from torch import Tensor

from skmemto._scaling import ChannelScaler
from skmemto._series import SeriesBounds

# What a network sees of standardized values: one value beyond would spoil the
# reconstruction of all rows of its windows.
_LARGEST_SEEN = 30.0


class WindowBlock(NamedTuple):
    """Windows of one length, in time order."""

    length: int
    starts: NDArray[np.int64]


def window_blocks(
    series: SeriesBounds, window_size: int, stride: int
) -> list[WindowBlock]:
    """Cover each series with windows, `stride` rows apart.

    The last window of a series is anchored to its end, so every row is in some
    window unless `stride` is larger than that. A series shorter than `window_size`
    is one window of its own length; windows of each length form a block.
    """
    lengths = np.minimum(series[:, 1] - series[:, 0], window_size)
    return [
        WindowBlock(
            int(length),
            np.concatenate(
                [
                    _starts(start, stop - length, stride)
                    for start, stop in series[lengths == length]
                ]
            ),
        )
        for length in np.unique(lengths)[::-1]
    ]


def _starts(first: int, last: int, stride: int) -> NDArray[np.int64]:
    """Space starts from `first` to `last`, `last` itself always among them."""
    starts = np.arange(first, last + 1, min(stride, max(last + 1 - first, 1)))
    return starts if starts[-1] == last else np.append(starts, last)


class RowWindows(NamedTuple):
    """A window for each of some rows; it may start before the series of its row."""

    starts: NDArray[np.int64]
    begins: NDArray[np.int64]  # first rows of the series


def row_windows(
    rows: NDArray[np.int64], series: SeriesBounds, window_size: int, lookahead: int
) -> RowWindows:
    """Give each row the window that ends `lookahead` rows after it.

    Or at the end of its series, where that comes first.
    """
    of = series[np.searchsorted(series[:, 0], rows, side="right") - 1]
    last = np.minimum(rows + lookahead, of[:, 1] - 1)
    return RowWindows(last - window_size + 1, of[:, 0])


def take_windows(
    X: NDArray,
    starts: NDArray[np.int64],
    length: int,
    begins: NDArray[np.int64] | None = None,
) -> NDArray:
    """Copy windows out of the data: (n_starts, length, n_features).

    Steps before the row where a series `begins` are filled with that row.
    """
    rows = starts[:, np.newaxis] + np.arange(length)
    if begins is not None:
        np.maximum(rows, begins[:, np.newaxis], out=rows)
    return X[rows]


@dataclass(frozen=True)
class WindowReader:
    """Gives rows of X as the stations after it want them.

    Of rows that are `normal`, absurd values are missing and not deviations.
    """

    X: NDArray
    scaler: ChannelScaler
    device: str
    normal: bool = False

    def rows(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return rows (n, F), scaled."""
        values = self.X[rows]
        if self.normal:
            values = self.scaler.hide_absurd(values)
        return self.scaler.transform(values)

    def windows(
        self,
        starts: NDArray[np.int64],
        length: int,
        begins: NDArray[np.int64] | None = None,
    ) -> Tensor:
        """Return windows (B, L, F) as a network sees them: scaled, in float32.

        It sees no absurd value, nor that a constant channel has moved: one row of that
        would spoil the reconstruction of all rows of its windows.
        """
        values = take_windows(self.X, starts, length, begins)
        values = self.scaler.hide_absurd(values)
        windows = self.scaler.transform(values)
        windows[..., self.scaler.constant_] = 0.0
        if self.scaler.standardize:
            np.clip(windows, -_LARGEST_SEEN, _LARGEST_SEEN, out=windows)
        return torch.from_numpy(windows.astype(np.float32)).to(self.device)


def merge_overlaps(
    batches: Iterable[tuple[NDArray[np.int64], NDArray]],
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Average what overlapping windows say of each row.

    Parameters
    ----------
    batches : iterable of (starts, values)
        Window starts (B,), ascending within and across batches, and what the
        windows say of each of their steps, (B, L, C).

    Yields
    ------
    rows : ndarray of shape (n,)
        Rows that no later window touches, ascending.
    means : ndarray of shape (n, C)
        Their values, averaged over the windows that hold the row.
    """
    rows: NDArray[np.int64] = np.empty(0, dtype=np.int64)
    count, total = np.empty(0), None
    for starts, values in batches:
        length, n_columns = values.shape[1:]
        if total is None:
            total = np.empty((0, n_columns))
        closed = np.searchsorted(rows, starts[0])
        if closed:
            yield _row_means(rows[:closed], total[:closed], count[:closed])

        steps = (starts[:, np.newaxis] + np.arange(length)).ravel()
        rows, place = np.unique(
            np.concatenate([rows[closed:], steps]), return_inverse=True
        )
        add = _adder(place, len(rows))
        total = add @ np.concatenate([total[closed:], values.reshape(-1, n_columns)])
        count = add @ np.concatenate([count[closed:], np.ones(len(steps))])
    if total is not None:
        yield _row_means(rows, total, count)


def _adder(place: NDArray[np.int64], n_rows: int) -> csc_array:
    """Make the matrix (n_rows, n) that adds up what belongs to the same row."""
    n = len(place)
    return csc_array((np.ones(n), place, np.arange(n + 1)), shape=(n_rows, n))


def _row_means(
    rows: NDArray[np.int64], total: NDArray[np.float64], count: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    return rows, total / count[:, np.newaxis]
