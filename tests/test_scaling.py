"""Series -> scaled series."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.preprocessing import StandardScaler

from skmemto import _scaling
from skmemto._scaling import fit_scaler, scale


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_blocks_change_nothing(monkeypatch, dtype):
    X = np.random.RandomState(0).standard_normal((1000, 3)).astype(dtype) + 100
    monkeypatch.setattr(_scaling, "_VALUES_PER_BLOCK", 192)
    blocked = fit_scaler(X, np.array([[0, 400], [400, 1000]]), True)
    whole = StandardScaler().fit(X.astype(float))
    assert_allclose(blocked.mean_, whole.mean_)
    assert_allclose(blocked.scale_, whole.scale_)


def test_only_the_rows_of_the_series_count():
    X = np.array([[1.0], [3.0], [99.0]])
    assert fit_scaler(X, np.array([[0, 2]]), True).mean_ == [2.0]


def test_scale():
    X = np.array([[1.0, 5.0], [3.0, 5.0]], dtype=np.float32)
    scaled = scale(fit_scaler(X, np.array([[0, 2]]), True), X[np.newaxis])
    assert_array_equal(scaled, [[[-1.0, 0.0], [1.0, 0.0]]])
    assert scaled.dtype == np.float64


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_scaled_as_scikit_learn_does(dtype, order):
    X = np.random.RandomState(0).standard_normal((60, 4)).astype(dtype, order=order) + 9
    X[[3, 5], [0, 2]] = np.nan
    scaler = fit_scaler(X, np.array([[0, 60]]), True)
    expected = scaler.transform(X.astype(float))
    assert_array_equal(scale(scaler, X), expected)
    windows = X[np.arange(60).reshape(6, 10)]
    assert_array_equal(scale(scaler, windows), expected.reshape(windows.shape))


def test_idle():
    X = np.array([[1.0, 5.0], [3.0, 5.0]])
    assert_array_equal(scale(fit_scaler(X, np.array([[0, 2]]), False), X), X)


def test_extremes_are_cut_off():
    scaler = fit_scaler(np.array([[0.0], [2.0]]), np.array([[0, 2]]), True)
    assert_array_equal(scale(scaler, np.array([[1e300], [-1e20]])), [[1e15], [-1e15]])
