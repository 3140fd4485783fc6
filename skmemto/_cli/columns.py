"""The columns of a frame: times, channels, names of machines, labels."""

import re
from collections.abc import Iterable, Sequence
from shlex import quote
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skmemto._cli.text_files import (
    Layout,
    as_truth,
    find_line,
    is_clock,
    is_date,
    is_date_only,
    is_number,
    plain_number,
)
from skmemto._cli.times import times_of_numbers

_TIME = re.compile(
    r"(date|time|timestamp|(date|time)[ _-]?(time|stamp)|ts|t|epoch|datum|zeit"
    r"|(unix|epoch|utc)[ _-]?time(stamp)?|utc)(\W*[\[(].*)?",
    re.IGNORECASE,
)
_LABEL = re.compile(
    r"(is[ _-]?)?(anomal\w*|labels?|outliers?|attack\w*|att_flag|faults?|failures?"
    r"|target|change ?points?|class|y|ground[ _-]?truth)([ _-]?(flag|label))?",
    re.IGNORECASE,
)
_COUNTER = re.compile(
    r"(index|idx|id|row|row[ _-]?(id|no|number)|no|nr|n|#|level_0|unnamed: 0"
    r"|column 1)\.?",
    re.IGNORECASE,
)
_NORMAL_WORDS = {
    "normal",
    "ok",
    "good",
    "benign",
    "healthy",
    "none",
    "no",
    "false",
    "0",
}
_MOSTLY = 0.5  # numbers in a column that holds text as well


class Choice(NamedTuple):
    """What a person says of the columns: names, or numbers from 1."""

    time: Sequence[str] = ()
    columns: Sequence[str] = ()
    drop: Sequence[str] = ()
    group: str | None = None
    label: str | None = None
    other: Sequence[str] = ()  # left out where they are there
    missing: Sequence[str] = ()  # words for no reading
    split: bool = True  # whether gaps end a series


class Source(NamedTuple):
    """Where a frame comes from, to say where in it something is."""

    path: str
    layout: Layout | None
    numbers: Sequence[int] | None = None  # of the lines that hold the rows, if known

    def name_row(self, row: int) -> str:
        """Say in which line a row is, or which row it is, from 1."""
        if self.numbers is not None:
            return f"line {self.numbers[row]}"
        if self.layout is None:
            return f"row {row + 1}"
        return f"line {find_line(self.path, self.layout, row)}"


class Roles(NamedTuple):
    """What the columns are."""

    time: list[str]
    group: str | None
    label: str | None
    counter: str | None
    channels: list[str]


def find_roles(
    frame: pd.DataFrame,
    source: Source,
    choice: Choice,
    wanted: Sequence[str] | None,
    remarks: list[str],
) -> Roles:
    """Find out which columns are what."""
    named = {kind: _named(frame, source, kind, choice) for kind in _KINDS}
    time = named["--time"] or _find_time(frame, remarks)
    taken = {*time, *named["--group"], *named["--label"]}
    counter = _find_counter(frame, taken)
    dropped = {*taken, *named["--drop"], *choice.other, counter}
    if wanted is not None:
        channels = list(wanted)
        missing = [name for name in channels if name not in frame.columns]
        if missing:
            raise ValueError(
                f"{source.path}: there is no column {missing[0]!r}, which was learned "
                f"from; columns are {', '.join(frame.columns)}"
            )
    elif named["--columns"]:
        channels = named["--columns"]
    else:
        left = [name for name in frame.columns if name not in dropped]
        channels = _channels(frame, source, left, remarks)
    if not channels:
        raise ValueError(f"{source.path}: there is no column of numbers")
    if wanted is None:
        _remark_suspects(frame, channels, remarks)
    group, label = (next(iter(named[kind]), None) for kind in ("--group", "--label"))
    return Roles(time, group, label, counter, channels)


_KINDS = ("--time", "--columns", "--drop", "--group", "--label")


def _named(frame: pd.DataFrame, source: Source, kind: str, choice: Choice) -> list[str]:
    """Return the columns that are named by an option, by name or number."""
    given = getattr(choice, kind.removeprefix("--"))
    names = list(frame.columns)
    numbers = {str(i + 1): name for i, name in enumerate(names)}
    found = []
    for text in [given] if isinstance(given, str) else given or ():
        parts = [text] if text in names or text in numbers else text.split(",")
        for part in (part.strip() for part in parts):
            if part not in names and part not in numbers:
                raise ValueError(
                    f"{source.path}: {kind} {part}: there is no such column; columns "
                    f"are {', '.join(names)}, or 1 to {len(names)}"
                )
            found.append(part if part in names else numbers[part])
    return found


def _find_time(frame: pd.DataFrame, remarks: list[str]) -> list[str]:
    """Return the column of times, or that of dates and that of times of day."""
    kinds: dict[str, list[str]] = {"both": [], "date": [], "clock": []}
    for name in frame.columns:
        kind = _kind_of_time(frame[name])
        if kind is not None:
            kinds[kind].append(name)
    # A column that is called so, before others.
    both, dates, clocks = (
        sorted(k, key=lambda n: not _TIME.fullmatch(n)) for k in kinds.values()
    )
    if both:
        return both[:1]
    if dates:
        return dates[:1] + clocks[:1]
    for name in frame.columns:
        column = frame[name]
        if _TIME.fullmatch(name) and pd.api.types.is_numeric_dtype(column.dtype):
            values = column.to_numpy(np.float64, na_value=np.nan)
            if times_of_numbers(values) is not None and values[0] != values[-1]:
                return [name]
    return clocks[:1]


