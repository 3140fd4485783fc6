"""What the command line does with files: fit, score, both in one go."""

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import precision_score, recall_score

from skmemto import MEMTODetector, PerGroupDetector
from skmemto._cli.checks import check_outputs, check_picture
from skmemto._cli.columns import Choice
from skmemto._cli.models import check_model_path, load_model, save_model
from skmemto._cli.outputs import write_events, write_scores
from skmemto._cli.pictures import draw_overview
from skmemto._cli.report import write_report
from skmemto._cli.tables import Table, read_table
from skmemto._cli.times import say_step
from skmemto._events import Event
from skmemto.exceptions import AbsurdValueWarning
from skmemto.metrics import compare_events

# Fits of fewer rows are over before a bar of progress says anything.
_ROWS_FOR_PROGRESS = 3000


class Judged(NamedTuple):
    """What a detector says of a table."""

    score: NDArray[np.float64]
    decision: NDArray[np.float64]
    events: list[Event]


def fit(args: argparse.Namespace) -> int:
    """Learn from a file, and save the model."""
    check_model_path(args.model)
    check_outputs([args.train], [args.model])
    table = _read(args.train, args)
    save_model(args.model, _fitted(table, args))
    print(f"{args.model}: the model")
    return 0


def score(args: argparse.Namespace) -> int:
    """Score a file by a saved model."""
    _check_written(args, [args.model, args.new])
    detector = load_model(args.model)
    names = getattr(detector, "feature_names_in_", None)
    new = _read(args.new, args, None if names is None else list(names))
    if new.values.shape[1] != detector.n_features_in_:
        raise ValueError(
            f"{new.path} has {new.values.shape[1]} channels, the model was fitted on "
            f"{detector.n_features_in_}"
        )
    return _say_and_write(new, detector, args)


def run(args: argparse.Namespace) -> int:
    """Learn from one file and score another."""
    args.out = args.out or "scores.csv"
    _check_written(args, [args.train, args.new])
    train = _read(args.train, args)
    new = _read(args.new, args, train.columns if train.has_names else None)
    if new.values.shape[1] != train.values.shape[1]:
        raise ValueError(
            f"{new.path} has {new.values.shape[1]} channels, {train.path} has "
            f"{train.values.shape[1]}"
        )
    return _say_and_write(new, _fitted(train, args), args)


def _check_written(args: argparse.Namespace, inputs: list[str]) -> None:
    check_outputs(inputs, [args.out, args.events, args.plot, args.report])
    check_picture(args.plot)
    if args.report:
        import jinja2  # noqa: F401


def choice_of(args: argparse.Namespace) -> Choice:
    """Return what the options say of the columns."""
    given = vars(args)
    named = {name: given[name] for name in Choice._fields if name in given}
    return Choice(**named, split=not given.get("no_split", False))


def _read(
    path: str, args: argparse.Namespace, wanted: Sequence[str] | None = None
) -> Table:
    """Read a table, and say what was found in it."""
    choice = choice_of(args)
    if path != getattr(args, "new", path):
        # What is compared with is no channel, and may not be there.
        labels = () if choice.label is None else (choice.label,)
        choice = choice._replace(label=None, other=labels)
    table = read_table(path, choice, wanted)
    print(f"{path}: {say_table(table)}")
    for remark in table.remarks:
        warn(f"{path}: {remark}")
    return table


def say_table(table: Table) -> str:
    """Say in one line what a table holds."""
    n_rows, n_channels = table.values.shape
    text = f"{n_rows:,} rows, {n_channels} channel{'s' if n_channels != 1 else ''}"
    if table.names is not None:
        text += f", {table.time_name} {table.names[0]} to {table.names[-1]}"
    if table.times is not None and table.groups is None:
        text += f", a row each {say_step(table.times)}"
    if table.groups is not None:
        text += f", {len(set(table.groups))} groups"
    elif (n_series := int(table.series[-1]) + 1) > 1:
        text += f", {n_series} series"
    return text


def warn(text: str) -> None:
    """Say what a person should know, beside the results."""
    print(f"warning: {text}", file=sys.stderr, flush=True)


