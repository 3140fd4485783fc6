"""What the benchmark scripts share, accuracy and pictures, on small made-up data."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from toy import run, toy_entity, write_toy

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


@pytest.fixture
def folder(tmp_path):
    return write_toy(tmp_path)


@pytest.fixture
def accuracy(load):
    return load("accuracy")


@pytest.fixture
def detectors(load):
    return load("_detectors")


def test_loader_splits_into_entities(load, folder):
    entities = load("_data").load_entities("toy", folder)
    assert [e.name for e in entities] == ["a", "b", "calm"]
    for got, expected in zip(entities[1][1:], toy_entity(1), strict=True):
        np.testing.assert_array_equal(got, expected)
        assert got.dtype == expected.dtype


def test_pooled_entities_follow_each_other(load, folder):
    entities = load("_data").load_entities("toy", folder)
    whole = load("_data").pooled(entities)
    assert whole.labels.sum() == sum(e.labels.sum() for e in entities)
    np.testing.assert_array_equal(whole.train[200:400], entities[1].train)
    np.testing.assert_array_equal(whole.test[150:300], entities[1].test)


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


def test_every_baseline_is_tested(detectors):
    assert tuple(detectors.BASELINES) == BASELINES
    assert detectors.DETECTORS.keys() - set(BASELINES) == {
        "MEMTODetector", "MEMTODetector-softmax",
        "AnomalyTransformer", "AnomalyTransformer-softmax",
    }  # fmt: skip


@pytest.mark.parametrize("name", BASELINES)
def test_baseline_scores_every_row(detectors, name):
    train, test, labels = toy_entity(0)
    detector = detectors.build(name, 0).fit(train)
    scores = detector.score_samples(test)
    assert scores.shape == (150,)
    assert np.isfinite(scores).all()
    again = detectors.build(name, 0).fit(train).score_samples(test)
    np.testing.assert_array_equal(scores, again)
    assert detector.score_samples(test[:5]).shape == (5,)
    if name != "Random":
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


def test_cells_are_means_over_entities_then_over_seeds(load):
    columns = ["set", "way", "seed", "ap", "error"]
    rows = [
        ("y", "b", 0, 0.1),
        ("y", "b", 0, 0.3),
        ("y", "b", 1, 0.4),
        ("y", "b", 1, 0.8),
    ]
    rows += [("x", "a", 0, 0.5), ("x", "a", 1, 0.5), ("w", "a", 0, 0.5)]
    # A failure that does not say in which way it failed is one of all of them.
    rows += [
        ("y", "a", 0, 0.5),
        ("y", "a", 1, None, "no"),
        ("w", None, 0, None, "first"),
    ]
    records = pd.DataFrame(rows, columns=columns).assign(fit_seconds=2)
    module = load("_markdown")
    cell = "{ap:.1%} in {fit_seconds:.0f} s"
    table = module.markdown(module.pivot(records, "way", "set", cell, "AP of {}"), "")
    # Means of 20 and 60 % have a standard deviation of 28.3; equal ones have none.
    assert table.splitlines() == [
        "|  | AP of y | AP of x | AP of w |",
        "| --- | --- | --- | --- |",
        "| b | 40.0 ± 28.3 in 4 s |  |  |",
        "| a | failed (1) | 50.0 in 2 s | failed (1) |",
    ]


@pytest.mark.parametrize("last", ["error", "nan", "stop"])
def test_what_was_measured_is_kept(load, tmp_path, last, capsys):
    report = load("_report")
    path = tmp_path / "out.json"

    def good():
        yield {"figure": np.float32(0.5)}
        yield {"figure": np.int64(2)}

    def bad():
        assert len(json.loads(path.read_text())["records"]) == 2
        if last == "stop":
            raise KeyboardInterrupt
        return {"figure": np.nan if last == "nan" else 1 / 0}

    out = ["--out", str(path.with_suffix(""))]
    args = report.CommandLine("some.py", "Some.").parse_args(out)
    tasks = [({"part": "good"}, good), ({"part": "bad"}, bad)]
    if last == "stop":
        with pytest.raises(KeyboardInterrupt):
            report.run(args, tasks, str)
    else:
        assert report.run(args, tasks, lambda records: "the table") == 1
        table, _, failed, command = capsys.readouterr().out.splitlines()[:4]
        assert (table, failed) == ("the table", "- FAILED: 1 of 3 records.")
        assert command.startswith("- Command: `python benchmarks/some.py --out ")
    stored = json.loads(path.read_text())
    first, second, *failed = stored["records"]
    assert [first["figure"], second["figure"]] == [0.5, 2]
    assert [(r["part"], "error" in r) for r in failed] == (
        [] if last == "stop" else [("bad", True)]
    )
    assert list(stored) == ["command", "environment", "records"]
    assert stored["command"] == " ".join(["python benchmarks/some.py", *out])
    keys = {"python", "scikit-learn", "torch", "skmemto", "threads"}
    assert keys < stored["environment"].keys()


def test_accuracy_end_to_end(accuracy, folder, capsys):
    options = ["--detectors", *BASELINES, "--seeds", "0", "1"]
    status, records = run(accuracy, folder, *options)
    assert status == 0
    out, err = capsys.readouterr()
    assert "toy calm: skipped, its test labels are all the same." in err
    frame = pd.DataFrame(records)
    seeds = frame.groupby("detector", sort=False)["seed"].nunique()
    assert list(seeds.index) == list(BASELINES)
    assert seeds["IsolationForest"] == 2
    assert seeds["PCA"] == seeds["1-NN-all"] == 1
    assert frame[frame["detector"] == "1-NN"]["auroc"].min() > 0.95
    random = frame[frame["detector"] == "Random"]
    pairs = [("a", 0), ("b", 0), ("a", 1), ("b", 1)]
    assert list(zip(random["entity"], random["seed"], strict=True)) == pairs
    ap = 100 * np.reshape(random["average_precision"], (2, 2)).mean(axis=1)
    assert f"/ {ap.mean():.1f} ± {ap.std(ddof=1):.1f} /" in out
    assert "| detector | toy AUROC / AP / VUS-PR | fit s | score s |" in out
    assert "| 1-NN-all |" in out


def test_one_failing_detector_costs_only_itself(
    accuracy, detectors, folder, monkeypatch, capsys
):
    class Broken(detectors.RandomScores):
        def score_samples(self, X):
            return np.full(len(X), np.nan)

    monkeypatch.setitem(detectors.DETECTORS, "Broken", lambda seed: Broken())
    status, records = run(accuracy, folder, "--detectors", "Broken", "PCA")
    assert status == 1
    assert ["error" in record for record in records] == [True] * 2 + [False] * 2
    assert "NaN" in records[0]["error"]
    assert "| Broken | failed (2) |" in capsys.readouterr().out


def test_ours_is_compared_with_the_best_baseline(accuracy):
    aps = {"Random": 0.1, "PCA": 0.4, "KMeans40": 0.9, "MEMTODetector": 0.5}
    records = pd.DataFrame(
        {"detector": name, "set": "toy", "seed": 0, "average_precision": ap}
        | dict.fromkeys(["auroc", "vus_pr", "fit_seconds", "score_seconds"], 1.0)
        for name, ap in aps.items()
    )
    records["error"] = records["detector"].map({"KMeans40": "it failed"})
    *_, last = accuracy.table(records).splitlines()
    assert last == "| AP of MEMTODetector by the best baseline's | 1.25 (PCA) |  |  |"


def test_quick_is_partial(accuracy, folder, capsys):
    options = ["--detectors", "IsolationForest", "--quick", "--seeds", "3", "4"]
    _, records = run(accuracy, folder, *options)
    assert {record["seed"] for record in records} == {3}
    assert "PARTIAL" in capsys.readouterr().err
    args = accuracy.parse(["--quick"])
    assert (args.sets, args.out) == (["asd", "skab"], "quick")


def test_set_param_reaches_the_detectors_that_have_it(accuracy, detectors):
    argv = ["--detectors", "IsolationForest", "PCA", "--set-param", "n_estimators=7"]
    params = accuracy.parse(argv).set_param
    assert detectors.build("IsolationForest", 0, params).n_estimators == 7
    assert "n_estimators" not in detectors.build("PCA", 0, params).get_params()


@pytest.mark.parametrize("option", ["n_trees=7", "n_estimators"])
def test_set_param_errors(accuracy, option, capsys):
    with pytest.raises(SystemExit):
        accuracy.parse(["--detectors", "PCA", "--set-param", option])
    assert option.split("=")[0] in capsys.readouterr().err


@pytest.mark.parametrize("name", ["accuracy", "ablation", "missing", "paper"])
def test_missing_set_stops_before_any_fit(load, folder, name):
    with pytest.raises(SystemExit, match=r"for .*nosuch\.npz.*in that folder: toy\."):
        run(load(name), folder, data=("--sets", "toy", "nosuch"))
    assert not (folder / "out.json").exists()


def test_documents_show_what_is_stored(load):
    tables = load("tables")
    for path in tables.DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        assert tables.filled(text) == text, f"{path}: python benchmarks/tables.py"
        marks = re.findall(r"<!-- (table|end)", text)
        assert marks == ["table", "end"] * (len(marks) // 2)
        assert marks


def test_tables_are_filled_in(load, monkeypatch):
    tables = load("tables")
    monkeypatch.setitem(tables.TABLES, "one", lambda: "| 1 |")
    text = "before\n<!-- table: one -->\n{}<!-- end -->\nafter\n"
    assert tables.filled(text.format("| old |\n| rows |\n")) == text.format("| 1 |\n")


def test_every_stored_result_can_be_shown(load, capsys):
    tables = load("tables")
    names = sorted(path.stem for path in load("_report").RESULTS.glob("*.json"))
    assert tables.main(names) == 0
    assert capsys.readouterr().out.count("- Command: `python benchmarks/") == len(names)


@pytest.fixture
def pictures(load, monkeypatch, tmp_path):
    """Drawing scripts that find a stored result, and a folder for what they draw."""
    records = [
        {"set": "toy", "entity": e, "seed": s, "detector": d, "average_precision": ap}
        for e, s, d, ap in [
            ("a", 0, "MEMTODetector", 0.9),
            ("a", 1, "MEMTODetector", 0.8),
            ("a", 0, "PCA", 0.5),
            ("b", 0, "MEMTODetector", 0.2),
            ("b", 1, "MEMTODetector", 0.2),
            ("b", 0, "PCA", 0.6),
            ("b", 0, "Random", 0.1),
        ]
    ]
    (tmp_path / "toy.json").write_text(json.dumps({"records": records}))
    monkeypatch.setattr(load("_report"), "RESULTS", tmp_path)
    monkeypatch.setattr(load("bars"), "RESULTS", tmp_path)
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
