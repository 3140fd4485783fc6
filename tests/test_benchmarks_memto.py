"""The scripts that run our detectors, on small made-up data."""

import sys
from functools import partial
from types import ModuleType, SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from conftest import QUICK, SMALL, make_waves

from skmemto import MEMTODetector, _auto


@pytest.mark.parametrize(
    ("detector", "n_phases"), [("memto", 2), ("anomaly-transformer", 1)]
)
def test_paper(measure, load, monkeypatch, detector, n_phases):
    # So few rows need a higher share for random flags to be any.
    monkeypatch.setattr(load("paper"), "OTHER_PERCENT", 10.0)
    options = ["--detector", detector, "--max-iter", "1", "--seeds", "0", "1"]
    records, table = measure("paper", *options, quick=False)
    assert records["parameters"].str.contains("criterion='softmax'").all()
    assert (records["n_iter"] == n_phases).all()
    assert (records["random_average_precision"] == 60 / 450).all()
    assert (records["pa_f1"] >= records["f1"]).all()
    assert records["auroc"].nunique() == 2
    assert "PA F1 of random flags" in table
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


def test_explain(measure):
    records, table = measure("explain")
    rates = records.groupby("method", sort=False)["hit_rate_100"].min()
    # To blame are the three of four channels that move.
    assert (rates[rates.index.str.startswith("MEMTODetector")] == 1).all()
    assert {"PCA error", "random"} < set(rates.index)
    assert "| MEMTODetector, `deviations(X).input` | 100.0 / 100.0 |" in table


def test_hit_rate(load):
    script = load("explain")
    deviations = np.array([[5.0, 1.0, 4.0, 0.0], [5.0, 1.0, 4.0, 0.0]])
    assert script.hit_rate(deviations, np.array([0, 2]), 100) == 1.0
    assert script.hit_rate(deviations, np.array([0, 1]), 100) == 0.5
    assert script.hit_rate(deviations, np.array([0, 1]), 150) == 1.0
    ((start, stop, channels),) = script.parse_events(["3-7:1,4"])
    assert (start, stop, channels.tolist()) == (3, 7, [0, 3])


def test_missing(measure, load):
    records, table = measure("missing")
    script = load("missing")
    assert len(records) == 2 * (1 + 2 * len(script.SHARES))
    assert records[records["share"] == 0]["average_precision"].mean() > 0.8
    # "test" is scored by the model that is fitted already.
    assert (records["fit_seconds"].isna() == (records["removed_from"] == "test")).all()
    assert "| toy | 0 |  |" in table
    holes = np.isnan(script.without(np.ones((200, 5)), 0.5, np.random.default_rng(0)))
    assert holes.mean() == pytest.approx(0.5, abs=0.05)


def test_clock(measure, load, monkeypatch):
    script = load("clock")
    monkeypatch.setattr(script, "PERIODS", {"toy": (10, 70)})
    options = ["--detectors", "IsolationForest", "--seeds", "0", "1"]
    records, table = measure("clock", *options, quick=False)
    assert len(records) == 2 * 2 * 2  # entities, seeds, without and with
    assert "| IsolationForest, clock |" in table
    entity = load("_data").Entity("a", np.zeros((25, 2)), np.zeros((30, 2)), None)
    told = script.with_clock(entity, "toy")
    rows = np.arange(55)
    for column, expected in (
        (2, np.sin(2 * np.pi * rows / 10)),
        (5, np.cos(2 * np.pi * rows / 70)),
    ):
        both = np.concatenate([told.train[:, column], told.test[:, column]])
        np.testing.assert_allclose(both, expected, atol=1e-12)
    monkeypatch.setattr(script, "STARTS_ANEW", ("toy",))
    np.testing.assert_array_equal(
        script.with_clock(entity, "toy").test[:25], told.train
    )


