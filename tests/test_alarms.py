"""What is flagged, and what is not: thresholds that hold, alarms where things are."""

import re
import warnings
from copy import copy

import naive_scores as naive
import numpy as np
import pandas as pd
import pytest
from conftest import DETECTORS, QUICK, RARITY_LIMITS, make_waves, punch_holes
from numpy.testing import assert_allclose, assert_array_equal

from skmemto import MEMTODetector, _criteria
from skmemto._rarity import ALARMING_RARITY, wider_span
from skmemto.exceptions import (
    AbsurdValueWarning,
    DataDriftWarning,
    ShortHistoryWarning,
)

SETTINGS = {**QUICK, "window_size": 32, "max_iter": 2, "random_state": 0}
N_TRAIN, N_NEW = 1500, 2000


def plant(first, n_rows, seed):
    """Three sines, so slow that a piece shorter than a window shows a part of one."""
    steps = np.arange(first, first + n_rows)[:, np.newaxis]
    noise = np.random.RandomState(seed).standard_normal((n_rows, 3))
    return np.sin(2 * np.pi * steps / np.array([40, 53, 66])) + 0.1 * noise


TRAIN, NEW = plant(0, N_TRAIN, 0), plant(N_TRAIN, N_NEW, 9)


@pytest.fixture(scope="module", params=DETECTORS, ids=lambda cls: cls.__name__)
def detector(request):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ShortHistoryWarning)
        return request.param(**SETTINGS).fit(TRAIN)


def flagged(detector, X, **kwargs):
    return detector.predict(X, **kwargs) == -1


def changed(rows, channel, value):
    X = NEW.copy()
    X[rows, channel] += value
    return X


# ---------------------------------------------------------------- the threshold


def test_an_alarm_is_a_rarity_whatever_was_learned(detector):
    assert detector.offset_ == -ALARMING_RARITY


def test_steady_rows_raise_hardly_an_alarm(detector):
    assert flagged(detector, TRAIN).mean() < 0.005
    assert flagged(detector, NEW).mean() < 0.005


def test_a_score_says_how_rare_normal_rows_are(detector):
    rarities = -detector.score_samples(plant(N_TRAIN, 10_000, 3))
    for s in (0.5, 1.0, 1.5, 2.0):
        assert (rarities > s).mean() < 1.5 * 10**-s
    assert (rarities > 0.5).mean() > 0.1


