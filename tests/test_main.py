"""``python -m skmemto``: the demonstration, and the same for CSV files."""

import subprocess
import sys
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import pytest
import skops.io
from matplotlib.figure import Figure
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score

import skmemto
import skmemto.__main__ as cli
from skmemto import MEMTODetector, PerGroupDetector
from skmemto._cli import commands, demo
from skmemto._cli.models import save_model
from skmemto.datasets import make_anomalous_series
from skmemto.metrics import compare_events

PNG = b"\x89PNG"
QUICK = {"window_size": 10, "stride": 10, "score_stride": 10, "max_iter": 1}
SMALL = {"d_model": 8, "n_heads": 1, "n_layers": 1, "dim_feedforward": 32}
QuickDetector = partial(MEMTODetector, **QUICK, **SMALL)
small_series = partial(
    make_anomalous_series, n_train=300, n_test=250, n_features=2, n_events=2
)


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    """A quick detector, an empty working directory, and no pyplot: no screen."""
    monkeypatch.setattr(demo, "MEMTODetector", QuickDetector)
    monkeypatch.setattr(commands, "MEMTODetector", QuickDetector)
    monkeypatch.setattr(demo, "make_anomalous_series", small_series)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def figures(monkeypatch):
    """What would be saved as pictures."""
    saved = []
    monkeypatch.setattr(Figure, "savefig", lambda self, *_, **__: saved.append(self))
    return saved


def bars(ax):
    """Return the ranges that are marked as events."""
    (marks,) = (c for c in ax.collections if c.get_label() == "event")
    spans = [path.get_extents() for path in marks.get_paths()]
    return [(span.x0, span.x1) for span in spans]


def write(name, text):
    Path(name).write_text(text)


def table_text(X, *, times=None, header=None, delimiter=","):
    """Return CSV text, the time column first if there is one."""
    rows = [] if header is None else [header]
    for i, row in enumerate(X):
        rows.append([*([] if times is None else [times[i]]), *map(repr, row.tolist())])
    return "\n".join(delimiter.join(row) for row in rows) + "\n"


def fails(capsys, *argv):
    """Run with a user error; return its one line."""
    with pytest.raises(SystemExit) as caught:
        cli.main(argv)
    assert caught.value.code == 2
    *_, line = capsys.readouterr().err.splitlines()
    _, found, error = line.partition("error: ")
    assert found
    return error


def test_demonstration(capsys):
    cli.main(["--seed", "3"])
    assert Path("skmemto-demo.png").read_bytes().startswith(PNG)
    out = capsys.readouterr().out
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line}
    data = small_series(random_state=3)
    for detector in (QuickDetector(random_state=3), IsolationForest(random_state=3)):
        score = detector.fit(data.X_train).score_samples(data.X_test)
        auroc, precision, flagged, seconds = rows[type(detector).__name__]
        assert auroc == f"{roc_auc_score(data.y_test, -score):.3f}"
        assert precision == f"{average_precision_score(data.y_test, -score):.3f}"
        assert flagged == f"{np.mean(detector.predict(data.X_test) == -1):.1%}"
        assert float(seconds) >= 0
    lines = [
        line for line in out.splitlines() if line.startswith(("det", "MEM", "Iso"))
    ]
    assert len({len(line) for line in lines}) == 1, "the columns should be aligned"


def test_demonstration_says_which_events_were_found(capsys, figures):
    cli.main(["--seed", "3"])
    data = small_series(random_state=3)
    events = QuickDetector(random_state=3).fit(data.X_train).events(data.X_test)
    comparison = compare_events(data.y_test, events)
    *_, report = capsys.readouterr().out.split("(guessing)")
    header, *lines = report.split("\n\n")[1].splitlines()
    n_false = comparison.false.sum()
    assert header == f"{len(events)} events found, {n_false} of them false:"
    assert [line.split() for line in lines] == [
        ["rows", f"{e.start}-{e.stop - 1}", e.kind, "found" if found else "missed"]
        for e, found in zip(data.events, comparison.found, strict=True)
    ]
    assert bars(figures[0].axes[-1]) == [(e.start, e.stop - 1) for e in events]


def test_demonstration_options(capsys):
    cli.main(["--plot", "there.png", "--contamination", "0.2", "--verbose"])
    assert Path("there.png").read_bytes().startswith(PNG)
    assert not Path("skmemto-demo.png").exists()
    data = small_series(random_state=0)
    detector = QuickDetector(random_state=0, contamination=0.2).fit(data.X_train)
    flagged = np.mean(detector.predict(data.X_test) == -1)
    out = capsys.readouterr().out
    assert f"{flagged:.1%}" in out
    assert "epoch" in out.lower() or "iteration" in out.lower()


