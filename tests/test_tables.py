"""CSV files with all their oddities -> tables, and scores -> a file."""

import csv
from pathlib import Path

import numpy as np
import pytest

from skmemto._events import Event
from skmemto._tables import (
    check_same_columns,
    parse_times,
    read_table,
    write_events,
    write_scores,
)


@pytest.fixture(autouse=True)
def empty_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


def write(name, text):
    Path(name).write_bytes(text.encode() if isinstance(text, str) else text)
    return name


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
    table = read_table(write("a.csv", text), None)
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
    table = read_table(write("a.csv", text), time)
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
    parsed = parse_times(times)
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
    ],
)
def test_bad_files(text, message):
    with pytest.raises(ValueError) as caught:
        read_table(write("b.csv", text), None)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "text, time, message",
    [
        ("t,x,y\n1,2,3\n", "w", "no time column 'w'; columns are t, x, y"),
        ("t,x,y\n1,2,3\n", "4", "no time column '4'; columns are t, x, y"),
        ("1,2\n3,4\n", "t", "no time column 't'; columns are 1, 2 (no header)"),
        ("t\n1\n", "t", "no column besides the time column"),
    ],
)
def test_bad_time_columns(text, time, message):
    with pytest.raises(ValueError) as caught:
        read_table(write("b.csv", text), time)
    assert "b.csv: " in str(caught.value) and message in str(caught.value)


@pytest.mark.parametrize(
    "text, message",
    [
        ("x,y,z\n1,2,3\n", "b.csv has 3 channels, a.csv has 2"),
        ("x,z\n1,2\n", "b.csv has the column 'z' where a.csv has 'y'"),
        ("y,x\n1,2\n", "b.csv has the column 'y' where a.csv has 'x'"),
    ],
)
def test_files_that_do_not_match(text, message):
    train = read_table(write("a.csv", "x,y\n1,2\n"), None)
    with pytest.raises(ValueError) as caught:
        check_same_columns(train, read_table(write("b.csv", text), None))
    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["x,y\n3,4\n", "3,4\n"])
def test_files_that_match(text):
    train = read_table(write("a.csv", "x,y\n1,2\n"), None)
    check_same_columns(train, read_table(write("b.csv", text), None))


def read_back(path):
    assert b"\r" not in Path(path).read_bytes()
    with open(path, newline="") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize(
    "text, time, name, first",
    [
        ("x\n5\n6\n7\n", None, "row", ["0", "1", "2"]),
        ('t,x\na,5\nb,6\n"c, d",7\n', "t", "t", ["a", "b", "c, d"]),
    ],
)
def test_scores_as_they_are_read_again(text, time, name, first):
    table = read_table(write("b.csv", text), time)
    score = np.array([-0.1, -1 / 3, -0.2])
    write_scores("s.csv", table, score, score + 0.2)
    header, *rows = read_back("s.csv")
    assert header == [name, "score", "decision", "label"]
    assert [row[0] for row in rows] == first
    numbers = np.array([row[1:] for row in rows], dtype=float)
    np.testing.assert_array_equal(numbers[:, 0], score)
    np.testing.assert_array_equal(numbers[:, 1], score + 0.2)
    np.testing.assert_array_equal(numbers[:, 2], [1, -1, 1])  # at the threshold: normal


EVENTS = [
    Event(0, 1, 0, -1 / 3, (1,), None),
    Event(2, 4, 3, -12.5, (1, 0), None),
    Event(4, 5, 4, -2.6, (), None),
]


@pytest.mark.parametrize(
    "text, time, rows",
    [
        (
            "x,y\n" + "1,2\n" * 5,
            None,
            [
                ["0", "0", "1", "0", str(-1 / 3), "y"],
                ["2", "3", "2", "3", "-12.5", "y x"],
                ["4", "4", "1", "4", "-2.6", ""],
            ],
        ),
        (
            "x,t,y\n" + "".join(f'1,"{day}, noon",2\n' for day in "abcde"),
            "t",
            [
                ["a, noon", "a, noon", "1", "a, noon", str(-1 / 3), "y"],
                ["c, noon", "d, noon", "2", "d, noon", "-12.5", "y x"],
                ["e, noon", "e, noon", "1", "e, noon", "-2.6", ""],
            ],
        ),
        (
            "1,2,3\n" * 5,
            "1",
            [
                ["1", "1", "1", "1", str(-1 / 3), "3"],
                ["1", "1", "2", "1", "-12.5", "3 2"],
                ["1", "1", "1", "1", "-2.6", ""],
            ],
        ),
    ],
    ids=["rows", "times", "no header"],
)
def test_events_as_they_are_read_again(text, time, rows):
    """The end is the last row of the event, not the one behind it."""
    table = read_table(write("b.csv", text), time)
    write_events("e.csv", table, EVENTS)
    header = ["start", "end", "rows", "peak", "score", "channels"]
    assert read_back("e.csv") == [header, *rows]


def test_no_events_are_a_header():
    write_events("e.csv", read_table(write("b.csv", "x\n5\n"), None), [])
    assert len(read_back("e.csv")) == 1
