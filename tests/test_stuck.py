"""Sensors that are stuck."""

import naive_scores as naive
import numpy as np
import pytest
from conftest import make_waves
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_array_equal

from skmemto import _stuck
from skmemto._stuck import Motion, StuckFollower, StuckState, measure_motion

quick = settings(deadline=None, derandomize=True, max_examples=200)
N = 400
WHOLE = np.array([[0, N]])
LONG = 5 * _stuck._LEAST_REPEATS


def measured(X, series=WHOLE, window_size=10):
    return measure_motion(X, series, window_size)


@pytest.fixture
def motion(waves):
    return measured(waves)


def frozen(X, start, n_rows, channel=0):
    """Let a channel stay at its value of row `start` for the rows after it."""
    X = X.copy()
    X[start + 1 : start + n_rows + 1, channel] = X[start, channel]
    return X


@quick
@given(x=arrays(np.float64, st.integers(1, 60), elements=st.sampled_from([0, 1, 2.0])))
def test_runs_equal_naive(x):
    starts, stops = _stuck._runs(x)
    assert list(zip(starts.tolist(), stops.tolist(), strict=True)) == naive.repeats(x)


@quick
@given(
    lengths=st.lists(st.sampled_from([1, 1, 1, 1, 2, 3, 6, 9]), max_size=60),
    reach=st.integers(1, 40),
    lookahead=st.none() | st.integers(0, 5),
)
def test_stuck_rows_equal_naive(lengths, reach, lookahead):
    x = np.repeat(np.arange(len(lengths), dtype=float), lengths)
    constants = _stuck._LEAST_REPEATS, _stuck._REPEATING_SHARE
    if len(x):
        expected = naive.stuck_rows(x, reach, *constants, lookahead)
        assert _stuck._stuck_rows(x, reach, lookahead).tolist() == expected


@quick
@given(
    lengths=st.lists(st.sampled_from([1, 1, 1, 1, 2, 3, 6, 9]), max_size=60),
    reach=st.integers(1, 40),
    cuts=st.lists(st.integers(0, 60), max_size=5).map(sorted),
)
def test_a_follower_finds_what_is_stuck_as_rows_come(lengths, reach, cuts):
    x = np.repeat(np.arange(len(lengths), dtype=float), lengths)
    motion = Motion(np.array([False, True]), 100, reach, lookahead=0)
    follower = StuckFollower(motion)
    X = np.column_stack([np.zeros(len(x)), x])
    # Beside a series that has begun before, and moves.
    other, n_other = np.arange(2 * len(x), dtype=float).reshape(-1, 2) + 0.5, 7
    state = StuckState(*map(np.concatenate, zip(*[follower.start()] * 2, strict=True)))
    found, n_before = [], 0
    for part in np.split(np.stack([X, other]), cuts, axis=1):
        of_part, state = follower.next(part, state, np.array([n_before, n_other]))
        found.append(of_part)
        n_before, n_other = n_before + part.shape[1], n_other + part.shape[1]
    expected = np.zeros(X.shape, dtype=bool)
    if len(x):
        expected[_stuck._stuck_rows(x, reach, 0), 1] = True
    assert_array_equal(np.concatenate(found, axis=1)[0], expected)
    assert not np.concatenate(found, axis=1)[1].any()


def test_what_a_follower_remembers_is_not_changed(waves):
    X = frozen(make_waves(N, seed=1), 200, LONG)[np.newaxis]
    follower = StuckFollower(measured(waves))
    _, state = follower.next(X[:, :205], follower.start(), np.zeros(1, dtype=int))
    for _ in range(2):
        stuck, _ = follower.next(X[:, 205:], state, np.array([205]))
        assert_array_equal(stuck[0, :, 0], np.arange(205, N) < 201 + LONG)


@pytest.mark.parametrize("lookahead", [0, 2, 9])
def test_what_comes_later_does_not_tell_who_is_stuck(waves, lookahead):
    motion = measure_motion(waves, WHOLE, 10, lookahead)
    X = frozen(make_waves(N, seed=1), 200, LONG)
    (whole,) = motion.stuck(X, WHOLE).values()
    known_late = max(0, _stuck._LEAST_REPEATS - 1 - lookahead)
    assert_array_equal(whole, np.arange(201 + known_late, 201 + LONG))
    for n in range(198, 215):
        found = motion.stuck(X[:n], np.array([[0, n]])).get(0, np.empty(0))
        final = n - lookahead
        assert_array_equal(found[found < final], whole[whole < final])


