"""Deviations -> scores of each row."""

import naive
import numpy as np
import pytest
from conftest import punch_holes
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from skmemto import _blockwise
from skmemto._criteria import (
    CalibratedCriterion,
    Calibration,
    Criterion,
    InputDeviation,
    LatentDeviation,
    SoftmaxCriterion,
    make_criterion,
    measure_deviations,
    windowed_softmax,
)

CALIBRATION = Calibration(np.array([0.5, 1.0, 3.0]), np.array([1.0, 3.0, 4.0]))
NAMES = pytest.mark.parametrize("name", ["softmax", "calibrated", "isd", "lsd"])

quick = settings(deadline=None, derandomize=True, max_examples=100)
lengths = st.integers(1, 12)
temperatures = st.sampled_from([0.02, 0.1, 1.0, 10.0])


def series(low=0.0, high=100.0, max_size=40):
    numbers = st.floats(low, high, allow_subnormal=False)
    return arrays(np.float64, st.integers(1, max_size), elements=numbers)


def measured(*blocks):
    return measure_deviations(blocks, blocks[0].shape[1])


def calibrated_on(deviations):
    return CalibratedCriterion(measured(deviations))


def make(name):
    return make_criterion(name, window_size=4, temperature=0.2, calibration=CALIBRATION)


def random_deviations(n_steps, n_features, seed=0):
    rng = np.random.RandomState(seed)
    return rng.standard_normal((n_steps, n_features)) ** 2, rng.uniform(size=n_steps)


@quick
@given(latent=series(), window_size=lengths, temperature=temperatures)
def test_windowed_softmax_equals_naive(latent, window_size, temperature):
    weights = windowed_softmax(latent, window_size, temperature)
    expected = naive.softmax_weights(latent, window_size, temperature)
    assert_allclose(weights, expected, rtol=1e-10, atol=1e-14)


@quick
@given(latent=series(), window_size=lengths, temperature=temperatures)
def test_softmax_weights_of_a_window_sum_to_one(latent, window_size, temperature):
    weights = windowed_softmax(latent, window_size, temperature)
    length = min(window_size, len(latent))
    whole = len(latent) - len(latent) % length
    assert (weights >= 0).all()
    sums = weights[:whole].reshape(-1, length).sum(axis=1)
    assert_allclose(sums, 1, rtol=1e-12)
    # The last window, anchored to the end, keeps only what no other has weighed.
    alone = windowed_softmax(latent[-length:], window_size, temperature)
    assert_allclose(weights[whole:], alone[length - len(latent) + whole :])


@pytest.mark.parametrize(("n_steps", "window_size"), [(1, 1), (9, 4), (12, 4), (3, 7)])
@pytest.mark.parametrize("n_features", [1, 5])
def test_softmax_criterion_equals_naive(n_steps, window_size, n_features):
    deviations, latent = random_deviations(n_steps, n_features)
    criterion = SoftmaxCriterion(window_size, 0.1)
    scores = criterion.score(criterion.reduce(deviations), latent)
    expected = naive.softmax_criterion(latent, deviations, window_size, 0.1)
    assert_allclose(scores, expected, rtol=1e-10)


def test_softmax_of_windows_of_one_step_weighs_nothing():
    _, latent = random_deviations(7, 3)
    assert_array_equal(windowed_softmax(latent, 1, 0.1), 1)


def test_softmax_does_not_overflow():
    weights = windowed_softmax(np.array([0.0, 1e300, 1e-300, 5.0]), 4, 0.1)
    assert_array_equal(weights, [0, 1, 0, 0])


@pytest.mark.parametrize("n_features", [1, 4])
def test_input_and_latent_deviation(n_features):
    deviations, latent = random_deviations(8, n_features)
    expected = [sum(row) / n_features for row in deviations]
    for criterion, scores in (
        (InputDeviation(), expected),
        (LatentDeviation(), latent),
    ):
        error = criterion.reduce(deviations)
        assert error.shape == (8,)
        assert_allclose(criterion.score(error, latent), scores, rtol=1e-12)


