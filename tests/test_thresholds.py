"""Scores -> threshold."""

import numpy as np
import pytest

from skmemto._thresholds import peaks_over_threshold, threshold


@pytest.mark.parametrize("contamination", [0.01, 0.1, 0.5])
def test_contamination_is_the_share_flagged(contamination):
    scores = np.random.RandomState(0).standard_normal(1000)
    share = (scores > threshold(scores, contamination)).mean()
    assert share == pytest.approx(contamination, abs=1e-3)


@pytest.mark.parametrize("distribution", ["exponential", "normal", "standard_t"])
def test_peaks_over_threshold_extrapolates(distribution):
    # The true quantile comes from a sample 50 times as large.
    rng = np.random.RandomState(0)
    draw = {
        "exponential": rng.standard_exponential,
        "normal": rng.standard_normal,
        "standard_t": lambda n: rng.standard_t(4, n),
    }[distribution]
    new = draw(1_000_000)
    false_alarms = (new > peaks_over_threshold(draw(20_000), risk=1e-3)).mean()
    assert 0.7e-3 < false_alarms < 1.4e-3


def test_peaks_over_threshold_does_not_depend_on_the_unit():
    scores = np.random.RandomState(0).standard_exponential(10_000)
    reference = peaks_over_threshold(scores, risk=1e-3)
    for unit in (1e-12, 1e12):
        assert peaks_over_threshold(scores * unit, risk=1e-3) == pytest.approx(
            reference * unit, rel=1e-3
        )


HARD = {
    "too few": np.arange(300.0),
    "constant": np.zeros(10_000),
    "two values": np.repeat([0.0, 1.0], [9_000, 1_000]),
    "one huge": np.append(np.random.RandomState(0).rand(10_000), 1e300),
    "two far clusters": np.append(np.random.RandomState(0).rand(9_800), [1e9] * 200),
}


@pytest.mark.parametrize("scores", HARD.values(), ids=HARD.keys())
def test_never_fails(scores):
    result = threshold(scores, "auto")
    assert isinstance(result, float)
    assert np.isfinite(result)
    assert (scores > result).mean() <= 0.02


def test_short_histories_fall_back_to_the_quantile():
    scores = np.random.RandomState(0).rand(300)
    assert threshold(scores, "auto") == np.quantile(scores, 0.999)
    assert (scores > threshold(scores, "auto")).sum() == 1
