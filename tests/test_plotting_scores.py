"""AnomalyScoreDisplay: what is drawn where, from which of the detector's methods."""

import sys
from datetime import datetime
from time import process_time

import matplotlib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from conftest import PICTURED
from matplotlib.figure import Figure
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.ensemble import IsolationForest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmemto import MEMTODetector, PerGroupDetector
from skmemto._events import Event
from skmemto.plotting import AnomalyScoreDisplay
from skmemto.plotting._axes import BLUE, ORANGE, RED


class GroupMean(OutlierMixin, BaseEstimator):
    """Scores by the distance to the mean; records the groups it is given."""

    def fit(self, X, y=None):
        self.mean_ = np.mean(X)
        return self

    def score_samples(self, X, *, groups=None):
        self.groups_ = groups
        return -np.abs(np.asarray(X) - self.mean_).mean(axis=1)

    def decision_function(self, X, *, groups=None):
        return self.score_samples(X, groups=groups) + np.linspace(1, 2, len(X))


def draw(display):
    """Draw for good: errors of matplotlib come out only then."""
    display.figure_.canvas.draw()


def test_from_estimator_draws_data_reconstruction_score_and_threshold(
    pyplot, memto, data
):
    display = AnomalyScoreDisplay.from_estimator(memto, data.X_test, data.y_test)
    draw(display)
    assert isinstance(display, AnomalyScoreDisplay)
    assert display.figure_ is display.axes_[0].get_figure()
    assert len(display.axes_) == 4
    made = memto.reconstruct(data.X_test)
    for f in range(3):
        line, other = display.lines_[f], display.reconstruction_lines_[f]
        assert line.axes is other.axes is display.axes_[f]
        np.testing.assert_array_equal(line.get_ydata(), data.X_test[:, f])
        np.testing.assert_array_equal(other.get_ydata(), made[:, f])
        assert (line.get_color(), line.get_linestyle()) == (BLUE, "-")
        assert (other.get_color(), other.get_linestyle()) == (RED, "--")
    bottom = display.axes_[-1]
    assert display.score_line_.axes is display.threshold_line_.axes is bottom
    # Drawn high = anomalous, with the threshold turned over likewise.
    score = memto.score_samples(data.X_test)
    np.testing.assert_array_equal(display.score_line_.get_ydata(), -score)
    np.testing.assert_array_equal(display.threshold_line_.get_ydata(), -memto.offset_)
    above = display.score_line_.get_ydata() > display.threshold_line_.get_ydata()
    np.testing.assert_array_equal(above, memto.predict(data.X_test) == -1)


def test_known_anomalies_are_bands_over_all_axes(pyplot, forest, data):
    display = AnomalyScoreDisplay.from_estimator(forest, data.X_test, data.y_test)
    draw(display)
    assert [band.axes for band in display.bands_] == list(display.axes_)
    orange = matplotlib.colors.to_rgb(ORANGE)
    for band in display.bands_:
        assert tuple(band.get_facecolor()[0][:3]) == orange
        spans = [path.get_extents() for path in band.get_paths()]
        assert [(span.x0, span.x1) for span in spans] == [
            (event.start, event.stop - 1) for event in data.events
        ]
        assert all((span.y0, span.y1) == (0, 1) for span in spans)


def test_band_of_a_single_row_is_visible(pyplot):
    """Its outline shows, though it is a hundredth of a pixel wide."""
    X, y = np.zeros((50_000, 1)), np.zeros(50_000, dtype=int)
    y[25_000] = 1
    display = AnomalyScoreDisplay.from_predictions(X, X[:, 0], y=y)
    draw(display)
    pixels = np.asarray(display.figure_.canvas.buffer_rgba())[..., :3].astype(int)
    box = display.axes_[0].get_window_extent()
    rows = slice(len(pixels) - int(box.y1) + 5, len(pixels) - int(box.y0) - 5)
    inside = pixels[rows, int(box.x0) + 5 : int(box.x1) - 5]
    orange = (inside[..., 0] - inside[..., 2] > 20).any(axis=0)
    assert orange.any() and orange.sum() < 10