@NAMES
def test_make_criterion(name):
    deviations, latent = random_deviations(9, 3)
    criterion = make(name)
    expected = {
        "softmax": naive.softmax_criterion(latent, deviations, 4, 0.2),
        "calibrated": naive.calibrated_criterion(deviations, *CALIBRATION),
        "isd": deviations.mean(axis=1),
        "lsd": latent,
    }[name]
    scores = criterion.score(criterion.reduce(deviations), latent)
    assert_allclose(scores, expected, rtol=1e-10)


@NAMES
def test_rows_are_reduced_one_by_one(name):
    deviations, _ = random_deviations(9, 3)
    criterion = make(name)
    error = criterion.reduce(deviations)
    parts = [criterion.reduce(deviations[rows]) for rows in (slice(4), slice(4, 9))]
    assert_array_equal(np.concatenate(parts), error)


@pytest.mark.parametrize("n_features", [1, 4])
def test_calibrated_criterion_equals_naive(n_features):
    training, _ = random_deviations(9, n_features)
    deviations, latent = random_deviations(8, n_features, seed=1)
    deviations[3] *= 100  # beyond the limit
    criterion = calibrated_on(training)
    scores = criterion.score(criterion.reduce(deviations), latent)
    expected = naive.calibrated_criterion(deviations, *naive.calibrate(training))
    assert_allclose(scores, expected, rtol=1e-12)


@quick
@given(
    units=arrays(np.float64, 4, elements=st.floats(0.2, 5)),
    seed=st.integers(0, 1000),
)
def test_unit_of_a_channel_does_not_count(units, seed):
    # No channel is so even that its scale is the least one.
    training, _ = random_deviations(20, 4, seed)
    deviations, _ = random_deviations(5, 4, seed + 1)
    expected = calibrated_on(training).reduce(deviations)
    scores = calibrated_on(training * units)
    assert_allclose(scores.reduce(deviations * units), expected, rtol=1e-12)


@pytest.mark.parametrize("n_features", [1, 4])
@pytest.mark.parametrize("n_parts", [1, 3, 9])
def test_measured_equals_naive_however_cut(n_features, n_parts):
    deviations, _ = random_deviations(9, n_features)
    calibration = measured(*np.array_split(deviations, n_parts))
    for found, expected in zip(calibration, naive.calibrate(deviations), strict=True):
        assert found.shape == (n_features,)
        assert_allclose(found, expected, rtol=1e-12)


def test_measured_channels_that_are_reconstructed_exactly():
    deviations = np.column_stack([np.zeros(5), np.full(5, 3.0)])
    scale, limit = measured(deviations)
    assert_allclose(scale, [3e-4, 3], rtol=1e-12)
    assert_allclose(limit, [3e-4, 3], rtol=1e-12)
    eps = np.finfo(float).eps
    assert_array_equal(measured(np.zeros((5, 2))), np.full((2, 2), eps))


def test_channel_that_never_erred_is_limited_as_the_one_that_erred_most():
    deviations = np.column_stack([np.zeros(4), np.full(4, 3.0), [0.0, 0, 0, 8]])
    scale, limit = measured(deviations)
    assert limit[0] / scale[0] == pytest.approx(limit[2] / scale[2])
    assert limit[0] / scale[0] > limit[1] / scale[1] == 1


def test_beyond_the_largest_error_of_a_channel_the_logarithm_counts():
    training = np.column_stack([np.tile([0.0, 1.0], 50), np.tile([0.0, 10.0], 50)])
    criterion = calibrated_on(training)
    errors = [[0.5, 0], [1, 0], [10, 0], [100, 0], [1e300, 0]]
    half, at_limit, ten, hundred, most = criterion.reduce(np.array(errors))
    assert at_limit == 2 * half
    assert ten == pytest.approx(at_limit * (1 + 0.1 * np.log(10)))
    assert hundred - ten == pytest.approx(ten - at_limit)
    assert hundred < most < 100 * at_limit


@pytest.mark.parametrize("n_features", [1, 2])
@pytest.mark.parametrize("deviation", [0.0, 1.0, 1e6])
def test_constant_channels_give_finite_scores(n_features, deviation):
    criterion = calibrated_on(np.zeros((9, n_features)))
    scores = criterion.reduce(np.full((3, n_features), deviation))
    eps = np.finfo(float).eps
    expected = 1 + 0.1 * np.log(deviation / eps) if deviation else 0
    assert_allclose(scores, expected)


