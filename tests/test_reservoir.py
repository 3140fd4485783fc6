"""Rows that are kept of those learned from."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skmemto._reservoir import Reservoir, fill, thin


def bounds_of(lengths):
    stops = np.cumsum(lengths)
    return np.column_stack([stops - lengths, stops])


def numbered(n):
    """Rows that say where they are from."""
    return np.arange(n, dtype=float)[:, np.newaxis]


@given(
    st.lists(st.integers(1, 80), min_size=1, max_size=8),
    st.integers(0, 300),
    st.integers(1, 40),
)
def test_pieces_are_of_the_series_and_no_more_than_wanted(lengths, size, block):
    series = bounds_of(lengths)
    pieces = thin(series, size, block)
    assert (pieces[:, 1] > pieces[:, 0]).all()
    assert (pieces[1:, 0] >= pieces[:-1, 1]).all()
    of = np.searchsorted(series[:, 0], pieces[:, 0], side="right") - 1
    assert (pieces[:, 1] <= series[of, 1]).all()
    n_kept = (pieces[:, 1] - pieces[:, 0]).sum()
    assert n_kept <= size
    if sum(lengths) <= size:
        assert_array_equal(pieces, series)


def test_few_rows_stay_as_they_are_and_in_their_order():
    X, series = numbered(90), bounds_of([40, 50])
    kept = fill(X, series, 100, 10)
    assert_array_equal(kept.X, X)
    assert_array_equal(kept.series, series)


def test_of_many_rows_blocks_all_along_are_kept():
    X = numbered(10_000)
    kept = fill(X, bounds_of([10_000]), 1_000, 100)
    assert len(kept.X) == 1_000
    steps = np.diff(kept.X[:, 0])
    assert set(steps) == {1.0, 901.0}  # nine gaps of nine blocks
    assert_array_equal(kept.series[:, 1] - kept.series[:, 0], 100)
    assert kept.X[0] < 1_000 and kept.X[-1] >= 9_000


def test_blocks_next_to_each_other_are_one():
    kept = fill(numbered(100), bounds_of([100]), 95, 10)
    assert len(kept.X) == 90
    assert len(kept.series) == 2


def test_copies_what_it_keeps():
    X = numbered(10)
    kept = fill(X, bounds_of([10]), 20, 5)
    X[:] = 0
    assert kept.X[-1] == 9


def test_nothing_is_kept_with_a_size_of_0():
    kept = fill(numbered(50), bounds_of([50]), 0, 10)
    assert kept.X.shape == (0, 1) and kept.series.shape == (0, 2)
    X, series = kept.with_new(numbered(20), bounds_of([20]))
    assert_array_equal(X, numbered(20))
    assert_array_equal(series, [[0, 20]])
    assert len(kept.renewed(X, series, 0, 10).X) == 0


def test_new_rows_come_after_the_old():
    old = Reservoir(numbered(30), bounds_of([10, 20]))
    X, series = old.with_new(-numbered(5), bounds_of([2, 3]))
    assert_array_equal(X, np.concatenate([numbered(30), -numbered(5)]))
    assert_array_equal(series, bounds_of([10, 20, 2, 3]))


def test_until_it_is_full_nothing_is_forgotten():
    old = fill(numbered(300), bounds_of([300]), 1_000, 50)
    renewed = old.renewed(numbered(600), bounds_of([600]), 1_000, 50)
    assert len(renewed.X) == 900


@pytest.mark.parametrize("n_new", [100, 400])
def test_old_rows_of_any_age_make_room_step_by_step(n_new):
    size, block, ages = 2_000, 50, 8
    kept = fill(np.zeros((size, 1)), bounds_of([size]), size, block)
    for age in range(1, ages):
        new = np.full((n_new, 1), float(age))
        kept = kept.renewed(new, bounds_of([n_new]), size, block)
        assert size - block <= len(kept.X) <= size
    counts = np.bincount(kept.X[:, 0].astype(int), minlength=ages)
    left = (1 - n_new / size) ** np.arange(ages - 2, -1, -1)
    expected = np.append(size * (1 - n_new / size) ** (ages - 1), n_new * left)
    assert (abs(counts - expected) <= 3 * block).all()


def test_no_more_than_half_is_forgotten_at_once():
    kept = fill(np.zeros((2_000, 1)), bounds_of([2_000]), 2_000, 50)
    renewed = kept.renewed(np.ones((50_000, 1)), bounds_of([50_000]), 2_000, 50)
    assert renewed.X.mean() == pytest.approx(0.5, abs=0.03)
