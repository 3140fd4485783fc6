import math
import pickle
import re
import time

import naive_metrics as naive
import numpy as np
import pytest
import sklearn
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import (
    auc,
    average_precision_score,
    brier_score_loss,
    f1_score,
    get_scorer,
    precision_recall_curve,
    recall_score,
    roc_auc_score,
)
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    LeaveOneGroupOut,
    cross_val_score,
)
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import InvalidParameterError

from skmemto import metrics
from skmemto.metrics import (
    affiliation_precision_recall,
    average_precision_scorer,
    event_recall,
    make_anomaly_scorer,
    pa_k,
    pa_k_auc,
    point_adjust,
    point_adjusted_f1,
    point_adjusted_precision_recall_fscore,
    range_pr_auc,
    range_roc_auc,
    roc_auc_scorer,
    vus_pr,
    vus_pr_scorer,
    vus_roc,
    vus_roc_scorer,
)

OF_LABELS = [
    point_adjust,
    point_adjusted_f1,
    point_adjusted_precision_recall_fscore,
    pa_k,
    pa_k_auc,
    event_recall,
    affiliation_precision_recall,
]
OF_SCORES = [range_pr_auc, range_roc_auc, vus_pr, vus_roc]
READY_SCORERS = [
    average_precision_scorer,
    roc_auc_scorer,
    vus_pr_scorer,
    vus_roc_scorer,
]

# 40 samples with four segments, flags and untied scores, for which the values below
# were computed once with other libraries.
TRUE = np.repeat([0, 1, 0, 1, 0, 1, 0, 1, 0], [3, 4, 5, 1, 2, 2, 9, 8, 6])
PRED = np.isin(np.arange(40), [2, 5, 9, 15, 16, 17, 21, 28, 29, 31, 37]).astype(int)
SCORE = np.array(
    [
        *[19, 17, 30, 4, 9, 22, 25, 10, 15, 35, 24, 31, 34, 2, 36, 37, 38, 23, 32, 7],
        *[11, 13, 14, 12, 28, 6, 27, 1, 33, 20, 26, 29, 5, 21, 18, 16, 8, 39, 3, 0],
    ],
    dtype=float,
)