def test_constant_channel_still_counts():
    training = np.column_stack([np.zeros(10), np.ones(10)])
    criterion = calibrated_on(training)
    quiet, moved = criterion.reduce(np.array([[0.0, 1.0], [1.0, 1.0]]))
    assert moved > quiet


def test_blocks_change_nothing(monkeypatch):
    latent = np.random.default_rng(0).exponential(size=500)
    latent[::7] = np.nan
    weights = windowed_softmax(latent, 9, 0.1)
    monkeypatch.setattr(_blockwise, "_VALUES_PER_BLOCK", 64)
    assert_array_equal(windowed_softmax(latent, 9, 0.1), weights)


def test_a_criterion_says_how_to_score():
    assert Criterion.__abstractmethods__ == {"score"}


@NAMES
def test_time_order(name):
    assert make(name).time_order == (1.5 if name == "calibrated" else 1)


def test_contributions_are_the_shares_of_the_channels():
    deviations, _ = random_deviations(9, 3)
    deviations[2] = 0.0
    criterion = make("calibrated")
    parts = criterion.contributions(deviations)
    assert_allclose(parts.sum(axis=1), criterion.reduce(deviations), rtol=1e-12)
    # In proportion to the fourth powers, of which each channel's is known alone.
    alone = [
        CalibratedCriterion(Calibration(scale, limit)).reduce(channel[:, np.newaxis])
        for scale, limit, channel in zip(*CALIBRATION, deviations.T, strict=True)
    ]
    powers = np.column_stack(alone) ** 4
    for row in np.delete(np.arange(9), 2):
        shares = powers[row] / powers[row].sum()
        assert_allclose(parts[row] / parts[row].sum(), shares, rtol=1e-10)
    assert_array_equal(parts[2], 0)


# ---------------------------------------------------------------- missing values


def test_measuring_ignores_missing_values():
    deviations = punch_holes(np.random.RandomState(0).uniform(size=(90, 3)))
    deviations[:40, 2] = np.nan
    scale, limit = measured(deviations[:30], deviations[30:])
    channels = [channel[~np.isnan(channel)] for channel in deviations.T]
    expected = [channel.mean() + channel.std() for channel in channels]
    assert_allclose(scale, expected)
    largest = [max(c.max(), s) for c, s in zip(channels, expected, strict=True)]
    assert_allclose(limit, largest)


def test_channel_never_seen_has_no_scale():
    deviations = np.column_stack([np.ones(4), np.full(4, np.nan)])
    assert_array_equal(measured(deviations), [[1, np.nan]] * 2)


def test_criteria_look_at_observed_channels_only():
    complete = np.random.RandomState(0).uniform(size=(20, 3))
    calibration = measured(complete)
    of_all = CalibratedCriterion(calibration)
    of_two = CalibratedCriterion(Calibration(*(part[:2] for part in calibration)))
    holes = complete.copy()
    holes[:, 2] = np.nan
    for full, small in [(of_all, of_two), (InputDeviation(), InputDeviation())]:
        assert_array_equal(full.reduce(holes), small.reduce(complete[:, :2]))
    holes[4] = np.nan
    for criterion in (of_all, InputDeviation()):
        assert_array_equal(np.isnan(criterion.reduce(holes)), np.arange(20) == 4)
    parts = of_all.contributions(holes)
    assert_allclose(parts.sum(axis=1), of_all.reduce(holes), rtol=1e-12)


def test_step_without_value_takes_no_weight_in_the_window():
    error, latent = np.ones(8), np.arange(8.0)
    error[2] = latent[2] = np.nan
    error[4:] = latent[4:] = np.nan
    scores = SoftmaxCriterion(4, 1.0).score(error, latent)
    known = np.exp(np.array([0.0, 1.0, 3.0]))
    assert_allclose(scores[[0, 1, 3]], known / known.sum())
    assert np.isnan(scores[[2, 4, 5, 6, 7]]).all()