@pytest.mark.parametrize("argv", [[], ["a.csv", "a.csv", "--plot", "p.png"]])
def test_without_matplotlib_it_goes_on(capsys, monkeypatch, argv):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    write("a.csv", table_text(small_series(random_state=0).X_train))
    cli.main(argv)
    said = "".join(capsys.readouterr())
    assert "matplotlib is missing" in said
    assert "pip install matplotlib" in said
    assert not list(Path().glob("*.png"))
    assert Path("scores.csv").exists() == bool(argv)


def write_series(*, times=True, label=False):
    """Write a.csv and b.csv; return what is in them."""
    data = small_series(random_state=0)
    for name, X, y in (
        ("a.csv", data.X_train, None),
        ("b.csv", data.X_test, data.y_test),
    ):
        frame = pd.DataFrame(X, columns=["x", "y"])
        if times:
            frame.insert(
                0, "when", pd.date_range("2024-01-01", periods=len(X), freq="1min")
            )
        if label and y is not None:
            frame["is_odd"] = y
        frame.to_csv(name, index=False)
    return data


def fitted(data, **parameters):
    X = pd.DataFrame(data.X_train, columns=["x", "y"])
    return QuickDetector(random_state=0, **parameters).fit(X)


def as_frame(X):
    return pd.DataFrame(X, columns=["x", "y"])


@pytest.mark.parametrize("in_one_go", [True, False])
def test_fit_and_score(capsys, in_one_go):
    data = write_series(label=True)
    out = ["--out", "s.csv", "--events", "e.csv", "--plot", "p.png"]
    out += ["--report", "r.html", "--label", "is_odd"]
    if in_one_go:
        assert cli.main(["a.csv", "b.csv", *out]) == 0
    else:
        assert cli.main(["fit", "a.csv", "--model", "m.skops"]) == 0
        assert cli.main(["score", "--model", "m.skops", "b.csv", *out]) == 0
    detector, X = fitted(data), as_frame(data.X_test)
    scores = pd.read_csv("s.csv", float_precision="round_trip")
    assert list(scores) == ["when", "score", "decision", "label"]
    np.testing.assert_allclose(scores["score"], detector.score_samples(X))
    np.testing.assert_allclose(scores["decision"], detector.decision_function(X))
    np.testing.assert_array_equal(scores["label"], detector.predict(X))
    events = detector.events(X)
    written = pd.read_csv("e.csv").fillna({"channels": ""})
    assert written["channels"].tolist() == [" ".join(e.channels) for e in events]
    assert written["rows"].tolist() == [e.stop - e.start for e in events]
    assert Path("p.png").read_bytes().startswith(PNG)
    assert f"{len(events)} event" in Path("r.html").read_text()
    said = capsys.readouterr().out
    assert "a.csv: 300 rows, 2 channels, when 2024-01-01 00:00:00 to" in said
    found = compare_events(data.y_test, events).found
    assert f"by the labels: {found.sum()} of {len(found)} events found" in said
    assert (Path("scores.csv").exists(), Path("a.csv.part").exists()) == (False, False)


def test_labels_in_both_files_are_no_channel():
    data = write_series(label=True)
    pd.read_csv("a.csv").assign(is_odd=0).to_csv("a.csv", index=False)
    cli.main(["a.csv", "b.csv", "--label", "is_odd"])
    expected = fitted(data).score_samples(as_frame(data.X_test))
    np.testing.assert_allclose(pd.read_csv("scores.csv")["score"], expected)


def test_channels_of_a_model_are_found_in_any_order(capsys):
    data = write_series()
    cli.main(["fit", "a.csv", "--model", "m.skops"])
    frame = pd.read_csv("b.csv")
    frame[["note", "y", "when", "x"]] = frame.assign(note=5)[["note", "y", "when", "x"]]
    frame[["note", "y", "when", "x"]].to_csv("c.csv", index=False)
    cli.main(["score", "--model", "m.skops", "c.csv", "--out", "s.csv"])
    expected = fitted(data).score_samples(as_frame(data.X_test))
    np.testing.assert_allclose(pd.read_csv("s.csv")["score"], expected)
    frame[["when", "x"]].to_csv("c.csv", index=False)
    error = fails(capsys, "score", "--model", "m.skops", "c.csv")
    assert "c.csv: there is no column 'y', which was learned from" in error


def test_exit_status_says_whether_there_are_events():
    data = write_series()
    cli.main(["fit", "a.csv", "--model", "m.skops"])
    argv = ["score", "--model", "m.skops", "b.csv", "--fail-on-event"]
    assert cli.main(argv) == int(bool(fitted(data).events(as_frame(data.X_test))))
    frame = pd.read_csv("b.csv")
    frame.loc[100:120, "y"] += 20
    frame.to_csv("b.csv", index=False)
    assert cli.main(argv) == 1
    assert cli.main(argv[:-1]) == 0


