"""The path of the data and the public API, the same for every detector."""

import linecache
import pickle
import re

import joblib
import naive_scores
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from conftest import make_waves
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.special import softmax
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skmemto import AnomalyTransformerDetector, MEMTODetector
from skmemto._base import BaseWindowDetector

METHODS = [
    "predict", "decision_function", "score_samples", "score", "deviations",
    "reconstruct", "events",
]  # fmt: skip


def test_scores_decisions_and_labels_agree(make_detector, waves):
    detector = make_detector(contamination=0.05).fit(waves)
    scores = detector.score_samples(waves)
    assert scores.shape == (400,)
    assert scores.dtype == np.float64
    decision = detector.decision_function(waves)
    assert_array_equal(decision, scores - detector.offset_)
    labels = detector.predict(waves)
    assert_array_equal(labels, np.where(decision < 0, -1, 1))
    assert (labels == -1).mean() == pytest.approx(0.05, abs=0.01)
    assert_array_equal(make_detector(contamination=0.05).fit_predict(waves), labels)


def test_finds_an_obvious_anomaly(make_detector, waves):
    detector = make_detector(max_iter=5).fit(waves)
    new = make_waves(seed=1)
    new[200:204] += 10 * waves.std(axis=0)
    assert (detector.predict(new)[200:204] == -1).all()
    assert 198 <= np.argmin(detector.score_samples(new)) <= 205


@pytest.mark.parametrize("score_stride", [16, 8, 5])
def test_input_deviation_is_that_of_the_reconstruction(
    make_detector, waves, score_stride
):
    detector = make_detector(score_stride=score_stride).fit(waves)
    X = make_waves(n_samples=203, seed=1)
    error = (X - detector.reconstruct(X)) / detector.scaler_.scale_
    assert_allclose(detector.deviations(X).input, error**2, rtol=1e-5, atol=1e-7)
    assert detector.score(X) == pytest.approx(-np.mean(error**2), rel=1e-5)


@pytest.mark.parametrize("smoothing", ["auto", 1, 9])
def test_calibrated_deviations_sum_to_the_score(make_detector, waves, smoothing):
    detector = make_detector(smoothing=smoothing).fit(waves)
    new = make_waves(seed=1)
    new[100:120, 1] += 3 * waves[:, 1].std()
    groups = np.repeat([0, 1], [250, 150])
    parts = detector.deviations(new, groups=groups, calibrated=True).input
    assert parts.shape == new.shape
    scores = detector.score_samples(new, groups=groups)
    assert_allclose(parts.sum(axis=1), -scores, rtol=1e-10)
    assert parts[100:120].mean(axis=0).argmax() == 1  # the channel to blame


@pytest.mark.parametrize("criterion", ["isd", "lsd"])
def test_single_deviations_as_criteria(make_detector, waves, criterion):
    detector = make_detector(criterion=criterion).fit(waves)
    deviations = detector.deviations(waves)
    expected = {"isd": deviations.input.mean(axis=1), "lsd": deviations.latent}
    assert_allclose(detector.score_samples(waves), -expected[criterion])
    assert set(detector.predict(waves)) <= {-1, 1}


# What multiplies the latent deviation in the authors' code.
FACTORS = {MEMTODetector: 10, AnomalyTransformerDetector: 50}


def test_paper_criterion_is_windowed_and_unsmoothed(make_detector, waves):
    detector = make_detector(criterion="softmax").fit(waves)
    X = make_waves(n_samples=64, seed=1)
    deviations = detector.deviations(X)
    scores = np.empty(64)
    for start in range(0, 64, 16):
        window = slice(start, start + 16)
        weights = softmax(FACTORS[type(detector)] * deviations.latent[window])
        scores[window] = -weights * deviations.input[window].mean(axis=1)
    assert_allclose(detector.score_samples(X), scores, rtol=1e-6)


@pytest.mark.parametrize("criterion", ["isd", "lsd", "softmax"])
def test_smoothing_of_other_criteria_is_the_average(make_detector, waves, criterion):
    parameters = {"criterion": criterion, "score_stride": 16}
    plain = make_detector(**parameters).fit(waves).score_samples(waves)
    smoothed = make_detector(**parameters, smoothing=9).fit(waves).score_samples(waves)
    assert_allclose(smoothed, naive_scores.known_average(plain, 9), rtol=1e-10)


