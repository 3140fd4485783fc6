"""``python -m skmemto``: the demonstration, and the same for CSV files."""

import csv
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score

import skmemto.__main__ as cli
from skmemto import MEMTODetector
from skmemto.datasets import make_anomalous_series
from skmemto.metrics import compare_events

PNG = b"\x89PNG"
QUICK = {"window_size": 10, "stride": 10, "score_stride": 10, "max_iter": 1}
SMALL = {"d_model": 8, "n_heads": 1, "n_layers": 1}
QuickDetector = partial(MEMTODetector, **QUICK, **SMALL)
small_series = partial(
    make_anomalous_series, n_train=300, n_test=250, n_features=2, n_events=2
)
GOOD = "t,x,y\n" + "".join(f"2024-01-{i:02d},{i % 5},{-i / 4}\n" for i in range(1, 32))


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    """A quick detector, an empty working directory, and no pyplot: no screen."""
    monkeypatch.setattr(cli, "MEMTODetector", QuickDetector)
    monkeypatch.setattr(cli, "make_anomalous_series", small_series)
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


def read_scores(path):
    with open(path, newline="") as file:
        header, *rows = csv.reader(file)
    first, score, decision, label = zip(*rows, strict=True)
    return header, first, *(np.array(c, float) for c in (score, decision, label))


def fails(capsys, *argv):
    """Run with a user error; return its one line."""
    with pytest.raises(SystemExit) as caught:
        cli.main(argv)
    assert caught.value.code == 2
    usage, error = capsys.readouterr().err.split("python -m skmemto: error: ")
    assert usage.startswith("usage:")
    assert error.count("\n") == 1
    return error.strip()


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
    out = capsys.readouterr().out
    assert "matplotlib is missing" in out
    assert "pip install matplotlib" in out
    assert not list(Path().glob("*.png"))
    assert Path("scores.csv").exists() == bool(argv)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_files_with_header_and_time(capsys, delimiter):
    data = small_series(random_state=0)
    times = [f"2024-01-01 {i // 60:02d}:{i % 60:02d}:00" for i in range(300)]
    for name, X in (("a.csv", data.X_train), ("b.csv", data.X_test)):
        text = table_text(
            X, times=times, header=["when", "x", "y"], delimiter=delimiter
        )
        write(name, text)
    argv = ["a.csv", "b.csv", "--time", "when", "--out", "s.csv", "--plot", "p.png"]
    cli.main(argv)

    header, first, score, decision, label = read_scores("s.csv")
    assert header == ["when", "score", "decision", "label"]
    assert list(first) == times[:250]
    detector = QuickDetector(random_state=0).fit(data.X_train)
    np.testing.assert_array_equal(score, detector.score_samples(data.X_test))
    np.testing.assert_array_equal(decision, detector.decision_function(data.X_test))
    np.testing.assert_array_equal(label, detector.predict(data.X_test))
    assert Path("p.png").read_bytes().startswith(PNG)
    out = capsys.readouterr().out
    assert "a.csv: 300 rows, 2 channels" in out
    assert f"b.csv: 250 rows, {np.sum(label == -1)} flagged" in out


