"""Scores over time."""

import naive_scores as naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from skmemto import _blockwise
from skmemto._smoothing import own_share, smooth, smooth_next

quick = settings(deadline=None, derandomize=True, max_examples=100)
spans = st.integers(1, 30)
lookaheads = st.none() | st.integers(0, 9)
values_of_one_series = arrays(
    np.float64,
    st.integers(1, 40),
    elements=st.floats(-100, 100, allow_subnormal=False) | st.just(np.nan),
)


@quick
@given(
    values=values_of_one_series,
    span=spans,
    typical=st.floats(-100, 100),
    lookahead=lookaheads,
)
def test_it_equals_naive(values, span, typical, lookahead):
    before = values.copy()
    smoothed = smooth(values, span, typical, lookahead)
    assert_array_equal(values, before)
    expected = values if span == 1 else naive.smooth(values, span, typical, lookahead)
    assert_allclose(smoothed, expected, rtol=1e-9, atol=1e-9)


def test_by_hand():
    # Of span 3: weights 1/2 ** k, which sum to 3.
    values = np.array([1.0, np.nan, 6.0, 4.0])
    weights = 0.5 ** np.abs(np.subtract.outer(np.arange(4), np.arange(4))) / 3
    assert_allclose(smooth(values, 3, 0.0), weights @ [1.0, 0.0, 6.0, 4.0])
    # What is not there, to both sides and in the gap, is typical.
    assert_allclose(smooth(values, 3, 2.0), 2 + weights @ [-1.0, 0.0, 4.0, 2.0])


@quick
@given(value=st.floats(-1e6, 1e6), n_rows=st.integers(1, 40), span=spans)
def test_what_is_typical_everywhere_stays(value, n_rows, span):
    values = np.full(n_rows, value)
    assert_allclose(smooth(values, span, value), values, rtol=1e-12)
    assert_allclose(smooth(np.full(n_rows, np.nan), max(span, 2), value), values)


@quick
@given(
    values=values_of_one_series,
    span=spans,
    position=st.integers(0, 39),
    spike=st.sampled_from([1e30, -1e30]),
)
def test_a_spike_stays_where_it_is(values, span, position, spike):
    values = np.nan_to_num(values)
    position %= len(values)
    values[position] = spike
    smoothed = smooth(values, span, 0.0)
    # It is shared out by its weights, and far away nothing is left of it, not even the
    # rounding error that a running sum would carry on.
    decay = (span - 1) / (span + 1)
    distance = np.abs(np.arange(len(values)) - position)
    assert (np.abs(smoothed) <= 200 + 2 * abs(spike) * decay**distance / span).all()
    assert smoothed[position] == pytest.approx(spike / span)


@pytest.mark.parametrize("values_per_block", [131_072, 7])
@pytest.mark.parametrize("lookahead", [0, 1, 5, 40])
def test_what_comes_later_changes_no_bit(monkeypatch, values_per_block, lookahead):
    monkeypatch.setattr(_blockwise, "_VALUES_PER_BLOCK", values_per_block)
    values = np.random.default_rng(0).exponential(size=100)
    values[[3, 50]] = np.nan
    whole = smooth(values, 9, 0.5, lookahead)
    for n in (1, 8, 60):
        n_final = max(0, n - lookahead)
        part = smooth(values[:n], 9, 0.5, lookahead)
        assert_array_equal(part[:n_final], whole[:n_final])
    values[60:] = 1e30
    n_final = 60 - lookahead
    assert_array_equal(smooth(values, 9, 0.5, lookahead)[:n_final], whole[:n_final])


@quick
@given(
    values=values_of_one_series,
    span=spans,
    cuts=st.lists(st.integers(0, 40), max_size=5).map(sorted),
)
def test_the_next_rows_are_averaged_as_all_are_however_cut(values, span, cuts):
    twice = np.stack([values, values[::-1]])  # series side by side
    state, averages = np.zeros(2), []
    for part in np.split(twice, cuts, axis=1):
        before = state.copy()
        average, after = smooth_next(part, span, 0.3, state)
        assert_array_equal(state, before)
        averages.append(average)
        state = after
    found = np.concatenate(averages, axis=1)
    assert_array_equal(found[0], smooth(values, span, 0.3, 0))
    assert_array_equal(found[1], smooth(values[::-1], span, 0.3, 0))


@quick
@given(span=st.integers(2, 30), lookahead=lookaheads)
def test_own_share_is_the_weight_of_the_row_itself(span, lookahead):
    spike = np.zeros(99)
    spike[50] = 1
    share = own_share(span, lookahead)
    assert smooth(spike, span, 0.0, lookahead)[50] == pytest.approx(share)
    assert own_share(span, 10**6) == pytest.approx(own_share(span))


def test_few_rows_say_little():
    alone, short, long = (smooth(np.full(n, 9.0), 20, 1.0) for n in (1, 10, 500))
    assert_allclose(alone, 1 + 8 / 20)
    assert (alone[0] < short).all() and (short < 9).all()
    assert long[250] == pytest.approx(9)
    assert long[0] == pytest.approx(long[-1])
    assert long[0] == pytest.approx(1 + 8 * (1 + 1 / 20) / 2)


def test_channels_are_smoothed_one_by_one():
    values = np.random.default_rng(0).exponential(size=(60, 3))
    values[5, 1] = values[30:35] = np.nan
    smoothed = smooth(values, 7, 0.5)
    for channel in range(3):
        assert_array_equal(smoothed[:, channel], smooth(values[:, channel], 7, 0.5))


def test_nothing_and_span_1():
    assert smooth(np.empty(0), 5, 1.0).shape == (0,)
    values = np.array([1.0, np.nan])
    assert smooth(values, 1, 9.0) is values


@pytest.mark.parametrize("shape", [(500,), (500, 2)])
@pytest.mark.parametrize("n_values", [64, 2, 1])
def test_blocks_change_nothing(monkeypatch, shape, n_values):
    rng = np.random.default_rng(0)
    values = rng.exponential(size=shape)
    values[rng.random(values.shape) < 0.1] = np.nan
    smoothed = smooth(values, 5, 0.7)
    monkeypatch.setattr(_blockwise, "_VALUES_PER_BLOCK", n_values)
    assert_allclose(smooth(values, 5, 0.7), smoothed, rtol=1e-14)
