"""Scores of normal data -> how rare a score is, and back."""

import math

import naive_scores as naive
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from skmemto import _tails
from skmemto._tails import Tail, fit_tail

quick = settings(deadline=None, derandomize=True, max_examples=100)
SHAPES = _tails._LEAST_SHAPE, _tails._LARGEST_SHAPE
many_scores = arrays(np.float64, st.integers(1, 300), elements=st.floats(0, 1e3))
gaps = st.integers(0, 20)


def draw(distribution, n, seed=0):
    rng = np.random.RandomState(seed)
    return {
        "exponential": rng.standard_exponential,
        "normal": lambda n: np.abs(rng.standard_normal(n)),
        "heavy": lambda n: rng.pareto(4, n),
        "lognormal": lambda n: rng.lognormal(size=n),
        "bounded": lambda n: rng.beta(2, 5, n),
    }[distribution](n)


DISTRIBUTIONS = ["exponential", "normal", "heavy", "lognormal", "bounded"]
TAILS = {
    "exponential": Tail(np.array([0, 0.5, 1.0]), np.array([-1.0, 0.0, 4]), 0.3, 0.0, 9),
    "heavy": Tail(np.array([0, 0.5, 2.0]), np.array([0.0, 2.0, 2.5]), 2.0, 0.4, 9),
    "with a step": Tail(np.linspace(0, 1, 4), np.array([0.0, 1, 1, 1]), 1e-9, 0.2, 9),
    "all the same": Tail(np.linspace(0, 1, 4), np.full(4, 2.0), 1e-16, 0.5, 0),
}
each_tail = pytest.mark.parametrize("tail", TAILS.values(), ids=TAILS.keys())


@each_tail
def test_rarity_equals_naive(tail):
    scores = np.sort(np.append(np.linspace(-2, 50, 99), tail.scores))
    before = scores.copy()
    expected = [naive.rarity(score, tail) for score in scores]
    assert_allclose(tail.rarity(scores), expected, rtol=1e-10, atol=1e-12)
    assert_array_equal(scores, before)


@each_tail
@pytest.mark.parametrize("rarity", [0.3, 0.5, 0.9, 1.5, 2.5, 6.0])
def test_a_rarity_has_its_score(tail, rarity):
    score = tail.score(rarity)
    assert type(score) is float
    if tail.scale > 1e-12:  # or it is lost in rounding
        beyond = tail.rarity(np.array([np.nextafter(score, np.inf)]))[0]
        below = tail.rarity(np.array([np.nextafter(score, -np.inf)]))[0]
        assert below - 1e-5 <= rarity <= beyond + 1e-5


@each_tail
def test_it_never_stops_rising(tail):
    scores = tail.scores[-1] + np.logspace(-3, 12, 200)
    assert (np.diff(tail.rarity(scores)) > 0).all()
    assert np.isfinite(tail.rarity(np.array([1e15, 1e30]))).all()


def test_what_is_unknown_stays_unknown():
    tail = TAILS["heavy"]
    assert_array_equal(np.isnan(tail.rarity(np.array([1.0, np.nan, 9.0]))), [0, 1, 0])


# ---------------------------------------------------------------- fitting


@quick
@given(scores=many_scores, start=st.floats(0, 1e3), gap=gaps)
def test_peaks_equal_naive(scores, start, gap):
    found = _tails._peaks(scores, start, gap)
    assert_array_equal(found, naive.peaks(scores, start, gap))


def test_peaks_by_hand():
    scores = np.array([0, 3, 0, 5, 0, 0, 0, 4, 9.0])
    assert_array_equal(_tails._peaks(scores, 1.0, 0), [2, 4, 3, 8])
    assert_array_equal(_tails._peaks(scores, 1.0, 1), [2, 4, 8])
    assert_array_equal(_tails._peaks(scores, 1.0, 2), [4, 8])
    assert_array_equal(_tails._peaks(scores, 1.0, 4), [8])
    assert_array_equal(_tails._peaks(scores, 9.0, 1), [])


