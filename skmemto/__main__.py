"""``python -m skmemto``: a demonstration, and the same for your own CSV files."""

import argparse
import csv
import math
import re
import time
from array import array
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import numpy as np
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.utils import Bunch

from skmemto import MEMTODetector
from skmemto.datasets import make_anomalous_series
from skmemto.plotting import AnomalyScoreDisplay

DESCRIPTION = """\
Without files: train MEMTODetector on synthetic data, compare it with IsolationForest,
and draw a picture. With two CSV files: train on the first, which should hold normal
data, and score the second. Rows are in time order, one channel per column; an empty
field or "nan" is a missing reading, an empty line is skipped."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_MISSING = ("", "nan")
_MAX_CHANNELS = 8


class Table(NamedTuple):
    """The content of a CSV file, the time column kept apart as it stands."""

    path: str
    has_header: bool
    columns: list[str]  # names, or numbers in the file, from 1
    values: np.ndarray  # (n_samples, n_features)
    time_name: str
    times: list[str] | None


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line; errors of the user end in ``SystemExit`` with status 2."""
    parser = _make_parser()
    args = parser.parse_args(argv)
    if args.train is not None and args.new is None:
        parser.error("one file is not enough: give train.csv and new.csv")
    if args.train is None and (args.out or args.time):
        parser.error("--out and --time need the two files train.csv and new.csv")
    args.out = args.out or "scores.csv"
    try:
        _check_outputs(args)
        _demonstrate(args) if args.train is None else _score_files(args)
    except (OSError, ValueError) as error:
        # What the user can put right; scikit-learn and matplotlib do the same.
        parser.error(" ".join(str(error).split()))


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m skmemto",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("train", nargs="?", metavar="train.csv", help="normal data to learn from")
    add("new", nargs="?", metavar="new.csv", help="data to score")
    add("--out", metavar="CSV", help="where the scores go (default: scores.csv)")
    add("--plot", metavar="PNG", help="picture (default: skmemto-demo.png, or none)")
    add("--time", metavar="NAME", help="time column: its name or number (from 1)")
    text = "share of anomalies in the training data (default: auto, a fitted threshold)"
    add("--contamination", type=_contamination, default="auto", metavar="P", help=text)
    add("--seed", type=int, default=0, help="random seed (default: %(default)s)")
    add("--verbose", action="store_true", help="report the progress of training")
    return parser


def _contamination(text: str) -> float | str:
    if text == "auto":
        return text
    number = float(text) if _NUMBER.fullmatch(text) else 0.0
    if 0 < number <= 0.5:
        return number
    message = f"must be 'auto' or a number in (0, 0.5]. Got {text!r} instead."
    raise argparse.ArgumentTypeError(message)


def _check_outputs(args: argparse.Namespace) -> None:
    """Find out before the training what would fail after it."""
    taken = {Path(path).resolve() for path in (args.train, args.new) if path}
    for path in filter(None, (args.out, args.plot)):
        if not Path(path).resolve().parent.is_dir():
            raise ValueError(f"{path}: there is no directory {Path(path).parent}")
        if Path(path).resolve() in taken:
            raise ValueError(f"{path}: would overwrite another of the files")
        taken.add(Path(path).resolve())


def _demonstrate(args: argparse.Namespace) -> None:
    data = make_anomalous_series(random_state=args.seed)
    share = data.y_test.mean()
    print(
        f"Synthetic data, seed {args.seed}: {len(data.X_train)} normal rows to learn "
        f"from, {len(data.X_test)} to score,\n{data.X_train.shape[1]} channels, "
        f"{len(data.events)} anomalies ({share:.1%} of the rows).\n"
    )
    header = f"{'detector':<16}{'AUROC':>8}{'avg. precision':>16}{'flagged':>10}"
    print(f"{header}{'seconds':>10}", flush=True)
    memto = MEMTODetector(**_options(args), verbose=int(args.verbose))
    score = _compare(memto, data)
    _compare(IsolationForest(**_options(args)), data)
    print(f"{'(guessing)':<16}{0.5:>8.3f}{share:>16.3f}\n")
    _draw(args.plot or "skmemto-demo.png", memto, data.X_test, score, y=data.y_test)


