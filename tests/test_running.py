"""One series as its rows come: equal to all of it at once, however it is cut."""

from copy import copy
from dataclasses import replace

import numpy as np
import pytest
from conftest import make_calibrated
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skmemto._criteria import Calibration, InputDeviation, LatentDeviation
from skmemto._deviations import RowDeviations
from skmemto._levels import LevelFollower, Levels
from skmemto._running import ENDLESS, RunningMean, RunningRarity, RunningSeries
from skmemto._scoring import score_rows
from skmemto._stuck import Motion

N, F = 120, 3
quick = settings(deadline=None, derandomize=True, max_examples=60)
cuts = st.lists(st.integers(0, N), max_size=8).map(sorted)
CALIBRATION = Calibration(np.ones(F), np.full(F, 5.0))
LEVELS = Levels(20, np.zeros(F), np.full(F, 0.5), np.full(F, 50.0))
MOTION = Motion(np.array([True, False, True]), 1000, 20, lookahead=0)


def looking_back(edge=1.0):
    criterion = make_calibrated(CALIBRATION, 7, edge)
    return replace(criterion, rarity=criterion.rarity._replace(lookahead=0))


def make_deviations():
    rng = np.random.default_rng(0)
    squares = rng.exponential(size=(N, F))
    squares[40:70, 0] *= 30
    squares[rng.random(squares.shape) < 0.1] = np.nan
    squares[[0, 50, 51]] = np.nan
    latent = np.where(np.isnan(squares).all(axis=1), np.nan, squares[:, 1] + 1)
    return RowDeviations(np.arange(N), squares, np.nan_to_num(latent))


def make_rows():
    X = np.random.default_rng(1).normal(size=(N, F))
    X[30:40] = X[30]
    X[45:48] = X[45]  # too soon after it
    X[90:99] = X[90]
    return X


def run(series, cuts):
    X, deviations = make_rows(), make_deviations()
    parts = []
    for part in np.split(np.arange(N), cuts):
        if len(part):
            of_part = RowDeviations(
                np.arange(len(part)), deviations.input[part], deviations.latent[part]
            )
            parts.append(series.next(X[part], of_part))
    return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]


@quick
@given(cuts=cuts)
def test_calibrated(cuts):
    criterion, one = looking_back(edge=3.0), np.array([[0, N]])
    # At its end a series is not known to end.
    context = criterion.context._replace(last=np.ones((0, F)))
    criterion = replace(criterion, context=context)
    following = [
        replace(criterion, follower=LevelFollower(LEVELS, bounds))
        for bounds in (one, ENDLESS)
    ]
    series = RunningSeries(criterion, following[1], MOTION, F, 9)
    scores, rebased, unknown, stuck = run(series, cuts)
    for found, of_all in ((scores, criterion), (rebased, following[0])):
        expected, of_unknown = score_rows([make_deviations()], one, of_all)
        MOTION.score_stuck(make_rows(), one, expected)
        assert_array_equal(found, expected)
        assert_array_equal(unknown, of_unknown)
    assert (rebased[45:70] < scores[45:70]).any()
    expected_stuck = np.zeros((N, F), dtype=bool)
    for channel, rows in MOTION.stuck(make_rows(), one).items():
        expected_stuck[rows, channel] = True
    assert_array_equal(stuck, expected_stuck)
    assert stuck.any()


@quick
@given(cuts=cuts, span=st.sampled_from([1, 7]))
def test_single_deviations(cuts, span):
    one = np.array([[0, N]])
    for criterion in (InputDeviation(span, 0), LatentDeviation(span, 0)):
        series = RunningSeries(criterion, criterion, None, F, 9)
        scores, rebased, unknown, stuck = run(series, cuts)
        expected, of_unknown = score_rows([make_deviations()], one, criterion)
        assert_array_equal(scores, expected)
        assert_array_equal(rebased, expected)
        assert_array_equal(unknown, of_unknown)
        assert not stuck.any()


@pytest.mark.parametrize("window_size", [1, 2, 9, 500])
def test_what_is_kept_of_the_rows_is_a_window(window_size):
    X = make_rows()
    criterion = looking_back()
    series = RunningSeries(criterion, criterion, MOTION, F, window_size)
    for row in range(N):
        part = RowDeviations(np.zeros(1, dtype=np.int64), np.ones((1, F)), np.ones(1))
        series.next(X[row : row + 1], part)
        kept = X[max(0, row + 2 - window_size) : row + 1]
        assert_array_equal(series.recent, kept)
        assert series.recent.base is None
        assert series.n_rows == row + 1


def test_a_copy_goes_on_by_itself():
    following = replace(looking_back(), follower=LevelFollower(LEVELS, ENDLESS))
    series = RunningSeries(looking_back(), following, MOTION, F, 9)
    deviations, X = make_deviations(), make_rows()

    def go_on(series, start, stop):
        rows = np.arange(start, stop)
        part = RowDeviations(
            rows - start, deviations.input[rows], deviations.latent[rows]
        )
        return series.next(X[rows], part)

    go_on(series, 0, 50)
    other = series.copy()
    go_on(other, 80, 120)
    go_on(other, 0, 30)
    by_itself, of_old = go_on(series, 50, 120), run_again(go_on)
    for found, expected in zip(by_itself, of_old, strict=True):
        assert_array_equal(found, expected)


def run_again(go_on):
    following = replace(looking_back(), follower=LevelFollower(LEVELS, ENDLESS))
    series = RunningSeries(looking_back(), following, MOTION, F, 9)
    go_on(series, 0, 50)
    return go_on(series, 50, 120)


@pytest.mark.parametrize(
    "running", [RunningRarity(looking_back().rarity), RunningMean(5)]
)
def test_a_copy_of_a_score_goes_on_by_itself(running):
    numbers = [np.arange(1.0, 6)] * (2 if isinstance(running, RunningRarity) else 1)
    running.next(*numbers)
    once, twice = copy(running), copy(running)
    expected = once.next(*numbers)
    twice.next(*(100 * n for n in numbers))
    assert_array_equal(running.next(*numbers), expected)
