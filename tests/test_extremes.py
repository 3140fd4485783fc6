"""Values that are huge, far from zero or always the same, all along the path."""

import numpy as np
import pytest
from conftest import make_waves
from numpy.testing import assert_allclose, assert_array_equal

from skmemto.exceptions import AbsurdValueWarning


def test_one_loud_row_is_flagged(make_detector):
    X = make_waves(n_samples=1000)
    detector = make_detector(max_iter=3).fit(X)
    loud = make_waves(n_samples=1000, seed=1)
    loud[500, 1] += 50 * X[:, 1].std()
    assert detector.predict(loud)[500] == -1
    louder = loud.copy()
    louder[500, 1] += 1000 * X[:, 1].std()
    decisions = [detector.decision_function(x)[500] for x in (loud, louder)]
    assert decisions[1] < decisions[0] < 0


def test_one_extreme_value_does_not_spoil_its_neighbours(make_detector, waves):
    detector = make_detector(max_iter=3, smoothing=1).fit(waves)
    X = make_waves(seed=1)
    expected = detector.score_samples(X)
    X[200, 1] = 1e6
    spoilt = detector.score_samples(X)
    assert abs(np.argmin(spoilt) - 200) <= 1
    # The embedding looks one step to both sides. The other rows of the two windows
    # that hold the value keep scores of the usual size.
    others = np.delete(spoilt, np.arange(198, 203))
    assert others.min() > 3 * expected.min()


def test_beyond_what_a_network_sees_nothing_changes(make_detector, waves):
    detector = make_detector().fit(waves)
    X = [waves.copy() for _ in range(3)]
    for x, amount in zip(X, (1e3, 1e6, 1e9), strict=True):
        x[200, 1] += amount * waves[:, 1].std()
    first, *others = (detector.reconstruct(x) for x in X)
    for other in others:
        assert_array_equal(other, first)
    assert not np.array_equal(first, detector.reconstruct(waves))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_huge_values_give_finite_scores(make_detector, waves, dtype):
    waves = waves.astype(dtype)
    detector = make_detector().fit(waves)
    X = waves.copy()
    X[200, 1] = 1e20
    for name in ("score_samples", "reconstruct"):
        assert np.isfinite(getattr(detector, name)(X)).all()
    assert 180 <= np.argmin(detector.score_samples(X)) <= 220
    with pytest.warns(
        AbsurdValueWarning, match=r"channel 1 has 1, the first is 1e\+20"
    ):
        trained_on = make_detector().fit(X)
    scores = trained_on.score_samples(X)
    assert np.isfinite(scores).all()
    assert 180 <= np.argmin(scores) <= 220


def test_values_too_large_to_standardize(make_detector, waves):
    X = waves.copy()
    X[::2, 1] = 1e200
    with pytest.raises(ValueError, match="feature 1 overflows"):
        make_detector().fit(X)
    detector = make_detector().fit(waves)
    assert np.isfinite(detector.score_samples(X)).all()


def test_large_offset_does_not_cost_precision(make_detector, waves):
    scores = make_detector().fit(waves).score_samples(waves)
    shifted = make_detector().fit(waves + 1e6).score_samples(waves + 1e6)
    assert_allclose(shifted, scores, rtol=3e-2)


def test_constant_channels_work(make_detector, waves):
    X = np.column_stack([waves, np.zeros(400), np.full(400, 3.0)])
    detector = make_detector(max_iter=5).fit(X)
    assert np.isfinite(detector.score_samples(X)).all()
    new = make_waves(seed=1)
    new = np.column_stack([new, np.zeros(400), np.full(400, 3.0)])
    new[100:110, 3] = 1.0  # it had never moved
    assert 95 <= np.argmin(detector.score_samples(new)) <= 115
    constant = make_detector().fit(np.ones((50, 2)))
    assert np.isfinite(constant.score_samples(np.ones((50, 2)))).all()


@pytest.mark.parametrize("value", [0.0, 1e-6, 0.1, 1e6 + 0.1])
def test_channel_that_never_moved_is_expected_to_stay(make_detector, waves, value):
    X = np.column_stack([waves, np.full(400, value)])
    detector = make_detector().fit(X)
    assert_allclose(detector.reconstruct(X)[:, 3], value, rtol=1e-12)
    new = np.column_stack([make_waves(seed=1), np.full(400, value)])
    assert (detector.deviations(new).input[:, 3] < 1e-12).all()
    new[200:203, 3] += value or 1.0
    scores = detector.score_samples(new)
    assert 199 <= np.argmin(scores) <= 203
    parts = detector.deviations(new, calibrated=True).input
    assert np.argmax(parts[201]) == 3
    assert (detector.predict(new)[200:203] == -1).all()
    rounded = detector.predict(X.astype(np.float32).astype(float))
    assert_array_equal(rounded[1:-1], detector.predict(X)[1:-1])
