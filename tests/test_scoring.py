"""From a network and rows to scores: functions of plain arguments, no estimator."""

from functools import partial

import naive
import numpy as np
import pytest
import torch
from conftest import make_waves, punch_holes
from numpy.testing import assert_allclose, assert_array_equal

from skmemto._criteria import (
    CalibratedCriterion,
    Calibration,
    InputDeviation,
    make_criterion,
)
from skmemto._scaling import ChannelScaler
from skmemto._scoring import (
    RowDeviations,
    gather_deviations,
    iter_deviations,
    iter_outputs,
    mean_deviation,
    score_rows,
    share_out,
    smooth_series,
)
from skmemto._windows import WindowReader

CALIBRATION = Calibration(np.array([0.2, 0.5, 0.1, 1.0]), np.array([1.0, 2, 1, 3]))
SERIES = np.array([[0, 50], [50, 53], [53, 90]])
CRITERIA = {
    "calibrated": lambda d, _: naive.calibrated_criterion(d, *CALIBRATION),
    "softmax": lambda d, latent: naive.softmax_criterion(latent, d, 8, 0.3),
    "isd": lambda d, _: np.array([naive.mean(row) for row in d]),
    "lsd": lambda _, latent: latent,
}


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


@pytest.fixture
def reader(X):
    train = np.column_stack([make_waves(90, seed=1), np.full(90, 7.0)])
    return WindowReader(X, ChannelScaler().fit(train), "cpu")


def outputs_of(reader, series=SERIES, window_size=8, stride=4):
    return iter_outputs(
        network,
        reader,
        series,
        window_size=window_size,
        stride=stride,
        precision="float32",
    )


def deviations_of(reader, **cut):
    return iter_deviations(outputs_of(reader, **cut), reader)


def naive_deviations(reader, series=SERIES, window_size=8, stride=4):
    """In scaled units, the constant channel reconstructed as its constant."""
    X = reader.scaler.transform(reader.X)

    def one(window):
        said = network(torch.from_numpy(np.clip(window, -30, 30)[None]))
        return [output[0].numpy() for output in said]

    reconstruction, latent = naive.row_outputs(one, X, series, window_size, stride)
    reconstruction[:, 3] = 0.0
    return reconstruction, *naive.deviations(X, reconstruction, latent)


def in_order(parts):
    """Join what was yielded, by row; each row has come once."""
    rows, *arrays = (np.concatenate(array) for array in zip(*parts, strict=True))
    order = np.argsort(rows)
    assert_array_equal(rows[order], np.arange(len(rows)))
    return [array[order] for array in arrays]


CUTS = pytest.mark.parametrize(
    "cut",
    [{}, {"stride": 8}, {"stride": 1}, {"window_size": 1, "stride": 1}],
    ids=str,
)
close = partial(assert_allclose, rtol=1e-5, atol=1e-6)


@CUTS
def test_outputs_equal_naive(reader, cut):
    reconstruction, _, _ = naive_deviations(reader, **cut)
    found, latent = in_order(outputs_of(reader, **cut))
    close(found, reconstruction)
    assert_array_equal(found[:, 3], 0)
    assert np.isfinite(latent).all()


@CUTS
def test_deviations_equal_naive(reader, cut):
    _, *expected = naive_deviations(reader, **cut)
    found = in_order(deviations_of(reader, **cut))
    for array, of_naive in zip(found, expected, strict=True):
        close(array, of_naive)
    assert np.isnan(expected[1]).sum() == 27


def test_deviations_are_those_of_the_values_themselves(reader, X):
    # The network sees no more than 30 standard deviations; what deviates is more.
    X[20, 0] = 1e6
    squares, _ = in_order(deviations_of(reader))
    scaled = reader.scaler.transform(X[20:21])[0, 0]
    assert squares[20, 0] == pytest.approx(scaled**2, rel=1e-3)
    others = np.delete(squares, 20, axis=0)
    assert np.nanmax(others) < 1e3


