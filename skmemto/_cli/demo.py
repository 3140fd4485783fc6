"""A demonstration on synthetic data: a table of accuracy, and a picture."""

import argparse
import time
from typing import Any

import numpy as np
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.utils import Bunch

from skmemto import MEMTODetector
from skmemto._cli.checks import check_outputs, check_picture
from skmemto._events import Event
from skmemto.datasets import make_anomalous_series
from skmemto.metrics import compare_events
from skmemto.plotting import AnomalyScoreDisplay

_MAX_CHANNELS = 8


def demonstrate(args: argparse.Namespace) -> None:
    path = args.plot or "skmemto-demo.png"
    check_outputs([], [path])
    check_picture(path)
    data = make_anomalous_series(random_state=args.seed)
    share = data.y_test.mean()
    print(
        f"Synthetic data, seed {args.seed}: {len(data.X_train)} normal rows to learn "
        f"from, {len(data.X_test)} to score,\n{data.X_train.shape[1]} channels, "
        f"{len(data.events)} anomalies ({share:.1%} of the rows).\n"
    )
    header = f"{'detector':<16}{'AUROC':>8}{'avg. precision':>16}{'flagged':>10}"
    print(f"{header}{'seconds':>10}", flush=True)
    memto = MEMTODetector(
        contamination=args.contamination,
        random_state=args.seed,
        verbose=int(args.verbose),
    )
    score = _compare(memto, data)
    _compare(
        IsolationForest(contamination=args.contamination, random_state=args.seed), data
    )
    print(f"{'(guessing)':<16}{0.5:>8.3f}{share:>16.3f}\n")
    events = memto.events(data.X_test)
    _report_events(data, events)
    kw = {"y": data.y_test, "events": events}
    _draw(path, memto, data.X_test, score, **kw)


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
