"""Deviations -> scores of each row."""

import naive_scores as naive
import numpy as np
import pytest
from conftest import make_calibrated, punch_holes
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
    limited,
    observed_mean,
    powers,
    reduce_ratios,
    to_ratios,
    windowed_softmax,
)
from skmemto._deviations import RowDeviations
from skmemto._levels import LevelFollower, Levels
from skmemto._rarity import Reduced

CALIBRATION = Calibration(np.array([0.5, 1.0, 3.0]), np.array([1.0, 3.0, 4.0]))
SPAN = 3

quick = settings(deadline=None, derandomize=True, max_examples=100)
lengths = st.integers(1, 12)
temperatures = st.sampled_from([0.02, 0.1, 1.0, 10.0])


def series(low=0.0, high=100.0, max_size=40):
    numbers = st.floats(low, high, allow_subnormal=False)
    return arrays(np.float64, st.integers(1, max_size), elements=numbers)


def random_deviations(n_steps, n_features=3, seed=0):
    """Of one series."""
    rng = np.random.RandomState(seed)
    squares = rng.standard_normal((n_steps, n_features)) ** 2
    return RowDeviations(np.arange(n_steps), squares, rng.uniform(size=n_steps))


def make(name, span=SPAN):
    return {
        "softmax": SoftmaxCriterion(span, 4, 0.2),
        "calibrated": make_calibrated(CALIBRATION, span),
        "isd": InputDeviation(span),
        "lsd": LatentDeviation(span),
    }[name]


def score(criterion, deviations):
    one = np.array([[0, len(deviations.rows)]])
    return criterion.score(*criterion.reduce(deviations, one))


NAMES = pytest.mark.parametrize("name", ["softmax", "calibrated", "isd", "lsd"])

# ---------------------------------------------------------------- the paper's


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
    deviations = random_deviations(n_steps, n_features)
    scores = score(SoftmaxCriterion(1, window_size, 0.1), deviations)
    _, squares, latent = deviations
    expected = naive.softmax_criterion(latent, squares, window_size, 0.1)
    assert_allclose(scores, expected, rtol=1e-10)


def test_softmax_of_windows_of_one_step_weighs_nothing():
    assert_array_equal(windowed_softmax(random_deviations(7).latent, 1, 0.1), 1)


def test_softmax_does_not_overflow():
    weights = windowed_softmax(np.array([0.0, 1e300, 1e-300, 5.0]), 4, 0.1)
    assert_array_equal(weights, [0, 1, 0, 0])


def test_step_without_value_takes_no_weight_in_the_window():
    deviations = random_deviations(8)._replace(input=np.ones((8, 3)))
    deviations.latent[:] = np.arange(8)
    for missing in (2, slice(4, 8)):
        deviations.input[missing] = deviations.latent[missing] = np.nan
    scores = score(SoftmaxCriterion(1, 4, 1.0), deviations)
    weights = np.exp(np.array([0.0, 1.0, 3.0]))
    assert_allclose(scores[[0, 1, 3]], weights / weights.sum())
    assert np.isnan(scores[[2, 4, 5, 6, 7]]).all()


@pytest.mark.parametrize("n_features", [1, 4])
def test_input_and_latent_deviation(n_features):
    deviations = random_deviations(8, n_features)
    expected = [sum(row) / n_features for row in deviations.input]
    assert_allclose(score(InputDeviation(1), deviations), expected, rtol=1e-12)
    assert_array_equal(score(LatentDeviation(1), deviations), deviations.latent)


@pytest.mark.parametrize("span", [4, 7])
@pytest.mark.parametrize("name", ["softmax", "isd", "lsd"])
def test_what_is_smoothed_is_the_average_of_what_is_known(name, span):
    deviations = random_deviations(120)
    for missing in (3, slice(20, 25), slice(60, 110)):
        deviations.input[missing] = deviations.latent[missing] = np.nan
    smoothed = score(make(name, span), deviations)
    expected = naive.known_average(score(make(name, 1), deviations), span)
    assert_allclose(smoothed, expected, rtol=1e-9)
    # Near what is known there is an average, far from it there is none.
    assert np.isfinite(smoothed[[60, 109]]).all()
    assert np.isnan(smoothed[85])