def _compare(detector: Any, data: Bunch) -> np.ndarray:
    """Print a row of the table, return the scores of the test series."""
    start = time.perf_counter()
    score = detector.fit(data.X_train).score_samples(data.X_test)
    seconds = time.perf_counter() - start
    # 1 = anomalous in the labels, and the scores are high for normal rows.
    auroc = roc_auc_score(data.y_test, -score)
    precision = average_precision_score(data.y_test, -score)
    flagged = np.mean(score < detector.offset_)
    row = (
        f"{type(detector).__name__:<16}{auroc:>8.3f}{precision:>16.3f}{flagged:>10.1%}"
    )
    print(f"{row}{seconds:>10.1f}", flush=True)
    return score


def _options(args: argparse.Namespace) -> dict[str, Any]:
    return {"contamination": args.contamination, "random_state": args.seed}


def _score_files(args: argparse.Namespace) -> None:
    train, new = _read_table(args.train, args.time), _read_table(args.new, args.time)
    _check_same_columns(train, new)
    detector = MEMTODetector(**_options(args), verbose=int(args.verbose))
    start = time.perf_counter()
    score = detector.fit(train.values).score_samples(new.values)
    seconds = time.perf_counter() - start

    _write_scores(args.out, new, score, detector.offset_)
    n_flagged = np.count_nonzero(score < detector.offset_)
    print(f"{train.path}: {len(train.values)} rows, {train.values.shape[1]} channels")
    print(f"{new.path}: {len(score)} rows, {n_flagged} flagged as anomalous")
    print(f"{args.out}: written; training and scoring took {seconds:.1f} s")
    if args.plot:
        index = None if new.times is None else _parse_times(new.times)
        names = [f"column {c}" if c.isdecimal() else c for c in new.columns]
        _draw(args.plot, detector, new.values, score, feature_names=names, index=index)


def _draw(path: str, det: Any, X: np.ndarray, score: np.ndarray, **kw: Any) -> None:
    try:
        # Without pyplot: no window, no state, no display needed.
        from matplotlib.figure import Figure
    except ImportError:
        print("No picture: matplotlib is missing. python -m pip install matplotlib")
        return
    n_axes = min(X.shape[1], _MAX_CHANNELS) + 1
    figure = Figure(figsize=(12, 1 + 1.1 * n_axes), layout="constrained")
    axes = figure.subplots(n_axes, sharex=True)
    kw |= {"reconstruction": det.reconstruct(X), "threshold": det.offset_}
    kw |= {"axes": axes, "max_channels": _MAX_CHANNELS}
    AnomalyScoreDisplay.from_predictions(X, score, **kw)
    if score.max() < 0:
        # Some anomalies are a hundred times stronger than others.
        axes[-1].set_yscale("log")
    figure.savefig(path, dpi=120)
    print(f"{path}: the picture")


def _read_table(path: str, time_column: str | None) -> Table:
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
    known = ", ".join(columns) + ("" if has_header else " (no header)")
    raise ValueError(f"{path}: no time column {time_column!r}; columns are {known}")


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


def _check_same_columns(train: Table, new: Table) -> None:
    n_train, n_new = len(train.columns), len(new.columns)
    if n_train != n_new:
        raise ValueError(f"{new.path} has {n_new} channels, {train.path} has {n_train}")
    named = train.has_header and new.has_header
    for old, other in zip(train.columns, new.columns, strict=True):
        if named and old != other:
            raise ValueError(
                f"{new.path} has the column {other!r} where {train.path} has {old!r}"
            )


def _write_scores(path: str, table: Table, score: np.ndarray, offset: float) -> None:
    decision = score - offset
    label = np.where(decision < 0, -1, 1)
    # Rows are counted from 0, as in NumPy.
    first = range(len(score)) if table.times is None else table.times
    columns = (first, score.tolist(), decision.tolist(), label.tolist())
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([table.time_name, "score", "decision", "label"])
        writer.writerows(zip(*columns, strict=True))


def _parse_times(times: list[str]) -> np.ndarray | None:
    """Return numbers or dates for the axis of the picture, None if neither."""
    with suppress(ValueError):
        return np.array([float(text) for text in times])
    with suppress(ValueError):
        dates = [datetime.fromisoformat(text) for text in times]
        return np.array([date.replace(tzinfo=None) for date in dates])
    return None


if __name__ == "__main__":
    main()
