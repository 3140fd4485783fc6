"""Series -> scaled series."""

import numpy as np
import pytest
from conftest import make_waves, punch_holes
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.preprocessing import StandardScaler

from skmemto import _blockwise
from skmemto._scaling import ChannelScaler


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("share_missing", [0.0, 0.2])
def test_scaled_as_scikit_learn_does(dtype, order, share_missing):
    X = punch_holes(make_waves(), share_missing).astype(dtype, order=order)
    scaler, reference = ChannelScaler().fit(X), StandardScaler().fit(X.astype(float))
    assert_allclose(scaler.mean_, reference.mean_, rtol=1e-12)
    assert_allclose(scaler.scale_, reference.scale_, rtol=1e-12)
    assert not scaler.constant_.any() and not scaler.unknown_.any()
    scaled = scaler.transform(X)
    assert scaled.dtype == np.float64
    assert_allclose(scaled, reference.transform(X.astype(float)), rtol=1e-9, atol=1e-12)
    assert_array_equal(scaled, (X.astype(float) - scaler.mean_) / scaler.scale_)
    assert_array_equal(np.isnan(scaled), np.isnan(X))


def test_moments_of_one_block_are_bitwise_those_of_scikit_learn():
    scaler, reference = ChannelScaler().fit(make_waves()), StandardScaler()
    assert_array_equal(scaler.mean_, reference.fit(make_waves()).mean_)


@pytest.mark.parametrize("n_rows_missing", [0, 70, 200])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_blocks_change_nothing(monkeypatch, dtype, n_rows_missing):
    # A whole block without a value must not spoil what comes after it.
    monkeypatch.setattr(_blockwise, "_VALUES_PER_BLOCK", 192)
    X = punch_holes(make_waves()).astype(dtype)
    X[:n_rows_missing, 1] = np.nan
    scaler = ChannelScaler().fit(X, series=np.array([[0, 150], [150, 400]]))
    assert_allclose(scaler.mean_, np.nanmean(X.astype(float), axis=0))
    assert_allclose(scaler.scale_, np.nanstd(X.astype(float), axis=0))


def test_windows_are_scaled_as_their_rows_are():
    X = punch_holes(make_waves())
    scaler = ChannelScaler().fit(X)
    windows = X[np.arange(60).reshape(6, 10)]
    assert_array_equal(scaler.transform(windows)[2], scaler.transform(X[20:30]))
    assert_array_equal(
        scaler.inverse_transform(windows)[2], scaler.inverse_transform(X[20:30])
    )


@pytest.mark.parametrize("standardize", [True, False])
def test_only_the_rows_of_the_series_count(standardize):
    X = np.array([[1.0, 9, 0], [3, np.nan, 4], [99, 7, 8], [5, np.nan, 8], [0, 1, 1]])
    scaler = ChannelScaler(standardize).fit(X, series=np.array([[0, 2], [3, 4]]))
    assert_array_equal(scaler.unknown_, [False, True, False])  # 7 and 1 are elsewhere
    assert_array_equal(scaler.mean_, [3.0, 0.0, 4.0] if standardize else [0.0] * 3)


@pytest.mark.parametrize("standardize", [True, False])
def test_what_was_given_stays_as_it_was(standardize):
    X = punch_holes(make_waves())
    before = X.copy()
    scaler = ChannelScaler(standardize).fit(X)
    scaler.inverse_transform(scaler.transform(X))
    assert_array_equal(X, before)


@pytest.mark.parametrize("standardize", [True, False])
def test_there_and_back(standardize):
    X = np.column_stack([punch_holes(make_waves()), np.full(400, 3.0), np.zeros(400)])
    scaler = ChannelScaler(standardize).fit(X)
    back = scaler.inverse_transform(scaler.transform(X))
    assert_allclose(back, X, rtol=1e-12, atol=1e-13)


def test_without_standardizing_values_stay_as_they_are():
    X = np.array([[1.0, 5.0], [3.0, 5.0]])
    scaler = ChannelScaler(standardize=False).fit(X)
    assert_array_equal(scaler.transform(X), X)
    assert_array_equal([scaler.mean_, scaler.scale_], [[0, 0], [1, 1]])
    assert not scaler.constant_.any()


