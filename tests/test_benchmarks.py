"""The benchmark scripts, on small made-up data."""

import json
from functools import partial

import numpy as np
import pytest
from conftest import QUICK
from sklearn.metrics import roc_auc_score

from skmemto import MEMTODetector, _auto

BASELINES = (
    "Random",
    "PCA",
    "IsolationForest",
    "1-NN",
    "1-NN-ma21",
    "1-NN-all",
    "1-NN-all-ma21",
    "KMeans40",
)
ANOMALY = slice(60, 90)


@pytest.fixture
def accuracy(load):
    return load("accuracy")


def made_up_entity(seed: int, n_test: int = 150):
    """Two sines and a constant channel; the anomaly leaves their common plane."""
    rng = np.random.default_rng(seed)
    phase = np.arange(200 + n_test)[:, None] / 5 + np.array([0, 1, 2, 0])
    X = np.sin(phase) * [1, 2, 3, 0] + 0.05 * rng.normal(size=phase.shape)
    X[:, 3] = 0.1
    labels = np.zeros(n_test, dtype=np.uint8)
    labels[ANOMALY] = 1
    test = X[200:] + labels[:, None] * [3, -6, 9, 0]
    return X[:200].astype(np.float32), test.astype(np.float32), labels


@pytest.fixture
def folder(tmp_path):
    """The set "toy": entity a, entity b, and one without anomalies."""
    train, test, labels = zip(*(made_up_entity(seed) for seed in range(3)), strict=True)
    labels[2][:] = 0
    np.savez(
        tmp_path / "toy.npz",
        train=np.concatenate(train),
        test=np.concatenate(test),
        labels=np.concatenate(labels),
        names=np.array(["a", "b", "calm"]),
        train_lengths=np.array([200] * 3),
        test_lengths=np.array([150] * 3),
    )
    return tmp_path


def run(accuracy, folder, *options, sets=("toy",)):
    """Exit status and the stored report."""
    out = folder / "report"
    argv = ["--data", str(folder), "--sets", *sets, "--out", str(out), *options]
    status = accuracy.main(argv)
    return status, json.loads(out.with_name("report.json").read_text())


def test_loader_splits_into_entities(load, folder):
    entities = load("_data").load_entities("toy", folder)
    assert [e.name for e in entities] == ["a", "b", "calm"]
    train, test, labels = made_up_entity(1)
    np.testing.assert_array_equal(entities[1].train, train)
    np.testing.assert_array_equal(entities[1].test, test)
    np.testing.assert_array_equal(entities[1].labels, labels)
    assert entities[1].train.dtype == np.float32


def test_loader_names_where_it_looked(load, folder):
    with pytest.raises(FileNotFoundError, match=r"nosuch\.npz.*in that folder: toy\."):
        load("_data").load_entities("nosuch", folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"names": None}, "names"),
        ({"test_lengths": np.array([150, 150, 151])}, "sum to 451, not to 450"),
    ],
)
def test_loader_rejects_another_layout(load, folder, change, message):
    arrays = dict(np.load(folder / "toy.npz")) | change
    np.savez(folder / "bad.npz", **{k: v for k, v in arrays.items() if v is not None})
    with pytest.raises(ValueError, match=rf"bad\.npz.*layout.*{message}"):
        load("_data").load_entities("bad", folder)


def test_every_baseline_is_tested(accuracy):
    others = accuracy.DETECTORS.keys() - set(BASELINES)
    assert others == {
        "MEMTODetector", "MEMTODetector-softmax",
        "AnomalyTransformer", "AnomalyTransformer-softmax",
    }  # fmt: skip


@pytest.mark.parametrize("name", BASELINES)
def test_baseline_scores_every_row(accuracy, name):
    train, test, _ = made_up_entity(0)
    detector = accuracy.build(name, 0, {}).fit(train)
    scores = detector.score_samples(test)
    assert scores.shape == (150,)
    assert np.isfinite(scores).all()
    again = accuracy.build(name, 0, {}).fit(train).score_samples(test)
    np.testing.assert_array_equal(scores, again)
    assert detector.score_samples(test[:5]).shape == (5,)


@pytest.mark.parametrize("name", [n for n in BASELINES if n != "Random"])
def test_baseline_ranks_the_obvious_anomaly_lowest(accuracy, name):
    train, test, labels = made_up_entity(0)
    scores = accuracy.build(name, 0, {}).fit(train).score_samples(test)
    assert labels[scores.argmin()] == 1
    assert roc_auc_score(labels, -scores) > 0.9


