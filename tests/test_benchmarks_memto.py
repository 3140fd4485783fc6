"""The benchmark scripts that run our detectors, on small made-up data."""

import json
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from conftest import make_waves

from skmemto import MEMTODetector

RESULT = "out"


@pytest.fixture
def run(load, tmp_path):
    """Run a script's main on the set "toy": two entities with one event each."""
    entities = [make_waves(300, seed=seed) for seed in range(4)]
    labels = np.zeros((2, 300), dtype=np.uint8)
    for i in (2, 3):
        entities[i][150:180, 1] += 5 * entities[i][:, 1].std()
        labels[i - 2, 150:180] = 1
    np.savez(
        tmp_path / "toy.npz",
        train=np.concatenate(entities[:2]).astype(np.float32),
        test=np.concatenate(entities[2:]).astype(np.float32),
        labels=labels.ravel(),
        names=np.array(["a", "b"]),
        train_lengths=np.array([300, 300]),
        test_lengths=np.array([300, 300]),
    )
    events = {"a": ["150-179:2"], "b": ["150-179:2"]}
    (tmp_path / "toy_interpretation.json").write_text(json.dumps(events))

    def run_script(name, *options):  # the script and its report
        script = load(name)
        out = str(tmp_path / RESULT)
        data = ["--data", str(tmp_path), "--sets", "toy", "--out", out]
        assert script.main([*data, *options]) == 0
        return script, json.loads((tmp_path / f"{RESULT}.json").read_text())

    return run_script


@pytest.mark.parametrize(
    ("detector", "n_phases"), [("memto", 2), ("anomaly-transformer", 1)]
)
def test_paper(run, capsys, detector, n_phases):
    options = ["--detector", detector, "--max-iter", "1"]
    script, report = run("paper", *options, "--seeds", "0", "1")
    assert "criterion='softmax'" in report["detector"]
    first, second = report["results"]
    assert first["n_iter"] == n_phases
    assert first["random_average_precision"] == 0.1
    for figure in script.FIGURES:
        assert np.isfinite(first[figure])
    assert first["pa_f1"] >= first["f1"]
    assert first["auroc"] != second["auroc"]
    table = capsys.readouterr().out
    assert "PA F1 of random scores" in table
    assert " ± " in table


def test_random_flags_by_point_adjustment(load):
    script = load("paper")
    labels = np.zeros(20_000, dtype=int)
    labels[2000:4000] = 1
    # One flag in a hundred: a segment of 2000 is hit for certain, and all of it
    # counts; of the 18,000 normal rows 180 are flagged.
    expected = 2 * 2000 / (2000 + 180 + 2000)
    assert script.random_pa_f1(labels, 0.01, seed=0) == pytest.approx(
        expected, abs=0.01
    )


def test_explain(run):
    _, report = run("explain")
    by_method = {}
    for record in report["results"]:
        by_method.setdefault(record["method"], []).append(record["hit_rate_100"])
    assert by_method["MEMTODetector, calibrated"] == [1.0, 1.0]
    assert {"MEMTODetector, raw", "PCA error", "random"} < by_method.keys()


def test_hit_rate(load):
    script = load("explain")
    deviations = np.array([[5.0, 1.0, 4.0, 0.0], [5.0, 1.0, 4.0, 0.0]])
    assert script.hit_rate(deviations, np.array([0, 2]), 100) == 1.0
    assert script.hit_rate(deviations, np.array([0, 1]), 100) == 0.5
    assert script.hit_rate(deviations, np.array([0, 1]), 150) == 1.0
    ((start, stop, channels),) = script.parse_events(["3-7:1,4"])
    assert (start, stop, channels.tolist()) == (3, 7, [0, 3])


def test_thresholds(run):
    _, report = run("thresholds")
    assert len(report["results"]) == 2 * 5
    quantile = [r for r in report["results"] if r["threshold"] == "99 % quantile"]
    assert all(r["event_recall"] == 1.0 for r in quantile)
    assert all(0 <= r["false_alarms"] < 0.5 for r in quantile)


def test_missing(run, load):
    script, report = run("missing")
    assert len(report["results"]) == 2 * (1 + 2 * len(script.SHARES))
    complete = [r["average_precision"] for r in report["results"] if not r["share"]]
    assert np.mean(complete) > 0.8
    holes = np.isnan(script.without(np.ones((200, 5)), 0.5, np.random.default_rng(0)))
    assert holes.mean() == pytest.approx(0.5, abs=0.05)


def test_criterion(run, load):
    script, report = run("criterion")
    assert len(report["results"]) == 2 * len(script.STEPS | script.CHANGES)
    train = make_waves(300)
    detector = MEMTODetector(random_state=0).fit(train)
    X = make_waves(300, seed=1)
    X[100:110, 0] += 50 * X[:, 0].std()
    entity = load("_data").Entity("a", train, X, np.zeros(300))
    *_, calibrated = script.STEPS.values()
    by_hand = calibrated(script.parts_of(entity, 0))
    np.testing.assert_allclose(by_hand, -detector.score_samples(X), rtol=1e-8)


def test_compare_pyod_needs_pyod(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyod", None)
    with pytest.raises(SystemExit, match=r"(?s)not here.*pip install .* pyod"):
        run("compare_pyod")


def test_compare_pyod(run, monkeypatch):
    class Stub:
        def __init__(self, **parameters): ...

        def fit(self, X):
            assert abs(X.mean()) < 1e-6  # standardized

        def decision_function(self, X):
            return np.arange(len(X))

    pyod, models = ModuleType("pyod"), ModuleType("pyod.models")
    pyod.__version__ = "0"
    models.ts_anomaly_transformer = SimpleNamespace(AnomalyTransformer=Stub)
    monkeypatch.setitem(sys.modules, "pyod", pyod)
    monkeypatch.setitem(sys.modules, "pyod.models", models)
    script, report = run("compare_pyod", "--epochs", "1")
    assert len(report["results"]) == 2 * 3
    assert report["summary"]["PyOD / skmemto"]["fit_seconds"] < 1
    assert report["summary"][script.OURS]["auroc"] > 0.9
