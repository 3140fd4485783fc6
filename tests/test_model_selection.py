"""Detectors live in pipelines and searches."""

import numpy as np
import pytest
from conftest import make_waves
from numpy.testing import assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import (
    GridSearchCV,
    LeaveOneGroupOut,
    TimeSeriesSplit,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import RobustScaler

from skmemto.metrics import average_precision_scorer


@pytest.fixture
def labelled():
    X, y = make_waves(600), np.zeros(600, dtype=int)
    for start in (100, 300, 420, 550):
        X[start : start + 10] += 5 * X.std(axis=0)
        y[start : start + 10] = 1
    return X, y


def test_clone_and_parameters(make_detector, waves):
    detector = make_detector(n_heads=2).fit(waves)
    copy = clone(detector)
    assert copy.get_params() == detector.get_params()
    assert not hasattr(copy, "model_")
    assert copy.set_params(n_heads=1, criterion="isd").n_heads == 1
    assert_array_equal(
        clone(detector).fit(waves).score_samples(waves), detector.score_samples(waves)
    )


def test_pipeline(make_detector, waves):
    pipeline = make_pipeline(RobustScaler(), make_detector()).fit(waves)
    assert set(pipeline.predict(waves)) <= {-1, 1}
    by_hand = make_detector().fit(RobustScaler().fit_transform(waves))
    assert_array_equal(
        pipeline.score_samples(waves),
        by_hand.score_samples(RobustScaler().fit_transform(waves)),
    )
    assert_array_equal(pipeline.fit_predict(waves), pipeline.predict(waves))


def test_grid_search_without_labels(make_detector, waves):
    search = GridSearchCV(
        make_detector(max_iter=2),
        {"n_layers": [1, 2], "window_size": [8, 16]},
        cv=TimeSeriesSplit(2),
        error_score="raise",
    ).fit(waves)
    scores = search.cv_results_["mean_test_score"]
    assert (scores < 0).all()
    assert search.best_score_ == scores.max()
    assert search.predict(waves).shape == (400,)


def test_grid_search_with_labels(make_detector, labelled):
    search = GridSearchCV(
        make_pipeline(RobustScaler(), make_detector(max_iter=2)),
        {f"{make_detector.func.__name__.lower()}__d_model": [8, 16]},
        cv=TimeSeriesSplit(2),
        scoring=average_precision_scorer,
        error_score="raise",
    ).fit(*labelled)
    assert search.best_score_ > 0.8  # of 1 = anomaly; the wrong sign gives about 0.05


def test_cross_val_score(make_detector, waves):
    scores = cross_val_score(make_detector(), waves, cv=TimeSeriesSplit(3))
    assert np.isfinite(scores).all()
    assert (scores < 0).all()


@pytest.mark.usefixtures("workers")
def test_search_in_parallel(make_detector, waves):
    # Worker processes and their threads: same results, no deadlock.
    search = GridSearchCV(
        make_detector(), {"d_model": [8, 16]}, cv=TimeSeriesSplit(2), n_jobs=2
    )
    parallel = search.fit(waves).cv_results_["mean_test_score"]
    serial = search.set_params(n_jobs=None).fit(waves).cv_results_["mean_test_score"]
    np.testing.assert_allclose(parallel, serial, rtol=1e-4)


def test_leave_one_machine_out(make_detector):
    X = np.vstack([make_waves(150, seed=seed) for seed in range(3)])
    groups = np.repeat(["a", "b", "c"], 150)
    with config_context(enable_metadata_routing=True):
        detector = make_detector().set_fit_request(groups=True)
        detector.set_score_request(groups=True)
        search = GridSearchCV(
            detector, {"d_model": [8]}, cv=LeaveOneGroupOut(), error_score="raise"
        ).fit(X, groups=groups)
    assert search.n_splits_ == 3
    # The groups reached fit: without them two machines would be one series.
    with_groups = make_detector(d_model=8).fit(X, groups=groups)
    assert_array_equal(
        search.best_estimator_.score_samples(X), with_groups.score_samples(X)
    )
    without = make_detector(d_model=8).fit(X)
    assert (without.score_samples(X) != with_groups.score_samples(X)).any()
