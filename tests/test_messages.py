"""Warnings: their words, their classes, and the line they point to."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import DETECTORS, QUICK, make_waves
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmemto import MEMTODetector, exceptions
from skmemto._bounds import AbsurdValues
from skmemto._levels import MovedChannel
from skmemto._messages import (
    channel_name,
    listed,
    warn_of_absurd,
    warn_of_drift,
    warn_of_short_history,
    warn_user,
)
from skmemto._tails import Tail
from skmemto.exceptions import (
    AbsurdValueWarning,
    DataDriftWarning,
    ShortHistoryWarning,
)

NAMES = np.array(["speed", "flow", "heat"], dtype=object)


def said(call, *args, **kwargs):
    """Return the warnings of a call."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(*args, **kwargs)
    return caught


def message_of(call, *args, **kwargs):
    (warning,) = said(call, *args, **kwargs)
    return str(warning.message), warning.category


def tail(n_peaks):
    return Tail(np.array([0, 1.0]), np.array([0, 1.0]), 0.1, 0.0, n_peaks)


# ---------------------------------------------------------------- words


def test_channels_have_names_or_numbers():
    assert channel_name(1, None) == "channel 1"
    assert channel_name(1, NAMES) == "channel 'flow'"


def test_of_many_things_the_first_few_are_named():
    assert listed([]) == ""
    assert listed([1, 2, 3, 4, 5]) == "1, 2, 3, 4, 5"
    assert listed(range(1, 9), "; ") == "1; 2; 3; 4; 5 and 3 more"


def test_absurd_values_name_channel_row_and_value():
    found = [AbsurdValues(0, 3, 150, -200.0), AbsurdValues(2, 1, 7, 1e6)]
    message, category = message_of(warn_of_absurd, found, NAMES)
    assert category is AbsurdValueWarning
    assert message == (
        "X holds values far from all others of their channel: channel 'speed' has 3, "
        "the first is -200 in row 150; channel 'heat' has 1, the first is 1e+06 in row "
        "7. They are taken as missing; make them NaN to silence this."
    )


@pytest.mark.parametrize(
    ("n_peaks", "n_rows", "needed"),
    [
        (2, 1000, "2500"),  # so that there are five peaks
        (3, 1000, "1700"),
        (0, 1000, "5000"),
        (7, 500, "950"),  # so that three of them are beyond
        (1, 948, "4800"),
        (2, 60_000, "150000"),
        (5, 949, None),
        (40, 949, None),
    ],
)
def test_a_short_history_says_how_many_rows_would_do(n_peaks, n_rows, needed):
    caught = said(warn_of_short_history, tail(n_peaks), n_rows, risk=10**-2.5)
    if needed is None:
        assert not caught
    else:
        (warning,) = caught
        assert warning.category is ShortHistoryWarning
        message = str(warning.message)
        assert message.startswith(f"{n_rows} rows to learn from are few: ")
        assert f"have {n_peaks} independent peaks" in message
        assert "what 0.3 % of normal rows exceed" in message
        assert f"About {needed} rows would do" in message


def test_drift_names_row_and_channels_the_farthest_first():
    moved = [MovedChannel(1, 4000, 2.31), MovedChannel(0, 900, 12.0)]
    message, category = message_of(warn_of_drift, moved, None)
    assert category is DataDriftWarning
    assert message == (
        "Since row 900 the data no longer look like the training data: channels "
        "deviate lastingly by more than they ever did there, channel 0 since row 900 "
        "(12.0 times), channel 1 since row 4000 (2.3 times). What they deviate now "
        "counts as their new normal, and alarms for it have ended. Fit again with rows "
        "from then on, or set rebase=None to keep the alarms."
    )


def test_of_many_channels_a_few_are_named():
    moved = [MovedChannel(channel, 10, 3.0) for channel in range(9)]
    message, _ = message_of(warn_of_drift, moved, None)
    assert "channel 4 since row 10 (3.0 times) and 4 more. What" in message


