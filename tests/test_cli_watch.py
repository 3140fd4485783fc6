"""A file that grows -> a line for each event."""

import argparse
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import QUICK, make_waves

from skmemto import MEMTODetector
from skmemto._cli.models import save_model
from skmemto._cli.watch import watch

NAMES = ["flow", "heat", "noise"]


@pytest.fixture(scope="module")
def detector():
    settings = {**QUICK, "lookahead": 0, "contamination": 0.01, "random_state": 0}
    return MEMTODetector(**settings).fit(pd.DataFrame(make_waves(), columns=NAMES))


@pytest.fixture
def folder(detector, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_model("m.skops", detector)
    return tmp_path


def rows(n=200):
    X = make_waves(n, seed=1)
    X[60:80, 0] += 10 * X[:, 0].std()
    return X


def as_lines(X, first=0):
    times = pd.date_range("2024-01-01", periods=first + len(X), freq="1min")[first:]
    frame = pd.DataFrame(X, columns=NAMES)
    frame.insert(0, "time", times)
    return frame.to_csv(index=False, header=False).splitlines(keepends=True)


def run(writes, **options):
    """Watch; between two looks at the file the next of some things is done."""
    waiting = iter(writes)

    def sleep(_):
        write = next(waiting, None)
        if write is None:
            raise KeyboardInterrupt
        write()

    args = {"model": "m.skops", "file": "f.csv", "every": 1.0, "adapt": False}
    args |= {"time": [], "columns": [], "drop": [], "missing": []} | options
    return watch(argparse.Namespace(**args), sleep)


def append(text):
    def write():
        with open("f.csv", "a") as file:
            file.write(text)

    return write


def expected(detector, X, told_until):
    frame = pd.DataFrame(X, columns=NAMES)
    times = pd.date_range("2024-01-01", periods=len(X), freq="1min").astype(str)
    return [
        f"{times[e.start]} to {times[e.stop - 1]}: over"
        for e in detector.events(frame)
        if e.stop < told_until
    ]


@pytest.mark.parametrize("size", [1, 37, 1000])
def test_events_are_told_however_lines_are_cut(folder, detector, capsys, size):
    X = rows()
    text = "".join(["time,flow,heat,noise\n", *as_lines(X)])
    cuts = range(0, len(text), size * 20)
    Path("f.csv").touch()
    assert run([append(text[i : i + size * 20]) for i in cuts]) == 0
    said = capsys.readouterr()
    over = [line for line in said.out.splitlines() if ": over" in line]
    found = expected(detector, X, 150)
    assert len(found) >= 1
    for line in found:
        assert any(one.startswith(line) for one in over)
    assert "an event begins (" in said.out
    assert said.err == ""


def test_bad_lines_are_left_out_and_named(folder, detector, capsys):
    X = rows()
    lines = ["time,flow,heat,noise\n", *as_lines(X)]
    bad = [*lines[:31], "2024-01-01,oops,1,1\n", "2024-01-01,1\n", *lines[31:]]
    Path("f.csv").touch()
    run([append("".join(bad))])
    said = capsys.readouterr()
    assert "line 32, column flow: 'oops' is no number" in said.err
    assert "line 33: 2 field(s) for 4 columns; the line is left out" in said.err
    for line in expected(detector, X, 150):
        assert line in said.out


def test_columns_are_found_in_any_order_and_may_be_missing(folder, capsys):
    frame = pd.DataFrame(rows(), columns=NAMES)[["noise", "heat", "flow"]]
    frame.insert(0, "note", "x")
    Path("f.csv").touch()
    run([append(frame.to_csv(index=False))])
    assert re.search(r"row 5\d: an event begins \(flow", capsys.readouterr().out)
    pd.DataFrame(rows(), columns=NAMES)[["heat"]].to_csv("f.csv", index=False)
    with pytest.raises(ValueError, match="there is no column 'flow'"):
        run([])


def test_a_new_file_is_read_from_its_beginning(folder, capsys):
    lines = ["time,flow,heat,noise\n", *as_lines(rows())]
    Path("f.csv").write_text("".join(lines[:50]))

    def replace():
        (folder / "new.csv").write_text("".join([lines[0], *lines[50:]]))
        (folder / "new.csv").replace(folder / "f.csv")

    run([replace, append("")])
    said = capsys.readouterr()
    assert "the file is new" in said.err
    assert "an event begins (" in said.out


def test_the_width_of_a_file_without_names_must_fit(folder, capsys):
    detector = MEMTODetector(**QUICK, lookahead=0, random_state=0).fit(make_waves())
    save_model("m.skops", detector)
    np.savetxt("f.csv", rows()[:, :2], delimiter=",")
    with pytest.raises(ValueError, match="has 2 channels, the model was fitted on 3"):
        run([])
