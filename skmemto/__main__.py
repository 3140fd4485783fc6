"""``python -m skmemto``: a demonstration, and the same for your own CSV files."""

import argparse
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.utils import Bunch

from skmemto import MEMTODetector
from skmemto._events import Event
from skmemto._tables import (
    check_same_columns,
    parse_times,
    read_table,
    write_events,
    write_scores,
)
from skmemto.datasets import make_anomalous_series
from skmemto.metrics import compare_events
from skmemto.plotting import AnomalyScoreDisplay

DESCRIPTION = """\
Without files: train MEMTODetector on synthetic data, compare it with IsolationForest,
and draw a picture. With two CSV files: train on the first, which should hold normal
data, and score the second. Rows are in time order, one channel per column; an empty
field or "nan" is a missing value, an empty line is skipped."""

_MAX_CHANNELS = 8


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line; errors of the user end in ``SystemExit`` with status 2."""
    parser = _make_parser()
    args = parser.parse_args(argv)
    if args.train is not None and args.new is None:
        parser.error("one file is not enough: give train.csv and new.csv")
    if args.train is None and (args.out or args.time or args.events):
        parser.error("--out, --events and --time need the two files")
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
    add("--events", metavar="CSV", help="where the events go (default: nowhere)")
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
    with suppress(ValueError):
        if 0 < float(text) <= 0.5:
            return float(text)
    message = f"must be 'auto' or a number in (0, 0.5]. Got {text!r} instead."
    raise argparse.ArgumentTypeError(message)


def _check_outputs(args: argparse.Namespace) -> None:
    """Find out before the training what would fail after it."""
    taken = {Path(path).resolve() for path in (args.train, args.new) if path}
    for path in filter(None, (args.out, args.events, args.plot)):
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
    events = memto.events(data.X_test)
    _report_events(data, events)
    kw = {"y": data.y_test, "events": events}
    _draw(args.plot or "skmemto-demo.png", memto, data.X_test, score, **kw)


def _report_events(data: Bunch, events: list[Event]) -> None:
    """Print what was found of the anomalies that are there."""
    comparison = compare_events(data.y_test, events)
    print(f"{len(events)} events found, {comparison.false.sum()} of them false:")
    for event, found in zip(data.events, comparison.found, strict=True):
        what = "found" if found else "missed"
        print(f"  rows {event.start:>4}-{event.stop - 1:<4} {event.kind:<12} {what}")
    print()


def _compare(detector: Any, data: Bunch) -> np.ndarray:
    """Print a row of the table, return the scores of the test series."""
    start = time.perf_counter()
    score = detector.fit(data.X_train).score_samples(data.X_test)
    seconds = time.perf_counter() - start
    # 1 = anomalous in the labels, and the scores are high for normal rows.
    auroc = roc_auc_score(data.y_test, -score)
    precision = average_precision_score(data.y_test, -score)
    flagged = np.mean(detector.predict(data.X_test) == -1)
    row = (
        f"{type(detector).__name__:<16}{auroc:>8.3f}{precision:>16.3f}{flagged:>10.1%}"
    )
    print(f"{row}{seconds:>10.1f}", flush=True)
    return score


def _options(args: argparse.Namespace) -> dict[str, Any]:
    return {"contamination": args.contamination, "random_state": args.seed}


def _score_files(args: argparse.Namespace) -> None:
    train, new = read_table(args.train, args.time), read_table(args.new, args.time)
    check_same_columns(train, new)
    detector = MEMTODetector(**_options(args), verbose=int(args.verbose))
    start = time.perf_counter()
    score = detector.fit(train.values).score_samples(new.values)
    decision = detector.decision_function(new.values)
    seconds = time.perf_counter() - start

    events = detector.events(new.values)
    write_scores(args.out, new, score, decision)
    n_flagged = np.count_nonzero(decision < 0)
    print(f"{train.path}: {len(train.values)} rows, {train.values.shape[1]} channels")
    print(
        f"{new.path}: {len(score)} rows, {n_flagged} flagged as anomalous, in "
        f"{len(events)} events"
    )
    print(f"{args.out}: written; training and scoring took {seconds:.1f} s")
    if args.events:
        write_events(args.events, new, events)
        print(f"{args.events}: the events")
    if args.plot:
        index = None if new.times is None else parse_times(new.times)
        names = [f"column {c}" if c.isdecimal() else c for c in new.columns]
        kw = {"feature_names": names, "index": index, "events": events}
        _draw(args.plot, detector, new.values, score, **kw)


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
    figure.savefig(path, dpi=120)
    print(f"{path}: the picture")


if __name__ == "__main__":
    main()
