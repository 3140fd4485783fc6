"""Power means of rows -> how rare the rows are, and what that is learned from."""

import naive_scores as naive
import numpy as np
import pytest
from conftest import RARITY_LIMITS
from numpy.testing import assert_allclose, assert_array_equal
from scipy.signal import lfilter

from skmemto import _history
from skmemto._rarity import Rarity, Reduced, fit_rarity, limited, wider_span
from skmemto._tails import Tail, fit_tail

SERIES = np.array([[0, 150], [150, 160], [160, 404]])
LEVELS = np.linspace(0, 2, 9)
BY_HAND = Rarity(
    span=7,
    typical=1.0,
    typical_latent=-2.0,
    alone=Tail(LEVELS, np.linspace(0, 4, 9) ** 1.5, 0.8, 0.3, 9),
    near=Tail(LEVELS, np.linspace(0.5, 1.6, 9), 0.1, 0.0, 9),
    wide=Tail(LEVELS, np.linspace(0.8, 1.3, 9), 0.05, 0.1, 9),
    wide_latent=Tail(LEVELS, np.linspace(-2.2, -1.6, 9), 0.1, 0.2, 9),
)


def independent(n, seed=0):
    """Rows of which nothing follows for the next ones, as skewed as real ones are."""
    values = np.random.RandomState(seed).gamma(4, 0.25, size=(n, 3))
    latent = np.random.RandomState(seed + 1000).gamma(2, size=n)
    return Reduced(values.max(axis=1), latent, values.mean(axis=1))


def connected(n, seed=0):
    """Rows that go up and down slowly."""
    noise = np.random.RandomState(seed).standard_normal((n + 100, 3))
    slow = lfilter([0.3], [1.0, -0.95], noise, axis=0)[100:]
    worst, mean, latent = np.exp(0.4 * slow).T
    return Reduced(np.maximum(worst, mean), latent - 3, mean)


def with_gaps(reduced, *rows):
    holed = copied(reduced)
    for values in holed:
        values[list(rows)] = np.nan
    return holed


def copied(reduced):
    return Reduced(*(values.copy() for values in reduced))


def of_series(rarity, reduced):
    """Scores of one series; what they are made of is kept."""
    return rarity.of_series(copied(reduced))


def steady(n, value=1.0):
    """Rows of which every one is the same, and typical."""
    return Reduced(np.full(n, value), np.full(n, -2.0), np.full(n, value))


# ---------------------------------------------------------------- scoring


@pytest.mark.parametrize("blocks_of", [10**6, 23])
@pytest.mark.parametrize(("span", "lookahead"), [(1, None), (7, None), (7, 0), (7, 4)])
def test_rarities_equal_naive(monkeypatch, span, lookahead, blocks_of):
    monkeypatch.setattr("skmemto._blockwise._VALUES_PER_BLOCK", blocks_of)
    reduced = with_gaps(connected(160), 0, 60, 61, 62, 159)
    reduced.worst[30] = 40.0
    reduced.mean[100:140] *= 3
    rarity = BY_HAND._replace(span=span, lookahead=lookahead)
    width = {"wider_span": 1 if span == 1 else 20 * span}
    expected = naive.rarity_of_rows(*reduced, rarity, **width, **RARITY_LIMITS)
    if span == 1:  # nothing is known of a row by its neighbours
        expected[np.isnan(reduced.mean)] = np.nan
    assert_allclose(of_series(rarity, reduced), expected, rtol=1e-8)


def test_nothing_is_smoothed_nor_surrounded_with_span_1():
    assert (wider_span(1), wider_span(2), wider_span(20)) == (1, 40, 400)


def test_a_row_without_a_value_is_as_rare_as_what_is_around():
    calm = steady(99)
    wild = calm._replace(mean=np.full(99, 5.0))
    of_calm, of_wild = (
        of_series(BY_HAND, with_gaps(rows, 50))[50] for rows in (calm, wild)
    )
    assert of_calm < 1 < of_wild
    whole, holed = (of_series(BY_HAND, r) for r in (calm, with_gaps(calm, 50)))
    assert_allclose(np.delete(holed, 50), np.delete(whole, 50))


@pytest.mark.parametrize("scope", ["worst", "mean"])
def test_scores_never_stop_rising(scope):
    """However large a deviation is, a larger one is rarer still."""
    sizes = np.logspace(1.2, 9, 30)
    peaks = []
    for size in sizes:
        reduced = steady(99)
        getattr(reduced, scope)[50] = size
        peaks.append(of_series(BY_HAND, reduced)[50])
    assert (np.diff(peaks) > 0).all()
    assert np.isfinite(peaks).all()