def test_without_labels_reconstruction_and_threshold(pyplot, data):
    display = AnomalyScoreDisplay.from_predictions(data.X_test, data.X_test[:, 0])
    draw(display)
    assert display.bands_ is None
    assert display.reconstruction_lines_ is None
    assert display.threshold_line_ is None
    texts = [text.get_text() for text in display.axes_[0].get_legend().get_texts()]
    assert texts == ["original"]


def test_isolation_forest_has_no_reconstruction(pyplot, forest, data):
    display = AnomalyScoreDisplay.from_estimator(forest, data.X_test, data.y_test)
    assert display.reconstruction_lines_ is None
    assert display.threshold == forest.offset_
    texts = [text.get_text() for text in display.axes_[0].get_legend().get_texts()]
    assert texts == ["original", "anomaly", "threshold"]


def test_pipeline_is_drawn_in_the_units_of_its_input(pyplot, data):
    pipeline = make_pipeline(
        StandardScaler(), MEMTODetector(**PICTURED, random_state=0)
    )
    pipeline.fit(data.X_train)
    display = AnomalyScoreDisplay.from_estimator(pipeline, data.X_test)
    for f, line in enumerate(display.lines_):
        np.testing.assert_array_equal(line.get_ydata(), data.X_test[:, f])
    assert display.reconstruction_lines_ is None, "the detector's is in other units"
    assert display.threshold == pipeline[-1].offset_
    score = pipeline.score_samples(data.X_test)
    np.testing.assert_array_equal(display.score, score)


def test_threshold_is_turned_over_whatever_its_sign(pyplot, data):
    for threshold in (0.25, -0.25):
        display = AnomalyScoreDisplay.from_predictions(
            data.X_test, data.X_test[:, 0], threshold=threshold
        )
        assert set(display.threshold_line_.get_ydata()) == {-threshold}


def test_search_gets_its_threshold_from_decision_function(pyplot, data):
    forest = IsolationForest(n_estimators=5, contamination=0.1, random_state=0)
    search = GridSearchCV(
        forest, {"max_samples": [16, 32]}, scoring=lambda *_: 0.0, cv=2
    ).fit(data.X_train)
    display = AnomalyScoreDisplay.from_estimator(search, data.X_test)
    drawn = display.threshold_line_.get_ydata()
    np.testing.assert_allclose(drawn, -search.best_estimator_.offset_)


def test_groups_are_passed_on_and_thresholds_may_differ_by_row(pyplot, data):
    groups = np.repeat([0, 1], 150)
    detector = GroupMean().fit(data.X_train)
    display = AnomalyScoreDisplay.from_estimator(detector, data.X_test, groups=groups)
    assert detector.groups_ is groups
    np.testing.assert_allclose(
        display.threshold_line_.get_ydata(), np.linspace(1, 2, 300)
    )


def test_each_group_has_the_threshold_of_its_own_model(pyplot, data):
    groups = np.repeat([0, 1], 150)
    forest = IsolationForest(n_estimators=5, contamination=0.1, random_state=0)
    detector = PerGroupDetector(forest).fit(data.X_test, groups=groups)
    display = AnomalyScoreDisplay.from_estimator(detector, data.X_test, groups=groups)
    np.testing.assert_allclose(
        display.threshold_line_.get_ydata(), -np.repeat(detector.offset_, 150)
    )


def test_groups_reach_every_method_of_the_detector(pyplot, memto, data):
    groups = np.repeat([0, 1], 150)
    display = AnomalyScoreDisplay.from_estimator(memto, data.X_test, groups=groups)
    for made, method in (
        (display.score, memto.score_samples),
        (display.reconstruction, memto.reconstruct),
    ):
        np.testing.assert_array_equal(made, method(data.X_test, groups=groups))
        assert not np.array_equal(made, method(data.X_test))


