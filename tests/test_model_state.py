"""Saved models cannot lie: what is not whole is refused, by what is wrong."""

import copy
import json
import pickle
from pathlib import Path

import joblib
import numpy as np
import pytest
import skops.io
from conftest import DETECTORS, QUICK, make_waves
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import StandardScaler

from skmemto import MEMTODetector, PerGroupDetector, StreamingDetector
from skmemto import _saved as saved
from skmemto._model_state import LEARNED, to_plain
from skmemto.exceptions import ModelVersionWarning

MODELS = Path(__file__).parent / "models"
X = make_waves()
TINY = {**QUICK, "d_model": 4, "n_heads": 2, "reservoir_size": 40, "random_state": 0}


def with_unknown_channel(X):
    return np.column_stack([X, np.full(len(X), np.nan)])


@pytest.fixture(scope="module", params=DETECTORS, ids=lambda cls: cls.__name__)
def detector(request):
    return request.param(**TINY).fit(with_unknown_channel(X))


def leaves(plain, path=()):
    """Each part of a state that is no dict, by its path."""
    for name, value in plain.items():
        if isinstance(value, dict):
            yield from leaves(value, (*path, name))
        else:
            yield (*path, name), value


def changed(state, path, value):
    """A state with another value somewhere, and the right checksum for it."""
    state = copy.deepcopy(saved.unmarked(state, ""))
    part = state
    for name in path[:-1]:
        part = part[name]
    if value is None:
        del part[path[-1]]
    else:
        part[path[-1]] = value
    return saved.marked(state)


def wrong_values(value):
    """Values that a part of a state must not have."""
    yield None  # it is missing
    yield "text" if not isinstance(value, str) else 3
    if isinstance(value, np.ndarray):
        yield value[..., np.newaxis]
        yield np.concatenate([value, value[:1]])
        yield value.astype(complex)
        yield value.tolist()
        if value.dtype.kind == "f":
            for wrong in (np.inf, np.nan):
                other = value.copy()
                other.flat[0] = wrong
                yield other
    elif isinstance(value, float):
        yield from (np.nan, np.inf, 1, [value])
    elif isinstance(value, int):
        yield from (-1, float(value), 10**9 if value else -5)


# What is more free than the rest: a value that is missing may be NaN, bounds may be
# infinite, counts may be large, and what has not been asked for is None.
ALLOWED = {
    ("reservoir_", "X"): lambda v: np.isnan(v).any() or v.shape[0] == 41,
    ("reservoir_", "series"): lambda v: v.shape[0] > 1,
    ("scaler_", "lower_"): lambda v: np.isinf(v).any(),
    ("scaler_", "upper_"): lambda v: np.isinf(v).any(),
    ("normal_", "levels", "highest"): lambda v: np.isinf(v).any(),
    ("n_iter_",): lambda v: v == 10**9,
    ("device_",): lambda v: False,
}


def is_free(path, value):
    if path[-1] in ("n_peaks", "n_rows", "reach", "span") and value == 10**9:
        return path[:2] != ("normal_", "levels")
    check = ALLOWED.get(path, lambda v: False)
    return isinstance(value, np.ndarray | int) and check(value)


def test_whatever_is_tampered_with_is_refused_by_name(detector):
    state = detector.__getstate__()
    n_tried = 0
    for path, value in leaves({k: state[k] for k in LEARNED | {"model_"}}):
        for wrong in wrong_values(value):
            if is_free(path, wrong):
                continue
            other = object.__new__(type(detector))
            with pytest.raises(ValueError, match=f"This saved {type(detector).__name__}"
                               " cannot be used: ") as caught:  # fmt: skip
                other.__setstate__(changed(state, path, wrong))
            assert vars(other) == {}
            message = str(caught.value)
            of_arrays = path[:2] == ("model_", "arrays")
            assert path[-1] in message or of_arrays or path[-1] == "lengths", (
                path,
                wrong,
                message,
            )
            n_tried += 1
    assert n_tried > 400


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("window_size_",), 0, "window_size_ must be an int, 1 or more, and is 0"),
        (("window_size_",), 10**9, "window_size_ and the windows .* do not go tog"),
        (("scaler_", "scale_"), np.zeros(4), "scale_ must be finite, above 0"),
        (("offset_",), np.nan, "offset_ must be a finite float, and is nan"),
        (("normal_", "other"), 3, r"normal_\.other is not known"),
        (("settings_", "criterion"), "nonsense", r"must be one of .*, and is 'nonsen"),
        (("settings_", "stride"), 999, r"window_size_ and settings_\.stride"),
        (("model_", "config", "n_heads"), 3, "n_heads must divide d_model"),
        (("model_", "config", "n_layers"), 999, "n_layers can't be 999"),
        (("model_", "config", "n_features"), 5, "n_features must be 4, and is 5"),
        (("model_", "arrays", "more"), np.zeros(2), r"arrays\.more is missing, or n"),
        (("model_",), {}, "model_ must hold sizes and arrays of a network"),
    ],
)  # fmt: skip
def test_says_what_is_wrong(detector, path, value, message):
    state = changed(detector.__getstate__(), path, value)
    with pytest.raises(ValueError, match=message):
        object.__new__(type(detector)).__setstate__(state)


