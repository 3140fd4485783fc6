"""A threshold that follows slow drift."""

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from skmemto._following import USUAL, follow, risen

SPAN, THRESHOLD = 20, 2.5


def one(rarities, counts=None, mean=USUAL):
    rarities = np.asarray(rarities, dtype=float)[np.newaxis]
    counts = np.ones(rarities.shape, dtype=bool) if counts is None else counts[None]
    rise, mean = follow(rarities, counts, np.array([mean]), THRESHOLD, SPAN)
    return rise[0], mean[0]


def test_usual_is_the_mean_of_normal_rarities():
    share_that_exceed = np.random.default_rng(0).uniform(size=100_000)
    assert_allclose(-np.log10(share_that_exceed).mean(), USUAL, rtol=0.02)


def test_normal_rows_leave_the_threshold_where_it_was():
    rarities = -np.log10(np.random.default_rng(0).uniform(size=5000))
    # A short span: the mean of a few rows is never that of long data.
    rise, _ = follow(
        rarities[np.newaxis], np.ones((1, 5000), bool), np.array([USUAL]), 2.5, 1500
    )
    assert_array_equal(rise, 0)


def test_it_rises_by_half_of_what_lasts_and_comes_back():
    rise, mean = one([2.0] * 200)
    assert rise[0] == 0
    assert (np.diff(rise) >= 0).all()
    assert_allclose(rise[-1], 0.5 * (2.0 - 1.0), rtol=1e-6)
    rise, _ = one([0.4] * 200, mean=mean)
    assert rise[-1] == 0


def test_flagged_rows_and_those_that_do_not_count_teach_nothing():
    rise, mean = one([4.0] * 200)
    assert_array_equal(rise, 0)
    assert mean == USUAL
    _, mean = one([2.0] * 200, counts=np.zeros(200, dtype=bool))
    assert mean == USUAL


def test_the_rise_is_bounded():
    assert_array_equal(risen(np.array([0.0, 1.0, 2.0, 50.0])), [0, 0, 0.5, 1])


def test_streams_do_not_know_of_each_other_and_cuts_do_not_matter():
    rng = np.random.default_rng(0)
    rarities = rng.uniform(0, 3, size=(3, 50))
    counts = rng.uniform(size=(3, 50)) < 0.9
    start = np.array([USUAL, 1.0, 2.0])
    rise, mean = follow(rarities, counts, start, THRESHOLD, SPAN)
    for i in range(3):
        alone, after = one(rarities[i], counts[i], start[i])
        assert_array_equal(alone, rise[i])
        assert after == mean[i]
    first, between = follow(rarities[:, :7], counts[:, :7], start, THRESHOLD, SPAN)
    then, end = follow(rarities[:, 7:], counts[:, 7:], between, THRESHOLD, SPAN)
    assert_array_equal(np.hstack([first, then]), rise)
    assert_array_equal(end, mean)