def test_criterion(measure, load):
    records, table = measure("criterion")
    script = load("criterion")
    ways = [*(script.STEPS | script.CHANGES), script.ITSELF]
    assert records["criterion"].tolist() == 2 * ways
    assert table.count("*changes to the last but one*") == 1
    of_itself = next(r for r in table.splitlines() if r.startswith("| + ends of"))
    assert of_itself.endswith("| 1.000 |")


def test_the_last_step_is_the_detector_but_for_the_ends(load, monkeypatch):
    script = load("criterion")
    monkeypatch.setattr(script, "MEMTODetector", partial(SMALL, window_size=20))
    train, X = make_waves(2000), make_waves(600, seed=1)
    X[100:110, 0] += 5 * X[:, 0].std()
    parts = script.parts_of(load("_data").Entity("a", train, X, np.zeros(600)), 0)
    *_, last = script.STEPS.values()
    midst = slice(60, -60)
    by_hand, scores = script.calibrated(parts, **last)[midst], parts.scores[midst]
    assert np.corrcoef(by_hand, scores)[0, 1] > 0.98
    assert by_hand.argmax() == pytest.approx(scores.argmax(), abs=2)


def test_every_criterion_differs(load):
    script = load("criterion")
    rng = np.random.default_rng(1)
    shapes = ((900, 4), (900, 4), 900, 900, 900)
    arrays = [rng.standard_exponential(shape) for shape in shapes]
    arrays[1][400:800] *= 1.3  # a little more, but for long
    arrays[1][[100, 200, 210], [0, 1, 2]] = 20, 200, 40
    parts = script.Parts(*arrays, 50, np.array([1.0, 1.2, 1.5, 2.0]), np.zeros(900))
    ways = (script.STEPS | script.CHANGES).values()
    scores = [script.calibrated(parts, **way) for way in ways]
    assert len({tuple(each) for each in scores}) == len(scores)


