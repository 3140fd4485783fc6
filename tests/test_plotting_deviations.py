"""DeviationDisplay, and heat maps in general."""

import numpy as np
import pandas as pd
import pytest
from conftest import PICTURED
from matplotlib.figure import Figure
from numpy.testing import assert_allclose, assert_array_equal

from skmemto import AnomalyTransformerDetector, MEMTODetector, PerGroupDetector
from skmemto.plotting import AnomalyScoreDisplay, DeviationDisplay, MemoryDisplay
from skmemto.plotting._axes import heat_map


def drawn(display):
    display.figure_.canvas.draw()
    return display.mesh_.get_array()


def test_parts_of_the_score_are_drawn(pyplot, memto, data):
    display = DeviationDisplay.from_estimator(memto, data.X_test)
    found = drawn(display)
    parts = memto.deviations(data.X_test, calibrated=True).input
    assert_allclose(found.reshape(parts.T.shape), parts.T)
    assert display.mesh_.get_clim() == (0.0, -memto.offset_)
    assert display.ax_.get_xlabel() == "row"
    texts = [text.get_text() for text in display.ax_.get_yticklabels()]
    assert texts == ["x0", "x1", "x2"]
    assert display.colorbar_.ax.get_ylabel() == "part of the score"


def test_squared_errors_and_other_detectors(pyplot, data):
    detector = AnomalyTransformerDetector(**PICTURED, random_state=0)
    detector.fit(data.X_train)
    display = DeviationDisplay.from_estimator(detector, data.X_test, calibrated=False)
    errors = detector.deviations(data.X_test).input
    assert_allclose(drawn(display).reshape(errors.T.shape), errors.T)
    assert display.mesh_.get_clim()[1] == pytest.approx(np.quantile(errors, 0.999))
    assert display.colorbar_.ax.get_ylabel() == "deviation"


def test_groups_names_and_times(pyplot, memto, data):
    X = pd.DataFrame(data.X_test, columns=["a", "b", "c"])
    groups = np.arange(len(X)) // 150
    times = pd.period_range("2024-01-01", periods=len(X), freq="min")
    fleet = PerGroupDetector(memto).fit(X, groups=groups)
    display = DeviationDisplay.from_estimator(fleet, X, groups=groups, index=times)
    drawn(display)
    texts = [text.get_text() for text in display.ax_.get_yticklabels()]
    assert texts == ["a", "b", "c"]
    assert display.ax_.get_xlabel() == "time"
    assert display.threshold is None  # each model has its own


def test_missing_values_are_grey_and_others_are_seen(pyplot, memto, data):
    X = data.X_test.copy()
    X[50:60, 1] = np.nan
    display = DeviationDisplay.from_estimator(memto, X, calibrated=False)
    grid = drawn(display).reshape(3, len(X))
    assert_array_equal(np.flatnonzero(grid.mask[1]), np.arange(50, 60))
    assert not grid.mask[[0, 2]].any()


def test_of_many_rows_the_largest_is_seen():
    deviations = np.zeros((100_000, 2))
    deviations[54_321, 1] = 7
    deviations[60_000:60_100, 0] = np.nan
    deviations[60_050, 0] = 5
    display = DeviationDisplay.from_predictions(deviations, ax=Figure().subplots())
    grid = drawn(display).reshape(2, -1)
    assert grid.shape[1] == 2000
    assert (grid.max(axis=1) == [5, 7]).all()
    at = grid[1].argmax()
    assert at * 50 <= 54_321 < (at + 1) * 50


def test_many_channels_are_named_as_far_as_there_is_room():
    ax = Figure().subplots()
    mesh = heat_map(ax, None, np.ones((5, 100)), [f"c{i}" for i in range(100)], np.add)
    assert mesh.get_array().size == 500
    texts = [text.get_text() for text in ax.get_yticklabels()]
    assert texts == [f"c{i}" for i in range(0, 100, 3)]


def test_one_row_and_nothing_known():
    display = DeviationDisplay.from_predictions([[1.0, 2.0]], ax=Figure().subplots())
    assert drawn(display).size == 2
    unknown = np.full((3, 2), np.nan)
    assert drawn(
        DeviationDisplay.from_predictions(unknown, ax=Figure().subplots())
    ).mask.all()


@pytest.mark.parametrize(
    "options, message",
    [
        (
            {"feature_names": ["a"]},
            "'feature_names' parameter of DeviationDisplay must",
        ),
        ({"index": [1]}, "'index' parameter of DeviationDisplay must be of shape"),
        ({"index": ["a", "b"]}, "'index' must hold numbers or times. Got 'a'"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        DeviationDisplay.from_predictions(np.ones((2, 3)), **options)


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.parametrize("kind", [AnomalyScoreDisplay, DeviationDisplay, MemoryDisplay])
def test_names_are_those_that_the_detector_was_fitted_with(pyplot, data, kind):
    X = pd.DataFrame(data.X_train, columns=["a", "b", "c"])
    detector = MEMTODetector(**PICTURED, random_state=0).fit(X)
    display = kind.from_estimator(detector, data.X_test)
    assert list(display.feature_names) == ["a", "b", "c"]
