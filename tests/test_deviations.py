"""From a network and rows to deviations: functions of plain arguments, no estimator."""

from functools import partial

import naive
import numpy as np
import pytest
import torch
from conftest import make_waves, punch_holes
from numpy.testing import assert_allclose, assert_array_equal

from skmemto._deviations import (
    Reconstructor,
    RowDeviations,
    gather_deviations,
    mean_deviation,
)
from skmemto._scaling import ChannelScaler

SERIES = np.array([[0, 50], [50, 53], [53, 90]])


def network(windows):
    """Say of each step what its value and its place in the window make of it."""
    known = windows.nan_to_num(0.0)
    steps = torch.arange(windows.shape[1]) / 10
    return 0.5 * known + steps[:, None], known.square().sum(dim=-1) + steps


@pytest.fixture(name="X")
def rows():
    """Ninety rows, the last channel constant; 27 of them are without any value."""
    X = np.column_stack([punch_holes(make_waves(90)), np.full(90, 7.0)])
    X[[25, 52]] = X[60:85] = np.nan
    X[20] += 3
    return X


def reconstructor(window_size=8, stride=4, lookahead=None):
    train = np.column_stack([make_waves(90, seed=1), np.full(90, 7.0)])
    scaler = ChannelScaler().fit(train)
    return Reconstructor(
        network, scaler, window_size, stride, lookahead, "cpu", "float32"
    )


def naive_deviations(X, window_size=8, stride=4, lookahead=None, normal=False):
    """In scaled units, the constant channel reconstructed as its constant."""
    scaler = reconstructor().scaler
    absurd = (scaler.lower_ > X) | (scaler.upper_ < X)
    hidden = np.where(absurd, np.nan, X)
    seen = scaler.transform(hidden)
    seen[:, 3] = 0.0

    def one(window):
        said = network(torch.from_numpy(np.clip(window, -30, 30)[None]))
        return [output[0].numpy() for output in said]

    if lookahead is None:
        outputs = naive.row_outputs(one, seen, SERIES, window_size, stride)
    else:
        outputs = naive.outputs_of_rows(one, seen, SERIES, window_size, lookahead)
    reconstruction, latent = outputs
    reconstruction[:, 3] = 0.0
    compared = scaler.transform(hidden if normal else X)
    return reconstruction, *naive.deviations(compared, reconstruction, latent)


def in_order(parts):
    """Join what was yielded, by row; each row has come once."""
    rows, *arrays = (np.concatenate(array) for array in zip(*parts, strict=True))
    order = np.argsort(rows)
    assert_array_equal(rows[order], np.arange(len(rows)))
    return [array[order] for array in arrays]


CUTS = pytest.mark.parametrize(
    "cut",
    [
        {},
        {"stride": 8},
        {"stride": 1},
        {"window_size": 1, "stride": 1},
        {"lookahead": 0},
        {"lookahead": 4},
        {"window_size": 1, "lookahead": 0},
    ],
    ids=str,
)
close = partial(assert_allclose, rtol=1e-5, atol=1e-6)


@CUTS
def test_outputs_equal_naive(X, cut):
    reconstruction, _, _ = naive_deviations(X, **cut)
    found, latent = in_order(reconstructor(**cut).outputs(X, SERIES))
    close(found, reconstruction)
    assert_array_equal(found[:, 3], 0)
    assert np.isfinite(latent).all()


@CUTS
def test_deviations_equal_naive(X, cut):
    _, *expected = naive_deviations(X, **cut)
    found = in_order(reconstructor(**cut).deviations(X, SERIES))
    for array, of_naive in zip(found, expected, strict=True):
        close(array, of_naive)
    assert np.isnan(expected[1]).sum() == 27


@pytest.mark.parametrize("normal", [False, True])
def test_an_absurd_value_deviates_by_itself_unless_the_rows_are_normal(X, normal):
    calm = X.copy()
    calm[20, 0] = np.nan
    X[20, 0] = 1e6
    found = reconstructor().deviations(X, SERIES, normal=normal)
    squares, latent = in_order(found)
    of_calm, latent_of_calm = in_order(reconstructor().deviations(calm, SERIES))
    # The network has seen the same.
    assert_array_equal(latent, latent_of_calm)
    assert_array_equal(np.delete(squares, 20, axis=0), np.delete(of_calm, 20, axis=0))
    scaled = reconstructor().scaler.transform(X[20:21])[0, 0]
    expected = np.nan if normal else scaled**2
    assert squares[20, 0] == pytest.approx(expected, rel=1e-3, nan_ok=True)
    _, *of_naive = naive_deviations(X, normal=normal)
    close(squares, of_naive[0])


def test_the_data_are_left_alone(X):
    X.flags.writeable = False
    for _ in reconstructor().deviations(X, SERIES, normal=True):
        pass


def test_gathered_deviations_are_those_of_all_rows_in_whatever_order(X):
    parts = list(reconstructor().deviations(X, SERIES))
    assert len(parts) == 2  # one for each length of window
    for some_order in (parts, parts[::-1]):
        gathered = gather_deviations(some_order, (90, 4))
        for array, expected in zip(gathered, in_order(parts), strict=True):
            assert array.dtype == np.float64
            assert_array_equal(array, expected)


def test_mean_deviation_is_over_what_is_observed(X):
    _, squares, _ = naive_deviations(X)
    found = mean_deviation(reconstructor().deviations(X, SERIES))
    assert found == pytest.approx(np.nanmean(squares), rel=1e-5)


def test_mean_deviation_of_nothing_is_an_error():
    nothing = RowDeviations(np.arange(2), np.full((2, 3), np.nan), np.full(2, np.nan))
    for parts in ([], [nothing]):
        with pytest.raises(ValueError, match="X contains no value that could be"):
            mean_deviation(parts)