def random_series(seed, n=60, share=0.3, run=4):
    """Labels, flags and scores (n,); scores are tied in every third series."""
    rng = np.random.default_rng(seed)
    y_true = np.repeat(rng.random(n // run + 1) < share, rng.integers(1, 2 * run))[:n]
    y_true = np.pad(y_true, (0, n - len(y_true))).astype(int)
    y_true[rng.integers(n)] = 1
    y_true[rng.integers(n)] = 0
    if not y_true.any():
        y_true[-1] = 1
    y_pred = (rng.random(n) < rng.choice([0.05, 0.2, 0.6])).astype(int)
    y_pred[rng.integers(n)] = 1
    y_score = rng.normal(size=n) + y_true
    if seed % 3 == 0:
        y_score = np.round(y_score)
    return y_true, y_pred, y_score


# Slow and obvious references ------------------------------------------------------


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("k", [0, 20, 25, 50, 100])
def test_point_adjustment_agrees_with_naive(seed, k):
    y_true, y_pred, _ = random_series(seed)
    expected = naive.point_adjust(y_true, y_pred, k)
    np.testing.assert_array_equal(point_adjust(y_true, y_pred, k=k), expected)
    expected = naive.f1(y_true, expected)
    assert pa_k(y_true, y_pred, k=k) == pytest.approx(expected)
    if k == 0:
        assert point_adjusted_f1(y_true, y_pred) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(30))
def test_label_metrics_agree_with_naive(seed):
    y_true, y_pred, _ = random_series(seed)
    assert pa_k_auc(y_true, y_pred) == pytest.approx(naive.pa_k_auc(y_true, y_pred))
    expected = naive.event_recall(y_true, y_pred)
    assert event_recall(y_true, y_pred) == pytest.approx(expected)
    assert affiliation_precision_recall(y_true, y_pred) == pytest.approx(
        naive.affiliation(y_true, y_pred), abs=1e-12
    )


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("buffer_size", [0, 1, 2, 3, 8, 31, 200])
def test_range_areas_agree_with_naive(seed, buffer_size):
    y_true, _, y_score = random_series(seed)
    pr_auc, roc_auc = naive.range_auc(y_true, y_score, buffer_size)
    kwargs = {"buffer_size": buffer_size}
    assert range_pr_auc(y_true, y_score, **kwargs) == pytest.approx(pr_auc, abs=1e-12)
    assert range_roc_auc(y_true, y_score, **kwargs) == pytest.approx(roc_auc, abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_volumes_agree_with_naive(seed):
    y_true, _, y_score = random_series(seed)
    expected = naive.vus(y_true, y_score, 12)
    assert (
        vus_pr(y_true, y_score, max_buffer_size=12),
        vus_roc(y_true, y_score, max_buffer_size=12),
    ) == pytest.approx(expected, abs=1e-12)


# Independent libraries ------------------------------------------------------------


def test_recorded_values_of_other_libraries():
    """Values of aeon 1.6.0, dtaianomaly 0.5.1 and tadpak 0.3.3, the last with f1_score.

    dtaianomaly's volumes in its compatibility mode equal aeon's.
    """
    pr, roc = range_pr_auc, range_roc_auc
    assert pr(TRUE, SCORE, buffer_size=6) == pytest.approx(0.8270335853204223)
    assert roc(TRUE, SCORE, buffer_size=6) == pytest.approx(0.8955032817098088)
    kwargs = {"max_buffer_size": 20}
    assert vus_pr(TRUE, SCORE, **kwargs) == pytest.approx(0.8368335448438108)
    assert vus_roc(TRUE, SCORE, **kwargs) == pytest.approx(0.8831978259015781)

    assert affiliation_precision_recall(TRUE, PRED) == pytest.approx(
        (0.5336054099211994, 0.7436828275644065)
    )
    assert point_adjusted_precision_recall_fscore(TRUE, PRED) == pytest.approx(
        (0.7368421052631579, 0.9333333333333333, 0.8235294117647058)
    )
    assert event_recall(TRUE, PRED) == 0.75

    for k, expected in {20: 0.823529411, 30: 0.709677419, 50: 0.461538461}.items():
        assert pa_k(TRUE, PRED, k=k) == pytest.approx(expected)


def test_recorded_values_of_huet():
    """The example in the README of the authors' affiliation-metrics-py."""
    y_true, y_pred = [0, 0, 0, 1, 0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 1, 0, 0, 0, 1, 0]
    precision, recall = affiliation_precision_recall(y_true, y_pred)
    assert (round(precision, 2), round(recall, 2)) == (0.82, 0.84)


@pytest.mark.parametrize("seed", [1, 2, 4, 5, 7, 8])
@pytest.mark.parametrize("buffer_size", [0, 1, 2, 3, 8, 31, 200, None])
def test_range_areas_agree_with_aeon(seed, buffer_size):
    # Up to 250 samples aeon uses every threshold, too.
    aeon = pytest.importorskip("aeon.benchmarking.metrics.anomaly_detection")
    y_true, _, y_score = random_series(seed, n=240)
    pr_auc = aeon.range_pr_auc_score(y_true, y_score, buffer_size)
    roc_auc = aeon.range_roc_auc_score(y_true, y_score, buffer_size)
    kwargs = {"buffer_size": buffer_size}
    assert range_pr_auc(y_true, y_score, **kwargs) == pytest.approx(pr_auc, abs=1e-12)
    assert range_roc_auc(y_true, y_score, **kwargs) == pytest.approx(roc_auc, abs=1e-12)


@pytest.mark.parametrize("seed", [1, 2])
def test_volumes_agree_with_aeon(seed):
    aeon = pytest.importorskip("aeon.benchmarking.metrics.anomaly_detection")
    # All thresholds there, too; then 250 of 5000, hence the tolerance.
    for n, tolerance in [(240, 1e-12), (5000, 1e-2)]:
        y_true, _, y_score = random_series(seed, n=n, share=0.05, run=20)
        expected = (
            aeon.range_pr_vus_score(y_true, y_score, 30),
            aeon.range_roc_vus_score(y_true, y_score, 30),
        )
        assert (
            vus_pr(y_true, y_score, max_buffer_size=30),
            vus_roc(y_true, y_score, max_buffer_size=30),
        ) == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize("seed", range(12))
def test_label_metrics_agree_with_dtaianomaly(seed):
    other = pytest.importorskip("dtaianomaly.evaluation")
    y_true, y_pred, _ = random_series(seed, n=200)
    precision, recall, f1 = point_adjusted_precision_recall_fscore(y_true, y_pred)
    affiliation = affiliation_precision_recall(y_true, y_pred)
    for value, metric in [
        (precision, other.PointAdjustedPrecision()),
        (recall, other.PointAdjustedRecall()),
        (f1, other.PointAdjustedFBeta()),
        (point_adjusted_f1(y_true, y_pred), other.PointAdjustedFBeta()),
        (event_recall(y_true, y_pred), other.EventWiseRecall()),
        (affiliation[0], other.AffiliationPrecision()),
        (affiliation[1], other.AffiliationRecall()),
    ]:
        assert value == pytest.approx(metric.compute(y_true, y_pred), abs=1e-9)


@pytest.mark.parametrize("seed", [1, 2])
def test_volumes_agree_with_dtaianomaly(seed):
    other = pytest.importorskip("dtaianomaly.evaluation")
    y_true, _, y_score = random_series(seed, n=240)
    y_score = (y_score - y_score.min()) / np.ptp(y_score)
    kwargs = {"max_buffer_size": 30, "compatibility_mode": True}
    pr, roc = other.VolumeUnderPR(**kwargs), other.VolumeUnderROC(**kwargs)
    assert (
        vus_pr(y_true, y_score, max_buffer_size=30),
        vus_roc(y_true, y_score, max_buffer_size=30),
    ) == pytest.approx(
        (pr.compute(y_true, y_score), roc.compute(y_true, y_score)), abs=1e-9
    )


@pytest.mark.parametrize("seed", range(6))
def test_pa_k_agrees_with_the_authors_tadpak(seed):
    tadpak = pytest.importorskip("tadpak.pak")
    y_true, y_pred, _ = random_series(seed, n=200)
    grid = np.arange(0, 101)
    expected = [f1_score(y_true, tadpak.pak(y_pred, y_true, 0.5, k=k)) for k in grid]
    ours = [pa_k(y_true, y_pred, k=int(k)) for k in grid]
    assert ours == pytest.approx(expected)
    assert pa_k_auc(y_true, y_pred) == pytest.approx(
        auc(grid / 100, expected), abs=0.01
    )


@pytest.mark.parametrize("seed", range(10))
def test_one_segment_without_buffer_is_scikit_learn(seed):
    """One segment and no slopes: the existence term is 1 from the first hit on."""
    rng = np.random.default_rng(seed)
    y_true = np.repeat([0, 1, 0], [50, 20, 80])
    y_score = rng.normal(size=150) + y_true
    precision, recall, _ = precision_recall_curve(y_true, y_score)
    assert range_pr_auc(y_true, y_score, buffer_size=0) == pytest.approx(
        auc(recall, precision)
    )
    tied = np.round(y_score)
    assert range_roc_auc(y_true, tied, buffer_size=0) == pytest.approx(
        roc_auc_score(y_true, tied)
    )
    # All scores tied with another: no trapezoids, and so average precision.
    twice = np.repeat(y_true, 2), np.repeat(y_score, 2)
    assert range_pr_auc(*twice, buffer_size=0) == pytest.approx(
        average_precision_score(*twice)
    )


# Properties -----------------------------------------------------------------------

flags = st.lists(st.integers(0, 1), min_size=2, max_size=60)


@st.composite
def labels_and_predictions(draw):
    y_true = draw(flags)
    n = len(y_true)
    return y_true, draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))


