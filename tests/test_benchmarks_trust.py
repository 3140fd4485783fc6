"""The scripts beside the field's benchmark, and of what repeats, on small data."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from conftest import BENCHMARKS, SMALL
from toy import run, toy_entity, write_toy

from skmemto.metrics import vus_pr


@pytest.fixture
def series(tmp_path):
    """A list of the toy set: whole recordings, the first 100 rows to learn from."""
    write_toy(tmp_path)
    path = tmp_path / "list.csv"
    frame = pd.DataFrame(
        {
            "tsb_file": ["1.csv", "2.csv"],
            "source_entity": ["a", "b"],
            "train_prefix": [50, 50],
            "length": [150, 140],
            "IForest": [0.2, 0.4],
        }
    )
    frame.to_csv(path, index=False)
    return path


def test_series_of_a_list(load, series):
    first, second = load("_tsb_ad").from_list(series, "toy", series.parent)
    _, test, labels = toy_entity(1)
    assert second.entity.name == "b" and second.published == {"IForest": 0.4}
    np.testing.assert_array_equal(second.entity.test, test[:140])
    np.testing.assert_array_equal(second.entity.train, test[:50])
    np.testing.assert_array_equal(second.entity.labels, labels[:140])
    assert first.entity.labels.sum() == 30


def test_series_of_files(load, tmp_path):
    _, test, labels = toy_entity(0)
    frame = pd.DataFrame(test).assign(Label=labels)
    frame.loc[149, 0] = np.nan  # such a row is left out, as in the benchmark
    frame.to_csv(tmp_path / "001_X_id_0_Y_tr_50_1st_61.csv", index=False)
    (series,) = load("_tsb_ad").from_files(tmp_path)
    np.testing.assert_allclose(series.entity.test, test[:149], rtol=1e-6)
    np.testing.assert_allclose(series.entity.train, test[:50], rtol=1e-6)
    assert series.published == {} and series.entity.labels.sum() == 30
    (tmp_path / "other.csv").write_text("1,Label\n")
    with pytest.raises(ValueError, match="does not end in _tr_N_1st_M"):
        list(load("_tsb_ad").from_files(tmp_path))


@pytest.mark.parametrize("period", [8, 30, 200])
def test_period_is_that_of_the_values(load, period):
    values = np.sin(2 * np.pi * np.arange(3000) / period)
    assert load("_tsb_ad").period(values) == pytest.approx(period, abs=1)


def test_without_a_period_the_benchmark_takes_its_usual_one(load):
    assert load("_tsb_ad").period(np.zeros(500)) == 125


def naive_volume(y_true, y_score, max_buffer, n_thresholds=250):
    """The figure by its definition: one buffer, one threshold, one sample at a time."""
    n, areas = len(y_true), []
    starts = [t for t in range(n) if y_true[t] and not (t and y_true[t - 1])]
    ends = [t for t in range(n) if y_true[t] and not (t + 1 < n and y_true[t + 1])]
    descending = sorted(y_score, reverse=True)
    for buffer in range(max_buffer + 1):
        labels = [float(y) for y in y_true]
        for start, end in zip(starts, ends, strict=True):
            for d in range(1, buffer // 2 + 1):
                for t in (start - d, end + d):
                    if 0 <= t < n:
                        labels[t] += (1 - d / buffer) ** 0.5
        labels = [min(label, 1.0) for label in labels]
        parts = []
        for start, end in zip(starts, ends, strict=True):
            low, high = start - buffer // 2, end + buffer // 2
            if parts and parts[-1][1] >= low:
                low = parts.pop()[0]
            parts.append((low, high))
        area = before = 0.0
        for i in np.linspace(0, n - 1, n_thresholds).astype(int):
            flagged = [score >= descending[i] for score in y_score]
            hit = sum(label for label, f in zip(labels, flagged, strict=True) if f)
            slopes = hit - sum(y for y, f in zip(y_true, flagged, strict=True) if f)
            found = sum(any(flagged[max(a, 0) : b + 1]) for a, b in parts) / len(parts)
            recall = min(hit / (sum(y_true) + slopes / 2), 1) * found
            area += (recall - before) * hit / sum(flagged)
            before = recall
        areas.append(area)
    return sum(areas) / len(areas)


@pytest.mark.parametrize("seed", range(4))
def test_benchmarks_volume_equals_naive(load, seed):
    rng = np.random.default_rng(seed)
    y_true = np.zeros(120, dtype=int)
    for start in rng.integers(0, 118, 3):
        y_true[start : start + rng.integers(1, 12)] = 1
    y_score = rng.normal(size=120).round(seed % 2 + 1) + y_true
    expected = naive_volume(y_true.tolist(), y_score.tolist(), 9)
    found = load("_tsb_ad").vus_pr_by_samples(y_true, y_score, max_buffer_size=9)
    assert found == pytest.approx(expected, rel=1e-12)


def test_benchmarks_volume_of_its_own_code(load):
    """A value of TSB-AD 1.5 (`RangeAUC_volume_opt`, 250 thresholds)."""
    rng = np.random.default_rng(0)
    y_true = np.zeros(200, dtype=int)
    for start in rng.integers(10, 150, 4):
        y_true[start : start + rng.integers(1, 40)] = 1
    y_score = rng.normal(size=200) + 2 * y_true
    found = load("_tsb_ad").vus_pr_by_samples(y_true, y_score, max_buffer_size=30)
    assert found == pytest.approx(0.9131587715059418, rel=1e-12)
    assert vus_pr(y_true, y_score, max_buffer_size=30) < found


def test_tsb_ad(load, series, capsys):
    script = load("tsb_ad")
    status, records = run(
        script, series.parent, "--list", str(series),
        "--detectors", "PCA", "MEMTODetector",
        "--set-param", "d_model=16", "n_layers=1", "max_iter=1",
    )  # fmt: skip
    out = capsys.readouterr().out
    assert status == 0 and (series.parent / "out.png").stat().st_size > 10_000
    frame = pd.DataFrame(records)
    assert frame.groupby("detector").size().to_dict() == {
        "IForest, published": 2, "PCA": 2, "MEMTODetector": 2,
        "MEMTODetector, looking back": 2,
    }  # fmt: skip
    assert "| IForest, published | 0.300 |  |" in out
    assert "| PCA | 1.000 |" in out
    for options in ([], ["--list", "x", "--files", "y"]):
        with pytest.raises(SystemExit):
            run(script, series.parent, *options)


def test_repeat(load, tmp_path, monkeypatch):
    script = load("repeat")
    monkeypatch.setattr(script, "DETECTORS", {"MEMTODetector": SMALL})

    class Pool:  # in this process
        def __init__(self, *args, **options): ...
        def __enter__(self):
            return self

        def __exit__(self, *error): ...

        def apply(self, function, args, options=None):
            options = {k: v for k, v in (options or {}).items() if k != "n_threads"}
            return function(*args, **options, n_threads=1)

    class Context:
        def __init__(self, method):
            self.Pool = Pool

    monkeypatch.setattr(script.multiprocessing, "get_context", Context)
    monkeypatch.setattr(script.torch, "set_num_threads", lambda n: None)
    monkeypatch.setattr(script.warnings, "simplefilter", lambda *args, **kw: None)
    status, records = run(script, tmp_path, "--rows", "300", "--seeds", "0", data=())
    assert status == 0
    frame = pd.DataFrame(records).set_index("fit")
    assert set(frame.index) == {
        "again",
        "on two threads",
        "of values rounded to float32",
    }
    exact = frame.loc[["again", "on two threads"]]  # with one thread here
    assert (exact[["weights_first", "weights_end", "scores", "labels"]] == 0).all(
        axis=None
    )
    assert 0 < frame.loc["of values rounded to float32", "weights_end"] < 0.1


def test_mixed_load(load, tmp_path, monkeypatch):
    script = load("mixed_load")
    monkeypatch.setattr(script.warnings, "simplefilter", lambda *args, **kw: None)
    fast = [("score", n) for n in script.LENGTHS[:3]] + ["joblib", "skops"]
    jobs = script.jobs()
    monkeypatch.setattr(script, "jobs", lambda: {name: jobs[name] for name in fast})
    status, records = run(script, tmp_path, "--minutes", "0.05", data=())
    assert status == 0
    frame = pd.DataFrame(records)
    assert len(frame) == script.N_REPORTS and frame["tasks"].iloc[-1] > 0
    assert (frame["unequal"] == 0).all() and (frame["megabytes"] > 50).all()


def test_mixed_load_tells_what_fails(load, tmp_path, monkeypatch):
    script = load("mixed_load")
    monkeypatch.setattr(script.warnings, "simplefilter", lambda *args, **kw: None)
    results = iter([np.zeros(1)])
    monkeypatch.setattr(script, "jobs", lambda: {"one": lambda: next(results)})
    monkeypatch.setattr(script.threading, "excepthook", lambda args: None)
    status, records = run(script, tmp_path, "--minutes", "0.05", data=())
    assert status == 1 and "StopIteration" in records[-1]["error"]


def test_compare_batch(load, tmp_path, capsys):
    write_toy(tmp_path)
    names = ["IsolationForest", "LocalOutlierFactor", "OneClassSVM"]
    status, records = run(load("compare_batch"), tmp_path, "--detectors", *names)
    assert status == 0 and len(records) == 3
    assert "| IsolationForest |" in capsys.readouterr().out
    options = ["--entities", "b", "--detectors", "OneClassSVM"]
    status, records = run(load("compare_batch"), tmp_path, *options)
    assert [record["series"] for record in records] == ["toy, b"]


def test_profile_of_windows_is_that_of_their_rows(load, monkeypatch):
    script = load("compare_batch")

    def mstump(series, window):
        n_windows = series.shape[1] - window + 1
        return np.arange(n_windows) * np.ones((len(series), 1)), None

    monkeypatch.setitem(sys.modules, "stumpy", SimpleNamespace(mstump=mstump))
    X = np.zeros((200, 3))
    scores = script.MatrixProfile().fit(X).score_samples(X)
    expected = [
        np.mean([w for w in range(351) if w <= t < w + 50]) for t in range(200, 400)
    ]
    np.testing.assert_allclose(-scores, expected)


def test_pooled(load, measure):
    records, out = measure("pooled")
    assert records.groupby("models").size().tolist() == [2, 2]
    assert (records["fit_seconds"] > 0).all() and "| pooled start |" in out


def side_by_side(load, monkeypatch, tmp_path, *options):
    """Run it, but for the processes; what they are given is kept."""
    script, worker = load("side_by_side"), load("_one_side")
    monkeypatch.setattr(worker, "MEMTODetector", SMALL)
    monkeypatch.setattr(worker, "N_CALLS", 2)
    started = []

    def run_here(command, env, **options):
        task, arguments = json.loads(command[-1])
        started.append((task, env["PYTHONPATH"], env["OMP_NUM_THREADS"]))
        figures = getattr(worker, task)(**arguments)
        return SimpleNamespace(returncode=0, stdout=f"noise\n{json.dumps(figures)}\n")

    monkeypatch.setattr(script, "subprocess", SimpleNamespace(run=run_here))
    other = tmp_path / "other"
    (other / "skmemto").mkdir(parents=True)
    write_toy(tmp_path)
    options = ["--other", str(other), *options]
    return *run(script, tmp_path, *options), started, str(other)


@pytest.mark.filterwarnings("ignore::skmemto.exceptions.ShortHistoryWarning")
def test_side_by_side(load, monkeypatch, tmp_path, capsys):
    options = ("--rows", "300", "--features", "2", "--repeats", "2", "--groups", "2")
    status, records, started, other = side_by_side(
        load, monkeypatch, tmp_path, *options
    )
    assert status == 0 and len(records) == 2 * 2 + 2 * 2 + 3
    assert [r["side"] for r in records[:4]] == ["other", "this"] * 2
    this = str(BENCHMARKS.parent)
    assert [where for _, where, _ in started[:4]] == [other, this] * 2
    assert {threads for *_, threads in started} == {"1"}
    assert records[-1]["side"] == "this, pooled start"
    for record in records[:4]:
        assert 0 < record["few_rows_seconds"] < record["fit_seconds"]
        assert 0.5 < record["average_precision"] <= 1
    out = capsys.readouterr().out
    assert "| 300 x 2, this |" in out and "| 2 groups of 500 x 8, this |" in out


def test_side_by_side_says_what_went_wrong(load, monkeypatch, tmp_path, capsys):
    script = load("side_by_side")
    failed = SimpleNamespace(returncode=1, stdout="", stderr="no such thing")
    runs = SimpleNamespace(run=lambda *args, **kwargs: failed)
    monkeypatch.setattr(script, "subprocess", runs)
    with pytest.raises(RuntimeError, match="no such thing"):
        script.measure(tmp_path, "long", {})
    with pytest.raises(SystemExit):
        script.main(["--other", str(tmp_path)])
    assert "there is no skmemto in" in capsys.readouterr().err