@pytest.mark.parametrize("length", [1, 5, 20, 40])
def test_pieces_of_any_length_raise_no_more(detector, length):
    in_groups = flagged(detector, NEW[:1000], groups=np.arange(1000) // length)
    assert in_groups.mean() < 0.02
    pieces = [flagged(detector, NEW[i : i + length]).mean() for i in range(0, 900, 300)]
    assert np.mean(pieces) < 0.02


def test_the_edges_of_a_series_raise_no_more(detector):
    edges = []
    for seed in range(20):
        alarms = flagged(detector, plant(17 * seed, 60, seed))
        edges += [alarms[:5], alarms[-5:]]
    assert np.mean(edges) < 0.02


def test_float32_raises_the_same_alarms(detector):
    X = changed(slice(500, 600), 0, 1.0)
    X[1200, 1] += 5
    in_half = type(detector)(**SETTINGS).fit(TRAIN.astype(np.float32))
    ours, theirs = flagged(detector, X), flagged(in_half, X.astype(np.float32))
    assert ours.sum() > 30
    assert (ours == theirs).mean() > 0.99


def test_scores_equal_naive(detector):
    """From the deviations on, which `deviations` gives."""
    X = np.vstack([punch_holes(NEW[:120], 0.1), NEW[:20], NEW[:1], NEW[:60]])
    X[70], X[100, 1] = np.nan, 1e5
    X[130:135, 0] += 2
    groups = np.repeat([0, 1, 2, 3], [120, 20, 1, 60])
    series = np.array([[0, 120], [120, 140], [140, 141], [141, 201]])
    criterion = detector.normal_.criterion
    scale, limit = detector.error_scale_ * detector.range_factor_, detector.error_limit_
    worst, mean = [], []
    deviations = detector.deviations(X, groups=groups)
    latent = deviations.latent
    for row, values in enumerate(deviations.input):
        values = values / naive.context_factor(row, series, criterion.context)
        worst.append(naive.worst(values, scale, limit, _criteria._SHARE_BEYOND_ALONE))
        mean.append(naive.power_mean(values, scale, limit, _criteria._SHARE_BEYOND))
    rarities = [
        naive.rarity_of_rows(
            worst[start:stop],
            latent[start:stop],
            mean[start:stop],
            criterion.rarity,
            wider_span=wider_span(criterion.rarity.span),
            **RARITY_LIMITS,
        )
        for start, stop in series
    ]
    rarities = np.concatenate(rarities)
    rarities[70] = max(rarities[70], ALARMING_RARITY)  # it has no value
    assert_allclose(-detector.score_samples(X, groups=groups), rarities, rtol=1e-6)


@pytest.mark.filterwarnings("ignore::skmemto.exceptions.ShortHistoryWarning")
@pytest.mark.parametrize("n_missing", [0, 120])
def test_a_row_by_itself_may_reach_the_threshold_whatever_is_missing(n_missing):
    """400 rows, or 280 with values: by either number the limit is the threshold."""
    X = make_waves(400)
    X[100 : 100 + n_missing] = np.nan
    found = MEMTODetector(**QUICK, random_state=0).fit(X)
    assert found.normal_.criterion.rarity.alarming == -found.offset_ == ALARMING_RARITY


# ---------------------------------------------------------------- where it is


@pytest.mark.parametrize("size", [5, 100])
def test_a_spike_of_one_row_is_flagged_by_itself(detector, size):
    spike = changed(1000, 0, size)
    alarms = flagged(detector, spike)
    assert alarms[1000]
    assert alarms[960:1040].sum() <= 25
    assert_array_equal(alarms[:900], flagged(detector, NEW)[:900])
    assert np.argmin(detector.score_samples(spike)) == 1000


def test_a_shift_is_flagged_where_it_is(detector):
    alarms = flagged(detector, changed(slice(1000, 1200), 0, 2.0))
    assert alarms[1000:1200].mean() > 0.9
    assert alarms[:975].mean() < 0.005
    assert alarms[1225:].mean() < 0.005


def test_a_frozen_sensor_is_found(detector):
    X = NEW.copy()
    X[1001:1060, 1] = X[1000, 1]
    alarms = flagged(detector, X)
    assert alarms[1001:1060].all()
    assert np.delete(alarms, np.arange(975, 1085)).mean() < 0.005
    scores = detector.score_samples(X)
    assert scores[1001:1060].max() <= -np.log10(N_TRAIN)


def test_of_other_criteria_a_frozen_sensor_is_no_matter(detector):
    other = copy(detector).set_params(criterion="isd").calibrate(TRAIN)
    X = NEW.copy()
    X[1001:1060, 1] = X[1000, 1]
    expected = other.deviations(X).input.mean(axis=1)
    assert_allclose(-other.score_samples(X), expected, rtol=1e-10)


# ---------------------------------------------------------------- bad training rows


@pytest.mark.parametrize("value", [20.0, -200.0, 1e6])
@pytest.mark.parametrize("cls", DETECTORS, ids=lambda cls: cls.__name__)
def test_a_bad_training_row_blinds_nobody(cls, value):
    train = pd.DataFrame(TRAIN.copy(), columns=["flow", "heat", "load"])
    train.loc[500, "flow"] = value
    message = re.escape(f"channel 'flow' has 1, the first is {value:g} in row 500")
    with pytest.warns(AbsurdValueWarning, match=message):
        detector = cls(**SETTINGS).fit(train)
    new = pd.DataFrame(changed(slice(1000, 1050), 0, 5.0), columns=train.columns)
    alarms = flagged(detector, new)
    assert alarms[1000:1050].mean() > 0.8
    assert np.delete(alarms, np.arange(1000, 1050)).mean() < 0.02
    # It is an anomaly all the same.
    assert flagged(detector, train)[500]
    assert detector.scaler_.scale_[0] == pytest.approx(TRAIN[:, 0].std(), rel=0.01)


def test_many_bad_training_rows_of_one_code_are_no_matter_either():
    train = TRAIN.copy()
    train[np.arange(50, 1500, 100), 0] = -200.0
    with pytest.warns(AbsurdValueWarning, match="channel 0 has 15, the first is -200"):
        detector = DETECTORS[0](**SETTINGS).fit(train)
    alarms = flagged(detector, changed(slice(1000, 1050), 0, 5.0))
    assert alarms[1000:1050].mean() > 0.8
    assert np.delete(alarms, np.arange(1000, 1050)).mean() < 0.02


# ---------------------------------------------------------------- constant channels


@pytest.mark.parametrize("value", [np.nextafter(5.0, 6), 5.0 * (1 + 1e-8)])
def test_a_rounding_difference_is_nothing(make_detector, value):
    constant = np.full((600, 1), 5.0)
    detector = make_detector().fit(constant)
    expected = detector.score_samples(constant)
    constant[300] = value
    assert not flagged(detector, constant).any()
    assert_array_equal(detector.score_samples(constant), expected)


@pytest.mark.parametrize("value", [5.001, 5.5, -1e6])
def test_a_change_of_what_never_moved_is_one_event_of_one_row(make_detector, value):
    constant = np.full((600, 2), 5.0)
    detector = make_detector().fit(constant)
    constant[300, 1] = value
    assert_array_equal(np.flatnonzero(flagged(detector, constant)), [300])
    (event,) = detector.events(constant)
    assert (event.start, event.stop, event.channels) == (300, 301, (1,))


# ---------------------------------------------------------------- moving on


@pytest.fixture(scope="module")
def moved():
    X = plant(N_TRAIN, 3000, 9)
    X[1000:, 1] += 2
    return X


def test_without_rebasing_alarms_last_as_long_as_the_change(detector, moved):
    lasting = copy(detector).set_params(rebase=None).calibrate(TRAIN)
    decision = lasting.decision_function(moved)
    expected = lasting.score_samples(moved) - lasting.offset_
    assert_array_equal(decision, expected)
    assert flagged(lasting, moved)[1000:].mean() > 0.9


@pytest.mark.parametrize("rebase", ["auto", 300])
@pytest.mark.parametrize("cls", DETECTORS, ids=lambda cls: cls.__name__)
def test_with_rebasing_alarms_end(cls, moved, rebase):
    detector = cls(**SETTINGS, rebase=rebase).fit(TRAIN)
    with pytest.warns(DataDriftWarning) as caught:
        alarms = flagged(detector, moved)
    assert alarms[1000:1050].mean() > 0.9
    span = 40 * 32 if rebase == "auto" else rebase
    assert alarms[1000 + span :].mean() < 0.1
    message = str(caught[0].message)
    (row,) = re.findall(r"channel 1 since row (\d+)", message)
    assert 1000 < int(row) < 1000 + span / 2
    assert message.startswith(f"Since row {row} the data no longer look like")
    assert len(caught) == 1 and caught[0].filename == __file__


def test_rebasing_leaves_the_ranking_alone(detector, moved):
    lasting = copy(detector).set_params(rebase=None).calibrate(TRAIN)
    assert_array_equal(detector.score_samples(moved), lasting.score_samples(moved))


@pytest.mark.parametrize("cls", DETECTORS, ids=lambda cls: cls.__name__)
def test_when_one_channel_has_moved_on_others_are_watched_as_before(cls):
    detector = cls(**SETTINGS, rebase=300).fit(TRAIN)
    X = plant(N_TRAIN, 3000, 9)
    X[500:, 1] += 1
    X[2500:2550, 0] += 3
    with pytest.warns(DataDriftWarning, match="channel 1 since row"):
        alarms = flagged(detector, X)
    assert alarms[1500:2470].mean() < 0.25  # instead of all
    assert alarms[2500:2550].mean() > 0.9


def test_where_nothing_moved_on_decisions_are_scores(detector):
    assert detector.rebase == "auto"
    for X in (TRAIN, changed(slice(1000, 1100), 0, 1.0)):
        expected = detector.score_samples(X) - detector.offset_
        decision = detector.decision_function(X)
        if X is TRAIN:
            assert_allclose(decision, expected, atol=1e-12)
        # What has moved on counts less, never more.
        assert (decision >= expected - 1e-12).all()


@pytest.mark.parametrize("criterion", ["isd", "lsd", "softmax"])
def test_other_criteria_rebase_nothing(make_detector, waves, criterion):
    detector = make_detector(criterion=criterion, rebase=5).fit(waves)
    waves[200:] += 5 * waves.std(axis=0)
    expected = detector.score_samples(waves) - detector.offset_
    assert_array_equal(detector.decision_function(waves), expected)


# ---------------------------------------------------------------- short histories


def categories_of(fit, X):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(X)
    return [warning.category for warning in caught]


def test_a_short_history_is_said_once_and_a_long_one_not(make_detector):
    for n_rows, expected in ((200, [ShortHistoryWarning]), (1500, [])):
        assert categories_of(make_detector().fit, make_waves(n_rows)) == expected


@pytest.mark.parametrize(
    "parameters", [{"contamination": 0.05}, {"criterion": "isd"}, {"criterion": "lsd"}]
)
def test_where_rarity_is_not_the_threshold_nothing_is_said(make_detector, parameters):
    assert categories_of(make_detector(**parameters).fit, make_waves(200)) == []


def test_of_few_rows_the_rarest_is_an_alarm(make_detector):
    X = make_waves(300)
    detector = make_detector().fit(X)
    decision = make_detector().fit(X).decision_function(X)
    assert -ALARMING_RARITY < detector.offset_ < 0
    assert (decision < 0).sum() == 1
    assert flagged(detector, make_waves(2000, seed=1)).mean() < 0.02