@st.composite
def labels_and_scores(draw):
    y_true = draw(flags)
    n = len(y_true)
    scores = st.integers(-1000, 1000)
    return y_true, draw(st.lists(scores, min_size=n, max_size=n))


@settings(max_examples=60, deadline=None)
@given(labels_and_predictions())
def test_point_adjustment_never_lowers_recall_nor_touches_normal_samples(data):
    y_true, y_pred = map(np.array, data)
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
@given(flags)
def test_perfect_predictions_give_1(y_true):
    assume(any(y_true))
    assert point_adjusted_f1(y_true, y_true) == 1
    assert point_adjusted_precision_recall_fscore(y_true, y_true) == (1, 1, 1)
    assert pa_k(y_true, y_true) == 1
    assert pa_k_auc(y_true, y_true) == pytest.approx(1)
    assert event_recall(y_true, y_true) == 1
    assert affiliation_precision_recall(y_true, y_true) == (1, 1)


@settings(max_examples=60, deadline=None)
@given(labels_and_scores())
def test_perfect_scores_give_1_without_a_buffer(data):
    y_true, y_score = map(np.array, data)
    assume(0 < y_true.sum() < len(y_true))
    y_score = y_score + 5000 * y_true
    assert range_pr_auc(y_true, y_score, buffer_size=0) == pytest.approx(1)
    if y_true.sum() == 1 or np.diff(np.flatnonzero(y_true)).max() == 1:
        # Only one segment to find; else recall lags behind while some are missing.
        assert range_roc_auc(y_true, y_score, buffer_size=0) == pytest.approx(1)