def test_nearest_row_keeps_at_most_n_rows(load):
    X = np.arange(50.0)[:, None]
    few = load("_baselines").NearestRow(n_rows=5, random_state=0).fit(X)
    assert np.count_nonzero(few.score_samples(X) == 0) == 5
    whole = load("_baselines").NearestRow(n_rows=None).fit(X)
    assert not whole.score_samples(X).any()


def test_window_score_is_the_mean_over_the_windows_that_hold_a_row(load):
    X = np.random.default_rng(0).normal(size=(60, 2))
    detector = load("_baselines").WindowKMeans(8, 3, random_state=0).fit(X)
    starts = range(60 - 8 + 1)
    flat = np.array([X[i : i + 8].T.ravel() for i in starts])
    distance = detector.kmeans_.transform(flat).min(axis=1)
    naive = [
        np.mean([distance[i] for i in starts if i <= row < i + 8]) for row in range(60)
    ]
    np.testing.assert_allclose(detector.score_samples(X), -np.array(naive))


def test_accuracy_end_to_end(accuracy, folder, capsys):
    options = ["--detectors", *BASELINES, "--seeds", "0", "1"]
    status, report = run(accuracy, folder, *options)
    assert status == 0
    assert not report["partial"]
    assert {"python", "scikit-learn", "torch", "skmemto"} <= report[
        "environment"
    ].keys()
    assert report["command"].startswith("python benchmarks/accuracy.py --data")
    assert report["notes"] == ["toy calm: skipped, its test labels are all the same."]
    means = {row["detector"]: row for row in report["means"]}
    assert list(means) == list(BASELINES)
    assert means["IsolationForest"]["n_seeds"] == 2
    assert means["PCA"]["n_seeds"] == means["1-NN-all"]["n_seeds"] == 1
    assert means["1-NN"]["auroc"] > 0.95
    assert means["PCA"]["auroc_sd"] is None
    entities = [r for r in report["results"] if r["detector"] == "Random"]
    assert [(r["entity"], r["seed"]) for r in entities] == [
        ("a", 0),
        ("b", 0),
        ("a", 1),
        ("b", 1),
    ]
    ap = np.reshape([r["average_precision"] for r in entities], (2, 2)).mean(axis=1)
    np.testing.assert_allclose(means["Random"]["average_precision"], ap.mean())
    np.testing.assert_allclose(means["Random"]["average_precision_sd"], ap.std(ddof=1))
    table = (folder / "report.md").read_text()
    assert table in capsys.readouterr().out
    assert "| detector | toy AUROC / AP / VUS-PR | fit s | score s |" in table
    assert "| 1-NN-all |" in table


def test_one_failing_detector_costs_only_itself(accuracy, folder, monkeypatch):
    class Broken(accuracy.RandomScores):
        def score_samples(self, X):
            return np.full(len(X), np.nan)

    monkeypatch.setitem(accuracy.DETECTORS, "Broken", lambda seed: Broken())
    status, report = run(accuracy, folder, "--detectors", "Broken", "PCA")
    assert status == 1
    broken, pca = report["means"]
    assert (broken["n_failed"], pca["n_failed"]) == (2, 0)
    assert "auroc" not in broken
    assert "NaN" in report["results"][0]["error"]
    assert "| Broken | failed (2) |" in (folder / "report.md").read_text()


def test_quick_says_that_it_is_partial(accuracy, folder):
    options = ["--detectors", "IsolationForest", "--quick", "--seeds", "3", "4"]
    _, report = run(accuracy, folder, *options)
    assert report["partial"]
    assert "PARTIAL" in (folder / "report.md").read_text()
    assert {r["seed"] for r in report["results"]} == {3}


def test_set_param_reaches_the_detectors_that_have_it(accuracy, folder):
    options = ["--detectors", "IsolationForest", "PCA"]
    _, report = run(accuracy, folder, *options, "--set-param", "n_estimators=7")
    assert "n_estimators=7" in report["detectors"]["IsolationForest"]
    assert "n_estimators" not in report["detectors"]["PCA"]


@pytest.mark.parametrize("option", ["n_trees=7", "n_estimators"])
def test_set_param_errors(accuracy, folder, option, capsys):
    with pytest.raises(SystemExit):
        run(accuracy, folder, "--detectors", "PCA", "--set-param", option)
    assert option.split("=")[0] in capsys.readouterr().err


