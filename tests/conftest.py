"""Data, networks and detectors that the tests share."""

import importlib
from dataclasses import replace
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import strategies as st
from jaxtyping import install_import_hook
from joblib.externals.loky import get_reusable_executor
from sklearn.ensemble import IsolationForest
from toy import run, write_toy

# All of `_nn` is covered, since a module's submodules are. From here on each of its
# functions checks the shapes of what it is given and returns. Before any import of it.
install_import_hook("skmemto._nn", "beartype.beartype")

from skmemto import AnomalyTransformerDetector, MEMTODetector, _rarity  # noqa: E402
from skmemto._context import Context  # noqa: E402
from skmemto._criteria import CalibratedCriterion  # noqa: E402
from skmemto._nn.anomaly_transformer import (  # noqa: E402
    AnomalyTransformerConfig,
    AnomalyTransformerNetwork,
)
from skmemto._nn.memto import MEMTOConfig, MEMTONetwork  # noqa: E402
from skmemto._nn.network import build_empty  # noqa: E402
from skmemto._rarity import Rarity  # noqa: E402
from skmemto._tails import Tail  # noqa: E402
from skmemto.datasets import make_anomalous_series  # noqa: E402

# Small and quick: what is tested is behaviour, not accuracy.
QUICK = {
    "window_size": 16,
    "d_model": 16,
    "n_layers": 1,
    "dim_feedforward": 64,
    "max_iter": 1,
}
SMALL = partial(MEMTODetector, d_model=16, n_layers=1, dim_feedforward=64, max_iter=1)
BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
DETECTORS = [MEMTODetector, AnomalyTransformerDetector]


@pytest.fixture(params=DETECTORS, ids=lambda detector: detector.__name__)
def make_detector(request):
    """Make a quick detector; keywords override the quick settings."""
    return partial(request.param, **{**QUICK, "random_state": 0})


def make_waves(n_samples=400, n_features=3, seed=0):
    """Noisy sines of different period, offset and unit for each channel."""
    rng = np.random.RandomState(seed)
    steps = np.arange(n_samples)[:, np.newaxis]
    periods = np.array([10.0, 17.0, 40.0, 23.0])[:n_features]
    units = np.array([1.0, 50.0, 0.01, 3.0])[:n_features]
    noise = 0.1 * rng.standard_normal((n_samples, n_features))
    return 5 + units * (np.sin(2 * np.pi * steps / periods) + noise)


# Three machines of a fleet: how many rows each has, and the machine of each row.
LENGTHS = {"b": 120, "a": 90, "c": 150}
GROUPS = np.repeat(list(LENGTHS), list(LENGTHS.values()))


def make_machines():
    """Rows of the three machines, each of its own level."""
    return np.vstack(
        [
            make_waves(length, seed=seed) * 10**seed
            for seed, length in enumerate(LENGTHS.values())
        ]
    )


@pytest.fixture
def workers():
    """Let joblib's processes end with the test.

    Idle ones end by themselves after 300 s; a test that comes just then waits forever.
    """
    yield
    get_reusable_executor().shutdown(wait=True)


@pytest.fixture
def waves():
    """Three channels, 400 rows."""
    return make_waves()


def punch_holes(X, share=0.3, seed=0):
    """Make a share of the values NaN."""
    return np.where(
        np.random.RandomState(seed).uniform(size=X.shape) < share, np.nan, X
    )


def make_calibrated(calibration, span, edge=1.0):
    """A criterion by known numbers; rows at the edges deviate `edge` times as much.

    All scopes have an exponential tail beyond a rarity of 1.
    """
    n_features = len(calibration.scale)
    at_edge = np.full((1, n_features), edge)
    context = Context(np.array([1]), np.ones((1, n_features)), at_edge, at_edge)
    scopes = [
        Tail(np.linspace(0, 1, 5), np.linspace(0, x, 5), x, 0.0, 9)
        for x in (2, 1, 0.5, 0.7)
    ]
    return CalibratedCriterion(calibration, context, Rarity(span, 0.4, 0.5, *scopes))


# For `naive_scores.rarity_of_rows`.
RARITY_LIMITS = {
    "decades": {"alone": _rarity._DECADES_ALONE, "wide": _rarity._DECADES_WIDER},
    "room": _rarity._ROOM_BEYOND,
    "halfway": _rarity._HALFWAY,
}


