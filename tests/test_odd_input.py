"""Whatever is put in: scores, or an error that names what is wrong with it.

``HYPOTHESIS_EXAMPLES=10000 pytest tests/test_odd_input.py`` tries more of it.
"""

import os
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from conftest import DETECTORS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skmemto import MEMTODetector
from skmemto.exceptions import (
    AbsurdValueWarning,
    DataDriftWarning,
    ShortHistoryWarning,
)

N_EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "80"))
WINDOW = 8
TINY = {
    "window_size": WINDOW, "d_model": 4, "n_heads": 1, "n_layers": 1, "max_iter": 1,
    "batch_size": 32, "random_state": 0,
}  # fmt: skip
many = settings(
    max_examples=N_EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
# Lengths around the borders of windows, of smoothing, of batches.
LENGTHS = [1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 24, 33, 64, 65, 200]
DTYPES = [
    "f8", ">f8", "f4", ">f4", "f2", "i8", ">i4", "i1", "u1", "u8", "?", "O",
    "longdouble",
]  # fmt: skip


@st.composite
def values(draw, n_features=None):
    """Rows of usual, constant, repeated, huge, tiny and missing values."""
    n = draw(st.sampled_from(LENGTHS))
    f = n_features or draw(st.integers(1, 3))
    rng = np.random.RandomState(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["noise", "steps", "constant", "duplicates", "heavy"]))
    X = rng.normal(size=(n, f))
    if kind == "steps":
        X = np.round(X)
    elif kind == "constant":
        X[:] = X[0]
    elif kind == "duplicates":
        X = X[rng.randint(0, max(1, n // 4), size=n)]
    elif kind == "heavy":
        X = rng.standard_cauchy(size=(n, f)) ** 5
    scale = draw(st.sampled_from([1, 1, 1, 100, 1e-300, 1e-8, 1e8, 1e30, 1e155, 1e300]))
    with np.errstate(over="ignore"):
        X = np.clip(X * scale, -1e308, 1e308)
    X[:, draw(st.integers(0, f - 1))] += draw(st.sampled_from([0, 0, 1e6, 1e155]))
    return make_missing(draw, X, rng)


MISSING = ["rows", "column", "window", "some", "most", "all", "infinite"]


def make_missing(draw, X, rng):
    n, f = X.shape
    missing = draw(st.sampled_from([None] * 4 + MISSING))
    if missing == "rows":
        X[rng.uniform(size=n) < 0.3] = np.nan
    elif missing == "column":
        X[:, rng.randint(f)] = np.nan
    elif missing == "window":
        start = rng.randint(n)
        X[start : start + 2 * WINDOW] = np.nan
    elif missing == "some":
        X[rng.uniform(size=X.shape) < 0.2] = np.nan
    elif missing == "most":
        X[rng.uniform(size=X.shape) < 0.95] = np.nan
    elif missing == "all":
        X[:] = np.nan
    elif missing == "infinite":
        X[rng.randint(n), rng.randint(f)] = rng.choice([np.inf, -np.inf])
    return X


def with_dtype(X, dtype):
    if dtype in ("f8", "longdouble"):
        return X.astype(dtype)
    if dtype == "O":
        return X.astype(object)
    with np.errstate(over="ignore", invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        if dtype[-2:] in ("f8", "f4", "f2"):
            return X.astype(dtype)
        return np.nan_to_num(np.clip(X, -100, 100)).astype(dtype)


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def strided(X):
    wide = np.repeat(np.repeat(X, 2, axis=0), 3, axis=1)
    return wide[::2, ::3]


class Subclass(np.ndarray):
    """An array of another class."""


def nullable(X):
    frame = pd.DataFrame(np.asarray(X, dtype=float), columns=names(X))
    with np.errstate(invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return frame.convert_dtypes()


def names(X):
    return [f"channel {i}" for i in range(X.shape[1])]


CONTAINERS = {
    "array": lambda X: X,
    "read-only": read_only,
    "strided": strided,
    "reversed": lambda X: X[::-1].copy()[::-1],
    "Fortran": np.asfortranarray,
    "subclass": lambda X: X.view(Subclass),
    "list": lambda X: X.tolist(),
    "list of arrays": list,
    "frame": lambda X: pd.DataFrame(X),
    "nullable": nullable,
    "polars": lambda X: pl.DataFrame(np.asarray(X, dtype=float), schema=names(X)),
    "tensor": lambda X: torch.tensor(np.asarray(X, dtype=float)),
}


@st.composite
def containers(draw, n_features=None):
    X = with_dtype(draw(values(n_features)), draw(st.sampled_from(DTYPES)))
    kind = draw(st.sampled_from(sorted(CONTAINERS)))
    if kind in ("tensor", "frame") and X.dtype.byteorder == ">":
        X = X.astype(X.dtype.newbyteorder("="))
    return CONTAINERS[kind](X)


@st.composite
def groups_for(draw, n):
    kind = draw(st.sampled_from(["none", "one", "each", "pieces", "text", "again"]))
    if kind == "none":
        return None
    if kind == "one":
        return np.zeros(n)
    if kind == "each":
        return np.arange(n)
    cuts = np.sort(draw(st.lists(st.integers(0, n), max_size=4)))
    of = np.searchsorted(cuts, np.arange(n), side="right")
    if kind == "text":
        return [f"machine {i}" for i in of]
    return of % 2 if kind == "again" else of


NAMED = (  # what an error is about
    "X ", "Input", "groups", "group", "minimum", "array", "Training diverged",
    "feature", "validation_fraction", "dtype", "could not convert", "must be", "value",
)  # fmt: skip


def named(error):
    assert any(name in str(error) for name in NAMED), error
    assert not str(error).startswith("zero-size"), error


@pytest.fixture(autouse=True)
def ours_alone():
    """What is not a warning of ours is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for category in (AbsurdValueWarning, DataDriftWarning, ShortHistoryWarning):
            warnings.simplefilter("ignore", category)
        warnings.filterwarnings("ignore", message="X has feature names, but")
        yield


@pytest.fixture(scope="module", params=DETECTORS, ids=lambda cls: cls.__name__)
def fitted(request):
    rng = np.random.RandomState(0)
    X = rng.normal(size=(200, 3))
    X[:, 2] = 5
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return request.param(**TINY).fit(X)


def check_scores(detector, X, groups):
    n = len(X)
    scores = detector.score_samples(X, groups=groups)
    decision = detector.decision_function(X, groups=groups)
    labels = detector.predict(X, groups=groups)
    for found in (scores, decision, labels):
        assert isinstance(found, np.ndarray) and found.shape == (n,)
        assert np.isfinite(found).all()
    assert scores.dtype == decision.dtype == np.float64
    assert ((decision < 0) == (labels == -1)).all()
    for event in detector.events(X, groups=groups):
        assert 0 <= event.start <= event.peak < event.stop <= n
        assert labels[event.peak] == -1
    missing = np.asarray(pd.isna(pd.DataFrame(X)).all(axis=1))
    assert (labels[missing] == -1).all()


@many
@given(data=st.data())
def test_scoring(fitted, data):
    X = data.draw(containers(3))
    groups = data.draw(groups_for(len(X)))
    try:
        check_scores(fitted, X, groups)
    except ValueError as error:
        named(error)


PARAMETERS = {
    "window_size": st.sampled_from(["auto", 1, 2, 7, 8, 9, 63, 64, 65, 10**9]),
    "stride": st.sampled_from(["auto", 1, 3, 8, 9, 1000, 10**30]),
    "criterion": st.sampled_from(["calibrated", "softmax", "isd", "lsd"]),
    "score_stride": st.sampled_from(["auto", 1, 3, 8, 10**30]),
    "smoothing": st.sampled_from(["auto", 1, 2, 5, 1000]),
    "lookahead": st.sampled_from(["auto", "auto", 0, 1, 7, 1000, 10**30]),
    "rebase": st.sampled_from(["auto", None, 2, 50, 10**9]),
    "reservoir_size": st.sampled_from([0, 1, 9, 10_000]),
    "standardize": st.sampled_from([True, True, True, False]),
    "early_stopping": st.booleans(),
    "validation_fraction": st.sampled_from([0.01, 0.1, 0.5, 0.99]),
    "contamination": st.sampled_from(["auto", "auto", 1e-9, 0.1, 0.5]),
    "batch_size": st.sampled_from(["auto", 32, 1000, 10**30]),
    "temperature": st.sampled_from([1e-300, 1e-3, 0.1, 10.0, 1e300]),
    "noise": st.sampled_from([0.0, 0.5, 1e300]),
    "dropout": st.sampled_from([0.0, 0.5]),
    "learning_rate": st.sampled_from([1e-300, 1e-3]),
    "tol": st.sampled_from([0.0, 1e300]),
    "dim_feedforward": st.sampled_from([None, 1, 3]),
    "precision": st.sampled_from(["float32", "float32", "bfloat16"]),
}


@many
@given(data=st.data())
@pytest.mark.parametrize("cls", DETECTORS, ids=lambda cls: cls.__name__)
def test_fitting(cls, data):
    X = data.draw(containers())
    groups = data.draw(groups_for(len(X)))
    chosen = data.draw(st.sets(st.sampled_from(sorted(PARAMETERS)), max_size=3))
    parameters = {name: data.draw(PARAMETERS[name]) for name in sorted(chosen)}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="window_size .* is greater")
        warnings.filterwarnings("ignore", message="Training did not converge")
        try:
            detector = cls(**(TINY | parameters)).fit(X, groups=groups)
            check_scores(detector, X, groups)
            detector.partial_fit(X, groups=groups)
            check_scores(detector, X, groups)
        except ValueError as error:
            named(error)


def test_what_the_network_makes_of_a_row_never_passes_for_missing():
    """A NaN that comes out of a network is an error, not a gap in the data."""
    X = np.random.RandomState(0).normal(size=(200, 2))
    detector = MEMTODetector(**TINY).fit(X)
    with torch.no_grad():
        detector.model_.decoder.out.bias[0] = np.nan
    with pytest.raises(
        ValueError, match="The network gives nan for row 0, where it should"
    ):
        detector.score_samples(X)