def test_blocks_change_nothing(monkeypatch):
    latent = np.random.default_rng(0).exponential(size=500)
    latent[::7] = np.nan
    weights = windowed_softmax(latent, 9, 0.1)
    monkeypatch.setattr(_blockwise, "_VALUES_PER_BLOCK", 64)
    assert_array_equal(windowed_softmax(latent, 9, 0.1), weights)


# ---------------------------------------------------------------- ratios


def deviations_around(limits, seed=0):
    """Some far below their limits, some far beyond, some missing: (60, F)."""
    values = limits * 10 ** np.random.RandomState(seed).uniform(-3, 3, (60, 3))
    values = punch_holes(values)
    values[7] = np.nan
    return values


def limited_ratios(deviations, calibration):
    return limited(deviations / calibration.scale, calibration.largest)


def test_ratios_equal_naive():
    deviations = deviations_around(CALIBRATION.limit)
    ratios = limited_ratios(deviations, CALIBRATION)
    worst, mean = reduce_ratios(ratios, CALIBRATION.largest)
    for row, values in enumerate(deviations):
        channels = zip(values, *CALIBRATION, strict=True)
        expected = [naive.ratio(*channel, share=0.1) for channel in channels]
        assert_allclose(ratios[row], expected, rtol=1e-12)
        # The worst by itself counts by all of its logarithm.
        of_worst = naive.worst(values, *CALIBRATION, share=1.0)
        assert worst[row] == pytest.approx(of_worst, nan_ok=True)
        of_all = naive.power_mean(values, *CALIBRATION, share=0.1)
        assert mean[row] == pytest.approx(of_all, nan_ok=True)
    assert_array_equal(np.isnan(worst), np.isnan(deviations).all(axis=1))
    assert_array_equal(np.isnan(mean), np.isnan(worst))


def test_what_was_given_stays_as_it_was():
    ratios = deviations_around(CALIBRATION.largest)
    before = ratios.copy()
    values = limited(ratios, CALIBRATION.largest)
    assert_array_equal(ratios, before)
    before = values.copy()
    reduce_ratios(values, CALIBRATION.largest)
    assert_array_equal(values, before)


def test_beyond_the_limit_of_a_channel_the_logarithm_counts():
    calibration = Calibration(np.array([0.5]), np.array([1.0]))
    deviations = np.array([[0.5], [1], [10], [100], [1e300]])
    half, at_limit, ten, hundred, most = limited_ratios(deviations, calibration)
    assert at_limit == 2 * half == 2
    assert ten == pytest.approx(at_limit * (1 + 0.1 * np.log(10)))
    assert hundred - ten == pytest.approx(ten - at_limit)
    assert hundred < most < 100 * at_limit


def test_a_channel_by_itself_is_seen_among_many():
    calibration = Calibration(np.ones(100), np.full(100, 3.0))
    deviations = np.full((2, 100), 1.0)
    deviations[1, 50] = 300.0
    ratios = limited_ratios(deviations, calibration)
    worst, mean = reduce_ratios(ratios, calibration.largest)
    assert worst[1] / worst[0] > 10
    assert mean[1] / mean[0] < 2


@quick
@given(units=arrays(np.float64, 3, elements=st.floats(0.2, 5)))
def test_unit_of_a_channel_does_not_count(units):
    deviations = deviations_around(CALIBRATION.limit)
    in_units = Calibration(*(part * units for part in CALIBRATION))
    assert_allclose(
        limited_ratios(deviations * units, in_units),
        limited_ratios(deviations, CALIBRATION),
        rtol=1e-12,
    )


def test_powers_and_means_of_what_is_observed():
    values = punch_holes(np.random.RandomState(0).uniform(size=(50, 3)))
    assert_allclose(powers(values), values**4, rtol=1e-12)
    values[4] = np.nan
    expected = [naive.mean(row) for row in values]
    assert_allclose(observed_mean(values), expected, rtol=1e-12)


# ---------------------------------------------------------------- calibrated


