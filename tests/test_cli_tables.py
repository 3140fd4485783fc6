"""Files of every form that people have -> tables."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skmemto._cli.columns import Choice
from skmemto._cli.tables import read_table

N = 60
TIMES = pd.date_range("2024-03-01", periods=N, freq="5min")
A = np.round(20 + 2 * np.sin(np.arange(N) / 9), 4)
B = np.round(1.4 + 0.1 * np.cos(np.arange(N) / 5), 4)


@pytest.fixture(autouse=True)
def empty_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


def write(text, name="f.csv", encoding="utf-8"):
    data = text if isinstance(text, bytes) else text.encode(encoding)
    Path(name).write_bytes(data)
    return name


def lines(header, row, *, above=(), below=(), rows=range(N)):
    """Text with a row for each step, as `row(time, a, b)` gives it."""
    made = [row(TIMES[i], A[i], B[i]) for i in rows]
    header = [header] if header else []
    return "\n".join([*above, *header, *made, *below]) + "\n"


def plain(t, a, b):
    return f"{t},{a},{b}"


def german(number):
    return f"{number}".replace(".", ",")


# Text, and the name of the times; each holds A and B.
FORMS = {
    "default names": (lines("0,1", lambda t, a, b: f"{a},{b}"), "row"),
    "default names of integers": (
        lines("0,1", lambda t, a, b: f"{round(a * 1e4)},{round(b * 1e4)}"),
        "row",
    ),
    "index": (
        lines(",0,1", lambda t, a, b: f"{list(TIMES).index(t)},{a},{b}"),
        "column 1",
    ),
    "index and times": (
        lines(",timestamp,a,b", lambda t, a, b: f"{list(TIMES).index(t)},{t},{a},{b}"),
        "timestamp",
    ),
    "date and time": (
        lines("Date;Time;a;b", lambda t, a, b: f"{t:%d/%m/%Y;%H:%M:%S};{a};{b}"),
        "Date_Time",
    ),
    "decimal comma": (
        lines("t;a;b", lambda t, a, b: f"{t};{german(a)};{german(b)}"),
        "t",
    ),
    "units": (lines("time,a,b\n,[C],[bar]", plain), "time"),
    "trailing delimiters": (
        lines("time;a;b;;", lambda t, a, b: f"{t};{a};{b};;"),
        "time",
    ),
    "seconds since 1970": (
        lines("ts,a,b", lambda t, a, b: f"{int(t.timestamp())},{a},{b}"),
        "ts",
    ),
    "milliseconds": (
        lines("time,a,b", lambda t, a, b: f"{int(t.timestamp() * 1000)},{a},{b}"),
        "time",
    ),
    "compact dates": (
        lines("date,a,b", lambda t, a, b: f"{t:%Y%m%d%H%M%S},{a},{b}"),
        "date",
    ),
    "a.m. and p.m.": (
        lines("time,a,b", lambda t, a, b: f"{t:%m/%d/%Y %I:%M:%S %p},{a},{b}"),
        "time",
    ),
    "names of months": (
        lines("time,a,b", lambda t, a, b: f"{t:%d-%b-%Y %H:%M},{a},{b}"),
        "time",
    ),
    "zone": (lines("time,a,b", lambda t, a, b: f"{t}+00:00,{a},{b}"), "time"),
    "Z": (lines("time,a,b", lambda t, a, b: f"{t:%Y-%m-%dT%H:%M:%SZ},{a},{b}"), "time"),
    "|": (lines("time|a|b", lambda t, a, b: f"{t}|{a}|{b}"), "time"),
    "tabs": (lines("time\ta\tb", lambda t, a, b: f"{t}\t{a}\t{b}"), "time"),
    "told to a spreadsheet": (
        "sep=;\n" + lines("time;a;b", lambda t, a, b: f"{t};{a};{b}"),
        "time",
    ),
    "spaces": (lines("a b", lambda t, a, b: f" {a}   {b}"), "row"),
    "thousands": (
        lines("time,a,b", lambda t, a, b: f'{t},"{a * 1e4:,.1f}",{b}'),
        "time",
    ),
    "thousands, german": (
        lines(
            "Zeit;a;b",
            lambda t, a, b: (
                f"{t:%d.%m.%Y %H:%M};{round(a * 1e4):,}".replace(",", ".")
                + f",0;{german(b)}"
            ),
        ),
        "Zeit",
    ),
    "comments": (
        lines("time,a,b", plain, above=["# logger 3", "# x"], below=["# restarted"]),
        "time",
    ),
    "commented header": (lines("# time,a,b", plain), "time"),
    "savetxt": (lines("# a b", lambda t, a, b: f"{a:.18e} {b:.18e}"), "row"),
    "quotes": (lines('"time","a","b"', lambda t, a, b: f'"{t}","{a}","{b}"'), "time"),
    "no header": (lines("", plain), "time"),
    "only numbers": (lines("", lambda t, a, b: f"{a},{b}"), "row"),
    "crlf": (lines("time,a,b", plain).replace("\n", "\r\n"), "time"),
    "empty lines": (lines("time,a,b", plain).replace("\n", "\n\n"), "time"),
    "years as names": (lines("time,2019,2020", plain), "time"),
}


def as_read(values):
    """A and B: some forms hold ten thousand times of one."""
    return values / np.where(np.abs(values) > 1000, 1e4, 1)


@pytest.mark.parametrize("text, time_name", FORMS.values(), ids=FORMS)
def test_forms(text, time_name):
    table = read_table(write(text))
    assert_allclose(as_read(table.values), np.column_stack([A, B]), rtol=1e-12)
    assert table.time_name == time_name
    assert_array_equal(table.rows, np.arange(N))
    if table.times is not None:
        assert_array_equal(table.times, TIMES.to_numpy())
    assert (table.times is None) == (time_name in ("row", "column 1"))
    assert not [r for r in table.remarks if "units" not in r]


def test_what_may_be_lacking():
    clock = lines(
        "time,a,b", lambda t, a, b: f"{t + pd.Timedelta('22h'):%H:%M},{a},{b}"
    )
    steps = np.diff(read_table(write(clock)).times)  # goes on at midnight
    assert_array_equal(steps, 300)
    seconds = lines("time [s],a", lambda t, a, b: f"{list(TIMES).index(t) / 10},{a}")
    assert_allclose(read_table(write(seconds)).times, np.arange(N) / 10)
    alone = read_table(write("a\n" + "\n".join(map(str, A))))
    assert (alone.columns, alone.values.shape) == (["a"], (N, 1))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_encodings(encoding):
    text = lines("Zeit\tGröße\tb", lambda t, a, b: f"{t}\t{a}\t{b}")
    table = read_table(write(text, encoding=encoding))
    assert table.columns == ["Größe", "b"]
    assert_array_equal(table.values[:, 0], A)


@pytest.mark.parametrize("name", ["f.csv.gz", "f.csv"])
def test_packed(name):
    table = read_table(write(gzip.compress(lines("time,a,b", plain).encode()), name))
    assert_array_equal(table.values[:, 1], B)


@pytest.mark.parametrize("suffix", ["parquet", "xlsx"])
def test_binary_files(suffix):
    frame = pd.DataFrame({"when": TIMES, "a": A, "b": B, "who": "x"})
    if suffix == "xlsx":
        frame.to_excel("f.xlsx", index=False)
    else:
        frame.set_index("when").to_parquet("f.parquet")
    table = read_table(f"f.{suffix}")
    assert (table.columns, table.time_name) == (["a", "b"], "when")
    assert_array_equal(table.times, TIMES.to_numpy())
    assert_allclose(table.values[:, 0], A)
    (remark,) = table.remarks
    assert "'who' holds text" in remark


def test_missing_words():
    words = ["NA", "?", "null", "", "-", "--", "n.a.", "NaN", "None", "oops", "-999"]
    text = lines("time,a,b", lambda t, a, b: f"{t},{a},{b}")
    made = text.splitlines()
    for i, word in enumerate(words):
        made[5 + i] = made[5 + i].rpartition(",")[0] + "," + word
    choice = Choice(missing=["oops", "-999"])
    table = read_table(write("\n".join(made)), choice)
    assert_array_equal(np.flatnonzero(np.isnan(table.values[:, 1])), 4 + np.arange(11))
    assert not np.isnan(table.values[:, 0]).any()


@pytest.mark.parametrize("words", [("True", "False"), ("on", "OFF"), ("yes", "no")])
def test_yes_and_no_are_1_and_0(words):
    text = lines(
        "t,a,valve", lambda t, a, b: f"{t},{a},{words[0] if b > 1.4 else words[1]}"
    )
    table = read_table(write(text.replace(words[0], "", 1)))
    assert np.isnan(table.values[0, 1])
    assert_array_equal(table.values[1:, 1], (B > 1.4)[1:])


def test_labels_are_named_and_can_be_left_out_or_used():
    text = lines("time;a;b;anomaly", lambda t, a, b: f"{t};{a};{b};{int(b > 1.4)}.0")
    table = read_table(write(text))
    assert table.columns == ["a", "b", "anomaly"]
    (remark,) = table.remarks
    assert "anomaly look(s) like labels" in remark
    assert "--drop anomaly" in remark
    assert read_table("f.csv", Choice(drop=["anomaly"])).columns == ["a", "b"]
    table = read_table("f.csv", Choice(label="anomaly"))
    assert (table.columns, table.remarks) == (["a", "b"], [])
    assert_array_equal(table.labels, B > 1.4)


def test_labels_of_words_and_of_scikit_learn():
    text = lines(
        "time,a,state", lambda t, a, b: f"{t},{a},{'BROKEN' if b > 1.4 else 'ok'}"
    )
    table = read_table(write(text))
    assert "'state' holds text ('BROKEN') and is left out" in table.remarks[0]
    assert_array_equal(read_table("f.csv", Choice(label="state")).labels, B > 1.4)
    text = lines("time,a,y", lambda t, a, b: f"{t},{a},{-1 if b > 1.4 else 1}")
    assert_array_equal(read_table(write(text), Choice(label="y")).labels, B > 1.4)
    text = lines("time,a,y", lambda t, a, b: f"{t},{a},{'x' if b > 1.4 else 'z'}")
    with pytest.raises(ValueError, match="which word of column 'y' is normal"):
        read_table(write(text), Choice(label="y"))


def test_counters_are_named():
    text = lines("cycle,a", lambda t, a, b: f"{list(TIMES).index(t)},{a}")
    (remark,) = read_table(write(text)).remarks
    assert "cycle only counts" in remark and "--drop cycle" in remark


def test_newest_first():
    text = lines("time,a,b", plain, rows=range(N - 1, -1, -1))
    table = read_table(write(text))
    assert_array_equal(table.values[:, 0], A)
    assert_array_equal(table.rows, np.arange(N)[::-1])
    assert "the newest row is first" in table.remarks[0]


def test_a_clock_that_was_set_back():
    rows = [*range(30), *range(20, N)]
    table = read_table(write(lines("time,a,b", plain, rows=rows)))
    assert_array_equal(table.rows, np.arange(70))
    assert "go back 1 time(s), first in line 32: a clock" in table.remarks[0]


def test_disorder_and_repetition():
    rows = np.random.default_rng(0).permutation(N)
    table = read_table(write(lines("time,a,b", plain, rows=rows)))
    assert_array_equal(table.values[:, 0], A)
    assert_array_equal(table.rows, np.argsort(rows))
    assert "out of order" in table.remarks[0]
    table = read_table(write(lines("time,a,b", plain, rows=[0, 1, 1, 2])))
    assert (
        "1 row(s) have the same time as the row before, the first is line 4"
        in (table.remarks[0])
    )


def test_a_gap_ends_a_series():
    rows = [*range(30), *range(40, N)]
    table = read_table(write(lines("time,a,b", plain, rows=rows)))
    assert_array_equal(table.series, [0] * 30 + [1] * 20)
    assert "1 gap(s)" in table.remarks[0]
    assert "of 55 min, is before line 32" in table.remarks[0]
    table = read_table("f.csv", Choice(split=False))
    assert table.series.max() == 0
    assert "kept" in table.remarks[0]


def test_steps_that_vary_are_no_gaps():
    rng = np.random.default_rng(0)
    times = pd.Timestamp("2024-01-01") + pd.to_timedelta(
        np.cumsum(rng.exponential(60, size=N)), unit="s"
    )
    text = "time,a\n" + "".join(f"{t},{a}\n" for t, a in zip(times, A, strict=True))
    assert read_table(write(text)).series.max() == 0


def test_machines():
    text = "".join(
        f"{t},{name},{a}\n"
        for t, a in zip(TIMES, A, strict=True)
        for name in ("pump", "fan")
    )
    write("time,machine,a\n" + text)
    assert "(--group if it names machines" in read_table("f.csv").remarks[0]
    table = read_table("f.csv", Choice(group="machine"))
    assert_array_equal(table.groups, ["pump"] * N + ["fan"] * N)
    assert_array_equal(table.series, [0] * N + [1] * N)
    assert_array_equal(table.rows, [*range(0, 2 * N, 2), *range(1, 2 * N, 2)])
    assert_array_equal(table.values[:, 0], [*A, *A])
    assert table.remarks == []


def test_a_code_for_no_reading_is_named():
    text = lines("time,a,b", plain).replace(f",{A[20]},", ",-200,")
    (remark,) = read_table(write(text)).remarks
    assert (
        "a has 1 value(s) far from all others, the first is -200 in line 22" in remark
    )


def test_columns_by_hand():
    text = lines("x,when,b,c", lambda t, a, b: f"{a},{t},{b},1{b}")
    choice = Choice(time=["2"], columns=["c,x"], drop=["b"])
    table = read_table(write(text), choice)
    assert (table.columns, table.time_name) == (["c", "x"], "when")
    table = read_table("f.csv", wanted=["b", "x"])
    assert table.columns == ["b", "x"]
    with pytest.raises(ValueError, match="no column 'z', which was learned from"):
        read_table("f.csv", wanted=["b", "z"])


def test_rows_and_columns_without_anything():
    text = lines("time,a,b,", lambda t, a, b: f"{t},{a},,", below=[",,,", ",,,"])
    table = read_table(write(text))
    assert (table.columns, len(table.values)) == (["a"], N)
    assert "2 row(s) without anything at the end" in table.remarks[0]
    assert "column 'b' has no value" in table.remarks[1]


def test_lines_above_the_table():
    table = read_table(write(lines("time,a,b", plain, above=["Logger", "No. 3", ""])))
    assert table.columns == ["a", "b"]
    assert "2 line(s) above the table" in table.remarks[0]


def test_times_that_are_none_only_name_the_rows():
    text = lines("when,a", lambda t, a, b: f"shift {list(TIMES).index(t)},{a}")
    table = read_table(write(text), Choice(time=["when"]))
    assert table.times is None
    assert table.names[3] == "shift 3"
    assert "'shift 0' is the first: they only name the rows" in table.remarks[0]


@pytest.mark.parametrize(
    "text, message",
    [
        ("x,y\n1,2\n3,abc\n5,6\n7,8\n", "f.csv, line 3, column y: 'abc' is no number"),
        (
            "x,y\n1,2\n\n3,1_0\n5,6\n7,8\n",
            "f.csv, line 4, column y: '1_0' is no number",
        ),
        ("x,y\n-inf,1\n2,3\n", "f.csv, line 2, column x: an infinite value"),
        ("x,y\n1,1e999\n2,3\n", "f.csv, line 2, column y: an infinite value"),
        ("x;y\n1,5;1e999\n2,5;3,0\n", "f.csv, line 2, column y: an infinite value"),
        ("x,y\n1,2\n3\n4,5\n", "f.csv, line 3: 1 field(s) for 2 columns"),
        ("x,y\n1,2\n3,4,5\n4,5\n", "f.csv, line 3: 3 field(s) for 2 columns"),
        ("", "f.csv: the file is empty"),
        ("\n\n", "f.csv: the file is empty"),
        ("# x\n", "f.csv: there are only comments"),
        ("x,y\n", "f.csv: there are no rows below the header"),
        ("x,y\na,b\nc,d\n", "f.csv: there is no column of numbers"),
    ],
)
def test_bad_files(text, message):
    with pytest.raises(ValueError) as caught:
        read_table(write(text))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "choice, message",
    [
        (
            {"time": ["w"]},
            "--time w: there is no such column; columns are t, x, who, or",
        ),
        ({"columns": ["x,w"]}, "--columns w: there is no such column"),
        ({"drop": ["9"]}, "--drop 9: there is no such column"),
        ({"group": "who"}, "line 3, column who: no group is named"),
        ({"drop": ["x"]}, "there is no column of numbers"),
        ({"columns": ["who"]}, "line 2, column who: 'a' is no number"),
    ],
)
def test_bad_choices(choice, message):
    write("t,x,who\n2024-01-01,1,a\n2024-01-02,2,\n2024-01-03,2,b\n")
    with pytest.raises(ValueError) as caught:
        read_table("f.csv", Choice(**choice))
    assert message in str(caught.value)


def test_a_quoted_field_may_go_on_in_the_next_line():
    rows = "".join(f'"note\nof {i}",{i}.5,\n' for i in range(9))
    table = read_table(write("who,x,y\na,1.5,2.5\n" + rows))
    assert (table.columns, len(table.values)) == (["x", "y"], 10)
    assert np.isnan(table.values[1:, 1]).all()
