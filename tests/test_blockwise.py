"""Rows in blocks, and the moments of rows that come in blocks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from skmemto import _blockwise
from skmemto._blockwise import RunningMoments, row_blocks

quick = settings(deadline=None, derandomize=True, max_examples=150)


@pytest.mark.parametrize("shape", [(1,), (100,), (100, 3), (100, 50), (7, 2, 5)])
def test_each_row_is_in_one_block(monkeypatch, shape):
    monkeypatch.setattr(_blockwise, "_VALUES_PER_BLOCK", 30)
    X = np.arange(np.prod(shape)).reshape(shape)
    blocks = list(row_blocks(X))
    assert_array_equal(np.concatenate([X[rows] for rows in blocks]), X)
    assert all(X[rows].size <= 30 or len(X[rows]) == 1 for rows in blocks)
    # As few as can be: none but the last has room for another row.
    assert all(X[rows].size + X[0].size > 30 for rows in blocks[:-1])


def test_rows_without_values_are_cut_as_well():
    assert list(row_blocks(np.empty((5, 0)))) == [slice(0, 5)]


@st.composite
def rows_in_blocks(draw):
    """Rows with missing values, some channels without any, cut anywhere."""
    n_rows, n_features = draw(st.integers(1, 25)), draw(st.integers(1, 4))
    numbers = st.floats(-1e3, 1e3, allow_subnormal=False)
    X = draw(arrays(np.float64, (n_rows, n_features), elements=numbers))
    X[draw(arrays(np.bool_, X.shape))] = np.nan
    X[:, draw(arrays(np.bool_, n_features))] = np.nan
    return X, np.split(X, sorted(draw(st.lists(st.integers(0, n_rows), max_size=6))))


def assert_moments_of(moments, X):
    """Compare with NumPy, which looks at all rows together."""
    seen = ~np.isnan(X).all(axis=0)
    assert_array_equal(moments.count, np.count_nonzero(~np.isnan(X), axis=0))
    assert_allclose(moments.mean[seen], np.nanmean(X[:, seen], 0), 1e-10, 1e-10)
    assert_allclose(moments.variance[seen], np.nanvar(X[:, seen], 0), 1e-10, 1e-8)
    assert_array_equal(moments.mean[~seen], 0)
    assert_array_equal(moments.variance[~seen], 0)


@quick
@given(rows_in_blocks())
def test_moments_are_those_of_numpy_however_cut(drawn):
    X, blocks = drawn
    assert_moments_of(RunningMoments.of(blocks, X.shape[1]), X)
    backwards = RunningMoments.of(reversed(blocks), X.shape[1])
    assert_moments_of(backwards, X)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_moments_after_each_block(dtype, order):
    X = np.random.default_rng(0).normal(size=(90, 3)).astype(dtype, order=order)
    X[:40, 1] = np.nan  # unknown for more than a block
    X[5:35, 2] = np.nan
    moments = RunningMoments(3)
    for stop in range(30, 91, 30):
        moments.update(X[stop - 30 : stop])
        assert_moments_of(moments, X[:stop].astype(float))
        for name in ("mean", "variance"):
            assert getattr(moments, name).dtype == np.float64
    assert moments.count.dtype == np.int64


def test_nothing_seen():
    for blocks in ([], [np.empty((0, 2))], [np.full((3, 2), np.nan)]):
        moments = RunningMoments.of(blocks, 2)
        assert_array_equal([moments.count, moments.mean, moments.variance], 0)


def test_moments_far_from_zero_do_not_cancel():
    X = np.random.default_rng(0).normal(size=(1000, 2)) + np.array([1e8, -1e8])
    moments = RunningMoments.of(np.array_split(X, 7), 2)
    assert_allclose(moments.mean, X.mean(axis=0), rtol=1e-15)
    assert_allclose(moments.variance, X.var(axis=0), rtol=1e-6)
    # Where the mean itself is rounded, which the variance has to make up for.
    steps = np.random.default_rng(0).integers(0, 8, (1001, 1)) / 8
    moments = RunningMoments.of([1e15 + steps], 1)
    assert abs(moments.mean[0] - 1e15 - steps.mean()) > 0.01
    assert_allclose(moments.variance, steps.var(axis=0), rtol=1e-6)


def test_what_overflows_is_not_finite_and_no_warning():
    X = np.array([[1e200, 1.0], [-1e200, 3.0]])
    moments = RunningMoments.of([X, X], 2)
    assert not np.isfinite(moments.variance[0])
    assert (moments.mean[1], moments.variance[1]) == (2.0, 1.0)
    above = RunningMoments.of([np.full((2, 1), 1.7e308)], 1)
    assert not np.isfinite(above.variance).any()