def test_files_without_header_or_times():
    data = small_series(random_state=0)
    write("a.csv", table_text(data.X_train))
    write("b.csv", table_text(data.X_test))
    cli.main(["a.csv", "b.csv", "--contamination", "0.1", "--plot", "p.png"])
    scores = pd.read_csv("scores.csv")
    assert scores["row"].tolist() == list(range(250))
    detector = QuickDetector(random_state=0, contamination=0.1).fit(data.X_train)
    np.testing.assert_array_equal(scores["label"], detector.predict(data.X_test))


def test_gaps_end_series(capsys):
    data = write_series()
    frame = pd.read_csv("b.csv").drop(range(100, 150))
    frame.to_csv("b.csv", index=False)
    cli.main(["a.csv", "b.csv"])
    X = as_frame(np.delete(data.X_test, range(100, 150), axis=0))
    expected = fitted(data).score_samples(X, groups=np.repeat([0, 1], 100))
    np.testing.assert_allclose(pd.read_csv("scores.csv")["score"], expected)
    assert "gap(s) in the times" in capsys.readouterr().err
    cli.main(["a.csv", "b.csv", "--no-split"])
    expected = fitted(data).score_samples(X)
    np.testing.assert_allclose(pd.read_csv("scores.csv")["score"], expected)


@pytest.mark.parametrize("per_group", [False, True])
def test_machines(per_group):
    data = write_series()
    for name in ("a.csv", "b.csv"):
        frame = pd.read_csv(name)
        both = pd.concat([frame.assign(who=w, x=frame["x"] * (w == "p")) for w in "pq"])
        # As they come: both machines at each time.
        both.sort_values("when", kind="stable").to_csv(name, index=False)
    option = ["--per-group"] if per_group else []
    cli.main(["fit", "a.csv", "--group", "who", "--model", "m.skops", *option])
    argv = ["score", "b.csv", "--group", "who", "--model", "m.skops", "--out", "s.csv"]
    cli.main([*argv, "--report", "r.html", "--events", "e.csv"])
    scores = pd.read_csv("s.csv")
    assert list(scores) == ["when", "group", "score", "decision", "label"]
    assert scores["group"].tolist() == ["p", "q"] * 250
    both = [as_frame(X * [[1, 1]]) for X in (data.X_train, data.X_test)]
    stacked = [pd.concat([X, X.assign(x=0.0)]) for X in both]
    groups = [np.repeat(["p", "q"], len(X)) for X in both]
    detector = QuickDetector(random_state=0)
    detector = PerGroupDetector(detector) if per_group else detector
    expected = detector.fit(stacked[0], groups=groups[0]).score_samples(
        stacked[1], groups=groups[1]
    )
    for name in "pq":
        np.testing.assert_allclose(
            scores["score"][scores["group"] == name], expected[groups[1] == name]
        )
    if per_group:
        with pytest.raises(SystemExit):
            cli.main(argv[:2] + argv[4:])


def test_what_is_noticed_is_said_as_lines(capsys):
    write_series()
    frame = pd.read_csv("a.csv")
    frame.loc[10, "x"] = -9999
    frame.to_csv("a.csv", index=False)
    cli.main(["a.csv", "b.csv"])
    *_, error = capsys.readouterr()
    assert "warning: a.csv: x has 1 value(s) far from all others" in error
    assert "in line 12" in error
    assert "rows to learn from are few" in error
    assert "UserWarning" not in error


def test_progress_is_shown_on_a_terminal_only(monkeypatch, capsys):
    write_series()
    monkeypatch.setattr(commands, "_ROWS_FOR_PROGRESS", 100)
    asked = []
    monkeypatch.setattr(
        QuickDetector.func, "set_callbacks", lambda self, *c: asked.append(c) or self
    )
    cli.main(["a.csv", "b.csv"])
    assert asked == []
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    cli.main(["a.csv", "b.csv"])
    (bar,), nothing = asked
    assert (type(bar).__name__, nothing) == ("ProgressBar", ())


def test_seed():
    write_series()
    scores = []
    for seed in ("1", "1", "2"):
        cli.main(["a.csv", "b.csv", "--seed", seed])
        scores.append(pd.read_csv("scores.csv")["score"])
    np.testing.assert_array_equal(scores[0], scores[1])
    assert not np.array_equal(scores[0], scores[2])


