"""What detectors say of the rows they flag: events, and who is to blame."""

import warnings
from copy import copy

import naive_scores as naive
import numpy as np
import pandas as pd
import pytest
from conftest import DETECTORS, QUICK, make_waves
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import RobustScaler

from skmemto import _explaining
from skmemto._events import Event
from skmemto.exceptions import ShortHistoryWarning

NAMES = ["speed", "flow", "heat"]
SHIFT, SPIKE, STUCK = slice(200, 230), 350, slice(450, 500)


def frame(X):
    return pd.DataFrame(X, columns=NAMES)


def anomalous():
    """A shift of "flow", a spike of "speed", and "heat" is stuck."""
    X = make_waves(600, seed=1)
    X[SHIFT, 1] += 400
    X[SPIKE, 0] += 20
    X[STUCK, 2] = X[STUCK.start - 1, 2]
    return X


@pytest.fixture(scope="module", params=DETECTORS, ids=lambda cls: cls.__name__)
def detector(request):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ShortHistoryWarning)
        fitted = request.param(**QUICK, random_state=0)
        return fitted.fit(frame(make_waves(1200)))


def recalibrated(detector, **settings):
    """A copy with other settings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ShortHistoryWarning)
        other = copy(detector).set_params(**settings)
        return other.calibrate(frame(make_waves(1200)))


@pytest.fixture(scope="module")
def new():
    return frame(anomalous())


def rows_of(events, n_rows):
    flags = np.zeros(n_rows, dtype=bool)
    for event in events:
        flags[event.start : event.stop] = True
    return flags


# ---------------------------------------------------------------- events


def test_each_anomaly_is_one_event_that_blames_its_channel(detector, new):
    shift, spike, stuck = detector.events(new)
    assert shift.channels == ("flow",)
    assert SHIFT.start - 16 < shift.start <= SHIFT.start + 3
    assert SHIFT.stop - 3 <= shift.stop < SHIFT.stop + 16
    assert spike.channels[0] == "speed"
    assert spike.start <= SPIKE < spike.stop
    assert spike.stop - spike.start < 16
    assert stuck.channels[0] == "heat"
    assert (stuck.start, stuck.stop) == (STUCK.start, STUCK.stop)
    assert all(event.group is None for event in (shift, spike, stuck))


def test_events_agree_with_scores_and_labels(detector, new):
    events = detector.events(new)
    scores = detector.decision_function(new) + detector.offset_
    flagged = detector.predict(new) == -1
    inside = rows_of(events, len(new))
    assert (inside[flagged]).all()
    assert list(events) == sorted(events, key=lambda event: event.start)
    for event in events:
        rows = slice(event.start, event.stop)
        assert flagged[event.start] and flagged[event.stop - 1]
        assert event.peak == event.start + scores[rows].argmin()
        assert event.score == pytest.approx(scores[rows].min(), rel=1e-12)
        assert event.score < detector.offset_
        assert [type(value) for value in event[:4]] == [int, int, int, float]


def test_scores_of_events_are_those_of_the_rows_where_nothing_moves_on(detector, new):
    as_it_was = recalibrated(detector, rebase=None)
    scores = as_it_was.score_samples(new)
    for event in as_it_was.events(new):
        assert event.score == pytest.approx(scores[event.start : event.stop].min())
        assert event.score == pytest.approx(scores[event.peak])


def test_events_are_those_of_the_decisions(detector, new):
    groups = np.repeat(["b", "a"], [220, 380])
    decision = detector.decision_function(new, groups=groups)
    for options in ({}, {"min_length": 3}, {"merge_gap": 0}, {"merge_gap": 250}):
        expected = naive.runs_of_flags(
            decision,
            [(0, 220), (220, 600)],
            options.get("min_length", 1),
            options.get("merge_gap", 8),  # half a window
            _explaining.HYSTERESIS,
        )
        events = detector.events(new, groups=groups, **options)
        assert [event[:2] for event in events] == [run[:2] for run in expected]
        assert [e.group for e in events] == [["b", "a"][run[2]] for run in expected]


def test_no_event_goes_beyond_the_end_of_a_group(detector, new):
    """Though the anomaly does, and the gap that may be bridged is large."""
    groups = np.repeat([7, 3], [215, 385])
    events = detector.events(new, groups=groups, merge_gap=600)
    assert [event.group for event in events] == [7, 3]
    assert (events[0].stop, events[1].start) == (215, 215)
    assert events[0].channels == ("flow",)


@pytest.mark.parametrize("names", [None, [0, 1, 2]])
def test_channels_without_names_are_numbers(detector, new, names):
    X = make_waves(1200)
    if names is not None:  # of a frame without names that are all strings
        X = pd.DataFrame(X, columns=names)
    unnamed = clone(detector).fit(X)
    events = unnamed.events(new.to_numpy())
    assert [event.channels[0] for event in events] == [1, 0, 2]
    assert all(type(c) is int for event in events for c in event.channels)


def test_min_length_leaves_out_shorter_ones(detector, new):
    lengths = [event.stop - event.start for event in detector.events(new)]
    for min_length in (1, 2, max(lengths), max(lengths) + 1):
        events = detector.events(new, min_length=min_length)
        kept = [length for length in lengths if length >= min_length]
        assert [event.stop - event.start for event in events] == kept


def test_where_nothing_is_flagged_there_are_no_events(detector, new):
    deaf = copy(detector)
    deaf.offset_ = -1e6
    assert deaf.events(new) == []


def test_events_make_a_table(detector, new):
    table = pd.DataFrame(detector.events(new))
    assert list(table.columns) == list(Event._fields)
    assert table["channels"].map(lambda channels: channels[0]).tolist() == [
        "flow",
        "speed",
        "heat",
    ]


def test_a_threshold_set_by_hand_counts(detector, new):
    strict = copy(detector)
    strict.offset_ = min(event.score for event in detector.events(new)) + 0.01
    (worst,) = strict.events(new)
    assert worst.score == pytest.approx(strict.offset_ - 0.01)


def test_missing_values_are_no_one_to_blame(detector, new):
    holed = new.copy()
    holed.iloc[SHIFT, [0, 2]] = np.nan
    assert detector.events(holed)[0].channels == ("flow",)
    holed.iloc[SHIFT] = np.nan
    lost = detector.events(holed)[0]
    assert (lost.start, lost.stop, lost.channels) == (SHIFT.start, SHIFT.stop, ())


@pytest.mark.parametrize("criterion", ["isd", "softmax"])
def test_events_of_other_criteria(detector, new, criterion):
    """Without hysteresis and stuck sensors, of which they know nothing."""
    parameters = {"criterion": criterion, "contamination": 0.01}
    other = clone(detector).set_params(**parameters).fit(frame(make_waves(1200)))
    decision = other.decision_function(new)
    expected = naive.runs_of_flags(decision, [(0, 600)], 1, 8, 0.0)
    events = other.events(new)
    assert [event[:2] for event in events] == [run[:2] for run in expected]
    if criterion == "isd":
        (shift,) = (e for e in events if e.start <= SHIFT.start + 5 < e.stop)
        assert shift.channels == ("flow",)


def test_a_pipeline_is_asked_through_its_last_step(detector, new):
    pipeline = make_pipeline(RobustScaler(), clone(detector)).fit(
        frame(make_waves(1200))
    )
    events = pipeline[-1].events(pipeline[:-1].transform(new))
    assert [event.channels[0] for event in events] == [1, 0, 2]
    flagged = pipeline.predict(new) == -1
    assert rows_of(events, 600)[flagged].all()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"min_length": 0}, ValueError, "min_length == 0, must be >= 1"),
        ({"min_length": 1.5}, TypeError, "min_length must be an instance of"),
        ({"merge_gap": -1}, ValueError, "merge_gap == -1, must be >= 0"),
        ({"merge_gap": "often"}, TypeError, "merge_gap must be an instance of"),
        ({"groups": [0, 1]}, ValueError, "one entry for each row of X"),
    ],
)
def test_errors(detector, new, options, error, message):
    with pytest.raises(error, match=message):
        detector.events(new, **options)


def test_frames_with_other_names_are_refused(detector, new):
    with pytest.raises(ValueError, match="feature names should match"):
        detector.events(new[NAMES[::-1]])


@pytest.mark.parametrize(
    "ask",
    [
        lambda d: d.events([[1.0, 2, 3]]),
        lambda d: d.deviations([[1.0, 2, 3]]),
        lambda d: d.reconstruct([[1.0, 2, 3]]),
        lambda d: d.error_scale_,
        lambda d: d.error_limit_,
    ],
)
def test_not_fitted(detector, ask):
    with pytest.raises(NotFittedError):
        ask(clone(detector))


# ---------------------------------------------------------------- deviations


def parts_and_scores(detector, X, **options):
    parts = detector.deviations(X, calibrated=True, **options).input
    return parts.sum(axis=1), -detector.score_samples(X, **options)


def test_parts_sum_to_the_score(detector, new):
    """In each row with a value, at the ends of series and where some are missing."""
    holed = new.copy()
    holed.loc[100:120, "speed"] = np.nan
    groups = np.repeat([0, 1], [290, 310])
    parts, scores = parts_and_scores(detector, holed, groups=groups)
    moving = np.delete(np.arange(600), STUCK)
    assert_allclose(parts[moving], scores[moving], rtol=1e-9)


def test_parts_of_stuck_rows_sum_to_the_score(detector, new):
    parts, scores = parts_and_scores(detector, new)
    assert_allclose(parts[STUCK], scores[STUCK], rtol=1e-9)


def test_parts_blame_the_channel(detector, new):
    parts = detector.deviations(new, calibrated=True).input
    assert (parts >= 0).all()
    assert parts[SHIFT].mean(axis=0).argmax() == 1
    assert parts[SPIKE].argmax() == 0


def test_deviations_are_squared_errors_in_scaled_units(detector, new):
    reconstructed = detector.reconstruct(new)
    assert reconstructed.shape == new.shape
    error = (new.to_numpy() - reconstructed) / detector.scaler_.scale_
    deviations = detector.deviations(new)
    assert_allclose(deviations.input, error**2, rtol=1e-5, atol=1e-7)
    assert deviations.latent.shape == (600,)


def test_error_scale_and_limit_are_those_of_the_training_data(detector):
    columns = detector.deviations(frame(make_waves(1200))).input.T
    scale = [naive.mean(column) + naive.deviation(column) for column in columns]
    assert_allclose(detector.error_scale_, scale, rtol=1e-9)
    assert_allclose(detector.error_limit_, columns.max(axis=1), rtol=1e-9)
    detector.error_scale_[:] = detector.error_limit_[:] = 0  # copies
    assert_array_equal(detector.error_scale_ > 0, True)


@pytest.mark.parametrize("settings", [{}, {"rebase": None}, {"criterion": "isd"}])
@pytest.mark.parametrize("grouped", [False, True])
def test_all_at_once_is_what_each_method_says(detector, new, settings, grouped):
    detector = recalibrated(detector, **settings)
    groups = np.arange(len(new)) // 300 if grouped else None
    score, decision, events = detector._judge(new, groups)
    assert_allclose(score, detector.score_samples(new, groups=groups), rtol=1e-12)
    assert_array_equal(decision, detector.decision_function(new, groups=groups))
    assert events == detector.events(new, groups=groups)