def test_calibrated_deviations_are_those_in_full_context():
    criterion = make_calibrated(CALIBRATION, SPAN, edge=4.0)
    two = np.array([[0, 20], [20, 30]])
    deviations = random_deviations(30)
    before = deviations.input.copy()
    ratios = to_ratios(deviations, two, criterion.context, CALIBRATION)
    assert_array_equal(deviations.input, before)
    at_edge = np.isin(np.arange(30), [0, 19, 20, 29])
    scaled = before / CALIBRATION.scale
    assert_allclose(ratios[at_edge], scaled[at_edge] / 4)
    assert_array_equal(ratios[~at_edge], scaled[~at_edge])
    expected = limited(ratios, CALIBRATION.largest)
    assert_array_equal(criterion.ratios(deviations, two), expected)
    worst, mean = reduce_ratios(expected, CALIBRATION.largest)
    for array, of_expected in zip(
        criterion.reduce(deviations, two), (worst, deviations.latent, mean), strict=True
    ):
        assert_array_equal(array, of_expected)


def test_calibrated_scores_are_rarities():
    deviations, one = random_deviations(30), np.array([[0, 30]])
    criterion = make("calibrated")
    numbers = criterion.reduce(deviations, one)
    expected = criterion.rarity.of_series(Reduced(*(n.copy() for n in numbers)))
    assert_array_equal(criterion.score(*numbers), expected)


def test_channels_that_have_moved_on_are_measured_by_their_new_level():
    one, quiet = np.array([[0, 400]]), np.full(3, np.log(1.05))
    deviations = random_deviations(400)._replace(input=np.ones((400, 3)))
    deviations.input[100:, 1] = 20.0
    calibration = Calibration(np.ones(3), np.full(3, 100.0))
    criterion = make_calibrated(calibration, SPAN)
    levels = Levels(20, quiet, quiet, np.full(3, 2000.0))
    following = CalibratedCriterion(
        calibration, criterion.context, criterion.rarity, LevelFollower(levels, one)
    )
    (worst, _, mean), (rebased, *_) = (
        c.reduce(deviations, one) for c in (criterion, following)
    )
    assert_array_equal(rebased[:101], worst[:101])  # the alarm begins as ever
    assert_allclose(rebased[200:], 1.0, rtol=0.06)
    assert (worst[100:] == 20).all() and (mean[100:] > 10).all()
    assert [m.channel for m in following.follower.moved] == [1]


def test_what_comes_on_top_of_a_change_is_seen():
    """A level that has hardly risen must not hide what is far beyond the limit."""
    one, quiet = np.array([[0, 400]]), np.full(3, np.log(1.05))
    deviations = random_deviations(400)._replace(input=np.ones((400, 3)))
    deviations.input[100:110, 1] = 20.0  # soon over
    deviations.input[[125, 130], 1] = 5.0, 200.0
    calibration = Calibration(np.ones(3), np.full(3, 10.0))
    usual = make_calibrated(calibration, SPAN)
    levels = Levels(20, quiet, quiet, np.full(3, 200.0))
    follower = LevelFollower(levels, one)
    following = CalibratedCriterion(calibration, usual.context, usual.rarity, follower)
    (worst, *_), (rebased, *_) = (c.reduce(deviations, one) for c in (usual, following))
    assert rebased[125] < 0.8 * worst[125]
    assert rebased[130] > 0.8 * worst[130]


def test_missing_channels_do_not_count():
    deviations = random_deviations(20)
    deviations.input[:, 2] = np.nan
    two = deviations._replace(input=deviations.input[:, :2])
    small = make_calibrated(Calibration(*(part[:2] for part in CALIBRATION)), SPAN)
    assert_array_equal(score(make("calibrated"), deviations), score(small, two))
    assert_array_equal(
        score(InputDeviation(SPAN), deviations), score(InputDeviation(SPAN), two)
    )


@NAMES
def test_rows_are_reduced_one_by_one(name):
    deviations, one = random_deviations(9), np.array([[0, 9]])
    deviations.input[4] = np.nan
    criterion = make(name)
    together = criterion.reduce(deviations, one)
    assert len(together) == criterion.n_numbers
    parts = [
        criterion.reduce(RowDeviations(*(array[rows] for array in deviations)), one)
        for rows in (slice(4), slice(4, 9))
    ]
    for number, of_parts in zip(together, zip(*parts, strict=True), strict=True):
        assert_array_equal(np.concatenate(of_parts), number)


def test_a_criterion_says_how_to_reduce_and_to_score():
    assert Criterion.__abstractmethods__ == {"reduce", "score"}
