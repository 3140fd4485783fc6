"""Scores -> threshold."""

import numpy as np
import pytest

from skmemto._tails import fit_tail
from skmemto._thresholds import (
    ALARMING_RARITY,
    enough_for_an_alarm,
    rarest_as_alarm,
    rarity_threshold,
    threshold,
)


@pytest.mark.parametrize("contamination", [0.01, 0.1, 0.5])
def test_contamination_is_the_share_flagged(contamination):
    scores = np.random.RandomState(0).standard_normal(1000)
    share = (scores > threshold(scores, contamination)).mean()
    assert share == pytest.approx(contamination, abs=1e-3)


@pytest.mark.parametrize("distribution", ["exponential", "normal", "standard_t"])
def test_auto_extrapolates(distribution):
    # The true quantile comes from a sample 50 times as large.
    rng = np.random.RandomState(0)
    draw = {
        "exponential": rng.standard_exponential,
        "normal": rng.standard_normal,
        "standard_t": lambda n: rng.standard_t(4, n),
    }[distribution]
    new = draw(1_000_000)
    false_alarms = (new > threshold(draw(20_000), "auto")).mean()
    assert 0.7e-3 < false_alarms < 1.4e-3


def test_auto_does_not_depend_on_the_unit():
    scores = np.random.RandomState(0).standard_exponential(10_000)
    reference = threshold(scores, "auto")
    for unit in (1e-12, 1e12):
        assert threshold(scores * unit, "auto") == pytest.approx(
            reference * unit, rel=1e-3
        )


def test_auto_counts_runs_of_rows_as_one():
    scores = np.repeat(np.random.RandomState(0).standard_exponential(500), 20)
    lasting, apart = threshold(scores, "auto", gap=20), threshold(scores, "auto")
    assert lasting == fit_tail(scores, 20).score(3.0)
    assert apart == fit_tail(scores, 0).score(3.0)
    assert fit_tail(scores, 20).n_peaks < fit_tail(scores, 0).n_peaks / 10


HARD = {
    "few": np.arange(300.0),
    "one": np.array([3.0]),
    "constant": np.zeros(10_000),
    "two values": np.repeat([0.0, 1.0], [9_000, 1_000]),
    "one huge": np.append(np.random.RandomState(0).rand(10_000), 1e300),
    "two far clusters": np.append(np.random.RandomState(0).rand(9_800), [1e9] * 200),
}


@pytest.mark.parametrize("gap", [0, 20])
@pytest.mark.parametrize("scores", HARD.values(), ids=HARD.keys())
def test_never_fails(scores, gap):
    result = threshold(scores, "auto", gap)
    assert isinstance(result, float)
    assert np.isfinite(result)
    assert (scores > result).mean() <= 0.02


def test_short_histories_hit_the_risk_by_and_large():
    draw = np.random.RandomState(0).standard_exponential
    of_few = [threshold(draw(300), "auto") for _ in range(50)]
    new = draw(100_000)
    false_alarms = [(new > found).mean() for found in of_few]
    assert 0.5e-3 < np.median(false_alarms) < 1.5e-3
    assert max(false_alarms) < 0.01
    assert max(of_few) < 5 * -np.log(1e-3)  # not without end


def test_an_alarm_is_rarer_than_a_row_in_a_hundred():
    assert 2 < ALARMING_RARITY < 4


def test_an_alarm_is_expected_among_so_many_rows_as_it_is_rare():
    assert not enough_for_an_alarm(2)
    assert not enough_for_an_alarm(int(10**ALARMING_RARITY))
    assert enough_for_an_alarm(int(10**ALARMING_RARITY) + 1)
    assert enough_for_an_alarm(10**6)


@pytest.mark.parametrize("n_rows", [2, 50, 300])
def test_the_rarest_of_few_rows_is_an_alarm_and_no_other(n_rows):
    rarities = np.random.RandomState(0).standard_exponential(n_rows) / np.log(10)
    found = rarest_as_alarm(rarities)
    assert (rarities > found).sum() == 1
    # Midway, so that rounding decides nothing.
    below, highest = np.sort(rarities)[-2:]
    assert found == pytest.approx((below + highest) / 2)


def test_rows_that_are_equally_rare_are_alarms_together():
    assert rarest_as_alarm(np.array([0.5, 2.0, 0.1, 2.0])) == pytest.approx(1.25)


def test_an_alarm_need_not_be_rarer_than_with_many_rows():
    assert rarest_as_alarm(np.array([0.1, 3.0, 9.0])) == ALARMING_RARITY


@pytest.mark.parametrize("rarities", [[0.7], [0.7, 0.7], [9.0] * 300])
def test_where_all_rows_are_alike_none_is_an_alarm_by_its_rank(rarities):
    assert rarest_as_alarm(np.array(rarities)) == ALARMING_RARITY


def test_what_is_an_alarm_by_contamination():
    few, many = np.linspace(0, 2, 200), np.linspace(0, 3, 2000)
    assert rarity_threshold(many, "auto", 2000) == ALARMING_RARITY
    assert rarity_threshold(few, "auto", 200) == rarest_as_alarm(few)
    assert rarity_threshold(few, "auto", 400) == ALARMING_RARITY  # half have no value
    assert rarity_threshold(many, 0.1, 2000) == pytest.approx(2.7)
