"""Scores over time."""

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from skmemto import _blockwise
from skmemto._smoothing import exponential_average, smooth

quick = settings(deadline=None, derandomize=True, max_examples=100)
lengths = st.integers(1, 12)


def series(low=0.0, high=100.0):
    numbers = st.floats(low, high, allow_subnormal=False)
    return arrays(np.float64, st.integers(1, 40), elements=numbers)


def smoothed(values, span=5, order=1.5):
    values = values.copy()
    smooth(values, span, order)
    return values


@quick
@given(
    scores=series(-100, 100), spans=st.lists(st.integers(1, 60), min_size=1, max_size=3)
)
def test_exponential_average_equals_naive(scores, spans):
    expected = naive.exponential_average(scores, *spans)
    assert_allclose(
        exponential_average(scores, *spans), expected, rtol=1e-10, atol=1e-10
    )


def test_exponential_average_of_gaps_equals_naive():
    scores = np.random.default_rng(0).exponential(size=120)
    scores[np.r_[3, 20:25, 50:52, 60:110]] = np.nan
    for spans in [(1,), (4,), (4, 20)]:
        expected = naive.exponential_average(scores, *spans)
        assert np.isnan(expected).any() and np.isfinite(expected).any()
        actual = exponential_average(scores, *spans)
        assert_allclose(actual, expected, rtol=1e-10)


@quick
@given(value=st.floats(-1e6, 1e6), n_steps=st.integers(1, 40), length=lengths)
def test_exponential_average_of_a_constant_is_the_constant(value, n_steps, length):
    scores = np.full(n_steps, value)
    assert_allclose(exponential_average(scores, length), scores, rtol=1e-12)


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
    assert_array_equal(exponential_average(scores, 1), scores)
    # span 3: weights 1, 1/2, 1/4, 1/8
    expected = [
        (1 + 2 / 2 + 6 / 4 + 4 / 8) / (15 / 8),
        (1 / 2 + 2 + 6 / 2 + 4 / 4) / (9 / 4),
        (1 / 4 + 2 / 2 + 6 + 4 / 2) / (9 / 4),
        (1 / 8 + 2 / 4 + 6 / 2 + 4) / (15 / 8),
    ]
    assert_allclose(exponential_average(scores, 3), expected)


@quick
@given(scores=series(), span=st.integers(1, 60), order=st.sampled_from([1.0, 1.5, 3.0]))
def test_smoothed_scores_are_a_power_mean_over_time(scores, span, order):
    expected = scores
    if span > 1:
        average = naive.exponential_average(scores**order, span, 5 * span)
        expected = average ** (1 / order)
    smooth(scores, span, order)
    assert_allclose(scores, expected, rtol=1e-10, atol=1e-10)


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
    assert_allclose(parts.sum(axis=1), scores, rtol=1e-12)


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


def test_smoothing_is_in_place_and_none_with_span_1():
    scores = np.array([1.0, 2.0, np.nan, 6.0])
    assert_array_equal(smoothed(scores, span=1), scores)
    half = scores[:2]
    smooth(half, 5, 1.5)
    assert scores[0] > 1.0
    assert_array_equal(scores[2:], [np.nan, 6.0])


@pytest.mark.parametrize("shape", [(500,), (500, 2)])
def test_blocks_change_nothing(monkeypatch, shape):
    rng = np.random.default_rng(0)
    scores = rng.exponential(size=shape)
    scores[rng.random(scores.shape) < 0.1] = np.nan
    average, means = exponential_average(scores, 5), smoothed(scores)
    monkeypatch.setattr(_blockwise, "_VALUES_PER_BLOCK", 64)
    assert_array_equal(exponential_average(scores, 5), average)
    assert_array_equal(smoothed(scores), means)


# ---------------------------------------------------------------- missing values


def test_unknown_scores_take_the_average_of_their_neighbours():
    scores = np.array([1.0, np.nan, 3.0, np.nan, np.nan])
    decay = 0.5  # of a span of 3
    expected = [
        (1 + 3 * decay**2) / (1 + decay**2),
        (1 + 3) / 2,
        (3 + decay**2) / (1 + decay**2),
        np.nan,  # all that is known weighs 0.5 + 0.125 here
        np.nan,
    ]
    assert_allclose(exponential_average(scores, 3), expected)
    assert np.isnan(exponential_average(np.full(4, np.nan), 3)).all()


def test_far_from_what_is_known_there_is_no_average():
    scores = np.full(1000, np.nan)
    scores[:200] = scores[800:] = 1.0
    unknown = np.isnan(exponential_average(scores, 25))
    assert unknown[260:740].all()
    assert not unknown[:210].any() and not unknown[790:].any()
