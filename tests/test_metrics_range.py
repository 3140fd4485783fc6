"""Range-aware areas, and the volumes under them."""

import math
import time

import naive_metrics as naive
import numpy as np
import pytest
from conftest import SCORE, TRUE, labelled_series, labels_beside
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import (
    auc,
    average_precision_score,
    precision_recall_curve,
    roc_auc_score,
)
from sklearn.utils._param_validation import InvalidParameterError

from skmemto.metrics import range_pr_auc, range_roc_auc, vus_pr, vus_roc

labels_and_scores = labels_beside(st.integers(-1000, 1000))


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("buffer_size", [0, 1, 2, 3, 8, 31, 200])
def test_range_areas_agree_with_naive(seed, buffer_size):
    y_true, _, y_score = labelled_series(seed)
    pr_auc, roc_auc = naive.range_auc(y_true, y_score, buffer_size)
    kwargs = {"buffer_size": buffer_size}
    assert range_pr_auc(y_true, y_score, **kwargs) == pytest.approx(pr_auc, abs=1e-12)
    assert range_roc_auc(y_true, y_score, **kwargs) == pytest.approx(roc_auc, abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_volumes_agree_with_naive(seed):
    y_true, _, y_score = labelled_series(seed)
    expected = naive.vus(y_true, y_score, 12)
    assert (
        vus_pr(y_true, y_score, max_buffer_size=12),
        vus_roc(y_true, y_score, max_buffer_size=12),
    ) == pytest.approx(expected, abs=1e-12)


def test_recorded_values_of_aeon():
    """Values of aeon 1.6.0, and for volumes of dtaianomaly 0.5.1 made compatible."""
    pr, roc = range_pr_auc, range_roc_auc
    assert pr(TRUE, SCORE, buffer_size=6) == pytest.approx(0.8270335853204223)
    assert roc(TRUE, SCORE, buffer_size=6) == pytest.approx(0.8955032817098088)
    kwargs = {"max_buffer_size": 20}
    assert vus_pr(TRUE, SCORE, **kwargs) == pytest.approx(0.8368335448438108)
    assert vus_roc(TRUE, SCORE, **kwargs) == pytest.approx(0.8831978259015781)


@pytest.mark.parametrize("seed", [1, 2, 4, 5, 7, 8])
@pytest.mark.parametrize("buffer_size", [0, 1, 2, 3, 8, 31, 200, None])
def test_range_areas_agree_with_aeon(seed, buffer_size):
    # Up to 250 samples aeon uses every threshold, too.
    aeon = pytest.importorskip("aeon.benchmarking.metrics.anomaly_detection")
    y_true, _, y_score = labelled_series(seed, n=240)
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
        y_true, _, y_score = labelled_series(seed, n=n, share=0.05, run=20)
        expected = (
            aeon.range_pr_vus_score(y_true, y_score, 30),
            aeon.range_roc_vus_score(y_true, y_score, 30),
        )
        assert (
            vus_pr(y_true, y_score, max_buffer_size=30),
            vus_roc(y_true, y_score, max_buffer_size=30),
        ) == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize("seed", [1, 2])
def test_volumes_agree_with_dtaianomaly(seed):
    other = pytest.importorskip("dtaianomaly.evaluation")
    y_true, _, y_score = labelled_series(seed, n=240)
    y_score = (y_score - y_score.min()) / np.ptp(y_score)
    kwargs = {"max_buffer_size": 30, "compatibility_mode": True}
    pr, roc = other.VolumeUnderPR(**kwargs), other.VolumeUnderROC(**kwargs)
    assert (
        vus_pr(y_true, y_score, max_buffer_size=30),
        vus_roc(y_true, y_score, max_buffer_size=30),
    ) == pytest.approx(
        (pr.compute(y_true, y_score), roc.compute(y_true, y_score)), abs=1e-9
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


@settings(max_examples=60, deadline=None)
@given(labels_and_scores)
def test_perfect_scores_give_1_without_a_buffer(data):
    y_true, y_score = data
    assume(0 < y_true.sum() < len(y_true))
    y_score = y_score + 5000 * y_true
    assert range_pr_auc(y_true, y_score, buffer_size=0) == pytest.approx(1)
    if y_true.sum() == 1 or np.diff(np.flatnonzero(y_true)).max() == 1:
        # Only one segment to find; else recall lags behind while some are missing.
        assert range_roc_auc(y_true, y_score, buffer_size=0) == pytest.approx(1)


@settings(max_examples=60, deadline=None)
@given(labels_and_scores, st.integers(0, 40))
def test_areas_lie_in_0_1_and_depend_on_the_order_only(data, buffer_size):
    y_true, y_score = data
    assume(0 < y_true.sum() < len(y_true))
    for metric in (range_pr_auc, range_roc_auc):
        area = metric(y_true, y_score, buffer_size=buffer_size)
        assert -1e-12 <= area <= 1 + 1e-12
        for transformed in (3 * y_score - 7, np.exp(y_score / 100), y_score**3):
            assert metric(y_true, transformed, buffer_size=buffer_size) == area


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 200), st.integers(1, 30))
def test_constant_score_gets_no_more_than_chance(n, length):
    """The paper's trapezoid from (0, 1) would give (1 + share) / 2."""
    y_true = np.arange(n) < min(length, n - 1)
    share = y_true.mean()
    assert range_pr_auc(y_true, np.ones(n), buffer_size=0) == pytest.approx(share)
    assert range_roc_auc(y_true, np.ones(n), buffer_size=0) == pytest.approx(0.5)


def test_a_little_early_costs_less_with_a_buffer():
    y_true = np.repeat([0, 1, 0], [100, 20, 100])
    rng = np.random.default_rng(0)
    early = rng.random(220) + np.roll(y_true, -3)
    wrong = rng.random(220) + np.roll(y_true, -60)
    plain = range_pr_auc(y_true, early, buffer_size=0)
    assert range_pr_auc(y_true, early, buffer_size=20) > plain
    assert vus_pr(y_true, early) > vus_pr(y_true, wrong) + 0.3


def test_median_segment_is_the_default_buffer():
    y_true, _, y_score = labelled_series(1)
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


# Undefined values follow scikit-learn's nearest metric ----------------------------


def test_nothing_anomalous():
    for metric in (range_pr_auc, vus_pr):
        with pytest.warns(UndefinedMetricWarning, match="No anomalous") as record:
            assert metric([0, 0, 0, 0], [0, 1, 0, 0]) == 0
        assert [warning.filename for warning in record] == [__file__]  # the caller's


@pytest.mark.parametrize("label", [0, 1])
def test_only_one_class(label):
    for metric in (range_roc_auc, vus_roc):
        with pytest.warns(UndefinedMetricWarning, match="Only one class") as record:
            assert math.isnan(metric([label] * 3, [0, 1, 0]))
        assert [warning.filename for warning in record] == [__file__]


def test_everything_anomalous():
    y_true, y = [1, 1, 1], [0, 1, 0]
    assert range_pr_auc(y_true, y) == vus_pr(y_true, y) == pytest.approx(1)


@pytest.mark.parametrize(
    "call",
    [
        lambda: range_pr_auc(TRUE, SCORE, buffer_size=-1),
        lambda: range_roc_auc(TRUE, SCORE, buffer_size=1.5),
        lambda: vus_pr(TRUE, SCORE, max_buffer_size=-1),
        lambda: vus_roc(TRUE, SCORE, max_buffer_size=None),
    ],
)
def test_bad_parameters_raise(call):
    with pytest.raises(InvalidParameterError, match="must be"):
        call()