def _fitted(table: Table, args: argparse.Namespace) -> MEMTODetector | PerGroupDetector:
    start = time.perf_counter()
    detector: Any = MEMTODetector(
        contamination=args.contamination,
        lookahead=0 if args.live else "auto",
        random_state=args.seed,
        verbose=int(args.verbose),
    )
    if args.per_group:
        if table.groups is None:
            raise ValueError("--per-group needs --group NAME")
        detector = PerGroupDetector(detector)
    # Absurd values are told of by the table, by the lines of the file.
    told = warnings_as_lines(table.path, ignored=(AbsurdValueWarning,))
    with told, _progress(detector, table):
        detector.fit(_frame(table), groups=_groups_for(detector, table))
    print(f"learned in {time.perf_counter() - start:.1f} s", flush=True)
    return detector


@contextmanager
def _progress(detector: Any, table: Table) -> Iterator[None]:
    """Show bars on a terminal, if a fit takes its time."""
    bars = len(table.values) >= _ROWS_FOR_PROGRESS and sys.stderr.isatty()
    if not bars or not hasattr(detector, "set_callbacks"):
        yield
        return
    from sklearn.callback import ProgressBar

    try:
        detector.set_callbacks(ProgressBar())
    except ImportError:  # without rich
        yield
        return
    yield
    detector.set_callbacks()


@contextmanager
def warnings_as_lines(
    path: str, ignored: tuple[type[Warning], ...] = ()
) -> Iterator[None]:
    """Say warnings as lines, each once."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        yield
    told = dict.fromkeys(
        str(w.message) for w in caught if not issubclass(w.category, ignored)
    )
    for message in told:
        warn(f"{path}: {message}")


def _frame(table: Table) -> Any:
    if not table.has_names:
        return table.values
    return pd.DataFrame(table.values, columns=table.columns, copy=False)


def _groups_for(detector: Any, table: Table) -> NDArray | None:
    """Return names of machines for a model each, else the numbers of the series."""
    if isinstance(detector, PerGroupDetector):
        if table.groups is None:
            raise ValueError("there is a model for each group: give --group NAME")
        return table.groups
    return table.series if table.series[-1] > 0 else None


def _say_and_write(new: Table, detector: Any, args: argparse.Namespace) -> int:
    """Judge a table, and write what was asked for."""
    start = time.perf_counter()
    judged = judge(detector, new)
    n_flagged = np.count_nonzero(judged.decision < 0)
    print(
        f"{new.path}: {len(new.values):,} rows, {n_flagged:,} flagged as anomalous, in "
        f"{len(judged.events)} events; scored in {time.perf_counter() - start:.1f} s"
    )
    if new.labels is not None:
        print(_say_accuracy(new.labels, judged))
    for path, what, write in _outputs(new, detector, judged, args):
        if path:
            write(path)
            print(f"{path}: {what}")
    return int(args.fail_on_event and len(judged.events) > 0)


def _outputs(
    new: Table, detector: Any, judged: Judged, args: argparse.Namespace
) -> Iterator[tuple[str | None, str, Callable[[str], None]]]:
    score, decision, events = judged
    yield args.out, "the scores", lambda p: write_scores(p, new, score, decision)
    yield args.events, "the events", lambda p: write_events(p, new, events)
    has_matplotlib = True
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        has_matplotlib = False
        if args.plot or args.report:
            warn("no picture: matplotlib is missing. python -m pip install matplotlib")
    frame = _frame(new)
    if has_matplotlib:
        yield (
            *(args.plot, "the picture"),
            lambda p: draw_overview(p, new, detector, frame, score, events),
        )
    yield (
        *(args.report, "the report"),
        lambda p: write_report(p, new, detector, frame, judged, has_matplotlib),
    )


def judge(detector: Any, table: Table) -> Judged:
    """Score a table, and find its events."""
    X, groups = _frame(table), _groups_for(detector, table)
    with warnings_as_lines(table.path):
        if not isinstance(detector, PerGroupDetector):
            return Judged(*detector._judge(X, groups))
        return Judged(
            detector.score_samples(X, groups=groups),
            detector.decision_function(X, groups=groups),
            detector.events(X, groups=groups),
        )


def _say_accuracy(labels: NDArray[np.int8], judged: Judged) -> str:
    """Say precision and recall of rows, and what was found of the labelled events."""
    flagged = judged.decision < 0
    precision = precision_score(labels, flagged, zero_division=0.0)
    recall = recall_score(labels, flagged, zero_division=0.0)
    compared = compare_events(labels, judged.events)
    return (
        f"by the labels: {compared.found.sum()} of {len(compared.found)} events found, "
        f"{compared.false.sum()} false; of rows, precision {precision:.2f}, recall "
        f"{recall:.2f}"
    )
