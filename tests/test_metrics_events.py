"""Point adjustment, PA%K and event recall."""

import naive_metrics as naive
import numpy as np
import pytest
from conftest import PRED, TRUE, labelled_series, labels_beside
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import auc, f1_score, recall_score
from sklearn.utils._param_validation import InvalidParameterError

from skmemto.metrics import (
    event_recall,
    pa_k,
    pa_k_auc,
    point_adjust,
    point_adjusted_f1,
    point_adjusted_precision_recall_fscore,
)

labels_and_predictions = labels_beside(st.integers(0, 1))


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("k", [0, 20, 25, 50, 100])
def test_point_adjustment_agrees_with_naive(seed, k):
    y_true, y_pred, _ = labelled_series(seed)
    expected = naive.point_adjust(y_true, y_pred, k)
    np.testing.assert_array_equal(point_adjust(y_true, y_pred, k=k), expected)
    expected = naive.f1(y_true, expected)
    assert pa_k(y_true, y_pred, k=k) == pytest.approx(expected)
    if k == 0:
        assert point_adjusted_f1(y_true, y_pred) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(30))
def test_areas_and_events_agree_with_naive(seed):
    y_true, y_pred, _ = labelled_series(seed)
    assert pa_k_auc(y_true, y_pred) == pytest.approx(naive.pa_k_auc(y_true, y_pred))
    expected = naive.event_recall(y_true, y_pred)
    assert event_recall(y_true, y_pred) == pytest.approx(expected)


def test_recorded_values_of_other_libraries():
    """Values of dtaianomaly 0.5.1, and of tadpak 0.3.3 with f1_score."""
    assert point_adjusted_precision_recall_fscore(TRUE, PRED) == pytest.approx(
        (0.7368421052631579, 0.9333333333333333, 0.8235294117647058)
    )
    assert event_recall(TRUE, PRED) == 0.75
    for k, expected in {20: 0.823529411, 30: 0.709677419, 50: 0.461538461}.items():
        assert pa_k(TRUE, PRED, k=k) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(12))
def test_they_agree_with_dtaianomaly(seed):
    other = pytest.importorskip("dtaianomaly.evaluation")
    y_true, y_pred, _ = labelled_series(seed, n=200)
    precision, recall, f1 = point_adjusted_precision_recall_fscore(y_true, y_pred)
    for value, metric in [
        (precision, other.PointAdjustedPrecision()),
        (recall, other.PointAdjustedRecall()),
        (f1, other.PointAdjustedFBeta()),
        (point_adjusted_f1(y_true, y_pred), other.PointAdjustedFBeta()),
        (event_recall(y_true, y_pred), other.EventWiseRecall()),
    ]:
        assert value == pytest.approx(metric.compute(y_true, y_pred), abs=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_pa_k_agrees_with_the_authors_tadpak(seed):
    tadpak = pytest.importorskip("tadpak.pak")
    y_true, y_pred, _ = labelled_series(seed, n=200)
    grid = np.arange(0, 101)
    expected = [f1_score(y_true, tadpak.pak(y_pred, y_true, 0.5, k=k)) for k in grid]
    ours = [pa_k(y_true, y_pred, k=int(k)) for k in grid]
    assert ours == pytest.approx(expected)
    assert pa_k_auc(y_true, y_pred) == pytest.approx(
        auc(grid / 100, expected), abs=0.01
    )


@settings(max_examples=60, deadline=None)
@given(labels_and_predictions)
def test_point_adjustment_never_lowers_recall_nor_touches_normal_samples(data):
    y_true, y_pred = data
    assume(y_true.any())
    adjusted = point_adjust(y_true, y_pred)
    before = recall_score(y_true, y_pred)
    assert recall_score(y_true, adjusted) >= before
    np.testing.assert_array_equal(adjusted[y_true == 0], y_pred[y_true == 0])
    np.testing.assert_array_equal(point_adjust(y_true, adjusted), adjusted)
    f1 = [pa_k(y_true, y_pred, k=k) for k in (0, 10, 50, 99, 100)]
    assert f1 == sorted(f1, reverse=True)
    assert f1[0] == point_adjusted_f1(y_true, y_pred)
    assert f1[-1] == f1_score(y_true, y_pred)
    assert f1[-1] - 1e-9 <= pa_k_auc(y_true, y_pred) <= f1[0] + 1e-9


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 1), min_size=2, max_size=60))
def test_perfect_predictions_give_1(y_true):
    assume(any(y_true))
    assert point_adjusted_f1(y_true, y_true) == 1
    assert point_adjusted_precision_recall_fscore(y_true, y_true) == (1, 1, 1)
    assert pa_k(y_true, y_true) == 1
    assert pa_k_auc(y_true, y_true) == pytest.approx(1)
    assert event_recall(y_true, y_true) == 1


def test_random_scores_reach_published_results_with_point_adjustment():
    y_true = np.tile(np.repeat([0, 1], [750, 250]), 5)
    y_pred = np.random.default_rng(0).random(5000) > 0.98
    assert point_adjusted_f1(y_true, y_pred) > 0.95
    assert f1_score(y_true, y_pred) < 0.1
    assert pa_k(y_true, y_pred, k=20) < 0.1
    assert pa_k_auc(y_true, y_pred) < 0.15


# Undefined values follow scikit-learn's nearest metric ----------------------------


def test_nothing_anomalous():
    y_true, y_pred = [0, 0, 0, 0], [0, 1, 0, 0]
    with pytest.warns(UndefinedMetricWarning, match="Recall"):
        assert event_recall(y_true, y_pred) == 0
    # As with f1_score, a false alarm makes F1 well-defined: 0.
    assert pa_k(y_true, y_pred) == pa_k_auc(y_true, y_pred) == 0
    assert point_adjusted_f1(y_true, y_pred) == 0
    np.testing.assert_array_equal(point_adjust(y_true, y_pred), y_pred)


@pytest.mark.parametrize("metric", [point_adjusted_f1, pa_k, pa_k_auc])
def test_nothing_anomalous_nor_predicted(metric):
    with pytest.warns(UndefinedMetricWarning, match="F-score is ill-defined"):
        assert metric([0, 0], [0, 0]) == 0
    assert metric([0, 0], [0, 0], zero_division=1.0) == 1


def test_nothing_predicted():
    y_true, y_pred = [0, 1, 1, 0], [0, 0, 0, 0]
    assert event_recall(y_true, y_pred) == pa_k_auc(y_true, y_pred) == 0


def test_everything_anomalous():
    y_true, y_pred = [1, 1, 1], [0, 1, 0]
    assert event_recall(y_true, y_pred) == point_adjusted_f1(y_true, y_pred) == 1


@pytest.mark.parametrize(
    "call",
    [
        lambda: pa_k(TRUE, PRED, k=101),
        lambda: point_adjust(TRUE, PRED, k=-1),
        lambda: event_recall(TRUE, PRED, zero_division=0.5),
        lambda: point_adjusted_precision_recall_fscore(TRUE, PRED, beta=-1),
    ],
)
def test_bad_parameters_raise(call):
    with pytest.raises(InvalidParameterError, match="must be"):
        call()