def test_a_spike_is_a_spike():
    """One row by itself stands out alone, where the neighbours are as they are."""
    reduced = steady(99)
    reduced.worst[50] = 1000.0
    rarity = of_series(BY_HAND, reduced)
    assert 2.5 < rarity[50] < 3
    assert (np.delete(rarity, 50) < 1.5).all()


def test_a_row_by_itself_has_to_be_rarer_by_a_decade():
    """As rare by itself as the others are with their neighbours: that does not count"""
    never = Tail(LEVELS, np.full(9, 1e9), 1.0, 0.0, 9)
    rarity = BY_HAND._replace(near=never, wide=never, wide_latent=never)
    worst = np.array([rarity.alone.score(r) for r in (2.5, 3.49, 3.51, 100)])
    by_itself = rarity.alone.rarity(worst)
    scores = of_series(rarity, Reduced(worst.copy(), *np.ones((2, 4))))
    assert_array_equal(scores > 2.5, by_itself > 3.5)
    assert (np.diff(scores) > 0).all()
    assert_allclose(scores[0], 1.5)
    assert scores[-1] < 3, "it does not outrank what is odd for a while"


def test_what_is_limited_goes_on_to_rise_but_never_by_the_room_there_is():
    rarities = np.array([-1.0, 0.0, 2.5, 2.6, 27.5, 1e3, 1e6, np.inf])
    found = limited(rarities, 2.5)
    assert_array_equal(found[:3], rarities[:3])
    assert (np.diff(found) > 0).all()
    assert_allclose(found[[4, -1]], [2.75, 3.0])
    assert np.isnan(limited(np.array([np.nan]), 2.5))


def test_the_wider_surroundings_alone_raise_no_alarm():
    never = Tail(LEVELS, np.full(9, 1e9), 1.0, 0.0, 9)
    rarity = BY_HAND._replace(span=2, near=never, alone=never)
    means, latent = np.linspace(1, 20, 400), np.linspace(-2, 90, 400)
    scores = of_series(rarity, Reduced(np.ones(400), latent, means))
    assert (np.diff(scores[:-70]) > 0).all(), "it still tells rows apart"
    assert 1.5 < scores.max() < 2.0 < rarity.wide.rarity(means).max()


@pytest.mark.parametrize("share", [0.3, 0.05, 0.001])
def test_limits_are_by_what_is_an_alarm(share):
    """Whatever share of the training rows is: surroundings are none, nor near it."""
    rows = independent(3000)
    rarity = fit_rarity(
        copied(rows),
        np.array([[0, 3000]]),
        5,
        threshold_of=lambda rarities: np.quantile(rarities, 1 - share),
    )
    assert_allclose(
        (of_series(rarity, rows) > rarity.alarming).mean(), share, atol=1e-3
    )
    new = rows._replace(latent=rows.latent + 1000)
    new.mean[1000:1010] = 100.0
    alarms = np.flatnonzero(of_series(rarity, new) > rarity.alarming)
    usual = np.flatnonzero(of_series(rarity, rows) > rarity.alarming)
    assert set(range(1000, 1010)) < set(alarms)
    assert all(990 < row < 1020 or row in usual for row in alarms)
    never = Tail(LEVELS, np.full(9, 1e9), 1.0, 0.0, 9)
    further = of_series(rarity._replace(alone=never, near=never), new)
    assert further.max() < max(rarity.alarming - 0.5, 0.1)


@pytest.mark.parametrize("odd", ["mean", "latent"])
def test_surroundings_count_by_both_deviations(odd):
    """By the mean of what they say, or the latent one: by no more than the limit."""
    never = Tail(LEVELS, np.full(9, 1e9), 1.0, 0.0, 9)
    rarity, reduced = BY_HAND._replace(span=2, near=never, alone=never), steady(500)
    getattr(reduced, odd)[:] = 1.2 if odd == "mean" else -1.3
    of_mean = rarity.wide.rarity(reduced.mean[250:251])
    of_latent = rarity.wide_latent.rarity(reduced.latent[250:251])
    assert (of_latent > 3) == (odd == "latent")
    of_latent = limited(of_latent, 1.5)
    expected = np.maximum((of_mean + of_latent) / 2, of_latent)
    assert_allclose(of_series(rarity, reduced)[250], expected, rtol=1e-3)


