"""When a channel has moved on for good."""

import naive_scores as naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skmemto import _levels
from skmemto._levels import LevelFollower, Levels, MovedChannel, starting_levels

quick = settings(deadline=None, derandomize=True, max_examples=100)
SERIES = np.array([[0, 120], [120, 123], [123, 300]])
NORMAL = Levels(
    20, np.log([0.5, 0.6, 0.7]), np.log([0.8, 0.9, 1.0]), np.array([10.0, 15.0, 1e9])
)


def make_ratios():
    rng = np.random.default_rng(0)
    ratios = rng.exponential(size=(300, 3))
    ratios[60:, 1] *= 30  # has moved on in the first series, and stays so
    ratios[200:240, 2] *= 30  # comes back
    ratios[150:, 0] *= 10
    ratios[rng.random(ratios.shape) < 0.1] = np.nan
    ratios[80:90] = np.nan
    return ratios


def naive_before(ratios, series=SERIES, normal=NORMAL):
    before = np.full(ratios.shape, np.nan)
    for start, stop in series:
        for channel in range(ratios.shape[1]):
            capped = np.minimum(ratios[start:stop, channel], normal.most[channel])
            logs = np.log(capped + _levels._FLOOR)
            before[start:stop, channel] = naive.levels(
                logs, normal.usual[channel], normal.span
            )
    return before


def in_parts(method, ratios, cuts):
    """Call with some rows after the others; what is returned, joined."""
    rows = np.arange(len(ratios))
    parts = zip(np.split(ratios, cuts), np.split(rows, cuts), strict=True)
    returned = [method(*part) for part in parts if len(part[1])]
    return returned if returned[0] is None else np.concatenate(returned)


cuts = st.lists(st.integers(0, 300), max_size=8).map(sorted)


@quick
@given(cuts=cuts)
def test_levels_equal_naive_however_cut(cuts):
    ratios = make_ratios()
    before = in_parts(LevelFollower(NORMAL, SERIES).before, ratios, cuts)
    assert_allclose(before, naive_before(ratios), rtol=1e-9, atol=1e-12)


@quick
@given(cuts=cuts)
def test_rebased_ratios_and_moved_channels_equal_naive_however_cut(cuts):
    ratios = make_ratios()
    follower, rebased = LevelFollower(NORMAL, SERIES), ratios.copy()
    in_parts(follower.rebase, rebased, cuts)
    factors = np.exp(naive_before(ratios) - NORMAL.highest)
    capped = np.minimum(ratios, NORMAL.most)
    divided = capped / factors**_levels._POWER
    assert_allclose(rebased, np.where(factors > 1, divided, ratios), rtol=1e-9)
    assert ((factors > 1) & (ratios > NORMAL.most)).sum() > 100
    expected = list(naive.moved(factors, SERIES, NORMAL.span, _levels._REPORTED))
    assert [m[:2] for m in follower.moved] == [m[:2] for m in expected]
    assert {m.channel for m in follower.moved} == {0, 1}
    for found, (_, _, factor) in zip(follower.moved, expected, strict=True):
        assert found.factor == pytest.approx(factor)


def follow(ratios, span=20, series=None, most=1e9):
    """Rebase the ratios of one channel that is usually 1; also what has moved."""
    normal = Levels(span, np.array([0.0]), np.array([np.log(1.5)]), np.array([most]))
    series = np.array([[0, len(ratios)]]) if series is None else series
    follower = LevelFollower(normal, series)
    rebased = np.array(ratios, dtype=float)[:, np.newaxis]
    follower.rebase(rebased, np.arange(len(ratios)))
    return rebased[:, 0], follower.moved


def test_what_never_moves_is_left_alone():
    ratios = np.random.default_rng(0).uniform(0, 2, 500)
    rebased, moved = follow(ratios)
    assert_array_equal(rebased, ratios)
    assert moved == []


def test_what_begins_as_an_alarm_ends():
    ratios = np.ones(300)
    ratios[100:] = 9.0
    rebased, moved = follow(ratios)
    assert_array_equal(rebased[:101], ratios[:101])  # the first row counts in full
    assert (np.diff(rebased[100:]) <= 0).all()
    assert rebased[-1] == pytest.approx(9 / (9.05 / 1.5) ** 1.5, rel=1e-3)
    ((channel, row, factor),) = moved
    assert (channel, factor) == (0, pytest.approx(9.05 / 1.5, rel=1e-3))
    assert 100 < row < 100 + 2 * 20
    # It is watched on from there.
    ratios[250] = 90.0
    assert follow(ratios)[0][250] > 6


