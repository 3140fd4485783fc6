"""What a row's context is worth."""

import naive_scores as naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skmemto import _context
from skmemto._context import Context, measure_context, piece_bounds

quick = settings(deadline=None, derandomize=True, max_examples=100)
RNG = np.random.RandomState(0)
CONTEXT = Context(
    np.array([1, 2, 4, 8, 11]),
    RNG.uniform(1, 9, (5, 2)),
    RNG.uniform(1, 4, (3, 2)),
    RNG.uniform(1, 4, (3, 2)),
)


def series_of(lengths):
    stops = np.cumsum(lengths)
    return np.column_stack([stops - lengths, stops]).astype(np.int64)


some_lengths = st.lists(st.integers(1, 40), min_size=1, max_size=6)


# ---------------------------------------------------------------- applying


@quick
@given(lengths=some_lengths, seed=st.integers(0, 100))
def test_factors_equal_naive(lengths, seed):
    rng, series = np.random.RandomState(seed), series_of(lengths)
    rows = np.sort(rng.choice(sum(lengths), rng.randint(1, sum(lengths) + 1), False))
    deviations = rng.exponential(size=(len(rows), 2))
    deviations[rng.uniform(size=deviations.shape) < 0.1] = np.nan
    factors = [naive.context_factor(row, series, CONTEXT) for row in rows]
    expected = deviations / factors
    CONTEXT.apply(deviations, rows, series)
    assert_allclose(deviations, expected, rtol=1e-12)


def test_in_the_midst_of_a_series_nothing_changes():
    deviations = np.ones((40, 2))
    CONTEXT.apply(deviations, np.arange(40), series_of([40]))
    assert_array_equal(deviations[3:-3], 1)
    assert_allclose(deviations[:3], 1 / CONTEXT.first)
    assert_allclose(deviations[-3:], 1 / CONTEXT.last[::-1])


@pytest.mark.parametrize("length", CONTEXT.lengths[:-1])
def test_short_series_have_the_factor_of_their_length(length):
    deviations = np.ones((length, 2))
    CONTEXT.apply(deviations, np.arange(length), series_of([length]))
    of_length = CONTEXT.short[list(CONTEXT.lengths).index(length)]
    assert_allclose(deviations, np.tile(1 / of_length, (length, 1)))


def test_between_two_lengths_it_is_between_their_factors():
    for length in (3, 5, 6, 7, 9, 10):
        deviations = np.ones((length, 2))
        CONTEXT.apply(deviations, np.arange(length), series_of([length]))
        above = np.searchsorted(CONTEXT.lengths, length)
        around = CONTEXT.short[above - 1 : above + 1]
        factor = 1 / deviations[0]
        assert (around.min(axis=0) < factor).all()
        assert (factor < around.max(axis=0)).all()


# ---------------------------------------------------------------- pieces


@quick
@given(lengths=some_lengths, window_size=st.integers(1, 40))
def test_pieces_are_parts_of_series(lengths, window_size):
    series = series_of(lengths)
    window_size = min(window_size, max(lengths))
    pieces = list(piece_bounds(series, window_size))
    of_pieces = [set(np.diff(bounds).ravel().tolist()) for bounds in pieces]
    piece_lengths = [length for (length,) in of_pieces]
    assert piece_lengths == sorted(set(piece_lengths))
    assert (piece_lengths[0], piece_lengths[-1]) == (1, window_size)
    assert len(pieces) == min(window_size, _context._N_LENGTHS)
    for bounds in pieces:
        assert 1 <= len(bounds) <= _context._N_PIECES
        assert (bounds[1:, 0] >= bounds[:-1, 1]).all()  # in order, and apart
        for start, stop in bounds:
            inside = (series[:, 0] <= start) & (stop <= series[:, 1])
            assert inside.sum() == 1


def test_pieces_are_spread_over_all_rows():
    series = series_of([1000, 30, 2000])
    for bounds in piece_bounds(series, 50):
        assert len(bounds) >= min(_context._N_PIECES, 60)
        assert bounds[0, 0] == 0 and bounds[-1, 1] > 2950
        assert np.diff(bounds[:, 0]).max() < 3 * 3030 / len(bounds)


# ---------------------------------------------------------------- measuring


def measure(series, window_size, alone, full, lookahead=None):
    """Measure with deviations (N, F) of all rows, and `alone` of those of a piece."""

    def deviations_of(bounds):
        return np.concatenate([alone(start, stop) for start, stop in bounds])

    pieces = list(piece_bounds(series, window_size))
    return measure_context(pieces, deviations_of, lambda rows: full[rows], lookahead)


