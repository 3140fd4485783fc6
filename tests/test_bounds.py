"""Which values are absurd."""

import naive_scores as naive
import numpy as np
import pytest
from conftest import make_waves, punch_holes
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose

from skmemto import _blockwise, _bounds
from skmemto._bounds import AbsurdValues, find_absurd, value_bounds

quick = settings(deadline=None, derandomize=True, max_examples=150)


def whole(X):
    return np.array([[0, len(X)]])


def bounds_of(column):
    """Bounds of one channel."""
    X = np.asarray(column, dtype=float)[:, np.newaxis]
    lower, upper = value_bounds(X, whole(X))
    return lower[0], upper[0]


def hidden(column):
    """Numbers of the rows that are absurd."""
    lower, upper = bounds_of(column)
    return np.flatnonzero((column < lower) | (column > upper)).tolist()


def naive_bounds(column):
    few = max(_bounds._FEW, int(_bounds._FEW_SHARE * len(column)))
    constants = _bounds._FAR, _bounds._GAP, _bounds._LARGEST_SHARE, few
    return naive.value_bounds(column, *constants)


@quick
@given(
    values=arrays(np.float64, st.integers(0, 120), elements=st.floats(-5, 5)),
    some=st.lists(st.sampled_from([np.nan, 7.0, 40.0, 40.0, -1e3, 1e6, 1e9])),
    seed=st.integers(0, 100),
)
def test_bounds_equal_naive(values, some, seed):
    column = np.concatenate([values, some])
    np.random.RandomState(seed).shuffle(column)
    if len(column):
        assert_allclose(bounds_of(column), naive_bounds(column), rtol=1e-12)


@pytest.fixture
def x():
    return make_waves(3000)[:, 0]


@pytest.mark.parametrize("value", [200.0, -200.0, 1e6, -1e300])
@pytest.mark.parametrize("n_values", [1, 3])
def test_a_few_values_far_from_all_others_are_absurd(x, value, n_values):
    rows = [1500, 40, 2999][:n_values]
    x[rows] = value * np.array([1.0, 1.1, 1.3])[:n_values]
    assert hidden(x) == sorted(rows)


def test_a_code_may_come_often_if_it_is_always_the_same(x):
    rows = np.arange(0, 3000, 150)
    x[rows] = -200
    assert hidden(x) == rows.tolist()
    # So many different ones are no code, but what the channel does.
    x[rows] -= np.arange(20)
    assert hidden(x) == []
    x[::50] = -200  # and one in fifty is no exception
    assert hidden(x) == []


def test_both_sides_have_their_own(x):
    usual = x.min(), x.max()
    x[[7, 9]], x[30] = -200, 1e6
    lower, upper = bounds_of(x)
    assert -200 < lower < usual[0] and usual[1] < upper < 1e6
    assert hidden(x) == [7, 9, 30]


def test_what_normal_data_do_is_not_absurd(x):
    assert hidden(x) == []
    for draw in ("standard_normal", "standard_exponential", "standard_gamma"):
        shape = (0.5,) if draw == "standard_gamma" else ()
        normal = getattr(np.random.RandomState(0), draw)(*shape, size=5000)
        assert hidden(normal) == [], draw
    # Of a heavy tail no more than a few.
    normal = np.random.RandomState(0).standard_cauchy(5000)
    assert len(hidden(normal)) <= 2 * _bounds._FEW_SHARE * 5000
    x[1500] += 3 * x.std()
    assert hidden(x) == []


def test_beyond_what_was_seen_there_is_room_for_as_much(x):
    lower, upper = bounds_of(x)
    width = x.max() - x.min()
    assert (lower, upper) == pytest.approx((x.min() - width, x.max() + width))
    # An absurd value gives no room.
    x[77] = 1e6
    assert bounds_of(x)[1] == pytest.approx(upper, rel=0.1)


def test_a_channel_that_hardly_ever_moves():
    x = np.zeros(3000)
    x[[100, 2000]] = 1.0, 5.0
    assert hidden(x) == []
    assert bounds_of(x) == (-5.0, 10.0)


@pytest.mark.parametrize(
    "column", [np.full(9, 3.0), np.full(9, np.nan), [5.0], [np.nan, 5.0]], ids=repr
)
def test_of_nothing_that_moves_there_are_no_bounds(column):
    assert bounds_of(column) == (-np.inf, np.inf)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_each_channel_and_only_rows_of_the_series_count(dtype):
    X = punch_holes(make_waves(600)).astype(dtype)
    X[[10, 300], [0, 2]] = -1e5, 1e7
    X[450] = 1e6  # in no series
    series = np.array([[0, 250], [280, 400], [500, 600]])
    lower, upper = value_bounds(X, series)
    assert lower.dtype == upper.dtype == np.float64
    rows = np.concatenate([X[a:b] for a, b in series]).astype(float)
    for channel, column in enumerate(rows.T):
        expected = naive_bounds(column)
        assert_allclose((lower[channel], upper[channel]), expected, rtol=1e-6)


@pytest.mark.parametrize("n_rows", [7000, 700])
def test_of_a_long_history_a_sample_is_enough(monkeypatch, n_rows):
    monkeypatch.setattr(_bounds, "_SAMPLED_ROWS", 500)
    monkeypatch.setattr(_blockwise, "_VALUES_PER_BLOCK", 256)
    X = punch_holes(make_waves(n_rows))
    step = n_rows // 500
    X[n_rows // 2 : n_rows // 2 + 2, 1] = -80, 190  # extremes count wherever they are
    sizes = []
    monkeypatch.setattr(_bounds, "_channel_bounds", spy(_bounds._channel_bounds, sizes))
    lower, upper = value_bounds(X, whole(X))
    assert max(sizes) < 1.2 * n_rows / step + 2 * 3 * n_rows / 256 + 2
    low, high = np.nanmin(X, axis=0), np.nanmax(X, axis=0)
    assert_allclose(lower, low - (high - low), rtol=1e-12)
    assert_allclose(upper, high + (high - low), rtol=1e-12)


def test_of_many_rows_more_may_be_absurd(x):
    x[[5, 500, 900, 1200]] = 100, 120, 140, 160
    assert hidden(x) == []
    longer = np.concatenate([x, make_waves(3000)[:, 0]])
    assert hidden(longer) == [5, 500, 900, 1200]


def spy(function, sizes):
    def spied(values, n_rows):
        sizes.append(len(values))
        return function(values, n_rows)

    return spied


# ---------------------------------------------------------------- finding them


@pytest.mark.parametrize("n_values", [131_072, 12])
def test_first_row_and_number_of_each_channel(monkeypatch, n_values):
    monkeypatch.setattr(_blockwise, "_VALUES_PER_BLOCK", n_values)
    X = punch_holes(make_waves(200))
    X[[90, 40, 150], 2] = -9.0, 99.0, -7.0
    X[170, 0] = 1e5
    X[20] = 1e5  # in no series
    bounds = np.array([0, -np.inf, -5.0]), np.array([50.0, 1e4, 50])
    series = np.array([[0, 20], [21, 60], [60, 200]])
    assert find_absurd(X, series, bounds) == [
        AbsurdValues(0, 1, 170, 1e5),
        AbsurdValues(2, 3, 40, 99.0),
    ]
    assert find_absurd(X, series[:1], bounds) == []


def test_the_bounds_themselves_are_not_absurd():
    X = np.array([[1.0], [2.0], [3.0]])
    assert find_absurd(X, whole(X), (np.array([1.0]), np.array([3.0]))) == []