def test_a_channel_that_always_moves_is_stuck_where_it_repeats(waves, motion):
    assert motion.always.all()
    new = frozen(make_waves(N, seed=1), 200, LONG, channel=1)
    stuck = motion.stuck(new, WHOLE)
    assert list(stuck) == [1]
    assert_array_equal(stuck[1], np.arange(201, 201 + LONG))
    assert motion.stuck(make_waves(N, seed=1), WHOLE) == {}


def test_a_few_repeats_happen(motion):
    X = make_waves(N, seed=1)
    assert motion.stuck(frozen(X, 200, _stuck._LEAST_REPEATS - 1), WHOLE) == {}
    assert list(motion.stuck(frozen(X, 200, _stuck._LEAST_REPEATS), WHOLE)) == [0]


def test_to_the_end_of_a_series_and_no_further(motion):
    X = np.vstack([make_waves(200, seed=1), make_waves(200, seed=2)])
    X[195:205, 0] = X[194, 0]
    found = motion.stuck(X, np.array([[0, 200], [200, 400]]))
    assert_array_equal(found[0], np.arange(195, 200))
    # At the start of a series nothing tells that it has ever moved.
    X[200:230, 0] = 1.0
    assert_array_equal(
        motion.stuck(X, np.array([[0, 200], [200, 400]]))[0], np.arange(195, 200)
    )


@pytest.mark.parametrize("step", [0.5, 20.0])
def test_a_coarse_channel_is_never_stuck(waves, step):
    coarse = waves.copy()
    coarse[:, 1] = np.round(coarse[:, 1] / step) * step
    motion = measured(coarse)
    if step == 20:
        assert_array_equal(motion.always, [True, False, True])
        assert motion.stuck(frozen(coarse, 200, LONG, channel=1), WHOLE) == {}
    assert list(motion.stuck(frozen(coarse, 200, LONG, channel=2), WHOLE)) == [2]


def test_one_long_repeat_in_training_is_enough_to_be_coarse(waves):
    for n_repeats in range(1, _stuck._MOST_REPEATS + 3):
        motion = measured(frozen(waves, 100, n_repeats))
        assert motion.always[0] == (n_repeats <= _stuck._MOST_REPEATS)
        assert motion.always[1:].all()


def test_a_constant_channel_is_not_stuck(waves):
    X = np.column_stack([waves, np.full(N, 3.0)])
    assert_array_equal(measured(X).always, [True, True, True, False])


def test_recorded_in_coarser_steps_from_the_start_it_is_not_stuck(motion):
    new = np.round(make_waves(N, seed=1) / [1.0, 50, 0.01])
    assert motion.stuck(new, WHOLE) == {}
    # Nor where the steps get coarse and stay so: at first only.
    later = np.vstack([make_waves(200, seed=1), new[200:]])
    stuck = motion.stuck(later, WHOLE)
    assert all(rows.max() < 200 + 2 * motion.reach for rows in stuck.values())


def test_stuck_again_after_a_while(motion):
    X = frozen(frozen(make_waves(N, seed=1), 100, LONG), 300, LONG)
    expected = np.r_[101 : 101 + LONG, 301 : 301 + LONG]
    assert_array_equal(motion.stuck(X, WHOLE)[0], expected)


def test_missing_values_repeat_nothing(motion):
    X = make_waves(N, seed=1)
    X[200:260, 0] = np.nan
    assert motion.stuck(X, WHOLE) == {}
    X[230:250, 0] = 4.0
    assert_array_equal(motion.stuck(X, WHOLE)[0], np.arange(231, 250))


def test_training_series_are_looked_at_one_by_one():
    X = np.arange(400.0)[:, np.newaxis]
    X[198:203] = 7.0
    assert not measured(X)[0].any()
    series = np.array([[0, 200], [200, 400]])
    assert measured(X, series)[0].all()


def test_how_far_back_it_looks():
    X = make_waves(N)
    assert measured(X, window_size=100).reach > measured(X, window_size=50).reach >= 50
    assert measured(X, window_size=1).reach >= _stuck._LEAST_REPEATS


def test_rarities_rise_to_that_of_what_was_never_seen(waves, motion):
    X = frozen(make_waves(N, seed=1), 200, LONG)
    rarities = np.zeros(N)
    rarities[203], rarities[204] = 9.0, np.nan
    motion.score_stuck(X, WHOLE, rarities)
    expected = np.zeros(N)
    expected[201 : 201 + LONG] = np.log10(N)
    expected[203] = 9.0
    assert_array_equal(rarities, expected)
    Motion(np.zeros(3, dtype=bool), N, 20).score_stuck(X, WHOLE, rarities)
    assert_array_equal(rarities, expected)
