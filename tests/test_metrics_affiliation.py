"""Affiliation precision and recall."""

import math

import naive_metrics as naive
import numpy as np
import pytest
from conftest import PRED, TRUE, labelled_series, labels_beside
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.exceptions import UndefinedMetricWarning

from skmemto.metrics import affiliation_precision_recall

labels_and_predictions = labels_beside(st.integers(0, 1))


@pytest.mark.parametrize("seed", range(30))
def test_it_agrees_with_naive(seed):
    y_true, y_pred, _ = labelled_series(seed)
    assert affiliation_precision_recall(y_true, y_pred) == pytest.approx(
        naive.affiliation(y_true, y_pred), abs=1e-12
    )


def test_recorded_values_of_dtaianomaly():
    """Values of dtaianomaly 0.5.1."""
    assert affiliation_precision_recall(TRUE, PRED) == pytest.approx(
        (0.5336054099211994, 0.7436828275644065)
    )


def test_recorded_values_of_huet():
    """The example in the README of the authors' affiliation-metrics-py."""
    y_true, y_pred = [0, 0, 0, 1, 0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 1, 0, 0, 0, 1, 0]
    precision, recall = affiliation_precision_recall(y_true, y_pred)
    assert (round(precision, 2), round(recall, 2)) == (0.82, 0.84)


@pytest.mark.parametrize("seed", range(12))
def test_it_agrees_with_dtaianomaly(seed):
    other = pytest.importorskip("dtaianomaly.evaluation")
    y_true, y_pred, _ = labelled_series(seed, n=200)
    values = affiliation_precision_recall(y_true, y_pred)
    metrics = other.AffiliationPrecision(), other.AffiliationRecall()
    expected = [metric.compute(y_true, y_pred) for metric in metrics]
    assert values == pytest.approx(expected, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 1), min_size=2, max_size=60))
def test_perfect_predictions_give_1(y_true):
    assume(any(y_true))
    assert affiliation_precision_recall(y_true, y_true) == (1, 1)


@settings(max_examples=60, deadline=None)
@given(labels_and_predictions)
def test_it_is_symmetric_in_time(data):
    y_true, y_pred = data
    assume(y_true.any() and y_pred.any())
    values = affiliation_precision_recall(y_true, y_pred)
    assert all(-1e-12 <= value <= 1 + 1e-12 for value in values)
    backwards = affiliation_precision_recall(y_true[::-1], y_pred[::-1])
    assert backwards == pytest.approx(values)


def test_it_grows_with_nearness():
    y_true = np.isin(np.arange(100), range(45, 55))
    flagged = [np.arange(100) == t for t in (0, 20, 40, 44, 45)]
    precision, recall = zip(
        *(affiliation_precision_recall(y_true, y_pred) for y_pred in flagged),
        strict=True,
    )
    assert list(precision) == sorted(precision) and precision[-1] == 1
    assert list(recall) == sorted(recall)


def test_nothing_anomalous():
    with pytest.warns(UndefinedMetricWarning, match="Affiliation"):
        assert affiliation_precision_recall([0, 0, 0, 0], [0, 1, 0, 0]) == (0, 0)


def test_nothing_predicted():
    y_true, y_pred = [0, 1, 1, 0], [0, 0, 0, 0]
    with pytest.warns(UndefinedMetricWarning, match="Affiliation precision") as record:
        assert affiliation_precision_recall(y_true, y_pred) == (0, 0)
    assert [warning.filename for warning in record] == [__file__]  # the caller's
    precision, recall = affiliation_precision_recall(
        y_true, y_pred, zero_division=np.nan
    )
    assert math.isnan(precision) and recall == 0