@pytest.mark.parametrize("lengths", [[700, 40, 900], [30, 9, 12, 80], [12]])
@pytest.mark.parametrize("window_size", [1, 2, 12])
def test_measured_factors_equal_naive(lengths, window_size):
    series, rng = series_of(lengths), np.random.RandomState(1)
    full = rng.exponential(size=(sum(lengths), 3))
    whole = full * rng.uniform(0.5, 5, full.shape)
    whole[rng.uniform(size=full.shape) < 0.2] = np.nan
    full[rng.uniform(size=full.shape) < 0.2] = np.nan
    full[:, 2] = np.nan

    def alone(start, stop):
        return whole[start:stop] * (start % 5)

    context = measure(series, window_size, alone, full)
    bounds_of_all = list(piece_bounds(series, window_size))
    for of_length, bounds in zip(context.short, bounds_of_all, strict=True):
        for channel in range(3):
            pieces = (
                np.array([of(a, b)[:, channel] for a, b in bounds])
                for of in (alone, lambda a, b: full[a:b])
            )
            factor, of_place = naive.context_factors(*pieces, _context._MOST)
            assert of_length[channel] == pytest.approx(factor)
            if len(of_place) == window_size:
                n = min(window_size, _context._N_EDGE_ROWS)
                assert_allclose(context.first[:, channel], of_place[:n])
                assert_allclose(context.last[:, channel], of_place[::-1][:n])
    assert_array_equal(context.short[:, 2], 1)


def test_factors_are_found():
    """A piece of n rows deviates by so much more, its ends by more than that."""
    full = np.random.RandomState(1).exponential(size=(1640, 2))

    def alone(start, stop):
        values = full[start:stop] * (1 + 12 / (stop - start) * np.array([1, 3]))
        values[0] *= 5
        values[-1] *= 2
        return values

    context = measure(series_of([700, 40, 900]), 12, alone, full)
    for length, factors in zip(context.lengths, context.short, strict=True):
        usual = 1 + 12 / length * np.array([1, 3])
        ends = (5 + 2 + length - 2) / length if length > 1 else 10
        assert (factors > 0.8 * usual * ends).all()
        assert (factors < 2 * usual * ends).all()
    assert_allclose(context.first[:, 0], [10, 2, 2])
    assert_allclose(context.last[:, 1], [8, 4, 4])


@pytest.mark.parametrize("lookahead", [0, 4])
def test_of_rows_that_look_back_each_distance_to_the_beginning_counts(lookahead):
    full = np.random.RandomState(1).exponential(size=(1640, 2))

    def alone(start, stop):
        values = full[start:stop].copy()
        values *= 1 + 8 / (1 + np.arange(stop - start)[:, np.newaxis])
        values[len(values) - lookahead :] *= 3
        return values

    context = measure(series_of([700, 40, 900]), 12, alone, full, lookahead)
    by_place = 1 + 8 / (1 + np.arange(12.0))
    by_place[12 - lookahead :] *= 3
    assert_allclose(context.first[:, 0], by_place[: 12 - lookahead])
    assert_allclose(context.last[:, 1], by_place[::-1][:lookahead])
    # A series of any length is judged row by row, as if more came after it.
    deviations = np.ones((5, 2))
    context.apply(deviations, np.arange(5), series_of([5]))
    expected = 1 / by_place[:5]
    if lookahead:
        expected[1:] /= by_place[8:]
    assert_allclose(deviations[:, 0], expected)


def test_less_context_is_never_worth_more():
    full = np.random.RandomState(1).exponential(size=(500, 2))
    context = measure(series_of([500]), 20, lambda a, b: full[a:b] / 3, full)
    for factors in context[1:]:
        assert_array_equal(factors, 1)


def test_a_few_absurd_rows_do_not_count():
    full = np.ones((800, 2))

    def alone(start, stop):
        values = 2 * full[start:stop]
        values[np.isin(np.arange(start, stop), [400, 500]), 0] = 1e9
        return values

    context = measure(series_of([800]), 16, alone, full)
    for factors in context[1:]:
        assert_allclose(factors, 2)


def test_what_never_deviates_has_no_factor():
    full = np.zeros((200, 2))
    context = measure(series_of([200]), 8, lambda a, b: full[a:b] + 1, full)
    assert_array_equal(context.short, 1)


@pytest.mark.parametrize("window_size", [1, 2, 3])
def test_small_windows(window_size):
    full = np.ones((50, 2))
    context = measure(series_of([50]), window_size, lambda a, b: full[a:b], full)
    assert context.lengths[-1] == window_size
    assert len(context.first) == min(window_size, _context._N_EDGE_ROWS)
    deviations = np.ones((51, 2))
    context.apply(deviations, np.arange(51), series_of([50, 1]))
    assert_array_equal(deviations, 1)
