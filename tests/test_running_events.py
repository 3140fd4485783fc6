"""Decisions -> events as rows come."""

import naive_scores as naive
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from skmemto._events import channels_to_blame
from skmemto._running_events import EventFollower

quick = settings(deadline=None, derandomize=True, max_examples=200)
decisions = st.lists(st.sampled_from([-2.0, -1.0, 0.0, 0.3, 1.0]), max_size=50)
N = 50


def squares_and_stuck():
    rng = np.random.default_rng(0)
    squares = rng.exponential(size=(N, 3))
    squares[rng.random(squares.shape) < 0.2] = np.nan
    return squares, rng.random(squares.shape) < 0.1


def follow(decision, cuts, merge_gap, hysteresis):
    """All that is told of each event, by its start."""
    squares, stuck = squares_and_stuck()
    follower, told = EventFollower(merge_gap, hysteresis), {}
    for part in np.split(np.arange(len(decision)), cuts):
        if len(part):
            follower, events = follower.next(
                part[0], decision[part], squares[part], stuck[part]
            )
            assert [e.start for e in events] == sorted(e.start for e in events)
            for event in events:
                told.setdefault(event.start, []).append(event)
    return follower, told


@quick
@given(
    decision=decisions,
    cuts=st.lists(st.integers(0, N), max_size=8).map(sorted),
    merge_gap=st.integers(0, 6),
    hysteresis=st.sampled_from([0.0, 0.5]),
)
def test_events_are_those_of_all_rows(decision, cuts, merge_gap, hysteresis):
    decision = np.array(decision)
    follower, told = follow(decision, cuts, merge_gap, hysteresis)
    whole = [[0, len(decision)]]
    expected = naive.runs_of_flags(decision, whole, 1, merge_gap, hysteresis)
    last = [events[-1] for _, events in sorted(told.items())]
    assert [(e.start, e.stop) for e in last] == [tuple(run[:2]) for run in expected]
    squares, stuck = squares_and_stuck()
    for event in last:
        rows = slice(event.start, event.stop)
        assert event.peak == event.start + decision[rows].argmin()
        assert event.decision == decision[rows].min()
        known = ~np.isnan(squares[rows])
        mean = np.nansum(squares[rows], axis=0) / np.maximum(known.sum(axis=0), 1)
        assert_allclose(event.total / np.maximum(event.count, 1), mean)
        of_stuck = np.flatnonzero(stuck[rows].any(axis=0)).tolist()
        assert event.channels() == channels_to_blame(mean, of_stuck)
    # Of each it is told once that it has begun, and once that it is over.
    for events in told.values():
        assert [e.is_new for e in events] == [True] + [False] * (len(events) - 1)
        assert not any(e.is_over for e in events[:-1])
    still_open = [e.start for e in last if not e.is_over]
    assert still_open == ([] if follower.event is None else [last[-1].start])


def test_an_event_is_open_until_no_row_can_belong_to_it():
    decision = np.array([1.0, -1, -2, 1, 1, -1, 1, 1, 1, 1])
    expected = {  # by row: start, stop, new, over
        1: (1, 2, True, False), 2: (1, 3, False, False), 3: (1, 3, False, False),
        4: (1, 3, False, False), 5: (1, 6, False, False), 6: (1, 6, False, False),
        7: (1, 6, False, False), 8: (1, 6, False, True),
    }  # fmt: skip
    follower = EventFollower(merge_gap=2, hysteresis=0.0)
    for row in range(10):
        follower, events = follower.next(
            row, decision[row : row + 1], np.ones((1, 2)), np.zeros((1, 2), dtype=bool)
        )
        told = [(e.start, e.stop, e.is_new, e.is_over) for e in events]
        assert told == ([expected[row]] if row in expected else [])
