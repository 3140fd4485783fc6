"""One model for each group."""

import pickle

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from conftest import GROUPS, LENGTHS, QUICK, make_machines
from numpy.testing import assert_array_equal
from scipy.sparse import coo_array
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import RobustScaler

from skmemto import MEMTODetector, PerGroupDetector


def forest(**parameters):
    return IsolationForest(**{"n_estimators": 5, "random_state": 0, **parameters})


def scaled_forest():
    return make_pipeline(RobustScaler(), forest())


def memto():
    return MEMTODetector(**QUICK, stride=8, random_state=0)


@pytest.fixture(name="X")
def three_machines():
    return make_machines()


@pytest.fixture
def fitted(X):
    return PerGroupDetector(forest()).fit(X, groups=GROUPS)


def by_hand(estimator, X, ask):
    """What models give that are fitted one by one."""
    parts = (X[name == GROUPS] for name in LENGTHS)
    return [ask(clone(estimator).fit(part), part) for part in parts]


@pytest.mark.parametrize(
    "make, methods",
    [
        (forest, ["score_samples", "decision_function", "predict", "fit_predict"]),
        (memto, ["score_samples", "decision_function", "predict", "reconstruct"]),
        (scaled_forest, ["score_samples"]),
        (lambda: LocalOutlierFactor(novelty=True), ["score_samples", "predict"]),
    ],
)
def test_as_fitted_by_hand(X, make, methods):
    detector = PerGroupDetector(make()).fit(X, groups=GROUPS)
    models = by_hand(make(), X, lambda model, part: (model, part))
    for method in methods:
        expected = [getattr(model, method)(part) for model, part in models]
        result = getattr(detector, method)(X, groups=GROUPS)
        assert_array_equal(result, np.concatenate(expected))


def test_explanations_and_score(X):
    detector = PerGroupDetector(memto()).fit(X, groups=GROUPS)
    for calibrated in (False, True):
        parts = by_hand(memto(), X, lambda m, x: m.deviations(x, calibrated=calibrated))  # noqa: B023
        result = detector.deviations(X, groups=GROUPS, calibrated=calibrated)
        assert_array_equal(result.input, np.concatenate([p.input for p in parts]))
        assert_array_equal(result.latent, np.concatenate([p.latent for p in parts]))
    scores = by_hand(memto(), X, lambda model, part: model.score(part))
    weighted = sum(score * n for score, n in zip(scores, LENGTHS.values(), strict=True))
    np.testing.assert_allclose(detector.score(X, groups=GROUPS), weighted / len(X))


def with_spikes(X):
    """A spike in the second channel of each machine, 50 rows after its start."""
    spoilt = X.copy()
    for name in LENGTHS:
        rows = np.flatnonzero(name == GROUPS)
        spoilt[rows[50], 1] += 30 * X[rows, 1].std()
    return spoilt


STARTS = {name: int(np.argmax(name == GROUPS)) for name in LENGTHS}


def scaled_memto():
    return make_pipeline(RobustScaler(), memto())


@pytest.mark.parametrize("make", [memto, scaled_memto])
def test_events_have_rows_of_all_and_names_of_groups(X, make):
    new = with_spikes(X)
    detector = PerGroupDetector(make()).fit(X, groups=GROUPS)
    events = detector.events(new, groups=GROUPS)
    expected = []
    for name, model in detector.estimators_.items():
        part = new[name == GROUPS]
        if isinstance(model, Pipeline):
            part, model = model[:-1].transform(part), model[-1]
        expected += [e.moved(STARTS[name], name) for e in model.events(part)]
    assert events == expected
    for name, start in STARTS.items():
        (spike,) = (e for e in events if e.start <= start + 50 < e.stop)
        assert (spike.group, spike.peak) == (name, start + 50)
        assert spike.channels[0] == 1


def test_events_agree_with_labels(X):
    new = with_spikes(X)
    detector = PerGroupDetector(memto()).fit(X, groups=GROUPS)
    inside = np.zeros(len(new), dtype=bool)
    for event in detector.events(new, groups=GROUPS):
        inside[event.start : event.stop] = True
        assert set(GROUPS[event.start : event.stop]) == {event.group}
    assert inside[detector.predict(new, groups=GROUPS) == -1].all()