@settings(max_examples=60, deadline=None)
@given(labels_and_scores(), st.integers(0, 40))
def test_areas_lie_in_0_1_and_depend_on_the_order_only(data, buffer_size):
    y_true, y_score = map(np.array, data)
    assume(0 < y_true.sum() < len(y_true))
    for metric in (range_pr_auc, range_roc_auc):
        area = metric(y_true, y_score, buffer_size=buffer_size)
        assert -1e-12 <= area <= 1 + 1e-12
        for transformed in (3 * y_score - 7, np.exp(y_score / 100), y_score**3):
            assert metric(y_true, transformed, buffer_size=buffer_size) == area


@settings(max_examples=60, deadline=None)
@given(labels_and_predictions())
def test_affiliation_is_symmetric_in_time(data):
    y_true, y_pred = map(np.array, data)
    assume(y_true.any() and y_pred.any())
    values = affiliation_precision_recall(y_true, y_pred)
    assert all(-1e-12 <= value <= 1 + 1e-12 for value in values)
    backwards = affiliation_precision_recall(y_true[::-1], y_pred[::-1])
    assert backwards == pytest.approx(values)


def test_affiliation_grows_with_nearness():
    y_true = np.isin(np.arange(100), range(45, 55))
    flagged = [np.arange(100) == t for t in (0, 20, 40, 44, 45)]
    precision, recall = zip(
        *(affiliation_precision_recall(y_true, y_pred) for y_pred in flagged),
        strict=True,
    )
    assert list(precision) == sorted(precision) and precision[-1] == 1
    assert list(recall) == sorted(recall)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 200), st.integers(1, 30))
def test_constant_score_gets_no_more_than_chance(n, length):
    """The paper's trapezoid from (0, 1) would give (1 + share) / 2."""
    y_true = np.arange(n) < min(length, n - 1)
    share = y_true.mean()
    assert range_pr_auc(y_true, np.ones(n), buffer_size=0) == pytest.approx(share)
    assert range_roc_auc(y_true, np.ones(n), buffer_size=0) == pytest.approx(0.5)


def test_random_scores_reach_published_results_with_point_adjustment():
    y_true = np.tile(np.repeat([0, 1], [750, 250]), 5)
    y_pred = np.random.default_rng(0).random(5000) > 0.98
    assert point_adjusted_f1(y_true, y_pred) > 0.95
    assert f1_score(y_true, y_pred) < 0.1
    assert pa_k(y_true, y_pred, k=20) < 0.1
    assert pa_k_auc(y_true, y_pred) < 0.15


