"""``python -m skmemto``: the demonstration, and CSV files with all their oddities."""

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


def write(name, text):
    Path(name).write_bytes(text.encode() if isinstance(text, str) else text)
    return name


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


@pytest.mark.parametrize("best, scale", [(-0.1, "log"), (0.0, "linear")])
def test_scores_are_drawn_on_a_log_axis_if_they_can(monkeypatch, best, scale):
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda self, *_, **__: figures.append(self))
    X = small_series(random_state=0).X_train
    score = np.linspace(-100, best, len(X))
    cli._draw("p.png", QuickDetector(random_state=0).fit(X), X, score)
    assert figures[0].axes[-1].get_yscale() == scale


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


def test_files_without_header(monkeypatch):
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
    drawn = []
    monkeypatch.setattr(cli, "_draw", lambda *args, **options: drawn.append(options))
    cli.main(["a.csv", "b.csv", "--time", "1", "--plot", "p.png"])
    header, first, score_again, _, _ = read_scores("scores.csv")
    assert header[0] == "time"
    assert list(first) == range_of_text(250)
    np.testing.assert_array_equal(score_again, score)
    assert drawn[0]["feature_names"] == ["column 2", "column 3"]
    np.testing.assert_array_equal(drawn[0]["index"], np.arange(250) / 2)


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
    "text, header, columns, values",
    [
        ("x,y\n1,2\n", True, ["x", "y"], [[1, 2]]),
        ("1,2\n3,4\n", False, ["1", "2"], [[1, 2], [3, 4]]),
        ("\ufeffx,y\r\n1,2\r\n", True, ["x", "y"], [[1, 2]]),
        ('"x, m";"y"\n1e3;-.5\n', True, ["x, m", "y"], [[1000, -0.5]]),
        ("x , y\n\n 1 , +2. \n\n", True, ["x", "y"], [[1, 2]]),
        ("x\n1\n2", True, ["x"], [[1], [2]]),
        ("1\n2", False, ["1"], [[1], [2]]),
        ("nan,NaN\n1,2\n", False, ["1", "2"], [[np.nan, np.nan], [1, 2]]),
        ("x,y\n1,\nNaN,2\n", True, ["x", "y"], [[1, np.nan], [np.nan, 2]]),
    ],
)
def test_reading(text, header, columns, values):
    table = cli._read_table(write("a.csv", text), None)
    assert (table.has_header, table.columns, table.times) == (header, columns, None)
    np.testing.assert_array_equal(table.values, values)


@pytest.mark.parametrize(
    "text, time, name, times",
    [
        ("t,x\nmonday,1\n", "t", "t", ["monday"]),
        ("t,x\nmonday,1\n", "1", "t", ["monday"]),
        (",x\n0,1\n", "1", "time", ["0"]),
        ("1,5\n", "2", "time", ["5"]),
        ("a,5\n", "1", "time", ["a"]),
        ("2,5\n3,6\n", "2", "time", ["5", "6"]),
    ],
)
def test_time_column(text, time, name, times):
    table = cli._read_table(write("a.csv", text), time)
    assert (table.time_name, table.times) == (name, times)
    assert table.values.shape == (len(times), 1)


@pytest.mark.parametrize(
    "times, expected",
    [
        (["1", "2.5"], [1, 2.5]),
        (["2024-01-01", "2024-01-02T12:30"], None),
        (["2024-01-01T00:00:00Z", "2024-01-01T01:00:00+00:00"], None),
        (["monday", "tuesday"], "nothing"),
    ],
)
def test_times_for_the_axis(times, expected):
    parsed = cli._parse_times(times)
    if expected == "nothing":
        assert parsed is None
    elif expected is None:
        assert all(date.year == 2024 and date.tzinfo is None for date in parsed)
    else:
        np.testing.assert_array_equal(parsed, expected)


@pytest.mark.parametrize(
    "text, message",
    [
        ("x,y\n1,2\n3,abc\n", "b.csv, line 3, column y: 'abc' is not a finite number"),
        ("x,y\n1,2\n\n3,1_0\n", "b.csv, line 4, column y: '1_0' is not a finite"),
        ("x,y\n-inf,1\n", "b.csv, line 2, column x: '-inf' is not a finite number"),
        ("x,y\n1,1e999\n", "b.csv, line 2, column y: '1e999' is not a finite number"),
        ("x,y\n1,٣\n", "b.csv, line 2, column y: '٣' is not a finite number"),
        ("x;y\n1;2,5\n", "b.csv, line 2, column y: '2,5' is not a finite number"),
        ("1,2\nz,3\n", "b.csv, line 2, column 1: 'z' is not a finite number"),
        ("x,y\n1,2\n3\n", "b.csv, line 3: 1 field(s), the first line has 2"),
        ('x,y\n1,"2"3\n', "b.csv, line 2: ',' expected after '\"'"),
        ("", "b.csv: the file is empty"),
        ("\n\n", "b.csv: the file is empty"),
        ("x,y\n", "b.csv: there are no rows below the header"),
        (",x,y\n0,1,2\n", "b.csv: column 1 has no name; if it holds the time"),
        (b"x,y\n1,\xb5\n", "b.csv, line 2, column y: '\ufffd' is not a finite number"),
        ("monday,2\n", "line 1, column 1: 'monday' is not a finite number; name a"),
        ("x,y,z\n1,2,3\n", "b.csv has 3 channels, a.csv has 2"),
        ("x,z\n1,2\n", "b.csv has the column 'z' where a.csv has 'y'"),
        ("y,x\n1,2\n", "b.csv has the column 'y' where a.csv has 'x'"),
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
        (["--out", "s.csv"], "--out and --time need the two files"),
        (["--time", "t"], "--out and --time need the two files"),
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
