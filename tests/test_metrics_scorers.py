"""Scorers for labels with 1 = anomaly."""

import pickle

import numpy as np
import pytest
import sklearn
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.ensemble import IsolationForest
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    get_scorer,
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

from skmemto.metrics import (
    average_precision_scorer,
    event_recall,
    make_anomaly_scorer,
    pa_k,
    range_pr_auc,
    roc_auc_scorer,
    vus_pr,
    vus_pr_scorer,
    vus_roc,
    vus_roc_scorer,
)

READY_SCORERS = [
    average_precision_scorer,
    roc_auc_scorer,
    vus_pr_scorer,
    vus_roc_scorer,
]


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


@pytest.mark.parametrize(
    "call",
    [
        lambda: make_anomaly_scorer(vus_pr, response_method="transform"),
        lambda: make_anomaly_scorer("vus_pr"),
    ],
)
def test_bad_parameters_raise(call):
    with pytest.raises(InvalidParameterError, match="must be"):
        call()