@pytest.fixture
def load(monkeypatch):
    """Import a benchmark script as it sees itself: its own folder on the path."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


@pytest.fixture
def measure(load, tmp_path, monkeypatch, capsys):
    """Run a script, by default on the set "toy": records as a frame, and its output."""
    write_toy(tmp_path)

    def run_script(name, *options, quick=True, data=("--sets", "toy")):
        script = load(name)
        if quick:
            monkeypatch.setattr(script, "MEMTODetector", SMALL)
        status, records = run(script, tmp_path, *options, data=data)
        assert status == 0
        return pd.DataFrame(records), capsys.readouterr().out

    return run_script


# ---------------------------------------------------------------- pictures

PICTURED = {
    "window_size": 10,
    "stride": 10,
    "max_iter": 1,
    "d_model": 8,
    "n_layers": 1,
    "dim_feedforward": 32,
}


@pytest.fixture
def pyplot():
    """Pyplot without a screen; figures are closed, those of doctests before too."""
    plt.switch_backend("agg")
    plt.close("all")
    yield plt
    plt.close("all")


@pytest.fixture(scope="module")
def data():
    return make_anomalous_series(
        n_train=400, n_test=300, n_features=3, n_events=2, random_state=0
    )


@pytest.fixture(scope="module")
def forest(data):
    return IsolationForest(n_estimators=10, random_state=0).fit(data.X_train)


@pytest.fixture(scope="module")
def memto(data):
    return MEMTODetector(**PICTURED, random_state=0).fit(data.X_train)


# ---------------------------------------------------------------- networks

SIZES = {
    "n_features": 2, "d_model": 4, "n_heads": 2, "n_layers": 1, "dim_feedforward": 5,
    "dropout": 0.0, "noise": 0.0,
}  # fmt: skip
TINY = {
    MEMTONetwork: MEMTOConfig(
        **SIZES, n_memory_items=3, temperature=0.5, entropy_weight=0.3
    ),
    AnomalyTransformerNetwork: AnomalyTransformerConfig(
        **SIZES, discrepancy_weight=3.0
    ),
}


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def random_tensor(*shape, dtype=torch.float32, seed=1):
    return torch.randn(*shape, generator=seeded(seed)).to(dtype)


def randomize(module, dtype=torch.float32, seed=0):
    """Draw all parameters anew: at first the biases are 0, the norms 1."""
    generator = seeded(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.5, generator=generator)
    return module.to(dtype).eval()


def initialized(network_class, seed=0, **changes):
    """Make a tiny network with sizes changed, as it is before its training."""
    config = replace(TINY[network_class], **changes)
    network = build_empty(lambda: network_class(config))
    network.initialize(seeded(seed))
    return network


def make_network(network_class, dtype=torch.float32, seed=0, **changes):
    """Make a network of which all parameters have moved: no bias is 0."""
    network = initialized(network_class, seed, **changes)
    generator = seeded(seed + 1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.3)
    return network.to(dtype).eval()


def copy_state(network):
    return {name: array.clone() for name, array in network.state_dict().items()}


def assert_state(network, expected):
    for name, array in network.state_dict().items():
        assert torch.equal(array, expected[name]), name


def assert_close(actual, expected, tolerance):
    """Compare tensors, or a tensor with an array."""
    actual, expected = (
        x.detach().numpy() if isinstance(x, torch.Tensor) else x
        for x in (actual, expected)
    )
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


# ---------------------------------------------------------------- labels and scores


# 40 samples with four segments, flags and untied scores, for which other libraries
# computed the values that the tests of the metrics have on record.
TRUE = np.repeat([0, 1, 0, 1, 0, 1, 0, 1, 0], [3, 4, 5, 1, 2, 2, 9, 8, 6])
PRED = np.isin(np.arange(40), [2, 5, 9, 15, 16, 17, 21, 28, 29, 31, 37]).astype(int)
SCORE = np.array(
    [
        *[19, 17, 30, 4, 9, 22, 25, 10, 15, 35, 24, 31, 34, 2, 36, 37, 38, 23, 32, 7],
        *[11, 13, 14, 12, 28, 6, 27, 1, 33, 20, 26, 29, 5, 21, 18, 16, 8, 39, 3, 0],
    ],
    dtype=float,
)


def labelled_series(seed, n=60, share=0.3, run=4):
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


@st.composite
def labels_beside(draw, values):
    """Labels, and as many of some values."""
    y_true = draw(st.lists(st.integers(0, 1), min_size=2, max_size=60))
    others = st.lists(values, min_size=len(y_true), max_size=len(y_true))
    return np.array(y_true), np.array(draw(others))