def test_missing_set_stops_before_any_fit(accuracy, folder):
    with pytest.raises(SystemExit, match=r"looked for .*nosuch\.npz"):
        run(accuracy, folder, sets=("toy", "nosuch"))


def test_speed(load, tmp_path, capsys, monkeypatch):
    speed = load("speed")
    monkeypatch.setattr(speed, "SIZES", {8: (2, 8)})
    monkeypatch.setattr(speed, "COMPARED", ("MEMTODetector", "IsolationForest"))
    options = ["--rows", "150", "--repeats", "1", "--out", str(tmp_path / "speed")]
    assert speed.main(options) == 0
    report = json.loads((tmp_path / "speed.json").read_text())
    (size,) = report["arithmetic"]
    assert min(size["gflops"].values()) > 0
    assert size["shares"]["product"][0] == size["shares"]["own product"][1] == 1
    (layer,) = report["layers"]
    assert layer["all"] == pytest.approx(sum(layer["seconds"].values()))
    assert layer["share"] > 0
    assert [r["detector"] for r in report["detectors"]] == list(speed.COMPARED)
    assert len(report["throughput"]) == 4
    assert (tmp_path / "speed.md").read_text() in capsys.readouterr().out


def test_operations_are_counted_as_said(load):
    # By hand: d 2, feed-forward 3, one layer, windows of 100, 55 features.
    assert load("speed").flop_per_step(2, 3, n_layers=1) == 2 * (16 + 12 + 400 + 220)


def test_alarms(load, tmp_path, capsys):
    alarms = load("alarms")
    options = ["--rows", "200", "400", "--epochs", "1"]
    assert alarms.main([*options, "--out", str(tmp_path / "alarms")]) == 0
    results = json.loads((tmp_path / "alarms.json").read_text())["results"]
    assert [r["rows"] for r in results] == [200] * 3 + [400] * 3
    assert all(0 <= r["alarms"] <= 1 for r in results)
    assert (tmp_path / "alarms.md").read_text() in capsys.readouterr().out


def test_alarms_come_from_a_stationary_series(load):
    alarms = load("alarms")
    X = alarms.autoregression(20_000, np.random.default_rng(0))
    first, second = X[:10_000], X[10_000:]
    np.testing.assert_allclose(first.std(axis=0), second.std(axis=0), rtol=0.1)
    # Each row is a matrix of spectral radius 0.9 times the one before, plus noise.
    matrix, *_ = np.linalg.lstsq(X[:-1], X[1:])
    assert abs(np.linalg.eigvals(matrix)).max() == pytest.approx(0.9, abs=0.02)
    residual = X[1:] - X[:-1] @ matrix
    np.testing.assert_allclose(np.cov(residual.T), np.eye(12), atol=0.05)


def test_fleet(load, tmp_path, capsys):
    fleet = load("fleet")
    options = ["--groups", "2", "--rows", "40", "--jobs", "1", "--repeats", "2"]
    assert fleet.main([*options, "--out", str(tmp_path / "fleet")]) == 0
    report = json.loads((tmp_path / "fleet.json").read_text())
    assert [r["turn"] for r in report["results"]] == [0, 1]
    (row,) = report["summary"]
    assert row["fit_seconds"] > 0
    assert row["fit_speedup"] == row["score_speedup"] == 1
    assert (tmp_path / "fleet.md").read_text() in capsys.readouterr().out


def test_fleet_compares_neighbours_in_time(load):
    records = [
        {"n_jobs": n_jobs, "fit_seconds": fit, "score_seconds": 1.0}
        for n_jobs, fit in [
            (1, 4.0),
            (2, 2.0),
            (1, 30.0),
            (2, 10.0),
            (1, 4.0),
            (2, 1.0),
        ]
    ]
    summary = load("fleet").summarize(records, [1, 2])
    assert [row["fit_speedup"] for row in summary] == [1, 3]
    assert [row["fit_seconds"] for row in summary] == [4, 2]


@pytest.fixture
def scale(load, monkeypatch):
    """The script, on small tables and with a quick detector."""
    script = load("scale")
    if not script.STATUS.exists():
        pytest.skip("memory is measured on Linux only")
    monkeypatch.setattr(script, "ROWS", (50, 100, 10**7))
    monkeypatch.setattr(script, "CHANNELS", (1, 3))
    monkeypatch.setattr(script, "GROUPS", (1, 2))
    monkeypatch.setattr(script, "TARGET_ROWS", 60)
    monkeypatch.setattr(script, "FIRST_ROWS", 20)
    quick = partial(MEMTODetector, **{k: QUICK[k] for k in ("d_model", "n_layers")})
    monkeypatch.setattr(script, "MEMTODetector", quick)
    return script