def _kind_of_time(column: pd.Series) -> str | None:
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return "both"
    if not is_text(column):
        return None
    texts = [str(text).strip() for text in column.dropna().head(20)]
    if not texts:
        return None
    if all(map(is_clock, texts)):
        return "clock"
    if all(map(is_date, texts)):
        return "date" if all(map(is_date_only, texts)) else "both"
    return None


def is_text(column: pd.Series) -> bool:
    return pd.api.types.is_string_dtype(column.dtype) or column.dtype == object


def _find_counter(frame: pd.DataFrame, taken: set[str]) -> str | None:
    """Return a first column that only counts the rows, and is called so."""
    name = frame.columns[0]
    if name in taken or frame.shape[1] == 1 or not _COUNTER.fullmatch(name):
        return None
    return name if _counts(frame[name]) else None


def _counts(column: pd.Series) -> bool:
    if not pd.api.types.is_numeric_dtype(column.dtype) or len(column) < 3:
        return False
    values = column.to_numpy(np.float64, na_value=np.nan)
    steps = np.diff(values)
    return bool(steps[0] != 0 and (steps == steps[0]).all() and values[0] % 1 == 0)


def _channels(
    frame: pd.DataFrame, source: Source, names: list[str], remarks: list[str]
) -> list[str]:
    """Return the columns of numbers; say which others are left out."""
    channels = []
    for name in names:
        column = frame[name]
        if column.isna().all():
            if not _has_no_name(name):
                remarks.append(f"column {name!r} has no value and is left out")
        elif is_text(column) and not _is_mostly_numbers(column, source):
            first = str(column.dropna().iloc[0])
            remarks.append(
                f"column {name!r} holds text ({first!r}) and is left out (--group if "
                "it names machines, --label if it says what is anomalous)"
            )
        elif pd.api.types.is_datetime64_any_dtype(column.dtype):
            remarks.append(f"column {name!r} holds other times and is left out")
        else:
            channels.append(name)
    return channels


def _has_no_name(name: str) -> bool:
    return re.fullmatch(r"column \d+|Unnamed: \d+", name) is not None


def _plain_texts(column: Iterable, source: Source) -> list[str]:
    texts = [str(text).strip() for text in column]
    if source.layout is None:
        return texts
    return [plain_number(text, source.layout) for text in texts]


def _is_mostly_numbers(column: pd.Series, source: Source) -> bool:
    """Tell whether a column of text holds numbers and a few faults, or yes and no."""
    texts = _plain_texts(column.dropna(), source)
    if all(as_truth(text) is not None for text in texts):
        return True
    return sum(map(is_number, texts)) > _MOSTLY * len(texts)


def to_numbers(column: pd.Series, source: Source, name: str) -> NDArray[np.float64]:
    """Return the numbers (n,) of a column, NaN where there is none."""
    if is_text(column) or pd.api.types.is_datetime64_any_dtype(column.dtype):
        values = _numbers_of_texts(column, source, name)
    else:
        values = column.to_numpy(np.float64, na_value=np.nan)
    if np.isinf(values).any():
        row = int(np.isinf(values).argmax())
        raise ValueError(
            f"{source.path}, {source.name_row(row)}, column {name}: an infinite value "
            "is no reading; leave the field empty"
        )
    return values


def _numbers_of_texts(column: pd.Series, source: Source, name: str) -> NDArray:
    codes, words = pd.factorize(column.astype(str).where(column.notna()))
    numbers = np.full(len(words) + 1, np.nan)  # the last is for what is missing
    for i, text in enumerate(_plain_texts(words, source)):
        truth = as_truth(text)
        if truth is None and not is_number(text):
            row = int(np.argmax(codes == i))
            raise ValueError(
                f"{source.path}, {source.name_row(row)}, column {name}: "
                f"{text!r} is no number; if it stands for a reading that is not "
                f"there, give --missing {quote(text)}, and if the column holds no "
                f"readings, --drop {quote(name)}"
            )
        numbers[i] = float(text) if truth is None else truth
    return numbers[codes]


def to_labels(column: pd.Series, source: Source) -> NDArray[np.int8]:
    """Return 1 where a label says that a row is anomalous, (n,)."""
    if is_text(column):
        words = column.fillna("").astype(str).str.strip().str.lower()
        if not words.isin(_NORMAL_WORDS).any() and words.nunique() > 1:
            raise ValueError(
                f"{source.path}: which word of column {column.name!r} is normal? None "
                f"is one of {', '.join(sorted(_NORMAL_WORDS))}"
            )
        return np.asarray(~words.isin(_NORMAL_WORDS), dtype=np.int8)
    values = column.to_numpy(np.float64, na_value=0.0)
    if set(np.unique(values)) <= {-1.0, 1.0}:
        return np.asarray(values == -1, dtype=np.int8)  # as scikit-learn has it
    return np.asarray(values != 0, dtype=np.int8)


def _remark_suspects(
    frame: pd.DataFrame, channels: list[str], remarks: list[str]
) -> None:
    """Name channels that look like labels, or like counters."""
    labels = [n for n in channels if _LABEL.fullmatch(n) and _is_binary(frame[n])]
    if labels:
        options = " ".join(f"--drop {quote(name)}" for name in labels)
        remarks.append(
            f"{', '.join(labels)} look(s) like labels, not readings; to leave them "
            f"out: {options}; to measure by one: --label {quote(labels[0])}"
        )
    for name in channels:
        if _counts(frame[name]):
            remarks.append(
                f"{name} only counts, and will count beyond what was learned; to leave "
                f"it out: --drop {quote(name)}"
            )


def _is_binary(column: pd.Series) -> bool:
    if is_text(column):
        return True
    values = set(np.unique(column.dropna().to_numpy(np.float64)))
    return values <= {0.0, 1.0} or values <= {-1.0, 1.0}
