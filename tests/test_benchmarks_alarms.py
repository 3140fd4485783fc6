"""The scripts that measure alarms, on small made-up data."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from conftest import SMALL, make_waves
from sklearn.ensemble import IsolationForest
from toy import run, write_toy

from skmemto.datasets import KINDS


def test_steady(measure, load, monkeypatch):
    monkeypatch.setattr(load("steady"), "N_NEW", 2000)
    options = ["--rows", "200", "400", "--epochs", "1"]
    records, table = measure("steady", *options, data=())
    assert records["rows"].tolist() == [200] * 5 + [400] * 5
    assert records["alarms"].between(0, 1).all()
    assert "| false alarms, % | 200 rows | 400 rows |" in table


def test_steady_series_are_stationary(load):
    steady = load("steady")
    X = steady.autoregression(20_000, np.random.default_rng(0))
    first, second = X[:10_000], X[10_000:]
    np.testing.assert_allclose(first.std(axis=0), second.std(axis=0), rtol=0.1)
    # Each row is a matrix of spectral radius 0.9 times the one before, plus noise.
    matrix, *_ = np.linalg.lstsq(X[:-1], X[1:])
    assert abs(np.linalg.eigvals(matrix)).max() == pytest.approx(0.9, abs=0.02)
    residual = X[1:] - X[:-1] @ matrix
    np.testing.assert_allclose(np.cov(residual.T), np.eye(12), atol=0.05)


@pytest.fixture
def quick_detectors(load, monkeypatch):
    """Those that are compared, ours small."""
    detectors = load("_detectors").DETECTORS
    for name in ("MEMTODetector", "AnomalyTransformer"):
        monkeypatch.setitem(
            detectors, name, lambda seed: SMALL(window_size=10, random_state=seed)
        )
    return detectors


OURS_AND_ANOTHER = ["--detectors", "MEMTODetector", "IsolationForest"]


def test_alarms(measure, quick_detectors):
    records, table = measure("alarms", *OURS_AND_ANOTHER, quick=False)
    names = ["MEMTODetector", "MEMTODetector, rebase=None", "IsolationForest"]
    assert list(records["detector"].unique()) == names
    assert records["entity"].tolist() == ["a"] * 3 + ["b"] * 3
    assert (records["decades"] == 0).all()
    assert (records["events_found"] == 1).all()
    assert records["flagged_normal"].between(0, 0.9).all()
    of_forest = records[records["detector"] == names[2]].mean(numeric_only=True)
    cell = "{events_found:.0%} / {false_runs:.1f}"
    expected = cell.format(**of_forest).replace("%", "")
    assert f"| IsolationForest | {expected} / " in table
    assert "| MEMTODetector, rebase=None | " in table


def test_alarms_as_the_threshold_moves(measure, load, quick_detectors):
    alarms = load("alarms")
    records, _ = measure("alarms", *OURS_AND_ANOTHER, "--curve", quick=False)
    assert len(records) == 3 * 2 * len(alarms.CURVE)
    assert 0 in alarms.CURVE
    for _, curve in records.groupby(["detector", "entity"]):
        assert curve["decades"].is_monotonic_increasing
        # The higher the threshold, the fewer are flagged.
        assert (curve["flagged_normal"].diff().dropna() <= 0).all()
        assert (curve["events_found"].diff().dropna() <= 0).all()
    figure = alarms.draw(records)
    (panel, _) = figure.axes
    assert [line.get_label() for line in panel.get_lines()[::2]] == list(
        records["detector"].unique()
    )
    plt.close(figure)


def test_alarms_are_drawn_from_what_is_stored(load, measure, quick_detectors, tmp_path):
    measure("alarms", "--detectors", "IsolationForest", "--curve", quick=False)
    load("alarms").main(["--draw", str(tmp_path / "out")])
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    plt.close("all")


def entity(load, train, test, labels):
    return load("_data").Entity("made", train, test, labels)


def test_decisions_of_ours_are_in_decades_of_rarity(load):
    train, test = make_waves(300), make_waves(200, seed=1)
    made = entity(load, train, test, np.zeros(200))
    detector = SMALL(random_state=0).fit(train)
    usual, stricter = load("_alarms").decisions(detector, made, (0.0, 1.5))
    np.testing.assert_array_equal(usual > 0, detector.predict(test) == -1)
    np.testing.assert_allclose(stricter, usual - 1.5)


def test_decisions_of_others_are_by_their_training_scores(load):
    alarms, rng = load("_alarms"), np.random.default_rng(0)
    train, test = rng.normal(size=(5000, 2)), rng.normal(size=(5000, 2))
    made = entity(load, train, test, np.zeros(5000))
    forest = IsolationForest(random_state=0).fit(train)
    # Moved by one decade, a tenth of the training rows is flagged.
    decades = (0.0, -1.0, -2.0)
    shares = [(d > 0).mean() for d in alarms.decisions(forest, made, decades)]
    on_train = made._replace(test=train)
    of_train = [(d > 0).mean() for d in alarms.decisions(forest, on_train, decades)]
    np.testing.assert_allclose(of_train, [0.001, 0.01, 0.1])
    assert shares[0] < 0.006
    assert shares == sorted(shares)


def alarm_figures(load, flags, labels):
    return load("_alarms").alarm_figures(
        np.asarray(labels), np.where(np.asarray(flags, dtype=bool), 0.1, 0.0)
    )


def test_alarm_figures_by_hand(load):
    """Two events in 1,000 rows; one is found, and there are two false runs."""
    labels, flags = np.zeros((2, 1000), dtype=int)
    labels[200:220] = labels[600:700] = 1
    flags[195:225] = 1  # 5 rows before and 5 after
    flags[231:233] = 1  # 11 rows behind the event: off, but near
    flags[400:404] = flags[900] = 1  # far from any
    figures = alarm_figures(load, flags, labels)
    n_far = 1000 - (20 + 2 * 50) - (100 + 2 * 50)
    assert figures == {
        "events_found": 0.5,
        "false_runs": pytest.approx(1e4 * 2 / n_far),
        "flagged_normal": pytest.approx((10 + 2 + 5) / 880),
        "flagged_off": pytest.approx((2 + 5) / 37),
    }


def test_an_alarm_that_does_not_end_is_a_false_run(load):
    labels, flags = np.zeros((2, 400), dtype=int)
    labels[100:110] = 1
    for stop, n_runs in ((160, 0), (161, 1), (400, 1)):
        flags[100:stop] = 1
        figures = alarm_figures(load, flags, labels)
        assert figures["false_runs"] == pytest.approx(1e4 * n_runs / 290)


def test_alarm_figures_without_flags_or_far_rows(load):
    labels = np.zeros(80, dtype=int)
    labels[40] = 1
    figures = alarm_figures(load, np.zeros(80), labels)
    assert figures == dict.fromkeys(figures, 0)
    figures = alarm_figures(load, np.ones(80), labels)
    assert (figures["events_found"], figures["false_runs"]) == (1, 0)
    assert (figures["flagged_normal"], figures["flagged_off"]) == (1, 59 / 80)


EYE = ["--rows", "5200", "--plants", "waves", "daily", "--detectors", "IsolationForest"]


def test_eye(load, measure, quick_detectors, tmp_path):
    eye = load("eye")
    records, table = measure("eye", *EYE, "--seeds", "0", "1", quick=False, data=())
    whole = records[records["kind"] == "all"]
    pairs = list(zip(whole["plant"], whole["seed"], strict=True))
    assert pairs == [("waves", 0), ("waves", 1), ("daily", 0), ("daily", 1)]
    assert whole["average_precision"].between(0, 1).all()
    kinds = records[records["kind"] != "all"]
    assert (kinds["kind"].value_counts() == 4 * eye.N_OF_A_KIND).all()
    assert set(kinds["kind"]) == set(KINDS)
    # The share of all events is that of those of each kind together.
    found = kinds.groupby(["plant", "seed"], sort=False)["events_found"].mean()
    np.testing.assert_allclose(found, whole["events_found"])
    of_kinds, by_kind = table.split("\n\n")[:2]
    assert of_kinds.startswith("| detector | events found % | false runs / 10,000 |")
    points = kinds[kinds["kind"] == "point"]["events_found"].mean()
    assert f"| point | {points:.0%} |" in by_kind
    assert load("eye").main(["--draw", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    plt.close("all")


def test_eye_sees_what_ours_sees(load, quick_detectors):
    eye = load("eye")
    data = eye.make_plant("process", 3, 5200)
    assert data.X_train.shape == data.X_test.shape == (5200, 6)
    detector = quick_detectors["MEMTODetector"](3).fit(data.X_train)
    flagged = detector.predict(data.X_test) == -1
    whole, *events = eye.evaluate("MEMTODetector", "process", 3, 5200)
    expected = [flagged[e.start : e.stop] for e in data.events]
    assert [e["kind"] for e in events] == [e.kind for e in data.events]
    assert [e["events_found"] for e in events] == [part.any() for part in expected]
    delays = [part.argmax() for part in expected if part.any()]
    assert whole["delay"] == pytest.approx(np.mean(delays))
    off_labels = flagged[data.y_test == 0].mean()
    assert whole["flagged_normal"] == pytest.approx(off_labels)


@pytest.mark.parametrize(
    ("script", "options", "data"),
    [
        ("alarms", [], ("--sets", "toy")),
        ("eye", EYE[:4], ()),
    ],
)
def test_a_detector_that_fails_is_shown(
    load, tmp_path, quick_detectors, monkeypatch, capsys, script, options, data
):
    class Broken(IsolationForest):
        def score_samples(self, X):
            raise RuntimeError("no scores")

    write_toy(tmp_path)
    monkeypatch.setitem(quick_detectors, "1-NN-ma21", lambda seed: Broken())
    names = ["--detectors", "1-NN-ma21", "IsolationForest"]
    status, _ = run(load(script), tmp_path, *names, *options, data=data)
    assert status == 1
    table, _ = capsys.readouterr().out.split("- FAILED")
    assert "failed (" in table