def test_a_little_early_costs_less_with_a_buffer():
    y_true = np.repeat([0, 1, 0], [100, 20, 100])
    rng = np.random.default_rng(0)
    early = rng.random(220) + np.roll(y_true, -3)
    wrong = rng.random(220) + np.roll(y_true, -60)
    plain = range_pr_auc(y_true, early, buffer_size=0)
    assert range_pr_auc(y_true, early, buffer_size=20) > plain
    assert vus_pr(y_true, early) > vus_pr(y_true, wrong) + 0.3


def test_median_segment_is_the_default_buffer():
    y_true, _, y_score = random_series(1)
    lengths = [end - start for start, end in naive.segments(y_true)]
    for metric in (range_pr_auc, range_roc_auc):
        expected = metric(y_true, y_score, buffer_size=int(np.median(lengths)))
        assert metric(y_true, y_score) == expected


def test_vus_pr_of_30_000_samples_is_fast():
    rng = np.random.default_rng(0)
    y_true = np.repeat(rng.random(600) < 0.1, 50)
    y_score = rng.random(30_000)
    start = time.perf_counter()
    vus_pr(y_true, y_score)
    assert time.perf_counter() - start < 5


# Input checks ---------------------------------------------------------------------


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
    y_true, y_pred, _ = random_series(4)
    expected = metric(y_true, y_pred)
    for convert in (list, pandas.Series, lambda y: y.astype(bool), np.float32):
        result = metric(convert(y_true), convert(y_pred))
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize(
    "call",
    [
        lambda: pa_k(TRUE, PRED, k=101),
        lambda: point_adjust(TRUE, PRED, k=-1),
        lambda: range_pr_auc(TRUE, SCORE, buffer_size=-1),
        lambda: range_roc_auc(TRUE, SCORE, buffer_size=1.5),
        lambda: vus_pr(TRUE, SCORE, max_buffer_size=-1),
        lambda: vus_roc(TRUE, SCORE, max_buffer_size=None),
        lambda: event_recall(TRUE, PRED, zero_division=0.5),
        lambda: point_adjusted_precision_recall_fscore(TRUE, PRED, beta=-1),
        lambda: make_anomaly_scorer(vus_pr, response_method="transform"),
        lambda: make_anomaly_scorer("vus_pr"),
    ],
)
def test_bad_parameters_raise(call):
    with pytest.raises(InvalidParameterError, match="must be"):
        call()


# Undefined values follow scikit-learn's nearest metric ----------------------------


def test_no_anomalies():
    y_true, y_pred = [0, 0, 0, 0], [0, 1, 0, 0]
    for metric in (range_pr_auc, vus_pr):
        with pytest.warns(UndefinedMetricWarning, match="No anomalous"):
            assert metric(y_true, y_pred) == 0
    for metric in (range_roc_auc, vus_roc):
        with pytest.warns(UndefinedMetricWarning, match="Only one class"):
            assert math.isnan(metric(y_true, y_pred))
    with pytest.warns(UndefinedMetricWarning, match="Recall"):
        assert event_recall(y_true, y_pred) == 0
    with pytest.warns(UndefinedMetricWarning, match="Affiliation"):
        assert affiliation_precision_recall(y_true, y_pred) == (0, 0)
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
    with pytest.warns(UndefinedMetricWarning, match="Affiliation precision"):
        assert affiliation_precision_recall(y_true, y_pred) == (0, 0)
    precision, recall = affiliation_precision_recall(
        y_true, y_pred, zero_division=np.nan
    )
    assert math.isnan(precision) and recall == 0
    assert event_recall(y_true, y_pred) == pa_k_auc(y_true, y_pred) == 0