def test_names_of_channels_must_be_as_many(detector):
    names = np.array(["a", "b"], dtype=object)
    state = changed(detector.__getstate__(), ("feature_names_in_",), names)
    with pytest.raises(ValueError, match="feature_names_in_ must be 4 names"):
        object.__new__(type(detector)).__setstate__(state)


def test_a_state_is_plain_data(detector):
    for path, value in leaves(detector.__getstate__()):
        assert isinstance(value, np.ndarray | list | int | float | str | None), path
        if isinstance(value, np.ndarray):
            assert value.dtype.kind in "fib"


@pytest.mark.parametrize("settings", [
    {}, {"lookahead": 0}, {"lookahead": 7, "criterion": "isd"}, {"window_size": 1},
    {"rebase": None, "standardize": False}, {"early_stopping": True},
    {"criterion": "softmax"},
])  # fmt: skip
@pytest.mark.parametrize("cls", DETECTORS, ids=lambda cls: cls.__name__)
def test_a_round_trip_changes_nothing(cls, settings):
    detector = cls(**(TINY | settings)).fit(X)
    again = pickle.loads(pickle.dumps(detector))
    assert_array_equal(again.decision_function(X), detector.decision_function(X))
    for name in LEARNED - {"model_"}:
        one, other = to_plain(vars(again)[name]), to_plain(vars(detector)[name])
        assert saved.checksum(one) == saved.checksum(other)
        assert type(vars(again)[name]) is type(vars(detector)[name])


# ---------------------------------------------------------------- flipped bytes


def save_pickle(model, path):
    path.write_bytes(pickle.dumps(model))


def load_pickle(path):
    return pickle.loads(path.read_bytes())


def save_compressed(model, path):
    joblib.dump(model, path, compress=3)


def load_skops(path):
    return skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))


FILES = {
    "pickle": (save_pickle, load_pickle),
    "joblib": (joblib.dump, joblib.load),
    "compressed joblib": (save_compressed, joblib.load),
    "skops": (skops.io.dump, load_skops),
}


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("kind", FILES)
def test_a_flipped_byte_is_noticed_or_harmless(detector, kind, tmp_path):
    save, load = FILES[kind]
    path = tmp_path / "model"
    save(detector, path)
    content = path.read_bytes()
    rows = with_unknown_channel(X[:60])
    expected = detector.decision_function(rows)
    refused, rng = 0, np.random.RandomState(0)
    for at in rng.choice(len(content), 50, replace=False):
        flipped = bytearray(content)
        flipped[at] ^= 1 << rng.randint(8)
        path.write_bytes(flipped)
        try:
            again = load(path)
            decision = again.decision_function(rows)
        except Exception:  # whatever a damaged file leads to
            refused += 1
        else:
            assert_array_equal(decision, expected, err_msg=f"byte {at}")
    assert refused > 20


def test_of_a_fleet_as_well():
    fleet = PerGroupDetector(MEMTODetector(**TINY)).fit(
        X, groups=["a"] * 200 + ["b"] * 200
    )
    content = pickle.dumps(fleet)
    assert content.count(b"\x8c\x01b\x94") == 1
    with pytest.raises(ValueError, match="This saved PerGroupDetector is damaged"):
        pickle.loads(content.replace(b"\x8c\x01b\x94", b"\x8c\x01c\x94"))
    state = saved.unmarked(fleet.__getstate__(), "")
    state["estimators_"]["models"].pop()
    with pytest.raises(ValueError, match="must hold a fitted model for each name"):
        fleet.__setstate__(saved.marked(state))


def test_a_fleet_of_one_without_a_name_is_read(tmp_path):
    fleet = PerGroupDetector(MEMTODetector(**TINY)).fit(X)
    for save, load in FILES.values():
        save(fleet, tmp_path / "model")
        again = load(tmp_path / "model")
        assert_array_equal(again.predict(X), fleet.predict(X))


def test_of_a_stream_as_well():
    stream = StreamingDetector(MEMTODetector(**TINY, lookahead=0).fit(X))
    stream.update(X[:30])
    again = pickle.loads(pickle.dumps(stream))
    assert_array_equal(again.update(X[30:]).scores, stream.update(X[30:]).scores)
    state = stream.__getstate__()
    state["merge_gap"] += 1
    with pytest.raises(ValueError, match="This saved StreamingDetector is damaged"):
        again.__setstate__(state)
    (old,) = state["_streams"].values()
    state["merge_gap"] -= 1
    old.running.sums[0, 0, 0] += 1e-9
    with pytest.raises(ValueError, match="is damaged"):
        again.__setstate__(state)


# ---------------------------------------------------------------- formats


