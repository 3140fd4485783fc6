"""Data and detectors that the tests share."""

import importlib
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from skmemto import AnomalyTransformerDetector, MEMTODetector

# Small and quick: what is tested is behaviour, not accuracy.
QUICK = {"window_size": 16, "d_model": 16, "n_layers": 1, "max_iter": 1}
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


@pytest.fixture
def waves():
    """Three channels, 400 rows."""
    return make_waves()


@pytest.fixture
def load(monkeypatch):
    """Import a benchmark script as it sees itself: its own folder on the path."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module
