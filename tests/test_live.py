"""Scores that do not change as rows come: `lookahead`, all along the path."""

import numpy as np
import pytest
from conftest import make_waves
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

N = 300
LOOKAHEADS = pytest.mark.parametrize("lookahead", [0, 1, 7])


def new_rows():
    X = make_waves(N, seed=1)
    X[100:130, 0] += 10 * X[:, 0].std()
    X[200, 1] = X[210:214] = np.nan
    X[240:260, 2] = X[239, 2]  # stuck
    return X


@pytest.fixture
def fitted(make_detector, waves):
    def fit(lookahead, **parameters):
        return make_detector(lookahead=lookahead, **parameters).fit(waves)

    return fit


@LOOKAHEADS
def test_a_beginning_has_the_scores_of_the_whole(fitted, lookahead):
    detector, X = fitted(lookahead), new_rows()
    ways = [detector.score_samples, detector.decision_function, detector.predict]
    for way in ways:
        whole = way(X)
        for n in (1, 5, 17, 115, 212, 245, 299):
            n_final = max(0, n - lookahead)
            assert_array_equal(way(X[:n])[:n_final], whole[:n_final])


@LOOKAHEADS
def test_what_comes_later_does_not_count(fitted, lookahead):
    detector, X = fitted(lookahead), new_rows()
    before = detector.score_samples(X)
    deviations = detector.deviations(X)
    X[150:] = 1e6
    final = slice(150 - lookahead)
    assert_array_equal(detector.score_samples(X)[final], before[final])
    for values, of_before in zip(detector.deviations(X), deviations, strict=True):
        assert_array_equal(values[final], of_before[final])


@pytest.mark.parametrize("criterion", ["isd", "lsd"])
@pytest.mark.parametrize("smoothing", [1, 5])
def test_other_criteria(fitted, criterion, smoothing):
    detector = fitted(3, criterion=criterion, smoothing=smoothing)
    X = new_rows()
    whole = detector.score_samples(X)
    assert_array_equal(detector.score_samples(X[:140])[:137], whole[:137])
    if smoothing == 1:
        squares, latent = detector.deviations(X)
        known = ~np.isnan(latent)
        expected = np.nanmean(squares[known], axis=1)
        expected = expected if criterion == "isd" else latent[known]
        assert_allclose(whole[known], -expected)


@LOOKAHEADS
def test_series_do_not_know_of_each_other(fitted, lookahead):
    detector, X = fitted(lookahead), new_rows()
    together = detector.score_samples(X, groups=np.repeat([0, 1, 2], [110, 3, 187]))
    apart = [detector.score_samples(part) for part in np.split(X, [110, 113])]
    assert_array_equal(together, np.concatenate(apart))


def test_alarms(fitted):
    detector, X = fitted(0, max_iter=3), new_rows()
    flags = detector.predict(X) == -1
    assert flags[100:130].mean() > 0.8
    assert flags[210:214].all()  # without a value
    assert not flags[:100].any()  # not at the beginning either
    assert flags[243:260].all() and not flags[215:243].any()  # known to be stuck
    starts = [event.start for event in detector.events(X)]
    assert 100 in starts
    assert set(np.flatnonzero(flags)) <= {
        row for event in detector.events(X) for row in range(event.start, event.stop)
    }
    stuck = next(event for event in detector.events(X) if event.stop == 260)
    assert stuck.channels[0] == 2


def test_the_more_rows_may_count_the_nearer_to_all_of_them(fitted):
    X = make_waves(N, seed=1)
    squares = [
        np.nanmean(fitted(lookahead).deviations(X).input[20:-20])
        for lookahead in (0, 8, "auto")
    ]
    # The last step of a window is reconstructed worst.
    assert squares[0] > squares[1]
    assert squares[1] == pytest.approx(squares[2], rel=0.3)


def test_calibrated_deviations_sum_to_the_score(fitted):
    detector, X = fitted(2), new_rows()
    parts = detector.deviations(X, calibrated=True).input
    known = ~np.isnan(X).all(axis=1)
    scores = detector.score_samples(X)
    assert_allclose(parts.sum(axis=1)[known], -scores[known], rtol=1e-10)
    assert parts[110].argmax() == 0


def test_softmax_looks_at_whole_windows(make_detector, waves):
    detector = make_detector(lookahead=0, criterion="softmax")
    name = type(detector).__name__
    message = f"'lookahead' parameter of {name} must be 'auto' with criterion='softmax'"
    with pytest.raises(ValueError, match=message):
        detector.fit(waves)
    clone(detector).set_params(lookahead="auto").fit(waves)


def test_numbers_beyond_all_rows_are_as_good_as_all(fitted, make_detector, waves):
    X = new_rows()
    far, huge = (fitted(n).score_samples(X) for n in (len(X) + 500, 10**30))
    assert_allclose(far, huge, rtol=1e-3)
    make_detector(stride=10**30).fit(waves)