def test_events_of_some_groups_in_another_order(X):
    new = with_spikes(X)
    frame = pd.DataFrame(new, columns=["p", "q", "r"])
    detector = PerGroupDetector(memto())
    detector.fit(pd.DataFrame(X, columns=["p", "q", "r"]), groups=GROUPS)
    picked = np.concatenate([np.flatnonzero(name == GROUPS) for name in "cb"])
    events = detector.events(
        frame.iloc[picked], groups=GROUPS[picked], min_length=1, merge_gap=0
    )
    assert list(dict.fromkeys(event.group for event in events)) == ["c", "b"]
    peaks = {event.peak: event for event in events}
    assert peaks[50].channels[0] == peaks[LENGTHS["c"] + 50].channels[0] == "q"
    assert [e.start for e in events] == sorted(e.start for e in events)
    assert not detector.events(frame, groups=GROUPS, min_length=1000)


def test_events_without_groups_belong_to_none(X):
    part, new = X[:120], with_spikes(X)[:120]
    detector = PerGroupDetector(memto()).fit(part)
    events = detector.events(new)
    assert events == memto().fit(part).events(new)
    assert {event.group for event in events} == {None}


def test_an_error_of_events_names_the_group(X):
    detector = PerGroupDetector(memto()).fit(X, groups=GROUPS)
    with pytest.raises(ValueError, match="min_length == 0") as caught:
        detector.events(X, groups=GROUPS, min_length=0)
    assert "in events for group 'b'." in caught.value.__notes__[0]


def test_one_group_without_groups(X):
    detector = PerGroupDetector(forest()).fit(X)
    alone = forest().fit(X)
    assert list(detector.estimators_) == [None]
    assert_array_equal(detector.decision_function(X), alone.decision_function(X))
    assert_array_equal(detector.fit_predict(X), alone.fit_predict(X))
    assert_array_equal(detector.offset_, [alone.offset_])


def test_fitted_attributes(X):
    frame = pd.DataFrame(X, columns=["p", "q", "r"])
    detector = PerGroupDetector(forest(contamination=0.1)).fit(frame, groups=GROUPS)
    assert list(detector.estimators_) == list(LENGTHS)
    assert detector.n_features_in_ == 3
    assert list(detector.feature_names_in_) == ["p", "q", "r"]
    expected = by_hand(forest(contamination=0.1), X, lambda model, _: model.offset_)
    assert_array_equal(detector.offset_, expected)
    with pytest.raises(ValueError, match="feature names should match"):
        detector.predict(frame[["q", "p", "r"]], groups=GROUPS)


def test_no_thresholds_where_the_models_have_none(X):
    detector = PerGroupDetector(scaled_forest()).fit(X)
    assert not hasattr(detector, "offset_")
    assert (detector.predict(X) == detector.estimators_[None].predict(X)).all()


def test_a_threshold_set_by_hand_counts(X, fitted):
    before = fitted.decision_function(X, groups=GROUPS)
    fitted.estimators_["a"].offset_ -= 0.25
    change = np.where(GROUPS == "a", 0.25, 0)
    after = fitted.decision_function(X, groups=GROUPS)
    np.testing.assert_allclose(after, before + change)


def test_some_groups_in_another_order(X, fitted):
    scores = fitted.score_samples(X, groups=GROUPS)
    c, b = GROUPS == "c", GROUPS == "b"
    some = fitted.score_samples(
        np.vstack([X[c], X[b]]), groups=np.concatenate([GROUPS[c], GROUPS[b]])
    )
    assert_array_equal(some, np.concatenate([scores[c], scores[b]]))


@pytest.mark.parametrize(
    "groups, message",
    [
        (list("bbddee"), "for the groups 'd', 'e'; there are models of 'b', 'a', 'c'"),
        (range(6), "for the groups 0, 1, 2, 3, 4 and 1 more; .* fit again"),
        (None, "was fitted with groups: give .* models of 'b', 'a', 'c'"),
        (list("bbabbb"), "Group b comes in 2 separate runs"),
        (list("bbb"), "one entry for each row of X"),
    ],
)
def test_groups_that_cannot_be(X, fitted, groups, message):
    for method in ("predict", "score_samples", "decision_function"):
        with pytest.raises(ValueError, match=message):
            getattr(fitted, method)(X[:6], groups=groups)


