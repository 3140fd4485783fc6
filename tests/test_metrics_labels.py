"""What all metrics ask of labels and scores, and the segments that they see."""

import math
import warnings

import naive_metrics as naive
import numpy as np
import pytest
from conftest import labelled_series
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import UndefinedMetricWarning

from skmemto import metrics
from skmemto.metrics._labels import ill_defined, segments

OF_SCORES = [
    metrics.range_pr_auc,
    metrics.range_roc_auc,
    metrics.vus_pr,
    metrics.vus_roc,
]
OF_LABELS = [
    metrics.point_adjust,
    metrics.point_adjusted_f1,
    metrics.point_adjusted_precision_recall_fscore,
    metrics.pa_k,
    metrics.pa_k_auc,
    metrics.event_recall,
    metrics.affiliation_precision_recall,
]


def test_all_metrics_are_here():
    scorers = {name for name in metrics.__all__ if name.endswith("_scorer")}
    names = {metric.__name__ for metric in OF_LABELS + OF_SCORES}
    of_events = {"compare_events", "EventComparison"}
    assert names | of_events == set(metrics.__all__) - scorers


@pytest.mark.parametrize("metric", OF_LABELS + OF_SCORES)
def test_labels_of_scikit_learn_are_explained(metric):
    message = (
        r"y_true must contain 0 \(normal\) and 1 \(anomalous\) only\. Got -1 instead\. "
        r".*pass `y_true == -1`"
    )
    with pytest.raises(ValueError, match=message):
        metric([1, -1, 1], [0, 1, 0])


@pytest.mark.parametrize("metric", OF_LABELS)
def test_predictions_must_be_binary(metric):
    with pytest.raises(ValueError, match=r"y_pred must contain 0 .* Got -1"):
        metric([0, 1, 0], [1, -1, 1])
    with pytest.raises(ValueError, match=r"y_pred must contain 0 .* Got 0\.3"):
        metric([0, 1, 0], [0.3, 0.1, 1.0])


@pytest.mark.parametrize("metric", OF_LABELS + OF_SCORES)
@pytest.mark.parametrize(
    "y_true, y, message",
    [
        ([0, 1, 2], [0, 1, 0], "Got 2 instead"),
        ([0, 1], [0, 1, 0], "inconsistent numbers of samples"),
        ([[0, 1], [1, 0]], [0, 1], "1d array"),
        ([0, 1], [[0, 1], [1, 0]], "1d array"),
        ([0, math.nan], [0, 1], "Input y_true contains NaN"),
        ([0, 1], [0, math.nan], r"Input y_(pred|score) contains NaN"),
        ([0, 1], [0, math.inf], r"Input y_(pred|score) contains infinity"),
        ([], [], "minimum of 1 is required"),
        (["a", "b"], [0, 1], "could not convert|strings"),
        (None, [0, 1], "y_true"),
    ],
)
def test_bad_input_raises(metric, y_true, y, message):
    with pytest.raises(ValueError, match=message):
        metric(y_true, y)


@pytest.mark.parametrize("metric", OF_LABELS + OF_SCORES)
def test_array_likes_and_booleans(metric):
    pandas = pytest.importorskip("pandas")
    y_true, y_pred, _ = labelled_series(4)
    expected = metric(y_true, y_pred)
    for convert in (list, pandas.Series, lambda y: y.astype(bool), np.float32):
        result = metric(convert(y_true), convert(y_pred))
        np.testing.assert_array_equal(result, expected)


@settings(deadline=None)
@given(st.lists(st.integers(0, 1), min_size=1, max_size=30))
def test_segments_equal_naive(y):
    starts, ends = segments(np.array(y, dtype=np.int8))
    assert list(zip(starts, ends, strict=True)) == naive.segments(y)


@pytest.mark.parametrize("value", [0.0, 1.0, math.nan])
def test_value_of_the_ill_defined(value):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_equal(ill_defined("Precision", "true", value), value)


def test_warning_of_the_ill_defined():
    with pytest.warns(UndefinedMetricWarning, match="Precision is ill-defined .* true"):
        assert ill_defined("Precision", "true", "warn") == 0
