"""Columns of times -> times, their order, and where they have gaps."""

import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skmemto._cli.text_files import is_clock

#: Says where in a file a row is.
RowName = Callable[[int], str]

# A gap of more than so many steps ends a series; where steps vary, of the long ones.
_GAP, _LONG = 5, 0.9
# Steps back in time of at most this share of the rows: a clock that was set, or a
# disorder of the rows beyond it.
_SET_BACK = 0.01
_DAY = 86_400.0  # seconds
# Numbers since 1970: unit, its nanoseconds, and where years 1973 to 5138 lie.
_EPOCHS = (
    ("s", 1e9, 1e8, 1e11),
    ("ms", 1e6, 1e11, 1e14),
    ("us", 1e3, 1e14, 1e17),
    ("ns", 1.0, 1e17, 1e20),
)
_COMPACT = {8: "%Y%m%d", 14: "%Y%m%d%H%M%S"}
_OFFSET = re.compile(r".*\d(Z| ?[+-]\d{2}:?\d{2}| UTC| GMT)", re.ASCII)
_DAY_OR_MONTH = re.compile(r"\d{1,2}[-/.]\d{1,2}[-/.].*", re.ASCII)


class Order(NamedTuple):
    """In which order rows are scored, and where series end."""

    rows: NDArray[np.int64]  # of the file, in the order of their times
    series: NDArray[np.int64]  # number of each one's series, in that order
    remarks: list[str]


def times_of_text(texts: Sequence[str]) -> NDArray | None:
    """Return texts as times (n,) in UTC if they say so, None if they are none."""
    known = [text for text in texts[:100] if text]
    if not known:
        return None
    if all(map(is_clock, known)):
        return _seconds_of_day(texts)
    kw: dict[str, Any] = {"utc": any(map(_OFFSET.fullmatch, known)), "errors": "coerce"}
    series = pd.Series(texts, dtype=object)
    firsts: tuple[bool, ...] = (False,)
    if _DAY_OR_MONTH.fullmatch(known[0]):
        # The first of two that are as good; with a.m. and p.m. the month comes first.
        firsts = (False, True) if known[0][-1] in "mM" else (True, False)
    parsed = [_parse(series, dayfirst=first, **kw) for first in firsts]
    whole = [times for times in parsed if not np.isnat(times).any()]
    # Day and month the one way or the other: what is in order, and takes less time.
    return min(whole, key=_disorder) if whole else None


def _seconds_of_day(texts: Sequence[str]) -> NDArray[np.float64] | None:
    """Return times of day as seconds, going on at midnight."""
    clock = _parse("1970-01-01 " + pd.Series(texts, dtype=object), errors="coerce")
    if np.isnat(clock).any():
        return None
    seconds = _as_seconds(clock - np.datetime64(0, "ns"))
    days = np.cumsum(np.diff(seconds, prepend=seconds[0]) < -_DAY / 2)
    return seconds + _DAY * days


def _parse(texts: pd.Series, **kw: Any) -> NDArray:
    with warnings.catch_warnings():
        # That a format was not consistent: NaT says so.
        warnings.simplefilter("ignore", UserWarning)
        times = pd.to_datetime(texts, **kw)
    if times.dt.tz is not None:
        times = times.dt.tz_convert(None)
    return times.to_numpy("datetime64[ns]")


def _disorder(times: NDArray) -> tuple[int, int]:
    steps = np.diff(times.astype(np.int64))
    back = min(int((steps < 0).sum()), int((steps > 0).sum()))
    return back, int(np.abs(steps).max(initial=0))