def test_groups_after_a_fit_without(X):
    detector = PerGroupDetector(forest()).fit(X)
    with pytest.raises(ValueError, match="fitted without groups, as one model"):
        detector.predict(X, groups=GROUPS)


def test_not_fitted(X):
    with pytest.raises(NotFittedError):
        PerGroupDetector(forest()).predict(X)


def test_no_rows(X, fitted):
    with pytest.raises(ValueError, match=r"0 sample\(s\)"):
        fitted.predict(X[:0], groups=[])


def test_a_failed_fit_names_the_group_and_changes_nothing(X):
    fitted = PerGroupDetector(scaled_forest()).fit(X, groups=GROUPS)
    before, scores = vars(fitted).copy(), fitted.score_samples(X, groups=GROUPS)
    broken = pd.DataFrame(X, columns=["p", "q", "r"])
    broken.loc[GROUPS == "a", "q"] = np.inf
    with pytest.raises(ValueError, match="infinity") as caught:
        fitted.fit(broken, groups=GROUPS)
    assert "in fit for group 'a'." in caught.value.__notes__[0]
    assert vars(fitted) == before
    assert_array_equal(fitted.score_samples(X, groups=GROUPS), scores)


def test_an_error_at_predict_names_the_group_also_from_another_process(X):
    fitted = PerGroupDetector(scaled_forest()).fit(X, groups=GROUPS)
    X[GROUPS == "c"] = np.inf
    with pytest.raises(ValueError, match="infinity") as caught:
        fitted.predict(X, groups=GROUPS)
    arrived = pickle.loads(pickle.dumps(caught.value))
    assert "in predict for group 'c'." in arrived.__notes__[0]


def random_forest():
    return forest(random_state=np.random.RandomState(3))


@pytest.mark.usefixtures("workers")
@pytest.mark.parametrize(
    "make, backend",
    [(memto, "loky"), (memto, "threading"), (random_forest, "threading")],
)
def test_results_do_not_depend_on_the_backend(X, make, backend):
    serial = PerGroupDetector(make()).fit(X, groups=GROUPS)
    with joblib.parallel_config(backend=backend, n_jobs=2):
        parallel = PerGroupDetector(make()).fit(X, groups=GROUPS)
        scores = parallel.score_samples(X, groups=GROUPS)
    # Exactly, on one thread; with more, matrix products may be rounded otherwise.
    np.testing.assert_allclose(
        scores, serial.score_samples(X, groups=GROUPS), rtol=1e-3
    )


def random_states(detector):
    return [model.random_state for model in detector.estimators_.values()]


def test_random_states(X):
    detector = PerGroupDetector(forest()).fit(X, groups=GROUPS)
    assert random_states(detector) == [0, 0, 0]
    for state in (None, np.random.RandomState(0)):
        detector = PerGroupDetector(forest(random_state=state)).fit(X, groups=GROUPS)
        assert len(set(random_states(detector))) == 3
        assert detector.estimator.random_state is state
    # Drawn from the user's generator, which goes on: another fit, other seeds.
    first = random_states(detector)
    assert not set(first) & set(random_states(detector.fit(X, groups=GROUPS)))


def test_nested_random_states(X):
    pipeline = make_pipeline(
        RobustScaler(), forest(random_state=np.random.RandomState(0))
    )
    detector = PerGroupDetector(pipeline).fit(X, groups=GROUPS)
    drawn = {model[-1].random_state for model in detector.estimators_.values()}
    assert len(drawn) == 3


def test_only_methods_that_the_estimator_has():
    of_forest, of_memto = PerGroupDetector(forest()), PerGroupDetector(memto())
    for method in ("deviations", "reconstruct", "score", "events"):
        assert not hasattr(of_forest, method)
        assert hasattr(of_memto, method)
    # A pipeline passes on neither, but the events of its last step it lets be asked.
    assert hasattr(PerGroupDetector(scaled_memto()), "events")
    assert not hasattr(PerGroupDetector(scaled_memto()), "deviations")
    assert not hasattr(PerGroupDetector(scaled_forest()), "events")
    # LocalOutlierFactor labels only what it is fitted to, unless novelty=True.
    assert not hasattr(PerGroupDetector(LocalOutlierFactor()), "predict")


