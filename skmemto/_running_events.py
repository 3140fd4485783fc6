"""Decisions -> events as rows come: those that `find_runs` finds in all of them."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from skmemto._events import channels_to_blame


@dataclass(frozen=True)
class OpenEvent:
    """Flagged rows that belong together, so far."""

    start: int
    stop: int  # after the last flagged row
    peak: int
    decision: float  # of the peak
    total: NDArray[np.float64]  # of the deviations of its rows, by channel (F,)
    count: NDArray[np.int64]  # of those that are known (F,)
    stuck: NDArray[np.bool_]  # (F,)
    is_new: bool = True
    is_over: bool = False

    def channels(self) -> list[int]:
        """Return the channels to blame, worst first."""
        stuck = np.flatnonzero(self.stuck).tolist()
        return channels_to_blame(self.total / np.maximum(self.count, 1), stuck)


@dataclass(frozen=True)
class EventFollower:
    """Joins flagged rows of one series as they come.

    A run goes on after at most `merge_gap` rows, or while no decision is above
    `hysteresis`; else it is over.
    """

    merge_gap: int
    hysteresis: float
    event: OpenEvent | None = None
    since: OpenEvent | None = None  # of the rows since the last flagged one
    has_ended: bool = False  # some row since was above the hysteresis

    def next(
        self,
        first: int,
        decisions: NDArray[np.float64],
        squares: NDArray[np.float64],
        stuck: NDArray[np.bool_],
    ) -> tuple["EventFollower", list[OpenEvent]]:
        """Go on with rows (n,) from row `first`; return the events they belong to."""
        follower, told = self, []
        if self.event is not None:
            event = replace(self.event, is_new=False)
            follower = replace(self, event=event)
        if self.event is None and not (decisions < 0).any():
            return self, []
        for i, decision in enumerate(decisions.tolist()):
            row = _of_row(first + i, decision, squares[i], stuck[i])
            follower, ended = follower._next(row, decision)
            told += ended
        return follower, told if follower.event is None else [*told, follower.event]

    def _next(
        self, row: OpenEvent, decision: float
    ) -> tuple["EventFollower", list[OpenEvent]]:
        event, since = self.event, self.since
        if event is None:
            return (self, []) if decision >= 0 else (replace(self, event=row), [])
        if decision < 0:
            joined = _joined(event, row if since is None else _joined(since, row))
            return replace(self, event=joined, since=None, has_ended=False), []
        since = row if since is None else _joined(since, row)
        has_ended = self.has_ended or decision > self.hysteresis
        if has_ended and row.stop - event.stop > self.merge_gap:
            over = replace(event, is_over=True)
            return replace(self, event=None, since=None, has_ended=False), [over]
        return replace(self, since=since, has_ended=has_ended), []


def _of_row(
    row: int,
    decision: float,
    squares: NDArray[np.float64],
    stuck: NDArray[np.bool_],
) -> OpenEvent:
    known = ~np.isnan(squares)
    total = np.where(known, squares, 0.0)
    return OpenEvent(row, row + 1, row, decision, total, known.astype(np.int64), stuck)


def _joined(event: OpenEvent, later: OpenEvent) -> OpenEvent:
    is_lower = later.decision < event.decision
    return replace(
        event,
        stop=later.stop,
        peak=later.peak if is_lower else event.peak,
        decision=min(event.decision, later.decision),
        total=event.total + later.total,
        count=event.count + later.count,
        stuck=event.stuck | later.stuck,
    )
