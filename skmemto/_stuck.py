"""Sensors that are stuck: exactly the same value again and again.

Only channels that always move in training can be said to be stuck, and only where they
moved in the rows before: a channel recorded in coarser steps than before is not stuck.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from skmemto._series import SeriesBounds

# Repeats in a row, in training, of a channel that always moves.
_MOST_REPEATS = 2
# A run is stuck from so many repeats on, if at most such a share of the rows before it
# repeat the one before them.
_LEAST_REPEATS = 4
_REPEATING_SHARE = 0.1
_WINDOWS_BEFORE, _LEAST_REACH = 2, 20


class Motion(NamedTuple):
    """Which channels always move, (F,), as so many training rows have shown."""

    always: NDArray[np.bool_]
    n_rows: int
    reach: int  # rows before a run in which a channel must have moved
    lookahead: int | None = None  # later rows that may tell; None: all

    def stuck(self, X: NDArray, series: SeriesBounds) -> dict[int, NDArray[np.int64]]:
        """Return for each stuck channel the rows (n,) in which it is stuck."""
        stuck = {}
        for channel in np.flatnonzero(self.always):
            rows = [
                start + _stuck_rows(X[start:stop, channel], self.reach, self.lookahead)
                for start, stop in series
            ]
            if any(map(len, rows)):
                stuck[int(channel)] = np.concatenate(rows)
        return stuck

    def score_stuck(
        self, X: NDArray, series: SeriesBounds, rarities: NDArray[np.float64]
    ) -> None:
        """Raise the rarity of rows (n,) with a stuck channel, in place.

        To that of what no training row has shown.
        """
        for rows in self.stuck(X, series).values():
            rarities[rows] = np.fmax(rarities[rows], self.rarity)

    def share_stuck(
        self, X: NDArray, series: SeriesBounds, parts: NDArray[np.float64]
    ) -> None:
        """Add what is raised to the part of a stuck channel, in parts (n, F)."""
        for channel, rows in self.stuck(X, series).items():
            raised = self.rarity - parts[rows].sum(axis=1)
            parts[rows, channel] += np.maximum(raised, 0.0)

    @property
    def rarity(self) -> float:
        """Return how rare it is to be stuck: no training row was."""
        return float(np.log10(self.n_rows))


class StuckState(NamedTuple):
    """What is remembered of the C channels that always move, of each of S series."""

    last: NDArray[np.float64]  # (S, C)
    n_repeats: NDArray[np.int64]  # of the run that goes on (S, C)
    may_begin: NDArray[np.bool_]  # that run, since the channel moved before (S, C)
    # Repeats of the runs that began in each of the rows within reach, by row.
    begun: NDArray[np.int32]  # (S, reach, C)


class StuckFollower:
    """Tells which channels are stuck as the rows of series come, looking back only."""

    def __init__(self, motion: Motion):
        self.channels = np.flatnonzero(motion.always)
        self.reach = motion.reach

    def start(self) -> StuckState:
        """Return what is remembered of a series, (1, ...), before its first row."""
        shape = (1, len(self.channels))
        return StuckState(
            np.full(shape, np.nan),
            np.zeros(shape, dtype=np.int64),
            np.zeros(shape, dtype=bool),
            np.zeros((1, self.reach, len(self.channels)), dtype=np.int32),
        )

    def next(
        self, X: NDArray, state: StuckState, n_before: NDArray[np.int64]
    ) -> tuple[NDArray[np.bool_], StuckState]:
        """Tell for the next rows (S, n, F) which channels (S, n, F) are stuck.

        `n_before` (S,) is the number of rows before them.
        """
        stuck = np.zeros(X.shape, dtype=bool)
        if len(self.channels):
            state = state._replace(begun=state.begun.copy())
            for i in range(X.shape[1]):
                row = X[:, i, self.channels]
                stuck[:, i, self.channels], state = self._next(row, state, n_before + i)
        return stuck, state

    def _next(
        self, row: NDArray, state: StuckState, n_before: NDArray[np.int64]
    ) -> tuple[NDArray[np.bool_], StuckState]:
        last, n_repeats, may_begin, begun = state
        repeats = row == last
        begins = repeats & (n_repeats == 0)
        if begins.any():
            few = begun.sum(axis=1) <= _REPEATING_SHARE * self.reach
            moved = (n_before > self.reach)[:, np.newaxis] & few
            may_begin = np.where(begins, moved, may_begin)
        # Of the row now out of reach.
        begun[np.arange(len(begun)), n_before % self.reach] = 0
        n_repeats = np.where(repeats, n_repeats + 1, 0)
        of, channel = np.nonzero(repeats & (n_repeats <= self.reach))
        began = (n_before[of] + 1 - n_repeats[of, channel]) % self.reach
        begun[of, began, channel] += 1
        stuck = repeats & may_begin & (n_repeats >= _LEAST_REPEATS)
        return stuck, StuckState(row, n_repeats, may_begin, begun)


def measure_motion(
    X: NDArray, series: SeriesBounds, window_size: int, lookahead: int | None = None
) -> Motion:
    """Tell which channels never repeat a value more than a time or two."""
    always = np.zeros(X.shape[1], dtype=bool)
    for channel in range(X.shape[1]):
        runs = (_runs(X[start:stop, channel]) for start, stop in series)
        always[channel] = all(
            (stops - starts <= _MOST_REPEATS).all() for starts, stops in runs
        )
    reach = max(_WINDOWS_BEFORE * window_size, _LEAST_REACH)
    return Motion(always, len(X), reach, lookahead)


def _stuck_rows(x: NDArray, reach: int, lookahead: int | None) -> NDArray[np.int64]:
    starts, stops = _runs(x)
    # Only the last of so many repeats tells that the first ones were of a run.
    late = 0 if lookahead is None else max(0, _LEAST_REPEATS - 1 - lookahead)
    repeats_before = np.concatenate([[0], np.cumsum(stops - starts)])
    rows = []
    for i in np.flatnonzero(stops - starts >= _LEAST_REPEATS):
        # Repeats of runs that began within reach; a part of one counts in full.
        first = np.searchsorted(starts, starts[i] - reach)
        n_repeats = repeats_before[i] - repeats_before[first]
        if starts[i] > reach and n_repeats <= _REPEATING_SHARE * reach:
            rows.append(np.arange(starts[i] + late, stops[i]))
    return np.concatenate(rows) if rows else np.empty(0, dtype=np.int64)


def _runs(x: NDArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return runs of values that repeat the one before: starts and stops (n,)."""
    repeats = np.concatenate([[0], x[1:] == x[:-1], [0]]).astype(np.int8)
    edges = np.flatnonzero(np.diff(repeats))
    return edges[::2] + 1, edges[1::2] + 1
