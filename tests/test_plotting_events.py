"""AnomalyScoreDisplay: where events are marked."""

import numpy as np
import pandas as pd
from conftest import PICTURED
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmemto import MEMTODetector, PerGroupDetector
from skmemto._events import Event
from skmemto.plotting import AnomalyScoreDisplay

EVENTS = [
    Event(20, 50, 30, -9.0, (2, 0), None),
    Event(100, 101, 100, -4.0, (1,), None),
    Event(120, 130, 125, -4.0, (), None),
]


def marked(display):
    """Return for each axis the first and last rows that are marked as events."""
    assert [bar.axes for bar in display.event_bars_] == list(display.axes_)
    spans = [
        [path.get_extents() for path in bar.get_paths()] for bar in display.event_bars_
    ]
    return [[(span.x0, span.x1) for span in per_axis] for per_axis in spans]


def test_events_are_marked_on_the_channels_to_blame(pyplot, data):
    display = AnomalyScoreDisplay.from_predictions(
        data.X_test, data.X_test[:, 0], events=EVENTS
    )
    display.figure_.canvas.draw()
    every = [(20, 49), (100, 100), (120, 129)]
    assert marked(display) == [[(20, 49)], [(100, 100)], [(20, 49)], every]
    for bar in display.event_bars_:
        assert tuple(bar.get_facecolor()[0][:3]) == (0, 0, 0)
        (span, *_) = (path.get_extents() for path in bar.get_paths())
        assert (span.y0, span.y1) == (0.95, 1), "at the top, whatever the readings are"
    texts = [text.get_text() for text in display.axes_[0].get_legend().get_texts()]
    assert texts == ["original", "event"]


def test_events_blame_channels_by_name(pyplot, data):
    X = pd.DataFrame(data.X_test, columns=["a", "b", "c"])
    events = [Event(20, 50, 30, -9.0, ("c", "a"), None)]
    display = AnomalyScoreDisplay.from_predictions(X, X["a"], events=events)
    assert marked(display) == [[(20, 49)], [], [(20, 49)], [(20, 49)]]


def test_events_of_channels_that_are_left_out_show_on_the_score(pyplot, data):
    display = AnomalyScoreDisplay.from_predictions(
        data.X_test, data.X_test[:, 0], events=EVENTS, max_channels=1
    )
    display.figure_.canvas.draw()
    assert [len(per_axis) for per_axis in marked(display)] == [1, 3]


def test_events_on_an_axis_of_times(pyplot, data):
    index = pd.date_range("2024-01-01", periods=300, freq="h")
    display = AnomalyScoreDisplay.from_predictions(
        data.X_test, data.X_test[:, 0], events=EVENTS, index=index
    )
    display.figure_.canvas.draw()
    x = display.score_line_.get_xdata(orig=False)
    assert marked(display)[0] == [(x[20], x[49])]


def test_no_events_are_other_than_none_known(pyplot, data, forest):
    found_none = AnomalyScoreDisplay.from_predictions(
        data.X_test, data.X_test[:, 0], events=[]
    )
    found_none.figure_.canvas.draw()
    assert marked(found_none) == [[]] * 4
    unknown = AnomalyScoreDisplay.from_estimator(forest, data.X_test)
    assert unknown.events is unknown.event_bars_ is None


def jumping(data, channel=1):
    """The test series, with one channel far off for a while."""
    X = data.X_test.copy()
    X[100:120, channel] += 30 * data.X_train[:, channel].std()
    return X


def test_events_of_the_detector_are_marked(pyplot, memto, data):
    X = jumping(data)
    display = AnomalyScoreDisplay.from_estimator(memto, X, data.y_test)
    display.figure_.canvas.draw()
    events = memto.events(X)
    assert display.events == events
    *_, of_score = marked(display)
    assert of_score == [(event.start, event.stop - 1) for event in events]
    on_jump = [
        any(start <= 110 <= stop for start, stop in per_axis)
        for per_axis in marked(display)
    ]
    assert on_jump == [False, True, False, True]
    given = AnomalyScoreDisplay.from_estimator(memto, X, events=EVENTS)
    assert given.events is EVENTS


def test_events_of_groups_are_marked(pyplot, memto, data):
    groups = np.repeat([0, 1], 150)
    both = np.vstack([data.X_train, data.X_train])
    per_group = PerGroupDetector(MEMTODetector(**PICTURED, random_state=0))
    per_group.fit(both, groups=np.repeat([0, 1], 400))
    X = jumping(data)
    X[145:155, 2] += 30 * data.X_train[:, 2].std()
    for detector in (memto, per_group):
        display = AnomalyScoreDisplay.from_estimator(detector, X, groups=groups)
        assert display.events == detector.events(X, groups=groups)
        at_border = {e.group for e in display.events if 150 in (e.start, e.stop)}
        assert at_border == {0, 1}
        assert any(start <= 145 and stop >= 154 for start, stop in marked(display)[2])


def test_events_of_a_pipeline_are_those_of_its_last_step(pyplot, data):
    pipeline = make_pipeline(
        StandardScaler(), MEMTODetector(**PICTURED, random_state=0)
    )
    X = jumping(data)
    display = AnomalyScoreDisplay.from_estimator(pipeline.fit(data.X_train), X)
    assert display.events == pipeline[-1].events(pipeline[0].transform(X))
    assert any(start <= 110 <= stop for start, stop in marked(display)[1])


def test_events_of_transformed_channels_mark_no_others(pyplot, data):
    X_train, X = (
        pd.DataFrame(values, columns=["a", "b", "c"])
        for values in (data.X_train, jumping(data, channel=1))
    )
    columns = make_column_transformer((StandardScaler(), ["b", "c"]))
    detector = MEMTODetector(**PICTURED, random_state=0)
    pipeline = make_pipeline(columns, detector).fit(X_train)
    display = AnomalyScoreDisplay.from_estimator(pipeline, X)
    assert not any(start <= 110 <= stop for start, stop in marked(display)[0])


def test_events_are_marked_on_channels_with_other_names(pyplot, data):
    X_train, X = (
        pd.DataFrame(values, columns=["a", "b", "c"])
        for values in (data.X_train, jumping(data, channel=1))
    )
    detector = MEMTODetector(**PICTURED, random_state=0).fit(X_train)
    names = ["speed", "flow", "heat"]
    display = AnomalyScoreDisplay.from_estimator(detector, X, feature_names=names)
    assert any(start <= 110 <= stop for start, stop in marked(display)[1])


def test_of_many_channels_those_most_to_blame_are_drawn(pyplot):
    X = np.zeros((50, 12))
    events = [
        Event(0, 10, 5, -3.0, (11, 3), None),
        Event(20, 22, 20, -3.0, ("x7",), None),
        Event(30, 31, 30, -3.0, (0,), None),
    ]
    display = AnomalyScoreDisplay.from_predictions(
        X, np.zeros(50), events=events, max_channels=3
    )
    labels = [ax.get_ylabel() for ax in display.axes_]
    assert labels == ["x3", "x7", "x11", "anomaly\nscore"]
    assert display.axes_[0].get_title("left") == "most to blame: 3 of 12 channels"