def test_scale_end_to_end(scale, tmp_path, monkeypatch, capsys):
    def measure_here(size, folder):
        scale.write_data(tmp_path / "X.npy", size)
        return scale.measure(tmp_path / "X.npy", size)

    monkeypatch.setattr(scale, "measure_apart", measure_here)
    out = ["--out", str(tmp_path / "scale")]
    assert scale.main(["--max-rows", "100", "--at-rows", "40", *out]) == 0
    report = json.loads((tmp_path / "scale.json").read_text())
    assert [tuple(r[key] for key in scale.Size._fields) for r in report["results"]] == [
        (50, 8, 1), (100, 8, 1), (40, 1, 1), (40, 3, 1), (40, 8, 1), (40, 8, 2),
        (60, 38, 1),
    ]  # fmt: skip
    assert all(r["fit_seconds"] > 0 for r in report["results"])
    assert set(report["summary"]) == {"rows", "channels", "groups"}
    text = (tmp_path / "scale.md").read_text()
    assert "| 100 | 8 | 1 | 5 | 0.0 |" in text
    assert "Seconds grow as rows to the power of" in text
    assert "MB beyond the start at most" in text
    assert text in capsys.readouterr().out
    assert (tmp_path / "scale.png").read_bytes().startswith(b"\x89PNG")


def test_scale_measures_in_a_process_of_its_own(scale, tmp_path):
    figures = scale.measure_apart(scale.Size(100, 2, 2), tmp_path)
    assert figures["data_mb"] == 100 * 2 * 4 / 1e6
    # This process would not need so much any more: torch is loaded.
    assert figures["fit_mb"] > 10
    assert list(tmp_path.iterdir()) == []


def test_scale_fits_exponents(scale):
    results = [
        {"sweep": "rows", "rows": n, "fit_seconds": 2e-3 * n, "score_seconds": n**0.5}
        for n in (10**3, 10**4, 10**5, 10**6)
    ]
    fitted = scale.summarize(results[:3])["rows"]
    np.testing.assert_allclose(list(fitted.values()), [10**3, 1, 0.5])
    # A fit of few rows has a fixed number of steps: two of many rows are enough.
    results[0]["fit_seconds"] = results[1]["fit_seconds"] = 100
    fitted = scale.summarize(results)["rows"]
    np.testing.assert_allclose(list(fitted.values()), [10**5, 1, 0.5])
    assert scale.beyond(10**3, fitted) == " from 100,000 on"
    assert scale.beyond(10**5, fitted) == ""
    assert scale.STEPS_GROW_FROM == _auto._WINDOWS_PER_EPOCH * _auto._WINDOW


@pytest.fixture
def pictures(load, monkeypatch, tmp_path):
    """Drawing scripts that find a stored result, and a folder for what they draw."""
    records = [
        {"set": "toy", "entity": e, "detector": d, "average_precision": ap}
        for e, d, ap in [
            ("a", "MEMTODetector", 0.9),
            ("a", "PCA", 0.5),
            ("b", "MEMTODetector", 0.2),
            ("b", "PCA", 0.6),
        ]
    ]
    means = [
        {
            "set": "toy",
            "detector": d,
            "average_precision": ap,
            "average_precision_sd": s,
        }
        for d, ap, s in [("MEMTODetector", 0.55, 0.1), ("PCA", 0.55, None)]
    ]
    report = {"results": records, "means": means}
    (tmp_path / "toy.json").write_text(json.dumps(report))
    for name in ("bars", "lost"):
        monkeypatch.setattr(load(name), "RESULTS", tmp_path)
    return load


def test_bars(pictures, tmp_path):
    assert pictures("bars").main(["toy", "--out", "bars"]) == 0
    assert (tmp_path / "bars.png").read_bytes().startswith(b"\x89PNG")


def test_lost(pictures, folder, tmp_path, capsys):
    lost = pictures("lost")
    options = ["toy", "--set", "toy", "--worst", "1"]
    assert lost.main([*options, "--data", str(folder), "--out", str(tmp_path)]) == 0
    assert [p.name for p in tmp_path.glob("*.png")] == ["lost-toy-b.png"]
    assert "| b | 20.0 | 60.0 | PCA |" in capsys.readouterr().out
    (entity, *_) = pictures("_data").load_entities("toy", folder)
    assert lost.moved_most(entity)[-1] == 3  # the channel that never moves