@pytest.mark.parametrize(
    "argv, message",
    [
        (["a.csv"], "the following arguments are required: NEW"),
        (["--out", "s.csv"], "unrecognized arguments: --out s.csv"),
        (["a.csv", "none.csv"], "No such file or directory: 'none.csv'"),
        (["a.csv", "b.csv", "--time", "w"], "--time w: there is no such column"),
        (["a.csv", "c.csv"], "c.csv: there is no column 'x', which was learned from"),
        (["c.csv", "n.csv"], "n.csv has 3 channels, c.csv has 2"),
        (["a.csv", "b.csv", "--out", "a.csv"], "would overwrite another of the files"),
        (["a.csv", "b.csv", "--out", "no/s.csv"], "no/s.csv: there is no directory no"),
        (["a.csv", "b.csv", "--out", "folder"], "folder: is a directory"),
        (["a.csv", "b.csv", "--events", "scores.csv"], "scores.csv: would overwrite"),
        (["a.csv", "b.csv", "--plot", "p.xyz"], "no picture is written as 'xyz'; take"),
        (["a.csv", "b.csv", "--per-group"], "--per-group needs --group NAME"),
        (["--plot", "no/p.png"], "no/p.png: there is no directory no"),
        (["--plot", "p.xyz"], "no picture is written as 'xyz'; take"),
        (["--contamination", "0.7"], "'auto' or a number in (0, 0.5]. Got '0.7'"),
        (["--contamination", "some"], "'auto' or a number in (0, 0.5]. Got 'some'"),
        (["--seed", "-1"], "The 'random_state' parameter of"),
        (["s.csv", "s.csv"], "minimum of 2 is required"),
        (["fit", "a.csv", "--model", "m.pkl"], "m.pkl: a model's file ends in .skops"),
        (["fit", "a.csv", "--model", "no/m.skops"], "there is no directory no"),
        (["score", "a.csv", "--model", "none.skops"], "No such file or directory"),
        (["score", "a.csv", "--model", "bad.skops"], "bad.skops: holds no model that"),
        (["score", "a.csv", "--model", "odd.skops"], "it holds numpy.random"),
        (["score", "a.csv", "--model", "list.skops"], "holds a list, no detector"),
        (["watch", "a.csv", "--model", "m.skops"], "to watch, learn a model by `fit"),
        (
            ["watch", "a.csv", "--model", "m.skops", "--group", "who"],
            "unrecognized arguments: --group who",
        ),
    ],
    ids=lambda x: " ".join(x) if isinstance(x, list) else "",
)
def test_bad_arguments(capsys, argv, message):
    data = write_series()
    before = Path("a.csv").read_bytes()
    write("c.csv", "1.5,2\n3,4\n")
    write("n.csv", "1.5,2,3\n3,4,5\n")
    write("s.csv", "1.5,2\n")
    write("bad.skops", "no zip")
    Path("folder").mkdir()
    skops.io.dump([1, 2], "list.skops")
    skops.io.dump(np.random.default_rng(0).bit_generator.seed_seq, "odd.skops")
    if argv[0] == "watch":
        save_model("m.skops", fitted(data))
    assert message in fails(capsys, *argv)
    assert Path("a.csv").read_bytes() == before
    assert not Path("scores.csv").exists()
    assert not list(Path().glob("*.png"))


def test_what_is_not_installed_is_named(capsys, monkeypatch):
    write_series()
    monkeypatch.setitem(sys.modules, "skops", None)
    monkeypatch.setitem(sys.modules, "skops.io", None)
    assert "pip install 'skmemto[files]'" in fails(
        capsys, "fit", "a.csv", "--model", "m.skops"
    )


def test_an_interrupt_ends_without_a_traceback(capsys, monkeypatch):
    write_series()
    monkeypatch.setattr(commands, "_fitted", mock.Mock(side_effect=KeyboardInterrupt))
    with pytest.raises(SystemExit) as caught:
        cli.main(["fit", "a.csv", "--model", "m.skops"])
    assert caught.value.code == 130
    assert "interrupted" in capsys.readouterr().err
    assert not Path("m.skops").exists()


@pytest.mark.parametrize("command", ["demo", "fit", "score", "run", "watch"])
def test_help(capsys, command):
    with pytest.raises(SystemExit) as caught:
        cli.main([command, "--help"])
    assert caught.value.code == 0
    assert f"usage: skmemto {command}" in capsys.readouterr().out


def test_as_a_program():
    """The module runs by its name, and shows no traceback to a user's mistake."""
    command = [sys.executable, "-m", "skmemto", "alone.csv"]
    root = Path(cli.__file__).parents[1]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=root
    )
    assert done.returncode == 2
    assert "error: the following arguments are required: NEW" in done.stderr
    assert "Traceback" not in done.stderr
    done = subprocess.run(
        [sys.executable, "-m", "skmemto", "--version"], capture_output=True, check=True
    )
    assert done.stdout.decode().strip() == skmemto.__version__
