"""Scores that look back only: ours beside river's, PySAD's and simple baselines.

All learn from the training series and score the rows of the test series in their order,
each row before anything is learned from it. MEMTODetector has `lookahead=0`; 1-NN is
averaged over the last 21 rows; IsolationForest looks at each row alone. Those of river
and PySAD go on learning as they score, as they are meant to, on values scaled to the
range of the training series.

river and PySAD are no dependencies of this project. Where they are installed, in an
environment of its own, the comparison runs:

    python -m venv live-env
    live-env/bin/pip install -c constraints.txt '.[benchmarks]' river pysad
    live-env/bin/python benchmarks/compare_live.py --seeds 0 1 2
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
from _baselines import MovingAverage
from _data import Entity
from _detectors import BASELINES, ranking
from _markdown import markdown, pivot, texts
from _report import CommandLine, Record, each_entity, run
from sklearn.preprocessing import MinMaxScaler

from skmemto import MEMTODetector

OURS = "MEMTODetector, lookahead=0"
# Scores a row, high = anomalous; learns from a row.
Methods = tuple[Callable[[np.ndarray], float], Callable[[np.ndarray], object]]


class Online:
    """A detector of single rows with our methods; `make(seed)` gives its methods."""

    def __init__(self, make: Callable[[int], Methods], seed: int):
        self.make, self.seed = make, seed

    def fit(self, X: np.ndarray) -> None:
        self.scaler = MinMaxScaler(clip=True).fit(X.astype(float))
        self.score_row, self.learn_row = self.make(self.seed)
        for row in self.scaler.transform(X.astype(float)):
            self.learn_row(row)

    def score_samples(self, X: np.ndarray) -> np.ndarray:
        scores = np.empty(len(X))
        for i, row in enumerate(self.scaler.transform(X.astype(float))):
            scores[i] = self.score_row(row)
            self.learn_row(row)
        return -scores


def of_river(seed: int) -> Methods:
    from river.anomaly import HalfSpaceTrees

    trees = HalfSpaceTrees(seed=seed)

    def score(row: np.ndarray) -> float:
        return trees.score_one(dict(enumerate(row)))

    return score, lambda row: trees.learn_one(dict(enumerate(row)))


def of_pysad(name: str, seed: int) -> Methods:
    from pysad import models

    np.random.seed(seed)  # they take no seed of their own
    model = getattr(models, name)()
    return lambda row: float(np.squeeze(model.score_partial(row))), model.fit_partial


DETECTORS: dict[str, Callable[[int], Any]] = {
    OURS: lambda seed: MEMTODetector(lookahead=0, random_state=seed),
    "1-NN-past21": lambda seed: MovingAverage(
        BASELINES["1-NN"](seed), width=21, past_only=True
    ),
    "IsolationForest": BASELINES["IsolationForest"],
    "HalfSpaceTrees (river)": partial(Online, of_river),
    "LODA (PySAD)": partial(Online, partial(of_pysad, "LODA")),
    "xStream (PySAD)": partial(Online, partial(of_pysad, "xStream")),
}


def evaluate(entity: Entity, seed: int, names: Sequence[str]) -> Iterator[Record]:
    for name in names:
        detector = DETECTORS[name](seed)
        start = time.perf_counter()
        detector.fit(entity.train)
        fitted = time.perf_counter()
        anomaly = -detector.score_samples(entity.test)
        seconds = time.perf_counter() - fitted
        yield {
            "detector": name,
            **ranking(entity.labels, np.nan_to_num(anomaly)),
            "fit_seconds": fitted - start,
            "ms_a_row": 1000 * seconds / len(anomaly),
        }


def table(records: pd.DataFrame) -> str:
    """One row per detector: accuracy in % per set, and the time of a row."""
    cells = pivot(records, "detector", "set", "{auroc:.1%} / {average_precision:.1%}")
    time_of = texts(records, ["detector"], {"ms a row": "{ms_a_row.mean:.2f}"})
    return markdown(cells.join(time_of), corner="AUROC / AP, %")


def main(argv: Sequence[str] | None = None) -> int:
    sets = ("asd", "skab", "msl", "smd", "batadal", "nab")
    parser = CommandLine(__file__, __doc__, sets, detectors=DETECTORS)
    args = parser.parse_args(argv)
    _check_installed(args)
    tasks = (
        (where, partial(evaluate, entity, where["seed"], args.detectors))
        for where, entity in each_entity(args)
    )
    return run(args, tasks, table)


def _check_installed(args: argparse.Namespace) -> None:
    for library in ("river", "pysad"):
        if any(library in name.lower() for name in args.detectors):
            try:
                version(library)
            except ImportError:
                install = __doc__.split("runs:\n")[1]
                sys.exit(f"error: {library} is not here.\n{install}")


if __name__ == "__main__":
    sys.exit(main())