def test_versions_and_formats(detector, monkeypatch):
    state = detector.__getstate__()
    other = object.__new__(type(detector))
    name = type(detector).__name__
    with monkeypatch.context() as patch:
        patch.setattr(saved, "__version__", "9.8")
        newer = detector.__getstate__()
        patch.setattr(saved, "FORMAT", 7)
        of_the_future = detector.__getstate__()
    with pytest.warns(
        ModelVersionWarning, match=f"This {name} was saved by skmemto 9.8"
    ):
        other.__setstate__(newer)
    with pytest.raises(ValueError, match=r"has format 7, of skmemto 9\.8.* Update skm"):
        other.__setstate__(of_the_future)
    del state["_saved"]
    with pytest.raises(ValueError, match="saved before skmemto numbered the formats"):
        other.__setstate__(state)


def test_unfitted_ones_are_saved_too(make_detector):
    again = pickle.loads(pickle.dumps(make_detector()))
    assert again.get_params() == make_detector().get_params()
    with pytest.raises(NotFittedError):
        again.predict(X)


def test_another_estimators_model_is_not_taken(detector):
    state = detector.__getstate__()
    (other,) = set(DETECTORS) - {type(detector)}
    with pytest.raises(ValueError, match=r"model_\.config must hold"):
        object.__new__(other).__setstate__(state)


def make_models(folder):
    """Write models of the format of now: ``python -c`` this once for each format."""
    rows = make_waves(200, 2)
    for cls in DETECTORS:
        tiny = cls(**{**TINY, "window_size": 8, "reservoir_size": 10})
        for name, model, groups in (
            (cls.__name__, tiny, None),
            (
                f"PerGroup{cls.__name__}",
                PerGroupDetector(tiny),
                ["a"] * 100 + ["b"] * 100,
            ),
        ):
            model.fit(rows, groups=groups)
            path = folder / f"format{saved.FORMAT}-{name}"
            skops.io.dump(model, path.with_suffix(".skops"), compression=8)
            path.with_suffix(".pickle").write_bytes(pickle.dumps(model, protocol=4))
            groups = None if groups is None else groups[:100]
            scores = model.score_samples(rows[:100], groups=groups).tolist()
            path.with_suffix(".json").write_text(json.dumps(scores))


@pytest.mark.filterwarnings("ignore::skmemto.exceptions.ModelVersionWarning")
@pytest.mark.parametrize("path", sorted(MODELS.glob("*.json")), ids=lambda p: p.stem)
@pytest.mark.parametrize("load", [load_pickle, load_skops])
def test_models_of_each_format_are_read_from_then_on(path, load):
    suffix = ".pickle" if load is load_pickle else ".skops"
    model = load(path.with_suffix(suffix))
    rows = make_waves(200, 2)[:100]
    groups = np.repeat(["a"], 100) if isinstance(model, PerGroupDetector) else None
    expected = json.loads(path.read_text())
    assert_allclose(model.score_samples(rows, groups=groups), expected, rtol=1e-4)


OLD = {
    "format0": "was saved before skmemto numbered",  # by commit 7b93348
    "format1": "has format 1, of skmemto .* reads formats from 2. Fit it anew",
}


@pytest.mark.parametrize(
    "path",
    sorted(p for old in OLD for p in MODELS.glob(f"{old}-*")),
    ids=lambda path: path.name,
)
def test_models_of_before_are_refused_by_name(path):
    load = load_pickle if path.suffix == ".pickle" else load_skops
    match = OLD[path.stem.partition("-")[0]]
    with pytest.raises(ValueError, match=f"Detector {match}"):
        load(path)


def test_there_are_models_of_each_format_that_is_read():
    formats = {path.stem.partition("-")[0] for path in MODELS.glob("*.json")}
    read = range(saved._OLDEST_READ, saved.FORMAT + 1)
    assert formats == {f"format{number}" for number in read}


# ---------------------------------------------------------------- checksum


def test_checksums_tell_apart():
    values = [
        None, True, 1, 1.0, "1", b"1", [1], [1, 2], [[1], 2], {"a": 1}, {"a": 2},
        {"b": 1}, np.array([1]), np.array([1.0]), np.array([[1.0]]), np.array(["1"]),
        np.array(["1"], dtype=object), np.nan, np.inf, -0.0, 0.0,
        np.random.RandomState(0), np.random.RandomState(1),
        StandardScaler(), np.datetime64("2020-01-01"), np.datetime64("2020-01-02"),
    ]  # fmt: skip
    sums = [saved.checksum(value) for value in values]
    assert len(set(sums)) == len(values)
    assert sums == [saved.checksum(copy.deepcopy(value)) for value in values]


def test_checksums_take_the_same_for_the_same():
    a = {"x": np.float64(0.1), "y": (1, 2), "z": np.asfortranarray(np.eye(3)[:, ::-1])}
    b = {"z": np.eye(3)[:, ::-1].copy(), "y": [1, 2], "x": 0.1}
    assert saved.checksum(a) == saved.checksum(b)
