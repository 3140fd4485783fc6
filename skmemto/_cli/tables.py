"""Files of people -> tables: which columns are channels, which rows come when."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skmemto._bounds import find_absurd, value_bounds
from skmemto._cli.columns import (
    Choice,
    Roles,
    Source,
    find_roles,
    is_text,
    to_labels,
    to_numbers,
)
from skmemto._cli.text_files import (
    COMMENT,
    MISSING_WORDS,
    Layout,
    find_layout,
    find_short_line,
    is_clock,
    is_date,
)
from skmemto._cli.times import find_order, times_of_numbers, times_of_text
from skmemto._series import split_series

_SHOWN_REMARKS = 3


class Table(NamedTuple):
    """What a file holds, rows in the order in which they are scored."""

    path: str
    columns: list[str]  # channels: names, or numbers in the file
    has_names: bool
    values: NDArray[np.float64]  # (n_samples, n_features), NaN = missing
    rows: NDArray[np.int64]  # numbers of the rows in the file (n_samples,)
    time_name: str
    names: NDArray | None  # times as they stand in the file (n_samples,), if there are
    times: NDArray | None  # what they mean, if they can be read
    groups: NDArray | None  # names of machines (n_samples,)
    series: NDArray[np.int64]  # number of the series of each row
    labels: NDArray[np.int8] | None  # 1 = anomalous
    remarks: list[str]

    def row_names(self) -> NDArray:
        """Return the times of the rows, or their numbers in the file, from 0."""
        return self.rows if self.names is None else self.names


def read_table(
    path: str, choice: Choice | None = None, wanted: Sequence[str] | None = None
) -> Table:
    """Read a file of readings: rows in time order, one channel per column.

    Parameters
    ----------
    path : str
        CSV of any delimiter, also packed by gzip; Parquet; Excel.
    choice : Choice, default=None
        What is said of the columns; the rest is found out.
    wanted : sequence of str, default=None
        Channels that a model was fitted on: these, in this order, and no others.

    Raises
    ------
    OSError
        If the file can't be read.
    ValueError
        If it doesn't hold what was asked for: names file, line and column.
    """
    choice = choice or Choice()
    frame, source, remarks = _read(path, choice)
    roles = find_roles(frame, source, choice, wanted, remarks)
    values = np.empty((len(frame), len(roles.channels)))
    for i, name in enumerate(roles.channels):
        values[:, i] = to_numbers(frame[name], source, name)
    names, times = _times(frame, roles, remarks)
    groups = _groups(frame, source, roles.group)
    rows, series = _order(len(frame), times, groups, choice.split, source, remarks)
    labels = None if roles.label is None else to_labels(frame[roles.label], source)
    has_names = source.layout is None or source.layout.has_header
    if names is None and roles.counter is not None:
        names = frame[roles.counter].astype(str).to_numpy(object)
    time_name = "_".join(roles.time) or roles.counter or "row"
    if roles.time and not has_names:
        time_name = "time"
    table = Table(
        path=path,
        columns=roles.channels,
        has_names=has_names,
        values=values[rows],
        rows=rows,
        time_name=time_name,
        names=_taken(names, rows),
        times=_taken(times, rows),
        groups=_taken(groups, rows),
        series=series,
        labels=_taken(labels, rows),
        remarks=remarks,
    )
    _remark_absurd(table, source)
    return table


def _taken(array: NDArray | None, rows: NDArray) -> Any:
    return None if array is None else array[rows]


def _read(path: str, choice: Choice) -> tuple[pd.DataFrame, Source, list[str]]:
    """Read a file with pandas; rows without anything are left out at its end."""
    suffix, remarks = Path(path).suffix.lower(), []
    layout = None
    if suffix in (".parquet", ".pq"):
        frame = pd.read_parquet(path)
        if frame.index.name is not None or isinstance(frame.index, pd.DatetimeIndex):
            frame = frame.reset_index(names=frame.index.name or "time")
    elif suffix in (".xlsx", ".xls", ".ods"):
        frame = pd.read_excel(path, na_values=[*MISSING_WORDS, *choice.missing])
    else:
        layout = find_layout(path)
        remarks += layout.remarks
        frame = _read_text(path, layout, choice)
    source = Source(path, layout)
    frame.columns = [str(name) for name in frame.columns]
    n_empty = (
        int(frame.isna().all(axis=1).to_numpy()[::-1].argmin()) if len(frame) else 0
    )
    if n_empty:
        remarks.append(f"{n_empty} row(s) without anything at the end are left out")
        frame = frame.iloc[: len(frame) - n_empty]
    if len(frame) == 0:
        raise ValueError(f"{path}: there are no rows of readings")
    return frame, source, remarks


def _read_text(path: str, layout: Layout, choice: Choice) -> pd.DataFrame:
    try:
        frame = read_rows(path, layout, choice.missing, skipped=layout.first)
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        found = find_short_line(path, layout) or str(error)
        raise ValueError(f"{path}, {found}") from error
    # Fields that are not there read like empty ones.
    short = find_short_line(path, layout) if frame.iloc[:, -1].isna().any() else None
    if short is not None:
        raise ValueError(f"{path}, {short}")
    return frame


def read_rows(
    file: str | TextIO, layout: Layout, missing: Sequence[str], skipped: int = 0
) -> pd.DataFrame:
    """Read rows of a text file by its layout, skipping so many lines before them."""
    names = [name or f"column {i + 1}" for i, name in enumerate(layout.columns)]
    as_text: dict[str, Any] = {
        column: str
        for column, *fields in zip(names, *layout.peeked, strict=True)
        if any(is_date(text) or is_clock(text) for text in fields)
    }
    options: dict[str, Any] = {
        "sep": layout.delimiter,
        "decimal": layout.decimal,
        "thousands": layout.thousands,
        "comment": COMMENT if layout.has_comments else None,
        "header": None,
        "names": names,
        "index_col": False,
        "skiprows": skipped,
        "skipinitialspace": True,
        "na_values": [*MISSING_WORDS, *missing],
        "dtype": as_text,
        "float_precision": "round_trip",
        "low_memory": False,
    }
    if isinstance(file, str):
        options["encoding"], options["encoding_errors"] = layout.encoding, "replace"
        options["compression"] = layout.compression
    with warnings.catch_warnings():
        # More fields than columns.
        warnings.simplefilter("error", pd.errors.ParserWarning)
        return pd.read_csv(file, **options)


def _times(
    frame: pd.DataFrame, roles: Roles, remarks: list[str]
) -> tuple[NDArray | None, NDArray | None]:
    """Return the times as they stand in the file, and what they mean."""
    if not roles.time:
        return None, None
    names = time_names(frame, roles.time)
    first = frame[roles.time[0]]
    if len(roles.time) > 1 or is_text(first):
        times = times_of_text(names.tolist())
    elif pd.api.types.is_datetime64_any_dtype(first.dtype):
        naive = first.dt.tz_convert(None) if first.dt.tz is not None else first
        times = None if naive.isna().any() else naive.to_numpy("datetime64[ns]")
    else:
        times = times_of_numbers(first.to_numpy(np.float64, na_value=np.nan))
    if times is None:
        remarks.append(
            f"times in {', '.join(roles.time)} can't be read as such, {names[0]!r} is "
            "the first: they only name the rows, which are taken as they stand"
        )
    return names, times


def time_names(frame: pd.DataFrame, columns: Sequence[str]) -> NDArray:
    """Return the times of rows as they stand in the file, (n,) of str."""
    parts = []
    for name in columns:
        column = frame[name]
        texts = column.fillna("") if is_text(column) else column
        parts.append(texts.astype(str).str.strip().to_numpy(object))
    return parts[0] if len(parts) == 1 else sum(parts[1:], parts[0] + " ")


def _groups(frame: pd.DataFrame, source: Source, name: str | None) -> NDArray | None:
    if name is None:
        return None
    if frame[name].isna().any():
        row = int(frame[name].isna().to_numpy().argmax())
        raise ValueError(
            f"{source.path}, {source.name_row(row)}, column {name}: no group is named"
        )
    return frame[name].astype(str).to_numpy(object)


def _order(
    n_rows: int,
    times: NDArray | None,
    groups: NDArray | None,
    split: bool,
    source: Source,
    remarks: list[str],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return rows in the order in which they are scored, and the number of a series."""
    codes = np.zeros(n_rows, dtype=np.int64)
    if groups is not None:
        codes = pd.factorize(groups)[0].astype(np.int64)
    said: list[str] = []
    all_rows, all_series, n_series = [], [], 0
    for code in range(codes.max() + 1):
        of = np.flatnonzero(codes == code)
        rows, series = of, np.zeros(len(of), dtype=np.int64)
        if times is not None:
            name_row = _of_rows(source, of)
            order = find_order(times[of], split=split, name_row=name_row)
            rows, series = of[order.rows], order.series
            prefix = "" if groups is None else f"{groups[of[0]]}: "
            said += [prefix + remark for remark in order.remarks]
        all_rows.append(rows)
        all_series.append(series + n_series)
        n_series += int(series[-1]) + 1
    remarks += said[:_SHOWN_REMARKS]
    if len(said) > _SHOWN_REMARKS:
        remarks.append(f"and {len(said) - _SHOWN_REMARKS} more of the kind")
    return np.concatenate(all_rows), np.concatenate(all_series)


def _of_rows(source: Source, rows: NDArray) -> Callable[[int], str]:
    return lambda i: source.name_row(int(rows[i]))


def _remark_absurd(table: Table, source: Source) -> None:
    """Name values that are far from all others of their channel."""
    series = split_series(table.series, len(table.values))
    bounds = value_bounds(table.values, series)
    for found in find_absurd(table.values, series, bounds)[:_SHOWN_REMARKS]:
        where = source.name_row(int(table.rows[found.row]))
        table.remarks.append(
            f"{table.columns[found.channel]} has {found.n_values} value(s) far from "
            f"all others, the first is {found.value:g} in {where}: nothing is learned "
            "from them"
        )