def test_estimator_without_groups_refuses_them(pyplot, forest, data):
    with pytest.raises(TypeError, match="groups"):
        AnomalyScoreDisplay.from_estimator(forest, data.X_test, groups=np.zeros(300))


def test_too_many_channels_are_left_out_and_that_is_said(pyplot):
    X = np.random.RandomState(0).normal(size=(50, 12))
    display = AnomalyScoreDisplay.from_predictions(X, X[:, 0], reconstruction=X)
    draw(display)
    assert len(display.axes_) == 9
    assert len(display.lines_) == len(display.reconstruction_lines_) == 8
    assert display.axes_[0].get_title(loc="left") == "first 8 of 12 channels"
    few = AnomalyScoreDisplay.from_predictions(X, X[:, 0], max_channels=2)
    assert len(few.axes_) == 3
    assert few.axes_[0].get_title(loc="left") == "first 2 of 12 channels"
    every = AnomalyScoreDisplay.from_predictions(X, X[:, 0], max_channels=12)
    assert every.axes_[0].get_title(loc="left") == ""
    assert [ax.get_ylabel() for ax in every.axes_[:-1]] == [f"x{i}" for i in range(12)]


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_names_come_from_the_frame(pyplot, frame, data):
    X = frame({"speed": data.X_test[:, 0], "flow": data.X_test[:, 1]})
    display = AnomalyScoreDisplay.from_predictions(X, data.X_test[:, 0])
    names = [ax.get_ylabel() for ax in display.axes_]
    assert names == ["speed", "flow", "anomaly\nscore"]
    display = AnomalyScoreDisplay.from_predictions(
        X, data.X_test[:, 0], feature_names=["a", "a name that is far too long"]
    )
    names = [ax.get_ylabel() for ax in display.axes_[:2]]
    assert names == ["a", "a name that is far\ntoo long"]