def test_reconstruction_is_in_the_units_of_the_data(make_detector):
    X = make_waves(n_samples=1000)
    detector = make_detector(max_iter=8).fit(X)
    correlations = [
        np.corrcoef(x, r)[0, 1]
        for x, r in zip(X.T, detector.reconstruct(X).T, strict=True)
    ]
    assert min(correlations) > 0.7
    offset = detector.reconstruct(X).mean(axis=0) - X.mean(axis=0)
    assert (np.abs(offset) < 0.2 * X.std(axis=0)).all()


@pytest.mark.parametrize("criterion", ["isd", "lsd", "softmax", "calibrated"])
def test_scores_do_not_depend_on_the_cut_into_calls(make_detector, waves, criterion):
    detector = make_detector(criterion=criterion, score_stride=16, smoothing=1)
    detector.fit(waves)
    X = make_waves(n_samples=200, seed=1)
    whole = detector.score_samples(X)
    # The rest is no multiple of the window; its last window is anchored to the end.
    for start, stop in [(0, 16), (16, 64), (64, 200)]:
        part = detector.score_samples(X[start:stop])
        assert_array_equal(part, whole[start:stop])


def test_every_row_is_scored_whatever_the_length(make_detector, waves):
    detector = make_detector().fit(waves)
    for n_samples in [1, 2, 15, 16, 17, 33]:
        X = make_waves(n_samples=n_samples, seed=1)
        assert np.isfinite(detector.score_samples(X)).all()
        assert detector.reconstruct(X).shape == X.shape
        assert detector.deviations(X).latent.shape == (n_samples,)


def test_scoring_changes_nothing(make_detector, waves):
    detector = make_detector().fit(waves)
    before = {k: v.clone() for k, v in detector.model_.state_dict().items()}
    for method in METHODS:
        getattr(detector, method)(make_waves(seed=1))
    after = detector.model_.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_groups_are_series_of_their_own(make_detector):
    parts = [make_waves(n, seed=n) for n in (100, 40, 9)]
    X, groups = np.vstack(parts), np.repeat(["b", "a", "c"], [100, 40, 9])
    detector = make_detector().fit(X, groups=groups)
    together = detector.score_samples(X, groups=groups)
    apart = [detector.score_samples(part) for part in parts]
    assert_array_equal(together, np.concatenate(apart))
    assert (together != detector.score_samples(X)).any()
    for method in METHODS:
        getattr(detector, method)(X, groups=groups)
    labels = make_detector().fit_predict(X, groups=groups)
    assert_array_equal(labels, detector.predict(X, groups=groups))


def test_what_lies_beyond_a_border_does_not_count(make_detector, waves):
    groups = np.repeat([0, 1], 200)
    other = waves.copy()
    other[200:] = 7.0
    detector = make_detector().fit(waves)
    for name in ("score_samples", "reconstruct"):
        method = getattr(detector, name)
        assert_array_equal(
            method(waves, groups=groups)[:200], method(other, groups=groups)[:200]
        )


def test_fit_is_reproducible_and_leaves_global_state_alone(make_detector, waves):
    numpy_state, torch_state = np.random.get_state()[1].copy(), torch.get_rng_state()
    n_threads = torch.get_num_threads()
    kwargs = {"dropout": 0.1, "early_stopping": True}
    first = make_detector(**kwargs).fit(waves).score_samples(waves)
    assert_array_equal(np.random.get_state()[1], numpy_state)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert torch.get_num_threads() == n_threads
    np.random.seed(1)
    second = make_detector(**kwargs).fit(waves).score_samples(waves)
    assert_array_equal(first, second)
    other = make_detector(**kwargs).set_params(random_state=1).fit(waves)
    assert (other.score_samples(waves) != first).any()


def test_silent_unless_verbose(make_detector, waves, capsys):
    make_detector().fit(waves)
    assert capsys.readouterr() == ("", "")
    make_detector(verbose=1, early_stopping=True).fit(waves)
    lines = capsys.readouterr().out.splitlines()
    assert re.search(r"\] .*, epoch 1/1: loss \d\.\d+, validation loss \d", lines[0])


