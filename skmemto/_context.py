"""What a row's context is worth: the ends of a series, and short series.

With less around it a row is reconstructed less well, normal or not. How much less is
measured on pieces of the training data, each treated as a series of its own.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from skmemto._series import SeriesBounds

# Rows at either end of a series that have a factor of their own.
_N_EDGE_ROWS = 3
_N_PIECES = 64
_N_LENGTHS = 9  # from one row to a window
_MOST = 0.9


class Context(NamedTuple):
    """How many times as large deviations are where a row has less context."""

    lengths: NDArray[np.int64]  # ascending, the last is that of a window: (K,)
    short: NDArray[np.float64]  # all rows of series of these lengths (K, F)
    first: NDArray[np.float64]  # the first rows of longer ones (E, F)
    last: NDArray[np.float64]  # the last rows, the very last first (E, F)

    def apply(
        self, deviations: NDArray[np.float64], rows: NDArray, series: SeriesBounds
    ) -> None:
        """Divide input deviations (n, F) of rows (n,) by their factors, in place."""
        of = series[np.searchsorted(series[:, 0], rows, side="right") - 1]
        before, after = rows - of[:, 0], of[:, 1] - 1 - rows
        length = before + after + 1
        short = length < self.lengths[-1]
        if short.any():
            deviations[short] /= self._of_length(length[short])
        for distance, factors in ((before, self.first), (after, self.last)):
            edge = ~short & (distance < len(factors))
            if edge.any():
                deviations[edge] /= factors[distance[edge]]

    def _of_length(self, length: NDArray[np.int64]) -> NDArray[np.float64]:
        """Interpolate between the lengths measured, geometrically: (n, F)."""
        above = np.clip(np.searchsorted(self.lengths, length), 1, None)
        low, high = self.lengths[above - 1], self.lengths[above]
        share = (np.log(length / low) / np.log(high / low))[:, np.newaxis]
        return self.short[above - 1] ** (1 - share) * self.short[above] ** share


def piece_bounds(series: SeriesBounds, window_size: int) -> Iterator[SeriesBounds]:
    """Yield pieces to measure by, in order of their length, the last as a window."""
    lengths = np.unique(np.linspace(1, window_size, _N_LENGTHS).astype(np.int64))
    for length in lengths:
        room = (series[:, 1] - series[:, 0]) // length  # pieces that do not overlap
        chosen = np.unique(np.linspace(0, room.sum() - 1, _N_PIECES).astype(np.int64))
        of = np.searchsorted(np.cumsum(room), chosen, side="right")
        nth = chosen - (np.cumsum(room) - room)[of]
        starts = series[of, 0] + nth * length
        yield np.column_stack([starts, starts + length])


def measure_context(
    pieces: list[SeriesBounds],
    deviations_of: Callable[[SeriesBounds], NDArray[np.float64]],
    in_full: Callable[[NDArray[np.int64]], NDArray[np.float64]],
    lookahead: int | None = None,
) -> Context:
    """Compare the deviations of pieces with those of the same rows in full context.

    Parameters
    ----------
    pieces : list of ndarray of shape (n_pieces, 2)
        From `piece_bounds`.
    deviations_of : callable
        Gives the input deviations (n, F) of the rows of pieces, one after the other.
    in_full : callable
        Gives the input deviations (n, F) of rows (n,) in their full context.
    lookahead : int or None
        Later rows that a window of a row's own has. With a number the context of a row
        is the rows before it, up to a window, and these: each has a factor.
    """
    if lookahead is not None:
        pieces = pieces[-1:]
    factors = []
    for bounds in pieces:
        length = int(bounds[0, 1] - bounds[0, 0])
        rows = (bounds[:, :1] + np.arange(length)).ravel()
        alone, full = (
            values.reshape(len(bounds), length, -1)
            for values in (deviations_of(bounds), in_full(rows))
        )
        factors.append(_ratio(_row_means(alone), _row_means(full)))
    n_edge = min(_N_EDGE_ROWS, length)
    by_place = _ratio(alone, full)  # of the pieces as long as a window
    if lookahead is not None:
        any_length, n_before = np.ones((1, alone.shape[-1])), length - lookahead
        return Context(
            np.array([1]), any_length, by_place[:n_before], by_place[n_before:][::-1]
        )
    lengths = np.array([bounds[0, 1] - bounds[0, 0] for bounds in pieces])
    return Context(
        lengths, np.array(factors), by_place[:n_edge], by_place[::-1][:n_edge]
    )


def _row_means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    known = ~np.isnan(values)
    total, count = (x.sum(axis=1) for x in (np.where(known, values, 0.0), known))
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)


def _ratio(
    alone: NDArray[np.float64], full: NDArray[np.float64]
) -> NDArray[np.float64]:
    """How many times as large those of most pieces (n_pieces, ...) are, at least 1.

    1 where nothing is known. By a quantile: false alarms are raised by the pieces that
    deviate most, and a few wrong rows must not move it.
    """
    known = ~np.isnan(alone) & ~np.isnan(full)
    known |= ~known.any(axis=0)
    quantile = np.quantile if known.all() else np.nanquantile  # 50 times as slow
    high, low = (
        quantile(np.where(known, np.nan_to_num(x), np.nan), _MOST, axis=0)
        for x in (alone, full)
    )
    ratio = np.divide(high, low, out=np.ones_like(high), where=low > 0)
    return np.maximum(ratio, 1.0)
