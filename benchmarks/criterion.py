"""What each step of the calibrated criterion is worth.

One model is fitted for each entity; only the way from its deviations to the score
differs. Each row adds one step to the row above it; the rows below the line change
one thing of the last.

    python benchmarks/criterion.py --sets asd skab msl smd
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from _baselines import NearestRow, scaled
from _data import Entity
from _detectors import ranking
from _markdown import markdown, pivot
from _report import Record, run_entities

from skmemto import MEMTODetector
from skmemto._smoothing import exponential_average

SETS = ("asd", "skab", "msl", "smd")
LEAST = 1e-4  # of the largest scale


class Parts(NamedTuple):
    """What scores are made of."""

    train: np.ndarray  # input deviations (n_train, F)
    test: np.ndarray  # (n_test, F)
    train_latent: np.ndarray
    latent: np.ndarray
    nearest: np.ndarray  # distance to the nearest training row (n_test,)
    window: int


def ratios(parts: Parts, scale: str, beyond: float, times: float) -> np.ndarray:
    """Errors in units of the channel's own, in full up to its largest in training."""
    units = parts.train.mean(axis=0)
    if scale == "mean + sd":
        units = units + parts.train.std(axis=0)
    never_erred = units < LEAST * units.max()
    units = np.maximum(units, LEAST * units.max())
    largest = np.maximum(parts.train.max(axis=0), units) / units
    largest[never_erred] = largest.max()
    largest *= times
    values = parts.test / units
    excess = np.log(np.maximum(values / largest, 1))
    return np.minimum(values, largest) * (1 + beyond * excess)


def power_mean(values: np.ndarray, order: float) -> np.ndarray:
    if np.isinf(order):
        return values.max(axis=1)
    return (values**order).mean(axis=1) ** (1 / order)


def calibrated(
    parts: Parts,
    *,
    scale: str = "mean + sd",
    beyond: float = 0.1,  # what the logarithm of an error beyond the largest counts
    times: float = 1,  # the largest error in training
    order: float = 4,
    time_order: float = 1.5,
    share: float = 2 / 5,  # span of the average, of the window
    longer: int = 5,  # times as long is the other span
    change: Callable[[np.ndarray, Parts], np.ndarray] = lambda scores, parts: scores,
) -> np.ndarray:
    scores = change(power_mean(ratios(parts, scale, beyond, times), order), parts)
    if not share:
        return scores
    span = max(1, int(share * parts.window))
    spans = [span, longer * span] if longer else [span]
    return exponential_average(scores**time_order, *spans) ** (1 / time_order)


def latent(parts: Parts) -> np.ndarray:
    scale = parts.train_latent.mean() + parts.train_latent.std()
    return parts.latent / scale


def mean_error(scores: np.ndarray, parts: Parts) -> np.ndarray:
    return parts.test.mean(axis=1)


# Parameters of `calibrated`: all that a step does not have yet, then all that changes.
MEANS = {"order": 1, "time_order": 1}
NO_LIMIT = {"times": np.inf}
ONE_SPAN = {"share": 2 / 3, "longer": 0}
ROWS = MEANS | NO_LIMIT | {"share": 0}
STEPS: dict[str, dict[str, Any]] = {
    "mean ISD": ROWS | {"change": mean_error},
    "+ channels by their training mean": ROWS | {"scale": "mean"},
    "+ by mean and standard deviation": ROWS,
    "+ exponential average": MEANS | NO_LIMIT | ONE_SPAN,
    "+ logarithm beyond the largest error": MEANS | ONE_SPAN,
    "+ power mean over channels": {"time_order": 1} | ONE_SPAN,
    "+ power mean over time": ONE_SPAN,
    "+ a second, longer span = calibrated": {},
}
CHANGES: dict[str, dict[str, Any]] = {
    "over channels: order 1 (mean)": {"order": 1},
    "over channels: order 2": {"order": 2},
    "over channels: order 8": {"order": 8},
    "over channels: maximum": {"order": np.inf},
    "over time: order 1.25": {"time_order": 1.25},
    "over time: order 2": {"time_order": 2},
    "no limit": NO_LIMIT,
    "nothing beyond the largest error": {"beyond": 0},
    "nothing beyond twice the largest error": {"beyond": 0, "times": 2},
    "twice the share of the logarithm": {"beyond": 0.2},
    "half of both spans": {"share": 1 / 5},
    "twice both spans": {"share": 4 / 5},
    "the longer one 3 times": {"longer": 3},
    "the longer one 10 times": {"longer": 10},
    "plus LSD": {"change": lambda scores, p: scores + latent(p)},
    "LSD alone": {"change": lambda scores, p: latent(p)},
    "times LSD ** (1 / 8)": {"change": lambda scores, p: scores * p.latent ** (1 / 8)},
    "times (distance to the nearest training row) ** (1 / 4)": {
        "change": lambda scores, p: scores * p.nearest ** (1 / 4)
    },
}


def parts_of(entity: Entity, seed: int) -> Parts:
    detector = MEMTODetector(random_state=seed).fit(entity.train)
    train, test = detector.deviations(entity.train), detector.deviations(entity.test)
    neighbor = scaled(NearestRow(random_state=seed), clip=30).fit(entity.train)
    nearest = -neighbor.score_samples(entity.test)
    window = detector.window_size_
    return Parts(train.input, test.input, train.latent, test.latent, nearest, window)


def evaluate(entity: Entity, seed: int) -> Iterator[Record]:
    parts = parts_of(entity, seed)
    for name, parameters in (STEPS | CHANGES).items():
        scores = calibrated(parts, **parameters)
        yield {"criterion": name} | ranking(entity.labels, scores)


def table(records: pd.DataFrame) -> str:
    """One row per criterion: AUROC / average precision in %, mean over entities."""
    cell = "{auroc:.1%} / {average_precision:.1%}"
    cells = pivot(records, "criterion", "set", cell, "{} AUROC / AP")
    rows = [*STEPS, "*changes to the last*", *CHANGES]
    return markdown(cells.reindex(rows), corner="criterion")


def main(argv: Sequence[str] | None = None) -> int:
    return run_entities(__file__, __doc__, SETS, evaluate, table, argv)


if __name__ == "__main__":
    sys.exit(main())