@pytest.mark.parametrize("copy", [
    lambda d, path: pickle.loads(pickle.dumps(d)),
    lambda d, path: joblib.load(joblib.dump(d, path / "detector.joblib")[0]),
], ids=["pickle", "joblib"])  # fmt: skip
def test_saving(make_detector, waves, tmp_path, copy):
    detector = make_detector().fit(waves)
    loaded = copy(detector, tmp_path)
    assert_array_equal(loaded.score_samples(waves), detector.score_samples(waves))
    assert_array_equal(loaded.predict(waves), detector.predict(waves))
    assert isinstance(detector.model_, torch.nn.Module)  # saving took nothing away


def test_a_model_from_a_gpu_loads_without_one(make_detector, waves):
    detector = make_detector().fit(waves)
    detector.device_ = "cuda:7"
    state = detector.__getstate__()
    detector.device_ = "cpu"
    assert b"torch" not in pickle.dumps(state)
    loaded = clone(detector)
    loaded.__setstate__(state)
    assert loaded.device_ == ("cuda:7" if torch.cuda.device_count() > 7 else "cpu")
    assert_array_equal(loaded.score_samples(waves), detector.score_samples(waves))


def test_changed_parameters_do_not_break_a_saved_model(make_detector, waves):
    detector = make_detector().fit(waves)
    scores = detector.score_samples(waves)
    detector.set_params(d_model=32, n_layers=2)
    assert_array_equal(
        pickle.loads(pickle.dumps(detector)).score_samples(waves), scores
    )


def test_float32_and_float64_agree(make_detector, waves):
    X = waves.astype(np.float32)
    detector = make_detector().fit(X)
    assert_array_equal(
        detector.score_samples(X), detector.score_samples(X.astype(float))
    )


def test_without_standardizing(make_detector, waves):
    detector = make_detector(standardize=False).fit(waves)
    error = waves - detector.reconstruct(waves)
    assert_allclose(detector.deviations(waves).input, error**2, rtol=1e-3, atol=1e-4)


def test_bfloat16(make_detector, waves):
    half = make_detector(precision="bfloat16", max_iter=3).fit(waves)
    full = make_detector(max_iter=3).fit(waves)
    scores = half.score_samples(waves)
    assert np.isfinite(scores).all()
    assert half.score(waves) == pytest.approx(full.score(waves), rel=0.2)


def test_the_feed_forward_part_is_twice_as_wide_by_default(make_detector, waves):
    detector = make_detector(d_model=8, dim_feedforward=None).fit(waves)
    assert detector.model_.config.dim_feedforward == 16
    assert detector.model_.encoder.layers[0].linear1.out_features == 16


def test_window_size_auto(make_detector):
    for n_samples, window_size in [(20, 1), (39, 1), (200, 10), (3000, 50)]:
        detector = make_detector(window_size="auto", stride=50)
        detector.fit(make_waves(n_samples))
        assert detector.window_size_ == window_size


def test_a_window_longer_than_the_data_is_clipped(make_detector, waves):
    with pytest.warns(UserWarning, match=r"window_size \(500\) is greater") as record:
        detector = make_detector(window_size=500).fit(waves)
    assert {warning.filename for warning in record} == {__file__}
    called = linecache.getline(__file__, record[0].lineno).strip()
    assert called == "detector = make_detector(window_size=500).fit(waves)"
    assert detector.window_size_ == 400
    with pytest.warns(UserWarning, match=r"longest series \(300\)"):
        make_detector(window_size=301).fit(waves, groups=np.repeat([0, 1], [300, 100]))


# ---------------------------------------------------------------- input


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_data_frames(make_detector, waves, frame):
    X = frame(dict(zip("abc", waves.T, strict=True)))
    detector = make_detector().fit(X)
    assert_array_equal(detector.feature_names_in_, ["a", "b", "c"])
    # Not bitwise: a frame's memory order is another, and with it the scaler's sums.
    assert_allclose(
        detector.score_samples(X),
        make_detector().fit(waves).score_samples(waves),
        rtol=1e-4,
    )
    renamed = frame(dict(zip("abd", waves.T, strict=True)))
    with pytest.raises(ValueError, match="feature names should match"):
        detector.predict(renamed)
    detector.fit(waves)
    assert not hasattr(detector, "feature_names_in_")


BAD_X = {
    "1-D": (np.ones(30), "Expected 2D array"),
    "3-D": (np.ones((30, 2, 2)), "dim 3"),
    "empty": (np.ones((0, 3)), "0 sample"),
    "no features": (np.ones((30, 0)), r"0 feature\(s\)"),
    "complex": (np.ones((30, 3)) * 1j, "Complex data not supported"),
    "strings": (np.full((30, 3), "a"), "could not convert string to float"),
    "inf": (np.full((30, 3), np.inf), "contains infinity"),
    "sparse": (sparse.csr_array(np.eye(30, 3)), "[Ss]parse"),
}