def test_the_longer_the_span_the_longer_the_alarm():
    ratios = np.ones(1000)
    ratios[100:] = 9.0
    lengths = [(follow(ratios, span)[0] > 3).sum() for span in (5, 20, 80)]
    assert lengths[0] > 0
    assert lengths[1] == pytest.approx(4 * lengths[0], rel=0.3)
    assert lengths[2] == pytest.approx(4 * lengths[1], rel=0.1)


def test_a_change_beyond_all_measure_ends_as_others_do():
    ratios = np.ones(300)
    ratios[100:] = 1e12
    rebased, _ = follow(ratios, most=200.0)
    assert rebased[100] == 1e12
    assert rebased[200:].max() < 2
    # Nor does it hide for long what comes after it.
    ratios[120:] = 1.0
    ratios[140] = 30.0
    assert follow(ratios, most=200.0)[0][140] > 20
    assert follow(ratios)[0][140] < 5


def test_one_huge_row_moves_no_channel():
    ratios = np.ones(200)
    ratios[100] = 1e6
    rebased, moved = follow(ratios, most=200.0)
    assert (rebased == ratios).sum() > 150
    assert (rebased[101:] > 0.2).all()
    assert moved == []


def test_who_has_come_back_or_just_left_is_not_reported():
    ratios = np.ones(300)
    ratios[100:200] = 20.0
    assert follow(ratios)[1] == []
    ratios[:] = 1.0
    ratios[285:] = 20.0
    assert follow(ratios)[1] == []  # for less than the span
    ratios[240:] = 20.0
    assert len(follow(ratios)[1]) == 1


def test_of_several_absences_the_last_counts():
    ratios = np.ones(500)
    ratios[100:200] = ratios[350:] = 20.0
    ((_, row, _),) = follow(ratios)[1]
    assert 350 < row < 390


def test_each_series_starts_anew_and_is_reported():
    ratios = np.full(200, 9.0)
    series = np.array([[0, 100], [100, 103], [103, 200]])
    rebased, moved = follow(ratios, series=series)
    assert_array_equal(rebased[[0, 100, 103]], 9.0)
    assert_array_equal(rebased[:97], rebased[103:])
    (first, second) = moved
    assert isinstance(first, MovedChannel)
    assert (first.channel, second.channel) == (0, 0)
    assert second.row == first.row + 103
    assert second.factor == pytest.approx(first.factor, rel=1e-3)


def test_a_gap_brings_a_channel_back():
    ratios = np.full(400, 9.0)
    ratios[150:250] = np.nan
    rebased, _ = follow(ratios)
    assert_array_equal(np.isnan(rebased), np.isnan(ratios))
    assert rebased[149] < 2
    assert rebased[250] > 8


def test_levels_start_from_mean_logarithms():
    ratios = np.array([[1.0, np.nan, 0.0], [3.0, np.nan, np.nan], [2.0, np.nan, 4.0]])
    floor = _levels._FLOOR
    expected = [
        np.log([1 + floor, 3 + floor, 2 + floor]).mean(),
        0.0,
        np.log([floor, 4 + floor]).mean(),
    ]
    largest = np.array([1.0, np.nan, 7.0])
    levels = starting_levels(ratios, largest, 9)
    assert_allclose(levels.usual, expected)
    assert_allclose(levels.most, _levels._MOST * largest)
    assert levels.span == 9 and (levels.highest == -np.inf).all()


def test_channels_never_seen_stay_unknown():
    normal = Levels(5, np.zeros(2), np.zeros(2), np.array([20.0, np.nan]))
    follower = LevelFollower(normal, np.array([[0, 50]]))
    ratios = np.column_stack([np.ones(50), np.full(50, np.nan)])
    follower.rebase(ratios, np.arange(50))
    assert np.isnan(ratios[:, 1]).all()
    assert_allclose(ratios[:, 0], 1, atol=0.1)
    assert follower.moved == []
