"""Decisions -> events, and the channels to blame."""

import naive_scores as naive
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from skmemto import _events
from skmemto._deviations import RowDeviations
from skmemto._events import (
    Event,
    FlaggedRun,
    channels_to_blame,
    find_runs,
    mean_deviations,
    surroundings,
)

quick = settings(deadline=None, derandomize=True, max_examples=200)
lengths = st.lists(st.integers(1, 15), min_size=1, max_size=4)
levels = st.sampled_from([-2.0, -1e-9, 0.0, 0.2, 0.5, 3.0])


def bounds(*series_lengths):
    stops = np.cumsum(series_lengths)
    return np.column_stack([stops - series_lengths, stops])


def runs_of(decision, *series_lengths, min_length=1, merge_gap=0, hysteresis=0.0):
    """Find runs in decisions, given as digits: below 5 is flagged."""
    decision = np.array([float(digit) for digit in decision]) - 4.5
    runs = find_runs(
        decision,
        bounds(*(series_lengths or [len(decision)])),
        min_length=min_length,
        merge_gap=merge_gap,
        hysteresis=hysteresis,
    )
    return [(run.start, run.stop) for run in runs]


# ---------------------------------------------------------------- runs


@quick
@given(
    data=st.data(),
    lengths=lengths,
    min_length=st.integers(1, 5),
    merge_gap=st.integers(0, 6),
    hysteresis=st.sampled_from([0.0, 0.2, 1.0]),
)
def test_runs_equal_naive(data, lengths, min_length, merge_gap, hysteresis):
    series = bounds(*lengths)
    decision = data.draw(arrays(np.float64, sum(lengths), elements=levels))
    expected = naive.runs_of_flags(decision, series, min_length, merge_gap, hysteresis)
    runs = find_runs(
        decision,
        series,
        min_length=min_length,
        merge_gap=merge_gap,
        hysteresis=hysteresis,
    )
    assert runs == expected
    assert all(type(value) is int for run in runs for value in run)


@pytest.mark.parametrize(
    ("decision", "expected"),
    [
        ("9999", []),
        ("0000", [(0, 4)]),
        ("9109", [(1, 3)]),
        ("0990", [(0, 1), (3, 4)]),
    ],
)
def test_flagged_rows_in_a_row_are_one_event(decision, expected):
    assert runs_of(decision) == expected


def test_small_gaps_are_bridged():
    assert runs_of("1991999", merge_gap=1) == [(0, 1), (3, 4)]
    assert runs_of("1991999", merge_gap=2) == [(0, 4)]
    assert runs_of("19191", merge_gap=1) == [(0, 5)]


def test_what_is_almost_flagged_all_along_is_bridged():
    assert runs_of("16666619", hysteresis=2.0) == [(0, 7)]
    assert runs_of("16676619", hysteresis=2.0) == [(0, 1), (6, 7)]
    assert runs_of("96616699", hysteresis=2.0) == [(3, 4)], "it begins no event"


def test_short_events_are_left_out_after_merging():
    assert runs_of("1919991", merge_gap=1, min_length=2) == [(0, 3)]
    assert runs_of("1919991", merge_gap=1, min_length=4) == []


def test_no_event_goes_beyond_its_series():
    assert runs_of("911119", 3, 3, merge_gap=5) == [(1, 3), (3, 5)]
    assert runs_of("919919", 3, 3, merge_gap=9, hysteresis=9) == [(1, 2), (4, 5)]
    assert runs_of("911119", 3, 3, min_length=3) == []


# ---------------------------------------------------------------- channels


def in_parts(values, order_of_parts):
    """Deviations of rows as they come: in parts, not in the order of the rows."""
    for rows in order_of_parts:
        yield RowDeviations(np.array(rows), values[rows], np.zeros(len(rows)))


@quick
@given(
    values=arrays(
        np.float64,
        (20, 3),
        elements=st.one_of(st.just(np.nan), st.floats(0, 100)),
    ),
    borders=st.sets(st.integers(0, 20), min_size=2, max_size=8),
    n_parts=st.integers(1, 5),
)
@example(values=np.full((20, 3), np.nan), borders={3, 9}, n_parts=1)
def test_mean_deviations_equal_naive(values, borders, n_parts):
    edges = sorted(borders)
    pairs = list(zip(edges[::2], edges[1::2], strict=False))
    runs = [FlaggedRun(start, stop, 0) for start, stop in pairs]
    parts = np.array_split(np.arange(20), n_parts)
    result = mean_deviations(in_parts(values, parts[::-1]), runs, 3)
    assert result.shape == (len(runs), 3)
    for run, means in zip(runs, result, strict=True):
        for channel, mean in enumerate(means):
            known = naive.known(values[run.start : run.stop, channel])
            assert_allclose(mean, naive.mean(known) if known else 0, rtol=1e-12)


@quick
@given(data=st.data(), lengths=lengths, reach=st.integers(0, 8))
def test_surroundings_hold_all_that_is_near(data, lengths, reach):
    series = bounds(*lengths)
    decision = data.draw(arrays(np.float64, sum(lengths), elements=levels))
    runs = find_runs(decision, series, min_length=1, merge_gap=0, hysteresis=0)
    wanted = set()
    for run in runs:
        first, last = series[run.series]
        rows = range(max(first, run.start - reach), min(last, run.stop + reach))
        wanted |= {(run.series, row) for row in rows}
    result = surroundings(runs, series, reach)
    assert result.shape == (len(result), 2)
    rows = [row for start, stop in result for row in range(start, stop)]
    assert sorted(row for _, row in wanted) == rows, "each row once, in order"
    for start, stop in result:
        assert ((series[:, 0] <= start) & (stop <= series[:, 1])).any()


@pytest.mark.parametrize(
    ("deviations", "stuck", "expected"),
    [
        ([0, 9, 1, 0], [], [1]),
        ([1, 4, 5, 0], [], [2, 1]),
        ([1, 1, 1, 1], [], [0, 1, 2, 3]),
        ([0, 0, 0, 0], [], []),
        ([0, 0, 0, 2], [], [3]),
        ([0, 9, 1, 0], [0], [0, 1]),
        ([0, 9, 1, 0], [1], [1]),
        ([5, 9, 1, 0], [2, 0], [2, 0, 1]),
        ([0, 0, 0, 0], [3], [3]),
    ],
)
def test_to_blame_are_those_that_make_up_most(deviations, stuck, expected):
    blamed = channels_to_blame(np.array(deviations, dtype=float), stuck)
    assert blamed == expected
    assert all(type(channel) is int for channel in blamed)


@quick
@given(values=arrays(np.float64, st.integers(1, 30), elements=st.floats(0, 1e6)))
def test_no_fewer_channels_would_do(values):
    blamed = channels_to_blame(values, [])
    assert len(blamed) <= _events._MOST_BLAMED
    assert_array_equal(values[blamed], np.sort(values)[::-1][: len(blamed)])
    if values.sum() > 0:
        share = values[blamed[:-1]].sum() / values.sum()
        assert share < _events._BLAMED_SHARE + 1e-9
        if len(blamed) < min(_events._MOST_BLAMED, np.count_nonzero(values)):
            assert values[blamed].sum() / values.sum() > _events._BLAMED_SHARE - 1e-9


def test_an_event_moved():
    event = Event(3, 9, 5, -2.5, ("p",), None)
    assert event.moved(100, "north") == Event(103, 109, 105, -2.5, ("p",), "north")
    assert event == Event(3, 9, 5, -2.5, ("p",), None)