def test_nothing_found_is_nothing_said():
    assert not said(warn_of_absurd, [], None)
    assert not said(warn_of_drift, [], NAMES)


def test_classes_are_warnings_of_the_user():
    assert exceptions.__all__ == sorted(exceptions.__all__)
    for name in exceptions.__all__:
        assert issubclass(getattr(exceptions, name), UserWarning)


# ---------------------------------------------------------------- where they point to


def points_here(warning):
    """Tell whether a warning points to the line of this file that says `# here`."""
    lines = Path(__file__).read_text().splitlines()
    return warning.filename == __file__ and "# here" in lines[warning.lineno - 1]


@pytest.mark.parametrize("detector", DETECTORS)
@pytest.mark.parametrize("ask", ["fit", "fit_predict"])
def test_fitting_warns_in_the_line_of_the_user(detector, ask):
    X = make_waves(200)
    X[150, 1] = -1e5
    fit = getattr(detector(**QUICK, random_state=0), ask)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(X)  # here
    absurd, short = caught
    assert absurd.category is AbsurdValueWarning
    assert "channel 1 has 1, the first is -100000 in row 150" in str(absurd.message)
    assert short.category is ShortHistoryWarning
    assert points_here(absurd) and points_here(short)


def test_names_of_a_frame_are_those_of_the_warning():
    X = pd.DataFrame(make_waves(200), columns=NAMES)
    X.loc[17, "heat"] = 99.0
    message = "channel 'heat' has 1, the first is 99 in row 17"
    with pytest.warns(AbsurdValueWarning, match=message):
        MEMTODetector(**QUICK, random_state=0).fit(X)


def test_it_is_said_once():
    X = make_waves(600)
    X[[3, 150], 0] = 1e4
    caught = said(MEMTODetector(**QUICK, early_stopping=True).fit, X)
    categories = [warning.category for warning in caught]
    assert sorted(c.__name__ for c in categories) == [
        "AbsurdValueWarning",
        "ShortHistoryWarning",
    ]


def test_frames_of_scikit_learn_are_the_packages_too():
    pipeline = make_pipeline(StandardScaler(), MEMTODetector(**QUICK, random_state=0))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pipeline.fit(make_waves(200))  # here
    (short,) = caught
    assert points_here(short)


@pytest.fixture(scope="module")
def follower():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ShortHistoryWarning)
        detector = MEMTODetector(**QUICK, rebase=40, random_state=0)
        return detector.fit(pd.DataFrame(make_waves(600), columns=NAMES))


@pytest.fixture(scope="module")
def moved():
    X = make_waves(400, seed=1)
    X[250:, 1] += 400
    return pd.DataFrame(X, columns=NAMES)


@pytest.mark.parametrize("ask", ["predict", "decision_function", "events"])
def test_what_has_moved_is_reported_by_decisions(follower, moved, ask):
    decide = getattr(follower, ask)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        decide(moved)  # here
    (drift,) = caught
    assert drift.category is DataDriftWarning
    assert points_here(drift)
    since, text = str(drift.message).split(" the data no longer ")
    assert 250 <= int(since.split()[-1]) < 270
    assert "channel 'flow' since row" in text
    assert "heat" not in text


def test_scores_say_nothing_of_it(follower, moved):
    for ask in ("score_samples", "deviations", "reconstruct", "score"):
        assert not said(getattr(follower, ask), moved)
    assert not said(follower.predict, moved[:240])


def test_without_rebase_nothing_moves_on(moved):
    detector = MEMTODetector(**QUICK, rebase=None, random_state=0)
    detector.fit(pd.DataFrame(make_waves(600), columns=NAMES))
    assert not said(detector.predict, moved)
    assert (detector.predict(moved)[260:] == -1).all()


def test_a_warning_from_nowhere_points_to_whoever_called():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_user("Something is odd.")  # here
    (odd,) = caught
    assert (str(odd.message), odd.category) == ("Something is odd.", UserWarning)
    assert points_here(odd)
