"""Scores and events of a table -> files."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from skmemto._cli.columns import Choice
from skmemto._cli.outputs import write_events, write_scores
from skmemto._cli.tables import read_table
from skmemto._events import Event

EVENTS = [Event(0, 1, 0, -1 / 3, (1,), None), Event(2, 4, 3, -12.5, ("y", "x"), None)]


@pytest.fixture(autouse=True)
def empty_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


def read(text, **choice):
    Path("f.csv").write_text(text)
    return read_table("f.csv", Choice(**choice))


TIMED = "t,x,y\n" + "".join(f"2024-01-0{i},{i},5\n" for i in range(1, 6))


def test_scores_are_read_back_bit_for_bit():
    score = np.array([-0.1, -1 / 3, -0.2, -0.7, -2e-17])
    write_scores("s.csv", read(TIMED), score, score + 0.2)
    assert b"\r" not in Path("s.csv").read_bytes()
    back = pd.read_csv("s.csv", float_precision="round_trip")
    assert list(back.columns) == ["t", "score", "decision", "label"]
    assert_array_equal(back["score"], score)
    assert_array_equal(back["decision"], score + 0.2)
    assert_array_equal(back["label"], [1, -1, 1, -1, 1])  # at the threshold: normal
    assert back["t"][1] == "2024-01-02"


def test_scores_stand_in_the_order_of_the_file():
    header, *rows = TIMED.splitlines()
    table = read("\n".join([header, *reversed(rows)]))
    score = -table.values[:, 0]
    write_scores("s.csv", table, score, score)
    assert_array_equal(pd.read_csv("s.csv")["score"], [-5, -4, -3, -2, -1])


def test_rows_without_times_have_numbers():
    table = read("x\n5\n6\n7\n")
    write_scores("s.csv", table, np.zeros(3), np.zeros(3))
    assert_array_equal(pd.read_csv("s.csv")["row"], [0, 1, 2])


@pytest.mark.parametrize(
    "text, start, end",
    [
        (TIMED, "2024-01-03", "2024-01-04"),
        ("x,y\n" + "1,2\n2,3\n" * 3, "2", "3"),
    ],
    ids=["times", "rows"],
)
def test_events(text, start, end):
    """The end is the last row of the event, not the one behind it."""
    write_events("e.csv", read(text), EVENTS)
    back = pd.read_csv("e.csv", dtype=str)
    assert list(back.columns) == ["start", "end", "rows", "peak", "score", "channels"]
    assert back.loc[1].tolist() == [start, end, "2", end, "-12.5", "y x"]
    assert float(back["score"][0]) == -1 / 3
    assert back["channels"][0] == "y"


def test_events_name_their_group():
    text = "who,x,y\n" + "".join(f"{w},{i},1\n" for w in "ab" for i in (1, 2, 4))
    write_events("e.csv", read(text, group="who"), EVENTS)
    assert pd.read_csv("e.csv")["group"].tolist() == ["a", "a"]


def test_no_events_are_a_header():
    write_events("e.csv", read(TIMED), [])
    assert len(pd.read_csv("e.csv")) == 0