def test_compare_pyod_needs_pyod(measure, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyod", None)
    with pytest.raises(SystemExit, match=r"(?s)not here.*pip install .* pyod"):
        measure("compare_pyod", quick=False)


def test_compare_pyod(measure, monkeypatch):
    class Stub:
        def __init__(self, **parameters): ...

        def fit(self, X):
            assert abs(X.mean()) < 1e-6  # standardized

        def decision_function(self, X):
            return np.abs(X).sum(axis=1)  # high where something is wrong

    pyod, module = ModuleType("pyod"), ModuleType("pyod.models.ts_anomaly_transformer")
    pyod.__version__ = "0"
    module.AnomalyTransformer = Stub
    monkeypatch.setitem(sys.modules, "pyod", pyod)
    monkeypatch.setitem(sys.modules, "pyod.models", SimpleNamespace())
    monkeypatch.setitem(sys.modules, module.__name__, module)
    records, table = measure("compare_pyod", "--epochs", "1", quick=False)
    aurocs = records.groupby("detector", sort=False)["auroc"].mean()
    assert list(aurocs.index) == ["skmemto", 'skmemto, criterion "softmax"', "PyOD"]
    assert aurocs["skmemto"] > 0.9
    assert aurocs["PyOD"] > 0.9
    assert [row[:4] for row in table.splitlines()[2:6]] == ["| sk"] * 2 + ["| Py"] * 2
    assert "| PyOD / skmemto |  |  | 0.0 | 0.0 |" in table


def test_fleet(measure):
    options = ["--groups", "2", "--rows", "40", "--jobs", "1", "--repeats", "2"]
    records, table = measure("fleet", *options, data=())
    assert records["turn"].tolist() == [0, 1]
    assert records["fit_seconds"].min() > 0
    assert " | 1.00 | " in table


def test_fleet_compares_neighbours_in_time(load):
    seconds = [(1, 4.0), (2, 2.0), (1, 30.0), (2, 10.0), (1, 4.0), (2, 1.0)]
    records = pd.DataFrame(
        {"turn": i // 2, "n_jobs": n_jobs, "fit_seconds": fit, "score_seconds": 1.0}
        for i, (n_jobs, fit) in enumerate(seconds)
    )
    assert load("fleet").table(records).splitlines()[2:] == [
        "| 1 | 4.00 | 1.00 | 1.00 | 1.00 |",
        "| 2 | 2.00 | 3.00 | 1.00 | 1.00 |",
    ]


def test_speed(measure, load, monkeypatch):
    speed = load("speed")
    monkeypatch.setattr(speed, "SIZES", {8: (2, 8, 1)})
    monkeypatch.setattr(speed, "COMPARED", ("MEMTODetector", "IsolationForest"))
    options = ["--rows", "150", "--repeats", "1"]
    records, table = measure("speed", *options, data=())
    network, layer, detectors, strides = (
        group.dropna(axis="columns") for _, group in records.groupby("part", sort=False)
    )
    assert network["gflops"].min() > 0
    network = network.set_index("run")
    assert network["of_product"]["product"] == 1
    assert network["of_own_product"]["own product"] == 1
    seconds = layer.set_index("operation")["seconds"]
    assert seconds["all"] == pytest.approx(seconds.drop("all").sum())
    assert records["of_product"].min() > 0
    assert detectors["detector"].tolist() == list(speed.COMPARED)
    assert len(strides) == 4
    assert "| 8 | own product |" in table


def test_operations_are_counted_as_said(load):
    # By hand: d 2, feed-forward 3, one layer, windows of 100, 55 features.
    assert load("speed").flop_per_step(2, 3, n_layers=1) == 2 * (16 + 12 + 400 + 220)


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


def test_scale_end_to_end(scale, measure, tmp_path, monkeypatch):
    def measure_here(size, folder):
        scale.write_data(tmp_path / "X.npy", size)
        return scale.measure(tmp_path / "X.npy", size)

    monkeypatch.setattr(scale, "measure_apart", measure_here)
    options = ["--max-rows", "100", "--at-rows", "40"]
    records, text = measure("scale", *options, quick=False, data=())
    assert records[list(scale.Size._fields)].to_numpy().tolist() == [
        [50, 8, 1], [100, 8, 1], [40, 1, 1], [40, 3, 1], [40, 8, 1], [40, 8, 2],
        [60, 38, 1],
    ]  # fmt: skip
    assert (records["fit_seconds"] > 0).all()
    assert "| rows | 100 | 8 | 1 | 5 | 0.0 |" in text
    assert "Seconds grow as rows to the power of" in text
    assert "MB beyond the start at most" in text
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")


def test_scale_measures_in_a_process_of_its_own(scale, tmp_path):
    figures = scale.measure_apart(scale.Size(100, 2, 2), tmp_path)
    assert figures["data_mb"] == 100 * 2 * 4 / 1e6
    # This process would not need so much any more: torch is loaded.
    assert figures["fit_mb"] > 10
    assert list(tmp_path.iterdir()) == []


def test_scale_fits_exponents(scale):
    records = pd.DataFrame({"sweep": "rows", "rows": [10**3, 10**4, 10**5, 10**6]})
    records["fit_seconds"] = 2e-3 * records["rows"]
    records["score_seconds"] = records["rows"] ** 0.5

    def fitted(records):
        ((sweep, group, fitted),) = scale.growing(records)
        powers = [
            scale.exponent(fitted, sweep, f"{n}_seconds") for n in ("fit", "score")
        ]
        return scale.beyond(group, fitted, sweep), *powers

    assert fitted(records[:3]) == ("", pytest.approx(1), pytest.approx(0.5))
    # A fit of few rows has a fixed number of steps: two of many rows are enough.
    records.loc[:1, "fit_seconds"] = 100
    several = (" from 100,000 on", pytest.approx(1), pytest.approx(0.5))
    assert fitted(records) == several
    assert scale.STEPS_GROW_FROM == _auto._WINDOWS_PER_EPOCH * _auto._WINDOW
