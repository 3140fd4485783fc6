"""Series as their rows come: equal to all of them at once, however they are cut."""

from dataclasses import replace

import numpy as np
from conftest import make_calibrated
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skmemto._criteria import Calibration, InputDeviation, LatentDeviation
from skmemto._deviations import RowDeviations
from skmemto._levels import LevelFollower, Levels
from skmemto._running import Running, RunningScores, Scored
from skmemto._scoring import score_rows
from skmemto._stuck import Motion

N, F = 120, 3
quick = settings(deadline=None, derandomize=True, max_examples=60)
cuts = st.lists(st.integers(1, N - 31), max_size=8, unique=True).map(sorted)
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


def run(scores, cuts):
    """Two series side by side; the second, of the same rows, is 30 rows ahead."""
    X, (_, squares, latent) = make_rows(), make_deviations()
    running = Running.joined([scores.start(), begun(scores, 30)])
    parts = []
    for part in np.split(np.arange(N - 30), cuts):
        rows = np.stack([part, 30 + part])
        found, running = scores.next(running, X[rows], squares[rows], latent[rows])
        parts.append(found)
    return Scored(*(np.concatenate(of, axis=1) for of in zip(*parts, strict=True)))


def begun(scores, n_rows):
    X, (_, squares, latent) = make_rows(), make_deviations()
    rows = np.arange(n_rows)[np.newaxis]
    return scores.next(scores.start(), X[rows], squares[rows], latent[rows])[1]


def assert_equals_whole(found, criterion, following, motion):
    one = np.array([[0, N]])
    for name, of_all in (("scores", criterion), ("rebased", following)):
        expected, unknown = score_rows([make_deviations()], one, of_all)
        if motion is not None:
            motion.score_stuck(make_rows(), one, expected)
        for i, rows in enumerate((slice(0, N - 30), slice(30, N))):
            assert_array_equal(getattr(found, name)[i], expected[rows])
            assert_array_equal(found.unknown[i], unknown[rows])


@quick
@given(cuts=cuts)
def test_calibrated(cuts):
    criterion = looking_back(edge=3.0)
    # At its end a series is not known to end.
    context = criterion.context._replace(last=np.ones((0, F)))
    criterion = replace(criterion, context=context)
    following = replace(criterion, follower=LevelFollower(LEVELS, np.array([[0, N]])))
    found = run(RunningScores(criterion, LEVELS, MOTION, F), cuts)
    assert_equals_whole(found, criterion, following, MOTION)
    assert (found.rebased[0, 45:70] < found.scores[0, 45:70]).any()
    expected_stuck = np.zeros((N, F), dtype=bool)
    for channel, rows in MOTION.stuck(make_rows(), np.array([[0, N]])).items():
        expected_stuck[rows, channel] = True
    assert_array_equal(found.stuck[0], expected_stuck[: N - 30])
    assert_array_equal(found.stuck[1], expected_stuck[30:])
    assert found.stuck.any()


@quick
@given(cuts=cuts, span=st.sampled_from([1, 7]))
def test_single_deviations(cuts, span):
    for criterion in (InputDeviation(span, 0), LatentDeviation(span, 0)):
        found = run(RunningScores(criterion, None, None, F), cuts)
        assert_equals_whole(found, criterion, criterion, None)
        assert not found.stuck.any()


def test_without_levels_nothing_is_rebased():
    found = run(RunningScores(looking_back(), None, MOTION, F), [])
    assert_array_equal(found.scores, found.rebased)


def test_what_is_remembered_is_not_changed():
    scores = RunningScores(looking_back(), LEVELS, MOTION, F)
    X, (_, squares, latent) = make_rows(), make_deviations()
    running, rows = begun(scores, 50), np.arange(50, N)[np.newaxis]
    once, twice = (
        scores.next(running, X[rows], squares[rows], latent[rows])[0] for _ in range(2)
    )
    for found, expected in zip(once, twice, strict=True):
        assert_array_equal(found, expected)


def test_series_taken_apart_have_memory_of_their_own():
    scores = RunningScores(looking_back(), LEVELS, MOTION, F)
    series = [begun(scores, n) for n in (5, 50, 80)]
    apart = Running.joined(series).each()
    for one, expected in zip(apart, series, strict=True):
        for found, of_expected in zip(
            [*one[:-1], *one.stuck], [*expected[:-1], *expected.stuck], strict=True
        ):
            assert found.base is None
            assert_array_equal(found, of_expected)


def test_channels_that_have_moved_on_are_known():
    scores = RunningScores(looking_back(), LEVELS, None, F)
    X, squares = np.zeros((1, N, F)), np.ones((1, N, F))
    squares[0, 40:, 1] = 30
    running, moved = scores.start(), []
    for row in range(N):
        one = slice(row, row + 1)
        _, running = scores.next(running, X[:, one], squares[:, one], np.ones((1, 1)))
        moved.append(running.moved(LEVELS.span))
    ((channel, since, factor),) = moved[-1]
    assert channel == 1 and 40 < since < 60 and factor > 2
    assert [len(m) for m in moved] == [0] * (since + 20) + [1] * (N - since - 20)