@quick
@given(
    excesses=arrays(
        np.float64, st.integers(0, 60), elements=st.just(0.0) | st.floats(1e-6, 1e4)
    ),
    n_wrong=st.integers(0, 5),
)
@example(excesses=np.array([0.0, 1.0]), n_wrong=0)  # too few to tell the shape
@example(excesses=np.array([1.0, 1e4]), n_wrong=5)  # and to tell which is wrong
def test_pareto_equals_naive(excesses, n_wrong):
    found = _tails._fit_pareto(excesses, n_wrong)
    expected = naive.fit_pareto(
        excesses.tolist(), n_wrong, _tails._LEAST_LIKELY, SHAPES
    )
    assert_allclose(found, expected, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("shape", [0.0, 0.2, 0.4])
def test_the_distribution_of_many_peaks_is_found(shape):
    uniform = np.random.RandomState(0).uniform(size=50_000)
    excesses = 3 * (uniform**-shape - 1) / shape if shape else -3 * np.log(uniform)
    scale, found, n_peaks = _tails._fit_pareto(excesses, 0)
    assert scale == pytest.approx(3, rel=0.03)
    assert found == pytest.approx(shape, abs=0.02)
    assert n_peaks == 50_000


def test_too_few_peaks_tell_no_shape():
    for excesses in ([], [1.0], [1.0, 1e6]):
        scale, shape, n_peaks = _tails._fit_pareto(np.array(excesses), 0)
        assert scale == (np.mean(excesses) if excesses else 0)
        assert (shape, n_peaks) == (_tails._LEAST_SHAPE, len(excesses))


def test_a_bounded_tail_is_taken_for_an_exponential_one():
    excesses = np.random.RandomState(0).uniform(size=100_000)
    assert 0 <= _tails._fit_pareto(excesses, 0)[1] < 0.01


def test_wrong_peaks_are_left_out_but_no_more_than_that():
    excesses = np.random.RandomState(0).standard_exponential(300)
    right = _tails._fit_pareto(excesses, 0)
    wrong = np.append(excesses, [1e4, 1e6])
    assert _tails._fit_pareto(wrong, 2) == right
    assert _tails._fit_pareto(wrong, 9) == right
    assert _tails._fit_pareto(wrong, 1)[2] == 301
    assert _tails._fit_pareto(wrong, 0)[0] > 10 * right[0]


@pytest.mark.parametrize("wrong", [[1e5], [1e3, 1e5]])
def test_a_few_wrong_rows_do_not_hide_what_is_rare(wrong):
    scores = draw("exponential", 5000)
    expected = fit_tail(scores, 0).rarity(np.array([20.0]))
    scores[: len(wrong)] = wrong
    assert_allclose(fit_tail(scores, 0).rarity(np.array([20.0])), expected, rtol=0.1)
    # Many are no mistake.
    scores[::50] = 1e5
    assert fit_tail(scores, 0).rarity(np.array([20.0]))[0] < 2.5


@pytest.mark.parametrize("gap", [0, 5])
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_fitted_tail_equals_naive(distribution, gap):
    n = 3000
    scores = draw(distribution, n)
    tail = fit_tail(scores, gap)
    # Counted: the share of scores as high or higher.
    ascending = np.sort(scores)
    for rarity, score in zip(tail.rarities, tail.scores, strict=True):
        at = (1 - 10**-rarity) * (n - 1)
        low = min(math.floor(at), n - 2)
        expected = ascending[low] + (at - low) * (ascending[low + 1] - ascending[low])
        assert score == pytest.approx(expected, rel=1e-9)
    assert (tail.rarities[0], np.ptp(np.diff(tail.rarities))) == (
        0, pytest.approx(0, abs=1e-12),
    )  # fmt: skip
    peaks = naive.peaks(scores, tail.scores[-1], gap)
    n_wrong = int(_tails._WRONG_SHARE * n)
    expected = naive.fit_pareto(peaks, n_wrong, _tails._LEAST_LIKELY, SHAPES)
    assert_allclose(tail[2:], expected, rtol=1e-9)


def test_of_few_scores_a_larger_share_is_the_tail():
    def share(n):
        return 10 ** -fit_tail(draw("normal", n), 0).rarities[-1]

    shares = [share(n) for n in (20, 100, 1000, 10_000, 20_000)]
    assert shares[0] == pytest.approx(_tails._LARGEST_TAIL_SHARE)
    assert shares[0] >= shares[1] > shares[2] >= shares[3]
    assert shares[-1] == shares[-2] == pytest.approx(_tails._TAIL_SHARE)
    assert 1000 * shares[2] >= _tails._TAIL_ROWS * 0.999


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_so_many_normal_rows_are_as_rare(distribution):
    tail = fit_tail(draw(distribution, 20_000), 0)
    rarity = tail.rarity(draw(distribution, 1_000_000, seed=1))
    for decades in (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5):
        share = (rarity >= decades).mean() * 10**decades
        assert share < (1.15 if decades < 2.5 else 1.8), decades
        # Beyond what was seen it is cautious, and knows nothing of an end.
        if decades < 2:
            assert share > 0.85, decades
        elif distribution != "bounded":
            assert share > 0.2, decades


def test_rows_in_a_row_are_one_witness():
    """The same peaks, each lasting for ten rows, say no more of the tail."""
    scores = draw("exponential", 20_000)
    alone = fit_tail(scores, 0)
    together, apart = (fit_tail(np.repeat(scores, 10), gap) for gap in (1, 0))
    assert 0.9 * alone.n_peaks < together.n_peaks <= alone.n_peaks
    assert apart.n_peaks == pytest.approx(10 * alone.n_peaks, rel=0.02)


@quick
@given(scores=many_scores, gap=gaps)
def test_it_never_fails(scores, gap):
    tail = fit_tail(scores, gap)
    assert np.isfinite(tail.scores).all() and (np.diff(tail.scores) >= 0).all()
    assert tail.scale > 0
    assert _tails._LEAST_SHAPE <= tail.shape <= _tails._LARGEST_SHAPE
    rarity = tail.rarity(np.linspace(-1, 1e4, 50))
    assert np.isfinite(rarity).all()
    assert (np.diff(rarity) >= 0).all()
    assert np.isfinite(tail.score(3.0))


@pytest.mark.parametrize("value", [0.0, 5.0, 1e9])
def test_scores_that_are_all_the_same(value):
    tail = fit_tail(np.full(500, value), 3)
    assert tail.n_peaks == 0
    usual, news, more = tail.rarity(np.array([value, 1.001 * value + 0.001, 1e12]))
    assert usual <= 2
    assert 5 < news < more


@pytest.mark.parametrize("unit", [1e-12, 1e12])
def test_the_unit_does_not_count(unit):
    scores = draw("lognormal", 5000)
    tail, other = fit_tail(scores, 4), fit_tail(scores * unit, 4)
    new = draw("lognormal", 1000, seed=1)
    assert_allclose(other.rarity(new * unit), tail.rarity(new), rtol=1e-6, atol=1e-9)
    assert other.score(3.0) == pytest.approx(tail.score(3.0) * unit)