# ---------------------------------------------------------------- learning


def learned(reduced, span=20, series=None):
    series = np.array([[0, len(reduced.mean)]]) if series is None else series
    return fit_rarity(copied(reduced), series, span)


def test_what_is_learned_equals_naive():
    reduced = with_gaps(connected(404), 3, 155, 156, 403)
    known = ~np.isnan(reduced.mean)
    typical = naive.mean(naive.known(reduced.mean))
    scopes = {"alone": (0, reduced.worst[known])}
    for scope, span in (("near", 7), ("wide", 140)):
        parts = [reduced.mean[slice(*bounds)] for bounds in SERIES]
        smoothed = [naive.smooth(part, span, typical) for part in parts]
        # New rows deviate more than those that were learned, and averages show it.
        more = _history.overfitting(len(known))
        scopes[scope] = span, more * np.concatenate(smoothed)[known]
    rarity = learned(reduced, span=7, series=SERIES)
    assert rarity.span == 7
    assert_allclose(rarity.typical, typical)
    for scope, (gap, scores) in scopes.items():
        # What was seen, stretched to what may come.
        factor = naive.range_factor(
            scores, _history._N_PARTS, _history._FEWEST, _history._OUTSIDE
        )
        expected = fit_tail(scores.mean() + factor * (scores - scores.mean()), gap)
        tail = getattr(rarity, scope)
        for got, wanted in zip(tail, expected, strict=True):
            assert_allclose(got, wanted, rtol=1e-9, err_msg=scope)


def test_with_span_1_a_row_is_known_by_itself():
    rarity = learned(independent(2000), span=1)
    assert_array_equal(rarity.near.scores, rarity.wide.scores)
    new = independent(50, seed=1)
    new.mean[20] = 100.0
    scores = of_series(rarity, new)
    assert scores.argmax() == 20
    new.mean[20] = 1.0
    assert_array_equal(np.delete(of_series(rarity, new), 20), np.delete(scores, 20))


@pytest.mark.parametrize("span", [1, 5, 20])
@pytest.mark.parametrize("make", [independent, connected])
def test_a_score_says_how_rare_a_normal_row_is(make, span):
    """Of rows held back, a share of about 10 ** -s scores above s."""
    rarity = learned(make(20_000), span)
    scores = of_series(rarity, make(100_000, seed=1))
    for s in (1.0, 2.0, 2.5, 3.0):
        # It is the largest of three, and never says less than it should by much.
        assert 0.2 * 10**-s < (scores > s).mean() < 2.5 * 10**-s


@pytest.mark.parametrize("n_rows", [200, 1000])
def test_few_rows_make_it_cautious(n_rows):
    new = independent(5000, seed=99)
    alarms = [
        of_series(learned(independent(n_rows, seed)), new) > 2.5 for seed in range(10)
    ]
    assert np.mean(alarms) < 10**-2.5


@pytest.mark.parametrize("span", [1, 20])
def test_a_few_bad_training_rows_are_no_measure(span):
    clean = independent(3000)
    spoilt = copied(clean)
    bad = [500, 1300, 1301, 2700]
    spoilt.worst[bad], spoilt.mean[bad] = 20.0, 6.0
    new = independent(3000, seed=1)
    new.worst[1000:1010], new.mean[1000:1010] = 20.0, 6.0
    before, after = (of_series(learned(r, span), new) for r in (clean, spoilt))
    assert min(before[1005], after[1005]) > 3.5
    assert np.delete(after, slice(980, 1030)).max() < 2.5 + 1.5


def test_where_nothing_ever_deviated_anything_is_news():
    rarity = learned(steady(500, value=0.0))
    assert rarity.span == 1
    new = steady(100, value=0.0)
    usual = of_series(rarity, new)
    assert usual.max() < 1.5
    new.worst[40] = new.mean[40] = 1e-3
    scores = of_series(rarity, new)
    assert scores[40] > 100
    assert_array_equal(np.delete(scores, 40), np.delete(usual, 40))


def test_a_series_ends_where_it_ends():
    """What is at the end of one says nothing of the beginning of the next."""
    high = Reduced(*np.full((3, 200), 3.0))
    both = Reduced(*map(np.concatenate, zip(independent(200), high, strict=True)))
    apart, together = (
        learned(both, span=20, series=np.array(series))
        for series in ([[0, 200], [200, 400]], [[0, 400]])
    )
    assert apart.typical == together.typical
    assert apart.near.scores[-1] < together.near.scores[-1]