@pytest.mark.parametrize("X, message", BAD_X.values(), ids=BAD_X.keys())
def test_malformed_data(make_detector, waves, X, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make_detector().fit(X)
    detector = make_detector().fit(waves)
    for method in METHODS:
        with pytest.raises((ValueError, TypeError), match=message):
            getattr(detector, method)(X)


@pytest.mark.parametrize("n_features", [2, 4])
def test_other_number_of_features(make_detector, waves, n_features):
    detector = make_detector().fit(waves)
    for method in METHODS:
        with pytest.raises(ValueError, match=f"X has {n_features} features, but"):
            getattr(detector, method)(np.ones((30, n_features)))


def test_one_row_is_too_few_to_learn_from(make_detector):
    with pytest.raises(ValueError, match="1 sample"):
        make_detector().fit(np.ones((1, 3)))


BAD_GROUPS = {
    "nan": (np.full(400, np.nan), "groups contains NaN"),
    "short": (np.zeros(399), "one entry for each row of X, that is 400. Got 399"),
    "2-D": (np.zeros((400, 2)), "groups must be one-dimensional"),
    "a scalar": (3, "groups must be one-dimensional"),
    "not contiguous": (np.arange(400) % 2, "Group 0 comes in 200 separate runs"),
}


@pytest.mark.parametrize("groups, message", BAD_GROUPS.values(), ids=BAD_GROUPS.keys())
def test_malformed_groups(make_detector, waves, groups, message):
    with pytest.raises(ValueError, match=message):
        make_detector().fit(waves, groups=groups)
    with pytest.raises(ValueError, match=message):
        make_detector().fit(waves).score_samples(waves, groups=groups)


def test_groups_of_mixed_types(make_detector, waves):
    groups = np.array(["a"] * 200 + [1] * 200, dtype=object)
    by_number = make_detector().fit(waves, groups=np.repeat([0, 1], 200))
    mixed = make_detector().fit(waves, groups=groups)
    assert_array_equal(mixed.score_samples(waves), by_number.score_samples(waves))


def test_early_stopping_counts_only_rows_to_train_on(make_detector, waves):
    with pytest.warns(UserWarning, match=r"longest series \(40\)"):
        detector = make_detector(
            window_size=45, early_stopping=True, validation_fraction=0.2
        ).fit(waves[:50])
    assert detector.window_size_ == 40


def test_torch_state_of_the_caller_does_not_matter(make_detector, waves):
    expected = make_detector().fit(waves).score_samples(waves)
    with torch.no_grad():
        scores = make_detector().fit(waves).score_samples(waves)
    assert_array_equal(scores, expected)


def test_a_detector_says_which_network_it_trains():
    assert BaseWindowDetector.__abstractmethods__ == {"fit", "_network_config"}


def test_unexpected_arguments_name_the_detector(make_detector, waves):
    detector = make_detector()
    name = type(detector).__name__
    message = rf"^{name}\.fit\(\) got an unexpected keyword argument 'sample_weight'"
    with pytest.raises(TypeError, match=message):
        detector.fit(waves, sample_weight=np.ones(400))


def test_unfitted(make_detector, waves):
    for method in METHODS:
        with pytest.raises(NotFittedError, match="not fitted yet"):
            getattr(make_detector(), method)(waves)


# ---------------------------------------------------------------- failing fits


def test_a_failed_fit_leaves_the_previous_one(make_detector, waves):
    detector = make_detector().fit(waves)
    scores, decision = detector.score_samples(waves), detector.decision_function(waves)
    before = dict(vars(detector))
    with pytest.raises(ValueError, match="NaN"):
        detector.fit(np.full((30, 2), np.nan))
    detector.set_params(learning_rate=1e30)
    with pytest.raises(ValueError, match="Training diverged"):
        detector.fit(waves[:, :2])
    detector.set_params(learning_rate=before["learning_rate"])
    assert vars(detector).keys() == before.keys()
    assert all(vars(detector)[name] is value for name, value in before.items())
    assert_array_equal(detector.score_samples(waves), scores)
    assert_array_equal(detector.decision_function(waves), decision)