def test_everything_anomalous():
    y_true, y = [1, 1, 1], [0, 1, 0]
    assert range_pr_auc(y_true, y) == vus_pr(y_true, y) == pytest.approx(1)
    with pytest.warns(UndefinedMetricWarning, match="Only one class"):
        assert math.isnan(vus_roc(y_true, y))
    assert event_recall(y_true, y) == point_adjusted_f1(y_true, y) == 1


def test_warnings_point_at_the_caller():
    with pytest.warns(UndefinedMetricWarning) as record:
        vus_pr([0, 0], [0, 1])
        affiliation_precision_recall([0, 1], [0, 0])
    assert [warning.filename for warning in record] == [__file__, __file__]


# Scorers --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data():
    y = np.tile(np.repeat([0, 1, 0], [40, 5, 15]), 4)
    X = np.random.default_rng(0).normal(size=(len(y), 2)) + 3 * y[:, None]
    return X, y


@pytest.fixture(scope="module")
def detector(data):
    X, y = data
    return IsolationForest(n_estimators=20, random_state=0).fit(X[y == 0])


def test_scorers_turn_the_response_of_a_detector(data, detector):
    X, y = data
    y_score = -detector.score_samples(X)
    expected = {
        average_precision_scorer: average_precision_score(y, y_score),
        roc_auc_scorer: roc_auc_score(y, y_score),
        vus_pr_scorer: vus_pr(y, y_score),
        vus_roc_scorer: vus_roc(y, y_score),
        make_anomaly_scorer(range_pr_auc, buffer_size=4): range_pr_auc(
            y, y_score, buffer_size=4
        ),
        make_anomaly_scorer(pa_k, response_method="predict", k=50): pa_k(
            y, detector.predict(X) == -1, k=50
        ),
    }
    for scorer, value in expected.items():
        assert scorer(detector, X, y) == value
    by_decision = make_anomaly_scorer(vus_pr, response_method="decision_function")
    assert by_decision(detector, X, y) == pytest.approx(vus_pr_scorer(detector, X, y))


def test_the_trap_is_as_documented(data, detector):
    right = roc_auc_scorer(detector, *data)
    assert right > 0.9
    assert get_scorer("roc_auc")(detector, *data) == pytest.approx(1 - right)


def test_losses_are_turned(data, detector):
    X, y = data
    scorer = make_anomaly_scorer(
        brier_score_loss, response_method="predict", greater_is_better=False
    )
    expected = -brier_score_loss(y, detector.predict(X) == -1)
    assert scorer(detector, X, y) == expected < 0


@pytest.mark.parametrize("scorer", READY_SCORERS)
def test_scorers_in_model_selection(data, scorer):
    X, y = data
    cv = KFold(4)
    pipeline = make_pipeline(StandardScaler(), LocalOutlierFactor(novelty=True))
    scores = cross_val_score(pipeline, X, y, scoring=scorer, cv=cv)
    expected = []
    for train, test in cv.split(X):
        y_score = -pipeline.fit(X[train]).score_samples(X[test])
        expected.append(scorer._score_func(y[test], y_score))
    assert scores.tolist() == expected

    grid = {"localoutlierfactor__n_neighbors": [2, 60]}
    search = GridSearchCV(pipeline, grid, scoring=scorer, cv=cv).fit(X, y)
    assert search.best_params_ == {"localoutlierfactor__n_neighbors": 60}
    assert search.score(X, y) == scorer(search.best_estimator_, X, y)


class CountingDetector(OutlierMixin, BaseEstimator):
    """Score the distance from 0, and remember what it was asked."""

    calls = ()

    def fit(self, X, y=None):
        self.offset_ = -2.0
        return self

    def score_samples(self, X, *, groups=None):
        CountingDetector.calls += (("score_samples", groups),)
        return -np.abs(X[:, 0])

    def decision_function(self, X, *, groups=None):
        CountingDetector.calls += (("decision_function", groups),)
        return -np.abs(X[:, 0]) - self.offset_

    def predict(self, X, *, groups=None):
        return np.where(self.decision_function(X, groups=groups) < 0, -1, 1)


@pytest.fixture
def calls(monkeypatch):
    monkeypatch.setattr(CountingDetector, "calls", ())
    return lambda: CountingDetector.calls