@pytest.mark.parametrize("span", [1, 3])
@pytest.mark.parametrize("name", CRITERIA)
def test_scores_equal_naive(reader, name, span):
    criterion = make_criterion(
        name, window_size=8, temperature=0.3, calibration=CALIBRATION
    )
    scores, unknown = score_rows(deviations_of(reader), SERIES, criterion, span=span)
    _, *deviations = naive_deviations(reader)
    order = 1.5 if name == "calibrated" else 1.0
    expected = naive.scores(*deviations, SERIES, CRITERIA[name], span, order)
    close(scores, expected, rtol=1e-4)
    assert_array_equal(np.flatnonzero(unknown), [25, 52, *range(60, 85)])
    # Far from any value there is no average, nor is there one without smoothing.
    assert np.isnan(scores[72])
    assert np.isnan(scores[25]) == (span == 1)


def test_order_of_the_parts_means_nothing(reader):
    parts = list(deviations_of(reader))
    assert len(parts) == 2  # one for each length of window
    criterion = CalibratedCriterion(CALIBRATION)
    forth, back = (
        score_rows(iter(p), SERIES, criterion, span=3) for p in (parts, parts[::-1])
    )
    for one, other in zip(forth, back, strict=True):
        assert_array_equal(one, other)
    for one, other in zip(
        gather_deviations(parts, (90, 4)),
        gather_deviations(parts[::-1], (90, 4)),
        strict=True,
    ):
        assert_array_equal(one, other)


def test_a_series_is_scored_as_if_alone(reader, X):
    criterion = CalibratedCriterion(CALIBRATION)
    together, _ = score_rows(deviations_of(reader), SERIES, criterion, span=3)
    for start, stop in SERIES:
        part = WindowReader(X[start:stop], reader.scaler, "cpu")
        series = np.array([[0, stop - start]])
        alone, _ = score_rows(
            deviations_of(part, series=series), series, criterion, span=3
        )
        close(alone, together[start:stop])


def test_gathered_deviations_are_those_of_all_rows(reader):
    gathered = gather_deviations(deviations_of(reader), (90, 4))
    for array, expected in zip(gathered, in_order(deviations_of(reader)), strict=True):
        assert array.dtype == np.float64
        assert_array_equal(array, expected)


@pytest.mark.parametrize("span", [1, 3])
def test_what_is_shared_out_sums_to_the_score(reader, span):
    criterion = CalibratedCriterion(CALIBRATION)
    shared = share_out(deviations_of(reader), criterion)
    parts = gather_deviations(shared, (90, 4))
    smooth_series(parts.input, SERIES, criterion, span=span)
    scores, unknown = score_rows(deviations_of(reader), SERIES, criterion, span=span)
    assert_allclose(parts.input.sum(axis=1)[~unknown], scores[~unknown], rtol=1e-10)
    latent = gather_deviations(deviations_of(reader), (90, 4)).latent
    assert_array_equal(parts.latent, latent)


def test_smoothing_stops_at_the_border_of_a_series():
    values = np.repeat([0.0, 8.0, 1.0], [50, 3, 37])
    smoothed = values.copy()
    smooth_series(smoothed, SERIES, CalibratedCriterion(CALIBRATION), span=9)
    assert_allclose(smoothed, values, rtol=1e-12)
    together = values.copy()
    smooth_series(together, np.array([[0, 90]]), InputDeviation(), span=9)
    assert (together[:50] > 0).all()


def test_mean_deviation_is_over_what_is_observed(reader):
    _, squares, _ = naive_deviations(reader)
    expected = np.nanmean(squares)
    assert mean_deviation(deviations_of(reader)) == pytest.approx(expected, rel=1e-5)


def test_mean_deviation_of_nothing_is_an_error():
    nothing = RowDeviations(np.arange(2), np.full((2, 3), np.nan), np.full(2, np.nan))
    for parts in ([], [nothing]):
        with pytest.raises(ValueError, match="X contains no value that could be"):
            mean_deviation(parts)
