"""How much further a process may go than its history shows."""

import naive_scores as naive
import numpy as np
import pytest
from conftest import make_waves, punch_holes
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skmemto import _blockwise, _history
from skmemto._history import range_factor, range_factors
from skmemto._scaling import ChannelScaler

quick = settings(deadline=None, derandomize=True, max_examples=100)
CONSTANTS = _history._N_PARTS, _history._FEWEST, _history._OUTSIDE


def factors(X, series=None):
    series = np.array([[0, len(X)]]) if series is None else series
    return range_factors(X, series, ChannelScaler().fit(X, series=series))


def white(n_rows, seed=0):
    return np.random.RandomState(seed).standard_normal((n_rows, 2))


@quick
@given(
    n_rows=st.integers(4, 250),
    share_missing=st.sampled_from([0.0, 0.2, 0.8]),
    slowness=st.sampled_from([0.0, 0.5, 0.95]),
    seed=st.integers(0, 1000),
)
def test_factors_equal_naive(n_rows, share_missing, slowness, seed):
    X = white(n_rows, seed)
    for row in range(1, n_rows):
        X[row] += slowness * X[row - 1]
    X = punch_holes(X, share_missing, seed)
    X[:2] = white(2)  # or there may be nothing to learn from
    expected = [naive.range_factor(column, *CONSTANTS) for column in X.T]
    assert_allclose(factors(X), expected, rtol=1e-9)


def test_the_longer_the_history_the_less_is_left_open():
    by_length = [factors(white(n)) for n in (20, 60, 300, 1000, 20_000)]
    assert (np.diff(by_length, axis=0) <= 1e-3).all()
    assert (by_length[0] > 1.2).all()
    assert (by_length[-1] < 1.01).all()
    assert (np.array(by_length) >= 1).all()


def test_a_slow_process_has_shown_little_of_itself():
    n = 2000
    fast = np.sin(2 * np.pi * np.arange(n) / 20)
    slow = np.sin(2 * np.pi * np.arange(n) / n)
    noise = 0.01 * white(n)[:, 0]
    of_fast, of_slow = factors(np.column_stack([fast + noise, slow + noise]))
    assert of_fast == pytest.approx(1, abs=0.01)
    assert of_slow > 1.5
    # No history is worth less than so many rows.
    least = factors(np.column_stack([white(_history._FEWEST)[:, 0], np.arange(10)]))
    assert of_slow <= least.max() + 1e-9


def test_the_range_holds_what_comes():
    """Of a thousand rows to come no more than one or two are beyond, on average."""
    for n_rows in (15, 40, 200):
        beyond = []
        for seed in range(300):
            X = white(n_rows, seed)
            reached = np.abs(X - X.mean(axis=0)).max(axis=0)
            new = np.abs(white(500, seed + 1000) - X.mean(axis=0))
            beyond.append((new > factors(X) * reached).mean())
        assert np.mean(beyond) < 5e-3, n_rows


def test_unit_and_level_of_a_channel_do_not_count():
    X = make_waves(500)
    for changed in (X * 1e6, X + 1e5):
        assert_allclose(factors(changed), factors(X), rtol=1e-5)


def test_absurd_and_missing_values_and_rows_of_no_series_do_not_count():
    X = white(600)
    series = np.array([[0, 200], [250, 600]])
    expected = factors(X, series)
    X[200:250] = 1e9
    assert_array_equal(factors(X, series), expected)
    X[300, 0] = 1e9
    X[400:403, 1] = np.nan
    assert_allclose(factors(X, series), expected, rtol=0.05)


def test_series_follow_one_another():
    X = make_waves(400)
    series = np.array([[0, 90], [90, 95], [95, 400]])
    assert_allclose(factors(X, series), factors(X), rtol=1e-12)


def test_channels_that_never_moved_or_were_never_seen():
    X = np.column_stack([white(300)[:, 0], np.full(300, 7.1), np.full(300, np.nan)])
    X[150:, 2] = 1.0  # half of it
    found = factors(X)
    assert found[1] == found[2] == pytest.approx(factors(white(300)).min())
    X[:, 2] = np.nan
    assert np.isfinite(factors(X)).all()


@pytest.mark.parametrize("n_rows", [1, 2, 9])
def test_a_few_rows(n_rows):
    assert np.isfinite(factors(white(n_rows))).all()
    assert (factors(white(n_rows)) >= 1).all()


def test_blocks_change_nothing(monkeypatch):
    X = punch_holes(make_waves())
    series = np.array([[0, 150], [155, 400]])
    expected = factors(X, series)
    monkeypatch.setattr(_blockwise, "_VALUES_PER_BLOCK", 21)
    assert_allclose(factors(X, series), expected, rtol=1e-10)


# ---------------------------------------------------------------- of one column


@quick
@given(
    tenth=st.integers(1, 40),
    slowness=st.sampled_from([0.0, 0.9]),
    seed=st.integers(0, 99),
)
def test_factor_of_one_column_equals_naive(tenth, slowness, seed):
    values = white(10 * tenth, seed)[:, 0]
    for row in range(1, len(values)):
        values[row] += slowness * values[row - 1]
    found = range_factor(values)
    assert type(found) is float
    assert found == pytest.approx(naive.range_factor(values, *CONSTANTS), rel=1e-9)


def test_what_is_left_over_hardly_counts():
    values = white(1009)[:, 0]
    values[1000:] += 3
    assert range_factor(values) == pytest.approx(range_factor(values[:1000]), rel=0.1)


@pytest.mark.parametrize("values", [[1.0, 2.0], np.arange(9.0), np.full(500, 3.0)])
def test_short_and_constant_columns(values):
    assert range_factor(np.array(values)) >= 1
