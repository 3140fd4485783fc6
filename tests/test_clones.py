"""Models of groups that go on from one of all."""

import pickle

import numpy as np
import pandas as pd
import pytest
from conftest import GROUPS, LENGTHS, QUICK, make_machines
from numpy.testing import assert_array_equal
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import RobustScaler, StandardScaler

from skmemto import MEMTODetector, PerGroupDetector


def memto():
    return MEMTODetector(**QUICK, stride=8, random_state=0)


@pytest.fixture(name="X")
def three_machines():
    return make_machines()


@pytest.fixture
def pooled(X):
    return PerGroupDetector(memto(), pooled_start=True).fit(X, groups=GROUPS)


def test_each_model_goes_on_from_one_of_all(X, pooled):
    models = list(pooled.estimators_.values())
    parts = (X[name == GROUPS] for name in LENGTHS)
    scaled = np.concatenate([StandardScaler().fit_transform(part) for part in parts])
    start = memto().set_params(reservoir_size=0).fit(scaled, groups=GROUPS)
    for name, model in pooled.estimators_.items():
        part = X[name == GROUPS]
        by_hand = pickle.loads(pickle.dumps(start)).partial_fit(part)
        assert_array_equal(model.score_samples(part), by_hand.score_samples(part))
        assert_array_equal(model.scaler_.mean_, part.mean(axis=0))
        assert len(model.reservoir_.X) == len(part)
        assert model.get_params() == memto().get_params()
        assert model.n_iter_ == start.n_iter_ + 1
    assert len({id(model.model_) for model in models}) == 3
    weights = [model.model_.decoder.out.weight for model in models]
    assert not (weights[0] == weights[1]).all()


@pytest.mark.usefixtures("workers")
def test_a_pooled_start_is_the_same_in_parallel_and_in_frames(X, pooled):
    frame = pd.DataFrame(X, columns=["u", "v", "w"])
    other = PerGroupDetector(memto(), n_jobs=2, pooled_start=True)
    other.fit(frame, groups=GROUPS)
    scores = other.score_samples(frame, groups=GROUPS)
    assert_array_equal(scores, pooled.score_samples(X, groups=GROUPS))
    assert other.estimators_["b"].feature_names_in_.tolist() == ["u", "v", "w"]


def test_no_window_of_a_pooled_start_is_longer_than_a_group(X):
    detector = MEMTODetector(**{**QUICK, "window_size": "auto"}, random_state=0)
    groups = np.repeat([0, 1, 2], [345, 5, 10])
    fleet = PerGroupDetector(detector, pooled_start=True).fit(X, groups=groups)
    assert {model.window_size_ for model in fleet.estimators_.values()} == {5}
    assert fleet.predict(X, groups=groups).shape == (360,)


def test_a_pooled_start_takes_our_detectors_only(X):
    for estimator in (IsolationForest(), make_pipeline(RobustScaler(), memto())):
        fleet = PerGroupDetector(estimator, pooled_start=True)
        with pytest.raises(TypeError, match="pooled_start takes a detector of skmemto"):
            fleet.fit(X, groups=GROUPS)
    with pytest.raises(ValueError, match="'pooled_start' parameter"):
        PerGroupDetector(memto(), pooled_start="yes").fit(X, groups=GROUPS)


def test_a_pooled_start_that_fails_names_the_group_and_changes_nothing(X, pooled):
    before = pooled.score_samples(X, groups=GROUPS)
    bad = X.copy()
    bad[GROUPS == "a"] = np.nan
    with pytest.raises(ValueError, match="no values to learn from") as caught:
        pooled.fit(bad, groups=GROUPS)
    assert caught.value.__notes__ == ["This was in fit_transform for group 'a'."]
    assert_array_equal(pooled.score_samples(X, groups=GROUPS), before)