def test_tags_are_those_of_the_estimator():
    tags = PerGroupDetector(forest()).__sklearn_tags__()
    assert (tags.input_tags.sparse, tags.input_tags.allow_nan) == (True, True)
    assert tags.estimator_type == "outlier_detector"
    assert not tags.non_deterministic
    assert not PerGroupDetector(memto()).__sklearn_tags__().input_tags.sparse


def test_missing_values_and_sparse_matrices(X, fitted):
    expected = fitted.score_samples(X, groups=GROUPS)
    sparse = fitted.fit(coo_array(X), groups=GROUPS)
    assert_array_equal(sparse.score_samples(coo_array(X), groups=GROUPS), expected)
    X[5] = np.nan
    assert fitted.fit_predict(X, groups=GROUPS).shape == (len(X),)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_frames_reach_the_models(X, frame):
    columns = make_column_transformer((RobustScaler(), ["p", "r"]))
    data = frame(dict(zip("pqr", X.T, strict=True)))
    detector = PerGroupDetector(make_pipeline(columns, forest()))
    scores = detector.fit(data, groups=GROUPS).score_samples(data, groups=GROUPS)
    expected = by_hand(
        scaled_forest(), X[:, [0, 2]], lambda m, part: m.score_samples(part)
    )
    assert_array_equal(scores, np.concatenate(expected))


def test_names_of_any_kind(X):
    for groups in (
        pd.Series(GROUPS, dtype="string"),
        GROUPS.tolist(),
        pl.Series(GROUPS.tolist()),
    ):
        detector = PerGroupDetector(forest()).fit(X, groups=groups)
        assert list(detector.estimators_) == list(LENGTHS)
        detector.predict(X, groups=GROUPS)
    numbers = np.unique(GROUPS, return_inverse=True)[1]
    detector = PerGroupDetector(forest()).fit(X, groups=numbers)
    assert detector.estimators_[0].n_features_in_ == 3
    assert all(type(name) is int for name in detector.estimators_)


def test_search_with_routed_groups(X):
    # Each fold tests on the second half of every machine.
    second = np.concatenate([np.arange(n) >= n // 2 for n in LENGTHS.values()])
    cv = [(np.flatnonzero(~second), np.flatnonzero(second))]
    with config_context(enable_metadata_routing=True):
        detector = PerGroupDetector(memto()).set_fit_request(groups=True)
        detector.set_score_request(groups=True).set_predict_request(groups=True)
        search = GridSearchCV(
            detector, {"estimator__n_memory_items": [3, 5]}, cv=cv, error_score="raise"
        ).fit(X, groups=GROUPS)
    assert list(search.best_estimator_.estimators_) == list(LENGTHS)
    assert search.best_score_ < 0


def test_clone_and_pickle(X, fitted):
    assert clone(fitted).get_params()["estimator__n_estimators"] == 5
    loaded = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(
        loaded.predict(X, groups=GROUPS), fitted.predict(X, groups=GROUPS)
    )


@pytest.mark.parametrize("parameters", [{"estimator": 3}, {"n_jobs": "many"}])
def test_invalid_parameters(X, parameters):
    detector = PerGroupDetector(**{"estimator": forest(), **parameters})
    with pytest.raises(ValueError, match="parameter of PerGroupDetector must be"):
        detector.fit(X)


def test_dask(X):
    distributed = pytest.importorskip("distributed")
    local = PerGroupDetector(memto()).fit(X, groups=GROUPS)
    # Workers that are threads start at once, and "tcp" makes them talk as processes.
    cluster = distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=False,
        protocol="tcp",
        host="127.0.0.1",
        dashboard_address=None,
    )
    with (
        cluster,
        distributed.Client(cluster),
        joblib.parallel_config(backend="dask"),
    ):
        remote = PerGroupDetector(memto()).fit(X, groups=GROUPS)
        scores = remote.score_samples(X, groups=GROUPS)
    assert_array_equal(scores, local.score_samples(X, groups=GROUPS))
