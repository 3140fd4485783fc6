import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from skmemto import _scaling
from skmemto._criteria import (
    CalibratedCriterion,
    Calibration,
    InputDeviation,
    LatentDeviation,
    SoftmaxCriterion,
    calibrate,
    exponential_average,
    make_criterion,
    smooth,
    windowed_softmax,
)

quick = settings(deadline=None, derandomize=True, max_examples=100)
lengths = st.integers(1, 12)
temperatures = st.sampled_from([0.02, 0.1, 1.0, 10.0])


def series(low=0.0, high=100.0, max_size=40):
    numbers = st.floats(low, high, allow_subnormal=False)
    return arrays(np.float64, st.integers(1, max_size), elements=numbers)


def random_deviations(n_steps, n_features, seed=0):
    rng = np.random.RandomState(seed)
    return rng.standard_normal((n_steps, n_features)) ** 2, rng.uniform(size=n_steps)


@quick
@given(latent=series(), window_size=lengths, temperature=temperatures)
def test_windowed_softmax_equals_naive(latent, window_size, temperature):
    weights = windowed_softmax(latent, window_size, temperature)
    expected = naive.softmax_weights(latent, window_size, temperature)
    np.testing.assert_allclose(weights, expected, rtol=1e-10, atol=1e-14)


@quick
@given(latent=series(), window_size=lengths, temperature=temperatures)
def test_softmax_weights_of_a_window_sum_to_one(latent, window_size, temperature):
    weights = windowed_softmax(latent, window_size, temperature)
    length = min(window_size, len(latent))
    whole = len(latent) - len(latent) % length
    assert (weights >= 0).all()
    sums = weights[:whole].reshape(-1, length).sum(axis=1)
    np.testing.assert_allclose(sums, 1, rtol=1e-12)
    # The last window, anchored to the end, keeps only what no other has weighed.
    alone = windowed_softmax(latent[-length:], window_size, temperature)
    np.testing.assert_allclose(weights[whole:], alone[length - len(latent) + whole :])


@pytest.mark.parametrize(("n_steps", "window_size"), [(1, 1), (9, 4), (12, 4), (3, 7)])
@pytest.mark.parametrize("n_features", [1, 5])
def test_softmax_criterion_equals_naive(n_steps, window_size, n_features):
    deviations, latent = random_deviations(n_steps, n_features)
    criterion = SoftmaxCriterion(window_size, 0.1)
    scores = criterion.score(criterion.reduce(deviations), latent)
    expected = naive.softmax_criterion(latent, deviations, window_size, 0.1)
    np.testing.assert_allclose(scores, expected, rtol=1e-10)


def test_softmax_of_windows_of_one_step_weighs_nothing():
    _, latent = random_deviations(7, 3)
    np.testing.assert_array_equal(windowed_softmax(latent, 1, 0.1), 1)


def test_softmax_does_not_overflow():
    weights = windowed_softmax(np.array([0.0, 1e300, 1e-300, 5.0]), 4, 0.1)
    np.testing.assert_array_equal(weights, [0, 1, 0, 0])


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
        np.testing.assert_allclose(criterion.score(error, latent), scores, rtol=1e-12)


@pytest.mark.parametrize("name", ["softmax", "calibrated", "isd", "lsd"])
def test_make_criterion(name):
    deviations, latent = random_deviations(9, 3)
    calibration = Calibration(np.array([0.5, 1.0, 3.0]), np.array([1.0, 3.0, 4.0]))
    criterion = make_criterion(
        name, window_size=4, temperature=0.2, calibration=calibration
    )
    expected = {
        "softmax": naive.softmax_criterion(latent, deviations, 4, 0.2),
        "calibrated": naive.calibrated_criterion(deviations, *calibration),
        "isd": deviations.mean(axis=1),
        "lsd": latent,
    }[name]
    scores = criterion.score(criterion.reduce(deviations), latent)
    np.testing.assert_allclose(scores, expected, rtol=1e-10)


@pytest.mark.parametrize("name", ["softmax", "calibrated", "isd", "lsd"])
def test_rows_are_reduced_one_by_one(name):
    deviations, _ = random_deviations(9, 3)
    calibration = Calibration(np.array([0.5, 1.0, 3.0]), np.array([1.0, 3.0, 4.0]))
    criterion = make_criterion(
        name, window_size=4, temperature=0.2, calibration=calibration
    )
    error = criterion.reduce(deviations)
    parts = [criterion.reduce(deviations[rows]) for rows in (slice(4), slice(4, 9))]
    np.testing.assert_array_equal(np.concatenate(parts), error)


