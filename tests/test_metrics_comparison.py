"""compare_events: what was found, what was false, how late, and how much of it."""

import math

import naive_metrics as naive
import numpy as np
import pandas as pd
import pytest
from conftest import TRUE
from hypothesis import given, settings
from hypothesis import strategies as st

from skmemto._events import Event
from skmemto.metrics import EventComparison, compare_events, event_recall

quick = settings(deadline=None, derandomize=True, max_examples=200)


@st.composite
def cases(draw):
    """Labels, ranges of rows in any order, and a tolerance."""
    y_true = draw(st.lists(st.integers(0, 1), min_size=1, max_size=40))
    rows = st.integers(0, len(y_true))
    pairs = draw(st.lists(st.tuples(rows, rows), max_size=6))
    found = [(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]]
    return y_true, found, draw(st.integers(0, 5))


def by_loops(y_true, events, tolerance):
    true = naive.segments(y_true)
    flagged = {row for start, stop in events for row in range(start, stop)}
    found, delay, overlap = [], [], []
    for start, stop in true:
        rows = [row for row in range(start, stop) if row in flagged]
        found.append(bool(rows))
        delay.append(rows[0] - start if rows else math.nan)
        overlap.append(len(rows) / (stop - start))
    false = [
        all(start >= b + tolerance or stop <= a - tolerance for a, b in true)
        for start, stop in events
    ]
    far = [
        row
        for row in range(len(y_true))
        if all(row < a - tolerance or row >= b + tolerance for a, b in true)
    ]
    rate = 1e4 * sum(false) / len(far) if far else 0.0
    return found, false, delay, overlap, rate


@quick
@given(case=cases())
def test_equals_loops(case):
    y_true, events, tolerance = case
    result = compare_events(y_true, events, tolerance=tolerance)
    for got, expected in zip(result, by_loops(*case), strict=True):
        np.testing.assert_allclose(got, expected)
    assert result.found.dtype == result.false.dtype == bool
    assert type(result.false_per_10000) is float


def test_by_hand():
    #         0  1  2  3  4  5  6  7  8  9 10 11
    y_true = [0, 0, 1, 1, 1, 0, 0, 0, 0, 1, 0, 0]
    result = compare_events(y_true, [(3, 6), (7, 8)])
    assert result.found.tolist() == [True, False]
    assert result.false.tolist() == [False, True]
    np.testing.assert_array_equal(result.delay, [1, np.nan])
    np.testing.assert_allclose(result.overlap, [2 / 3, 0])
    assert result.false_per_10000 == 1e4 / 8
    near = compare_events(y_true, [(3, 6), (7, 8)], tolerance=2)
    assert near.false.tolist() == [False, False], "row 7 is two before row 9"
    assert near.false_per_10000 == 0


def test_the_tolerance_is_for_false_ones_only():
    y_true = np.zeros(100, dtype=int)
    y_true[50:60] = 1
    for tolerance in (0, 5, 50):
        result = compare_events(y_true, [(45, 50)], tolerance=tolerance)
        assert result.found.tolist() == [False]
        assert result.false.tolist() == [tolerance == 0]


def test_one_event_may_find_several_and_several_the_same():
    y_true = [0, 1, 0, 1, 1, 1, 0]
    assert compare_events(y_true, [(0, 5)]).found.all()
    result = compare_events(y_true, [(5, 6), (3, 4), (0, 1)])
    assert result.found.tolist() == [False, True]
    assert result.delay[1] == 0, "the first row that is within any"
    assert result.overlap[1] == pytest.approx(2 / 3)
    assert result.false.tolist() == [False, False, True], "in their order"


def test_found_are_those_of_event_recall():
    flags = np.zeros(len(TRUE), dtype=int)
    flags[[4, 12, 30]] = 1
    found = compare_events(TRUE, [(4, 5), (12, 13), (30, 31)]).found
    assert found.mean() == event_recall(TRUE, flags)


def test_without_events_of_one_kind():
    nothing_there = compare_events([0] * 100, [(3, 5), (9, 20)])
    assert len(nothing_there.found) == len(nothing_there.delay) == 0
    assert nothing_there.false.all()
    assert nothing_there.false_per_10000 == 200
    nothing_found = compare_events([0, 1, 0], [])
    assert nothing_found.found.tolist() == [False]
    assert nothing_found.overlap.tolist() == [0]
    assert np.isnan(nothing_found.delay).all()
    assert (len(nothing_found.false), nothing_found.false_per_10000) == (0, 0)
    assert compare_events([1, 1], [(0, 1)]).false_per_10000 == 0


@pytest.mark.parametrize(
    "convert",
    [
        list,
        tuple,
        iter,
        np.array,
        lambda pairs: [Event(*pair, 0, -3.0, ("x",), None) for pair in pairs],
        lambda pairs: pd.DataFrame(pairs).itertuples(index=False),
    ],
)
def test_events_of_any_kind(convert):
    result = compare_events(pd.Series([0, 1, 1, 0, 0]), convert([(2, 4), (4, 5)]))
    assert isinstance(result, EventComparison)
    assert result.found.tolist() == [True]
    assert result.false.tolist() == [False, True]


@pytest.mark.parametrize(
    ("y_true", "events", "message"),
    [
        ([0, 1], [(0, 3)], r"ranges of rows between 0 and 2.* Got \(0, 3\) instead"),
        ([0, 1], [(0, 1), (-1, 1)], r"Got \(-1, 1\) instead"),
        ([0, 1], [(1, 1)], r"a start below the stop. Got \(1, 1\)"),
        ([1, -1], [(0, 1)], r"y_true must contain 0 .* pass `y_true == -1`"),
        ([], [], "minimum of 1 is required"),
    ],
)
def test_errors(y_true, events, message):
    with pytest.raises(ValueError, match=message):
        compare_events(y_true, events)


@pytest.mark.parametrize(("tolerance", "error"), [(-1, ValueError), (1.5, TypeError)])
def test_bad_tolerance(tolerance, error):
    with pytest.raises(error, match="tolerance"):
        compare_events([0, 1], [], tolerance=tolerance)