@pytest.mark.parametrize(
    "index",
    [
        np.arange(300) * 0.5 + 7,
        np.datetime64("2024-01-01T00:00") + np.arange(300),
        pd.date_range("2024-01-01", periods=300, freq="h"),
        pd.Series(pd.date_range("2024-01-01", periods=300, tz="Europe/Vienna")),
        [datetime(2024, 1, 1, minute // 60, minute % 60) for minute in range(300)],
    ],
    ids=["numbers", "datetime64", "pandas", "time zone", "datetime"],
)
def test_index(pyplot, forest, data, index):
    display = AnomalyScoreDisplay.from_estimator(
        forest, data.X_test, data.y_test, index=index
    )
    draw(display)
    np.testing.assert_array_equal(
        display.score_line_.get_xdata(orig=True), np.asarray(index)
    )
    first, last = display.axes_[0].get_xlim()
    x = display.score_line_.get_xdata(orig=False)
    assert (first, last) == (x[0], x[-1])
    event = data.events[0]
    span = display.bands_[0].get_paths()[0].get_extents()
    np.testing.assert_allclose((span.x0, span.x1), (x[event.start], x[event.stop - 1]))
    assert display.axes_[-1].get_xlabel() == "time"


def test_rows_are_the_default_index(pyplot, forest, data):
    display = AnomalyScoreDisplay.from_estimator(forest, data.X_test)
    np.testing.assert_array_equal(display.lines_[0].get_xdata(), np.arange(300))
    assert display.axes_[-1].get_xlabel() == "row"


def test_missing_readings_leave_a_gap(pyplot, data):
    X = data.X_test.copy()
    X[10:20, 1] = np.nan
    display = AnomalyScoreDisplay.from_predictions(X, data.X_test[:, 0])
    draw(display)
    assert np.isnan(display.lines_[1].get_ydata()[10:20]).all()


def test_axes_are_used_without_pyplot(forest, data, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    figure = Figure()
    axes = figure.subplots(2, 2)
    display = AnomalyScoreDisplay.from_estimator(forest, data.X_test, axes=axes)
    assert display.figure_ is figure
    assert list(display.axes_) == list(axes.ravel())
    assert len(axes[1, 1].get_lines()) == 2


def test_plot_again_leaves_the_parameters_alone(pyplot, forest, data):
    display = AnomalyScoreDisplay.from_estimator(forest, data.X_test, data.y_test)
    figure = display.figure_
    assert display.plot(max_channels=1) is display
    assert display.figure_ is not figure
    assert len(display.axes_) == 2
    np.testing.assert_array_equal(display.X, data.X_test)


def test_parameters_are_stored_as_they_are():
    params = {
        "X": np.ones((3, 1)),
        "score": np.ones(3),
        "reconstruction": np.ones((3, 1)),
        "y": np.zeros(3),
        "threshold": 0.5,
        "events": [Event(0, 1, 0, -3.0, (0,), None)],
        "feature_names": ["a"],
        "index": np.arange(3),
    }
    display = AnomalyScoreDisplay(**params)
    assert all(getattr(display, name) is value for name, value in params.items())


@pytest.mark.parametrize(
    "options, message",
    [
        ({"score": np.zeros(299)}, r"'score' .* shape \(300,\) .* Got shape \(299,\)"),
        ({"y": np.zeros(301)}, r"'y' .* must be of shape \(300,\) to match X"),
        (
            {"y": np.repeat([1, -1], 150)},
            r"'y' .* 1 for anomalous .* \[-1  1\] instead",
        ),
        ({"reconstruction": np.zeros((300, 2))}, r"'reconstruction' .* \(300, 3\)"),
        ({"threshold": np.zeros(5)}, r"'threshold' .* \(300,\) .* \(5,\)"),
        ({"feature_names": ["a", "b"]}, r"'feature_names' .* \(3,\) .* \(2,\)"),
        ({"index": np.zeros(7)}, r"'index' .* \(300,\) .* \(7,\)"),
        ({"index": ["monday"] * 300}, "'index' must hold numbers or times. Got 'mon"),
        ({"axes": [None] * 3}, "'axes' .* must hold 4 axes.* Got 3 instead"),
        ({"max_channels": 0}, "max_channels == 0, must be >= 1"),
        ({"X": np.zeros(300)}, "Expected 2D array, got 1D array"),
    ],
)
def test_errors(pyplot, data, options, message):
    options = {"X": data.X_test, "score": np.zeros(300)} | options
    with pytest.raises(ValueError, match=message):
        AnomalyScoreDisplay.from_predictions(**options)
    assert not pyplot.get_fignums(), "a figure was left behind"


def test_estimator_without_scores(data):
    with pytest.raises(AttributeError, match="score_samples"):
        AnomalyScoreDisplay.from_estimator(StandardScaler(), data.X_test)


def test_missing_matplotlib_is_said_before_anything_is_computed(monkeypatch, data):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for call in (
        lambda: AnomalyScoreDisplay.from_estimator(None, data.X_test),
        lambda: AnomalyScoreDisplay.from_predictions(data.X_test, data.X_test[:, 0]),
    ):
        with pytest.raises(ImportError, match="requires matplotlib"):
            call()


def test_long_series_draw_in_reasonable_time(pyplot, tmp_path):
    rng = np.random.RandomState(0)
    X = np.sin(np.arange(100_000) / 7)[:, None] + 0.1 * rng.normal(size=(100_000, 4))
    y = np.zeros(100_000, dtype=int)
    y[::1000] = 1
    start = process_time()
    display = AnomalyScoreDisplay.from_predictions(X, X[:, 0], reconstruction=X, y=y)
    display.figure_.savefig(tmp_path / "long.png")
    assert process_time() - start < 20