@pytest.mark.parametrize("n_features", [1, 4])
def test_calibrated_criterion_equals_naive(n_features):
    training, _ = random_deviations(9, n_features)
    deviations, latent = random_deviations(8, n_features, seed=1)
    deviations[3] *= 100  # beyond the limit
    criterion = CalibratedCriterion(calibrate([training]))
    scores = criterion.score(criterion.reduce(deviations), latent)
    expected = naive.calibrated_criterion(deviations, *naive.calibrate(training))
    np.testing.assert_allclose(scores, expected, rtol=1e-12)


@quick
@given(
    units=arrays(np.float64, 4, elements=st.floats(0.2, 5)),
    seed=st.integers(0, 1000),
)
def test_unit_of_a_channel_does_not_count(units, seed):
    # No channel is so even that its scale is the least one.
    training, _ = random_deviations(20, 4, seed)
    deviations, _ = random_deviations(5, 4, seed + 1)
    expected = CalibratedCriterion(calibrate([training])).reduce(deviations)
    scores = CalibratedCriterion(calibrate([training * units]))
    np.testing.assert_allclose(scores.reduce(deviations * units), expected, rtol=1e-12)


@pytest.mark.parametrize("n_features", [1, 4])
@pytest.mark.parametrize("n_parts", [1, 3, 9])
def test_calibrate_equals_naive_however_cut(n_features, n_parts):
    deviations, _ = random_deviations(9, n_features)
    calibration = calibrate(np.array_split(deviations, n_parts))
    for found, expected in zip(calibration, naive.calibrate(deviations), strict=True):
        assert found.shape == (n_features,)
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_calibrate_channels_that_are_reconstructed_exactly():
    deviations = np.column_stack([np.zeros(5), np.full(5, 3.0)])
    scale, limit = calibrate([deviations])
    np.testing.assert_allclose(scale, [3e-4, 3], rtol=1e-12)
    np.testing.assert_allclose(limit, [3e-4, 3], rtol=1e-12)
    eps = np.finfo(float).eps
    np.testing.assert_array_equal(calibrate([np.zeros((5, 2))]), np.full((2, 2), eps))


def test_channel_that_never_erred_is_limited_as_the_one_that_erred_most():
    deviations = np.column_stack([np.zeros(4), np.full(4, 3.0), [0.0, 0, 0, 8]])
    scale, limit = calibrate([deviations])
    assert limit[0] / scale[0] == pytest.approx(limit[2] / scale[2])
    assert limit[0] / scale[0] > limit[1] / scale[1] == 1


def test_beyond_the_largest_error_of_a_channel_the_logarithm_counts():
    training = np.column_stack([np.tile([0.0, 1.0], 50), np.tile([0.0, 10.0], 50)])
    criterion = CalibratedCriterion(calibrate([training]))
    errors = [[0.5, 0], [1, 0], [10, 0], [100, 0], [1e300, 0]]
    half, at_limit, ten, hundred, most = criterion.reduce(np.array(errors))
    assert at_limit == 2 * half
    assert ten == pytest.approx(at_limit * (1 + 0.1 * np.log(10)))
    assert hundred - ten == pytest.approx(ten - at_limit)
    assert hundred < most < 100 * at_limit


@pytest.mark.parametrize("n_features", [1, 2])
@pytest.mark.parametrize("deviation", [0.0, 1.0, 1e6])
def test_constant_channels_give_finite_scores(n_features, deviation):
    criterion = CalibratedCriterion(calibrate([np.zeros((9, n_features))]))
    scores = criterion.reduce(np.full((3, n_features), deviation))
    eps = np.finfo(float).eps
    expected = 1 + 0.1 * np.log(deviation / eps) if deviation else 0
    np.testing.assert_allclose(scores, expected)


def test_constant_channel_still_counts():
    training = np.column_stack([np.zeros(10), np.ones(10)])
    criterion = CalibratedCriterion(calibrate([training]))
    quiet, moved = criterion.reduce(np.array([[0.0, 1.0], [1.0, 1.0]]))
    assert moved > quiet


@quick
@given(
    scores=series(-100, 100), spans=st.lists(st.integers(1, 60), min_size=1, max_size=3)
)
def test_exponential_average_equals_naive(scores, spans):
    expected = naive.exponential_average(scores, *spans)
    np.testing.assert_allclose(
        exponential_average(scores, *spans), expected, rtol=1e-10, atol=1e-10
    )


def test_exponential_average_of_gaps_equals_naive():
    scores = np.random.default_rng(0).exponential(size=120)
    scores[np.r_[3, 20:25, 50:52, 60:110]] = np.nan
    for spans in [(1,), (4,), (4, 20)]:
        expected = naive.exponential_average(scores, *spans)
        assert np.isnan(expected).any() and np.isfinite(expected).any()
        actual = exponential_average(scores, *spans)
        np.testing.assert_allclose(actual, expected, rtol=1e-10)