@pytest.mark.parametrize("time", [None, "when"])
def test_events_of_files(capsys, figures, time):
    data = small_series(random_state=0)
    data.X_test[100:120, 1] += 20 * data.X_train[:, 1].std()
    for name, X in (("a.csv", data.X_train), ("b.csv", data.X_test)):
        times = [f"t{i}" for i in range(300)] if time else None
        header = ["when", "x", "y"] if time else ["x", "y"]
        write(name, table_text(X, times=times, header=header))
    option = ["--time", time] if time else []
    cli.main(["a.csv", "b.csv", *option, "--events", "e.csv", "--plot", "p.png"])

    with open("e.csv", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["start", "end", "rows", "peak", "score", "channels"]
    events = QuickDetector(random_state=0).fit(data.X_train).events(data.X_test)
    expected = [
        [
            *(f"t{row}" if time else str(row) for row in (event.start, event.stop - 1)),
            str(event.stop - event.start),
            f"t{event.peak}" if time else str(event.peak),
            str(event.score),
            " ".join("xy"[channel] for channel in event.channels),
        ]
        for event in events
    ]
    assert rows == expected
    (blamed,) = (e.channels for e in events if e.start <= 110 < e.stop)
    assert blamed == (1,)
    out = capsys.readouterr().out
    assert f"flagged as anomalous, in {len(events)} events" in out
    assert "e.csv: the events" in out
    of_x, of_y, of_score = map(bars, figures[0].axes)
    assert len(of_score) == len(events)
    assert any(start <= 110 < stop for start, stop in of_y)
    assert not any(start <= 110 < stop for start, stop in of_x)


def test_a_path_that_is_no_file_is_an_error(capsys):
    write("a.csv", GOOD)
    Path("folder").mkdir()
    argv = ["a.csv", "a.csv", "--time", "t", "--events", "folder"]
    assert "Is a directory: 'folder'" in fails(capsys, *argv)


def test_files_without_header(figures):
    """Rows are numbered; `--time` takes a number; names are made for the picture."""
    data = small_series(random_state=0)
    write("a.csv", table_text(data.X_train))
    write("b.csv", table_text(data.X_test))
    cli.main(["a.csv", "b.csv", "--contamination", "0.1"])
    header, first, score, _, label = read_scores("scores.csv")
    assert header == ["row", "score", "decision", "label"]
    assert list(first) == [str(row) for row in range(250)]
    detector = QuickDetector(random_state=0, contamination=0.1).fit(data.X_train)
    np.testing.assert_array_equal(label, detector.predict(data.X_test))

    write("a.csv", table_text(data.X_train, times=range_of_text(300)))
    write("b.csv", table_text(data.X_test, times=range_of_text(250)))
    cli.main(["a.csv", "b.csv", "--time", "1", "--plot", "p.png"])
    header, first, score_again, _, _ = read_scores("scores.csv")
    assert header[0] == "time"
    assert list(first) == range_of_text(250)
    np.testing.assert_array_equal(score_again, score)
    first, second, _ = figures[0].axes
    assert [ax.get_ylabel() for ax in (first, second)] == ["column 2", "column 3"]
    drawn = first.get_lines()[0]
    np.testing.assert_array_equal(drawn.get_xdata(), np.arange(250) / 2)
    np.testing.assert_array_equal(drawn.get_ydata(), data.X_test[:, 0])


def range_of_text(n):
    return [str(i / 2) for i in range(n)]


def test_seed(capsys):
    write("a.csv", GOOD)
    scores = []
    for seed in ("1", "1", "2"):
        cli.main(["a.csv", "a.csv", "--time", "t", "--seed", seed])
        scores.append(read_scores("scores.csv")[2])
    np.testing.assert_array_equal(scores[0], scores[1])
    assert not np.array_equal(scores[0], scores[2])


@pytest.mark.parametrize(
    "text, message",
    [
        ("x,y\n1,2\n3,abc\n", "b.csv, line 3, column y: 'abc' is not a finite number"),
        ("x,y\n1,2\n3\n", "b.csv, line 3: 1 field(s), the first line has 2"),
        ("", "b.csv: the file is empty"),
        ("x,z\n1,2\n", "b.csv has the column 'z' where a.csv has 'y'"),
    ],
)
def test_bad_files(capsys, text, message):
    write("a.csv", "x,y\n" + "1,2\n3,4\n" * 20)
    write("b.csv", text)
    assert message in fails(capsys, "a.csv", "b.csv")
    assert not Path("scores.csv").exists()


@pytest.mark.parametrize(
    "argv, message",
    [
        (["a.csv"], "one file is not enough: give train.csv and new.csv"),
        (["--out", "s.csv"], "--out, --events and --time need the two files"),
        (["--time", "t"], "--out, --events and --time need the two files"),
        (["--events", "e.csv"], "--out, --events and --time need the two files"),
        (["a.csv", "none.csv", "--time", "t"], "No such file or directory: 'none.csv'"),
        (["a.csv", "a.csv", "--time", "w"], "no time column 'w'; columns are t, x, y"),
        (["a.csv", "a.csv", "--time", "4"], "no time column '4'; columns are t, x, y"),
        (["n.csv", "n.csv", "--time", "t"], "'t'; columns are 1, 2 (no header)"),
        (["o.csv", "o.csv", "--time", "t"], "no column besides the time column"),
        (
            ["a.csv", "a.csv", "--out", "a.csv"],
            "a.csv: would overwrite another of the files",
        ),
        (["a.csv", "a.csv", "--out", "no/s.csv"], "no/s.csv: there is no directory no"),
        (
            ["a.csv", "a.csv", "--events", "a.csv"],
            "a.csv: would overwrite another of the files",
        ),
        (
            ["a.csv", "a.csv", "--events", "scores.csv"],
            "scores.csv: would overwrite another of the files",
        ),
        (
            ["a.csv", "a.csv", "--events", "p.png", "--plot", "p.png"],
            "p.png: would overwrite another of the files",
        ),
        (
            ["a.csv", "a.csv", "--events", "no/e.csv"],
            "no/e.csv: there is no directory no",
        ),
        (["--plot", "no/p.png"], "no/p.png: there is no directory no"),
        (["--contamination", "0.7"], "'auto' or a number in (0, 0.5]. Got '0.7'"),
        (["--contamination", "some"], "'auto' or a number in (0, 0.5]. Got 'some'"),
        (["--seed", "-1"], "The 'random_state' parameter of"),
        (["s.csv", "s.csv"], "minimum of 2 is required"),
    ],
)
def test_bad_arguments(capsys, argv, message):
    write("a.csv", GOOD)
    write("n.csv", "1,2\n3,4\n")
    write("o.csv", "t\n1\n")
    write("s.csv", "1,2\n")
    assert message in fails(capsys, *argv)
    assert Path("a.csv").read_text() == GOOD
    assert not Path("scores.csv").exists()
    assert not list(Path().glob("*.png"))


def test_as_a_program():
    """The module runs by its name, and shows no traceback to a user's mistake."""
    command = [sys.executable, "-m", "skmemto", "alone.csv"]
    root = Path(cli.__file__).parents[1]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=root
    )
    assert done.returncode == 2
    assert "error: one file is not enough" in done.stderr
    assert "Traceback" not in done.stderr