def times_of_numbers(values: NDArray[np.float64]) -> NDArray | None:
    """Return numbers as times: since 1970, or 20240131, or as they are if they rise.

    None if they are neither.
    """
    if len(values) == 0 or not np.isfinite(values).all():
        return None
    if (values == np.round(values)).all():
        compact = _COMPACT.get(len(f"{values[0]:.0f}"))
        if compact is not None:
            texts = pd.Series(values.astype(np.int64).astype(str))
            times = pd.to_datetime(texts, format=compact, errors="coerce")
            if not times.isna().any():
                return times.to_numpy("datetime64[ns]")
    for unit, nanoseconds, low, high in _EPOCHS:
        if low <= values.min() and values.max() < high:
            whole = np.floor(values)
            times = whole.astype(np.int64).astype(f"datetime64[{unit}]")
            fractions = np.round((values - whole) * nanoseconds)
            return times.astype("datetime64[ns]") + fractions.astype("timedelta64[ns]")
    steps = np.diff(values)
    return values if (steps >= 0).all() or (steps <= 0).all() else None


def find_order(times: NDArray, *, split: bool, name_row: RowName) -> Order:
    """Find in which order rows are scored, and where series end.

    Parameters
    ----------
    times : ndarray of shape (n,)
        Times, or numbers that stand for them, one for each row of the file.
    split : bool
        Whether a gap ends a series.
    name_row : callable
        Says where in the file a row is.
    """
    rows, remarks = _sorted(times, name_row)
    steps = _as_seconds(np.diff(times[rows]))
    positive = steps[steps > 0]
    ends = np.zeros(len(steps), dtype=bool)
    if len(positive):
        usual = max(np.median(positive), np.quantile(positive, _LONG))
        ends = steps > _GAP * usual
    if ends.any():
        at = int(np.flatnonzero(ends)[0])
        size = say_seconds(steps[at]) if times.dtype.kind == "M" else f"{steps[at]:g}"
        effect = "each ends a series (--no-split: none does)" if split else "kept"
        remarks.append(
            f"{ends.sum()} gap(s) in the times, {effect}; the first, of {size}, is "
            f"before {name_row(int(rows[at + 1]))}"
        )
    series = np.concatenate([[0], np.cumsum(ends & split)]).astype(np.int64)
    repeated = steps == 0
    if repeated.any():
        at = int(np.flatnonzero(repeated)[0])
        remarks.append(
            f"{repeated.sum()} row(s) have the same time as the row before, the first "
            f"is {name_row(int(rows[at + 1]))}"
        )
    return Order(rows, series, remarks)


def _sorted(times: NDArray, name_row: RowName) -> tuple[NDArray[np.int64], list[str]]:
    steps = _as_seconds(np.diff(times))
    rows = np.arange(len(times))
    back = steps < 0
    if not back.any():
        return rows, []
    if not (steps > 0).any():
        return rows[::-1], ["times fall: the newest row is first; scored from the last"]
    first = name_row(int(np.flatnonzero(back)[0]) + 1)
    if back.sum() <= max(1, _SET_BACK * len(times)):
        return rows, [
            f"times go back {back.sum()} time(s), first in {first}: a clock that was "
            "set back? Rows are scored as they stand in the file"
        ]
    rows = np.argsort(times, kind="stable")
    return rows, [
        f"times are out of order in {back.sum()} row(s), first in {first}: rows are "
        "scored in order of their times"
    ]


def _as_seconds(steps: NDArray) -> NDArray[np.float64]:
    if steps.dtype.kind == "m":
        return steps / np.timedelta64(1, "s")
    return np.asarray(steps, dtype=np.float64)


def say_step(times: NDArray) -> str:
    """Say the usual time from row to row."""
    steps = _as_seconds(np.diff(times))
    positive = steps[steps > 0]
    if len(positive) == 0:
        return "no step"
    step = float(np.median(positive))
    return say_seconds(step) if times.dtype.kind == "M" else f"{step:g}"


def say_seconds(seconds: float) -> str:
    """Say a duration in the largest unit that leaves at least one."""
    for unit, size in (("d", _DAY), ("h", 3600), ("min", 60)):
        if abs(seconds) >= size:
            return f"{round(seconds / size, 2):g} {unit}"
    return f"{seconds:g} s" if seconds >= 0.001 or seconds == 0 else f"{seconds:.3g} s"