@quick
@given(value=st.floats(-1e6, 1e6), n_steps=st.integers(1, 40), length=lengths)
def test_exponential_average_of_a_constant_is_the_constant(value, n_steps, length):
    scores = np.full(n_steps, value)
    np.testing.assert_allclose(exponential_average(scores, length), scores, rtol=1e-12)


@quick
@given(
    scores=series(-100, 100),
    length=lengths,
    position=st.integers(0, 39),
    spike=st.sampled_from([1e30, -1e30]),
)
def test_exponential_average_keeps_a_spike_where_it_is(scores, length, position, spike):
    position %= len(scores)
    spiked = scores.copy()
    spiked[position] = spike
    actual = exponential_average(spiked, length)
    # The spike is shared out by its weights, and far away nothing is left of it,
    # not even the rounding error that a running sum would carry on.
    decay = (length - 1) / (length + 1)
    distance = np.abs(np.arange(len(scores)) - position)
    assert (np.abs(actual) <= 200 + 2 * abs(spike) * decay**distance).all()
    assert abs(actual[position]) >= 1e30 / (2 * length)


def test_exponential_average_by_hand():
    scores = np.array([1.0, 2.0, 6.0, 4.0])
    np.testing.assert_array_equal(exponential_average(scores, 1), scores)
    # span 3: weights 1, 1/2, 1/4, 1/8
    expected = [
        (1 + 2 / 2 + 6 / 4 + 4 / 8) / (15 / 8),
        (1 / 2 + 2 + 6 / 2 + 4 / 4) / (9 / 4),
        (1 / 4 + 2 / 2 + 6 + 4 / 2) / (9 / 4),
        (1 / 8 + 2 / 4 + 6 / 2 + 4) / (15 / 8),
    ]
    np.testing.assert_allclose(exponential_average(scores, 3), expected)


@quick
@given(scores=series(), span=st.integers(1, 60), order=st.sampled_from([1.0, 1.5, 3.0]))
def test_smoothed_scores_are_a_power_mean_over_time(scores, span, order):
    expected = scores
    if span > 1:
        average = naive.exponential_average(scores**order, span, 5 * span)
        expected = average ** (1 / order)
    smooth(scores, span, order)
    np.testing.assert_allclose(scores, expected, rtol=1e-10, atol=1e-10)


@quick
@given(seed=st.integers(0, 1000), span=st.integers(1, 20))
def test_smoothed_parts_sum_to_the_smoothed_score(seed, span):
    rng = np.random.default_rng(seed)
    parts = rng.exponential(size=(30, 4)) * (rng.random((30, 4)) < 0.5)
    parts[rng.random(30) < 0.3] = 0.0
    parts[rng.random(30) < 0.3] = np.nan
    scores = parts.sum(axis=1)
    smooth(parts, span, 1.5)
    smooth(scores, span, 1.5)
    np.testing.assert_allclose(parts.sum(axis=1), scores, rtol=1e-12)


def test_one_loud_row_outlasts_the_average():
    scores = np.ones(101)
    scores[50] = 100.0
    average = exponential_average(scores, 20, 100)
    smooth(scores, 20, 1.5)
    assert scores[50] > 2 * average[50]
    assert scores.argmax() == 50


def test_smoothing_nothing():
    scores = np.empty(0)
    smooth(scores, 5, 1.5)
    assert scores.shape == (0,)


@pytest.mark.parametrize("length", [1, 4])
def test_exponential_average_of_nothing_is_nothing(length):
    assert exponential_average(np.empty(0), length).shape == (0,)


def test_blocks_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    scores = rng.exponential(size=(500, 2))
    scores[rng.random(scores.shape) < 0.1] = np.nan
    inputs = (scores, scores[:, 0])

    def smoothed(values):
        values = values.copy()
        smooth(values, 5, 1.5)
        return values

    averages = [exponential_average(s, 5) for s in inputs]
    means = [smoothed(s) for s in inputs]
    weights = windowed_softmax(scores[:, 0], 9, 0.1)
    monkeypatch.setattr(_scaling, "_VALUES_PER_BLOCK", 64)
    for s, average, mean in zip(inputs, averages, means, strict=True):
        np.testing.assert_array_equal(exponential_average(s, 5), average)
        np.testing.assert_array_equal(smoothed(s), mean)
    np.testing.assert_array_equal(windowed_softmax(scores[:, 0], 9, 0.1), weights)