@pytest.mark.parametrize("value", [0.1, -1e6 - 0.1, 3.0, 1e-12])
def test_constant_channels_are_measured_by_their_constant(value):
    X = np.column_stack([np.arange(1000.0), np.full(1000, value), np.zeros(1000)])
    X[::3, 1] = np.nan
    scaler = ChannelScaler().fit(X)
    assert_array_equal(scaler.constant_, [False, True, True])
    assert_allclose(scaler.mean_[1:], [value, 0], rtol=1e-12)
    assert_allclose(scaler.scale_[1:], [abs(value), 1], rtol=1e-12)
    scaled = scaler.transform(np.array([[5, value, 0], [5, 2 * value, 2]]))
    expected = [[0, 0], [np.sign(value), 2]]
    assert_allclose(scaled[:, 1:], expected, atol=1e-12)


def test_constant_is_what_scikit_learn_takes_for_it():
    rng = np.random.RandomState(0)
    levels, shares = np.logspace(-6, 9, 16), []
    for noise in np.logspace(-18, -12, 13):  # around the rounding of float64
        X = levels * (1 + noise * rng.standard_normal((500, 16)))
        ours, reference = ChannelScaler().fit(X), StandardScaler().fit(X)
        assert_array_equal(ours.constant_, reference.scale_ == 1)
        shares.append(ours.constant_.mean())
    assert (shares[0], shares[-1]) == (1, 0)


@pytest.mark.parametrize("standardize", [True, False])
def test_channel_without_values_is_unknown(standardize):
    X = make_waves()
    X[:, 1] = np.nan
    scaler = ChannelScaler(standardize).fit(X)
    assert_array_equal(scaler.unknown_, [False, True, False])
    assert (scaler.mean_[1], scaler.scale_[1], scaler.constant_[1]) == (0, 1, False)
    for scaled in (
        scaler.transform(make_waves()), scaler.inverse_transform(make_waves())
    ):  # fmt: skip
        assert np.isnan(scaled[:, 1]).all()
        assert np.isfinite(scaled[:, [0, 2]]).all()


def test_one_value_is_enough_of_one_row_only():
    X = make_waves()
    X[1:, 1] = np.nan
    assert_array_equal(ChannelScaler().fit(X).unknown_, [False, True, False])
    X[7, 1] = X[0, 1]
    assert_array_equal(ChannelScaler().fit(X).constant_, [False, True, False])
    for scaler in (
        ChannelScaler().fit(X[:1]), ChannelScaler().fit(X, series=np.array([[7, 8]]))
    ):  # fmt: skip
        assert not scaler.unknown_.any()
        assert scaler.constant_.all()


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("n_values", [0, 1])
def test_nothing_to_learn_from(standardize, n_values):
    X = np.full((9, 2), np.nan)
    X[:n_values] = 1.0
    with pytest.raises(ValueError, match="contains no values to learn from"):
        ChannelScaler(standardize).fit(X)


@pytest.mark.parametrize("values", [[1e200, 0.0], [1e160, -1e160]])
def test_values_too_large_to_standardize(values):
    X = make_waves()
    X[:, 1] = np.tile(values, 200)
    with pytest.raises(ValueError, match=r"feature 1 overflows float64\. Rescale X"):
        ChannelScaler().fit(X)
    assert_array_equal(ChannelScaler(standardize=False).fit(X).scale_, 1)


@pytest.mark.parametrize("standardize", [True, False])
def test_extremes_are_cut_off(standardize):
    scaler = ChannelScaler(standardize).fit(np.array([[0.0], [2.0]]))
    extremes = np.array([[1e300], [-1e20], [np.finfo(float).max]])
    assert_array_equal(scaler.transform(extremes), [[1e15], [-1e15], [1e15]])


def test_it_is_a_transformer():
    X = make_waves()
    scaler = clone(ChannelScaler(standardize=False))
    assert scaler.get_params() == {"standardize": False}
    assert_array_equal(scaler.fit_transform(X), X)