def test_several_metrics_share_one_response(data, calls):
    X, y = data
    scoring = {"vus": vus_pr_scorer, "ap": average_precision_scorer}
    search = GridSearchCV(
        CountingDetector(), {}, scoring=scoring, refit=False, cv=KFold(2)
    )
    search.fit(X, y)
    assert len(calls()) == 2  # one for each fold
    assert {"mean_test_vus", "mean_test_ap"} <= set(search.cv_results_)


@pytest.mark.parametrize("response_method", ["score_samples", "predict"])
@pytest.mark.parametrize("in_pipeline", [False, True])
def test_groups_are_routed_to_the_detector(data, calls, response_method, in_pipeline):
    X, y = data
    groups = np.repeat([0, 1], len(y) // 2)
    metric = vus_pr if response_method == "score_samples" else event_recall
    with sklearn.config_context(enable_metadata_routing=True):
        detector = CountingDetector().set_decision_function_request(groups=True)
        detector.set_predict_request(groups=True)
        if in_pipeline:
            detector = make_pipeline(StandardScaler(), detector)
        scorer = make_anomaly_scorer(metric, response_method=response_method)
        scorer.set_score_request(groups=True)
        scores = cross_val_score(
            detector,
            X,
            y,
            scoring=scorer,
            cv=LeaveOneGroupOut(),
            params={"groups": groups},
            error_score="raise",
        )
    assert len(scores) == 2
    for group, (method, passed) in enumerate(calls()):
        assert method == "decision_function"
        assert set(passed) == {group} and len(passed) == len(y) // 2


def test_groups_for_the_splitter_alone(data, calls):
    X, y = data
    groups = np.repeat([0, 1], len(y) // 2)
    for routing in (False, True):
        with sklearn.config_context(enable_metadata_routing=routing):
            search = GridSearchCV(
                CountingDetector(), {}, scoring=vus_pr_scorer, cv=LeaveOneGroupOut()
            )
            search.fit(X, y, groups=groups)
        assert search.n_splits_ == 2
    assert {call for call in calls()} == {("score_samples", None)}


def test_groups_do_not_change_the_score(data):
    X, y = data
    with sklearn.config_context(enable_metadata_routing=True):
        scorer = make_anomaly_scorer(vus_pr).set_score_request(groups=True)
        plain = vus_pr_scorer(CountingDetector().fit(X), X, y)
        routed = scorer(CountingDetector().fit(X), X, y, groups=np.zeros(len(y)))
    assert routed == pytest.approx(plain)


def test_sample_weight_goes_to_the_metric(data, detector):
    X, y = data
    weight = np.linspace(1, 2, len(y))
    score = roc_auc_scorer(detector, X, y, sample_weight=weight)
    expected = roc_auc_score(y, -detector.score_samples(X), sample_weight=weight)
    assert score == expected


def test_scorers_refuse_labels_of_scikit_learn(data, detector):
    X, y = data
    for scorer in READY_SCORERS:
        with pytest.raises(ValueError, match=r"Got -1 instead"):
            scorer(detector, X, np.where(y == 1, -1, 1))


def test_scorers_pickle_and_print(data, detector):
    for scorer in READY_SCORERS:
        copy = pickle.loads(pickle.dumps(scorer))
        assert copy(detector, *data) == scorer(detector, *data)
    scorer = make_anomaly_scorer(pa_k, response_method="predict", k=30)
    assert repr(scorer) == (
        "make_anomaly_scorer(pa_k, response_method='predict', k=30)"
    )
    assert pickle.loads(pickle.dumps(scorer))(detector, *data) > 0


def test_public_names_are_documented():
    assert sorted(metrics.__all__) == list(metrics.__all__)
    for name in metrics.__all__:
        member = getattr(metrics, name)
        if name.endswith("_scorer") and not name.startswith("make"):
            assert re.search(rf"``{name}``", make_anomaly_scorer.__doc__)
        else:
            assert ">>>" in member.__doc__
