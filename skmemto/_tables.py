"""Files of people -> tables: CSV in, scores out."""

import csv
import math
import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import chain
from typing import Any, NamedTuple, TextIO

import numpy as np

from skmemto._events import Event

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_MISSING = ("", "nan")


class Table(NamedTuple):
    """The content of a CSV file, the time column kept apart as it stands."""

    path: str
    has_header: bool
    columns: list[str]  # names, or numbers in the file, from 1
    values: np.ndarray  # (n_samples, n_features)
    time_name: str
    times: list[str] | None


def read_table(path: str, time_column: str | None) -> Table:
    """Read a CSV file of numbers; the time column, if any, may hold anything."""
    # Bytes that are no UTF-8 can only do harm within a number, which is checked.
    with open(path, newline="", encoding="utf-8-sig", errors="replace") as file:
        rows = _rows(path, file)
        first = next(rows, None)
        if first is None:
            raise ValueError(f"{path}: the file is empty")
        has_header, columns = _header(first[1], time_column)
        at = _time_position(path, has_header, columns, time_column)
        kept = [i for i in range(len(columns)) if i != at]
        if not kept:
            raise ValueError(f"{path}: there is no column besides the time column")
        hint = "; name a column of times by --time" if at is None else ""

        values, times = array("d"), []
        for line, row in rows if has_header else chain([first], rows):
            values.extend(_number(row[i], path, line, columns[i], hint) for i in kept)
            times.append(row[at] if at is not None else "")
    if not times:
        raise ValueError(f"{path}: there are no rows below the header")
    return Table(
        path,
        has_header,
        [columns[i] for i in kept],
        np.frombuffer(values).reshape(len(times), len(kept)),
        "row" if at is None else (has_header and columns[at]) or "time",
        None if at is None else times,
    )


def _rows(path: str, file: TextIO) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of the line and its fields; empty lines are left out."""
    # Comma, semicolon or tab: whichever the first line has most of, outside quotes.
    delimiter = max(",;\t", key=re.sub('"[^"]*"', "", file.readline()).count)
    file.seek(0)
    reader = csv.reader(file, delimiter=delimiter, strict=True)
    width = 0
    try:
        for row in filter(None, reader):
            width = width or len(row)
            if len(row) != width:
                raise csv.Error(f"{len(row)} field(s), the first line has {width}")
            yield reader.line_num, [field.strip() for field in row]
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num}: {error}") from error


def _header(first: list[str], time_column: str | None) -> tuple[bool, list[str]]:
    """Tell whether the first row is a header, and the columns' names or numbers."""
    named = time_column in first and not _NUMBER.fullmatch(time_column)
    if named or not any(_NUMBER.fullmatch(t) or t.lower() == "nan" for t in first):
        return True, first
    return False, [str(number) for number in range(1, len(first) + 1)]


def _time_position(
    path: str, has_header: bool, columns: list[str], time_column: str | None
) -> int | None:
    numbers = [str(number) for number in range(1, len(columns) + 1)]
    for number, name in zip(numbers, columns, strict=True):
        if not name and number != time_column:
            raise ValueError(
                f"{path}: column {number} has no name; if it holds the time or the row "
                f"number, give --time {number}"
            )
    for known in (columns, numbers):
        if time_column in known:
            return known.index(time_column)
    if time_column is None:
        return None
    listed = ", ".join(columns) + ("" if has_header else " (no header)")
    raise ValueError(f"{path}: no time column {time_column!r}; columns are {listed}")


def _number(text: str, path: str, line: int, column: str, hint: str) -> float:
    if text.lower() in _MISSING:
        return math.nan
    number = float(text) if _NUMBER.fullmatch(text) else math.inf
    if not math.isfinite(number):
        raise ValueError(
            f"{path}, line {line}, column {column}: {text!r} is not a finite "
            f"number{hint}"
        )
    return number


def check_same_columns(train: Table, new: Table) -> None:
    """Raise unless both tables have the same channels."""
    n_train, n_new = len(train.columns), len(new.columns)
    if n_train != n_new:
        raise ValueError(f"{new.path} has {n_new} channels, {train.path} has {n_train}")
    named = train.has_header and new.has_header
    for old, other in zip(train.columns, new.columns, strict=True):
        if named and old != other:
            raise ValueError(
                f"{new.path} has the column {other!r} where {train.path} has {old!r}"
            )


def write_scores(
    path: str, table: Table, score: np.ndarray, decision: np.ndarray
) -> None:
    """Write score, decision and label of each row beside its time or number."""
    label = np.where(decision < 0, -1, 1)
    columns = (_row_names(table), score.tolist(), decision.tolist(), label.tolist())
    _write(
        path,
        [table.time_name, "score", "decision", "label"],
        zip(*columns, strict=True),
    )


def write_events(path: str, table: Table, events: Iterable[Event]) -> None:
    """Write a line for each event: from when to when, how bad, and who is to blame."""
    names = _row_names(table)
    rows = (
        [
            names[event.start],
            names[event.stop - 1],
            event.stop - event.start,
            names[event.peak],
            event.score,
            " ".join(table.columns[channel] for channel in event.channels),
        ]
        for event in events
    )
    _write(path, ["start", "end", "rows", "peak", "score", "channels"], rows)


def _row_names(table: Table) -> Sequence[str | int]:
    """Return the times of the rows, or their numbers from 0 on, as in NumPy."""
    return range(len(table.values)) if table.times is None else table.times


def _write(path: str, header: list[str], rows: Iterable[Iterable[Any]]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def parse_times(times: list[str]) -> np.ndarray | None:
    """Return numbers or dates for the axis of the picture, None if neither."""
    with suppress(ValueError):
        return np.array([float(text) for text in times])
    with suppress(ValueError):
        dates = [datetime.fromisoformat(text) for text in times]
        return np.array([date.replace(tzinfo=None) for date in dates])
    return None
