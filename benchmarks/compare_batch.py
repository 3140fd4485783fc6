"""Beside what a user would pick instead: seconds and accuracy on a few series.

scikit-learn's IsolationForest, LocalOutlierFactor and OneClassSVM, PyOD's AutoEncoder
and stumpy's multidimensional matrix profile, on one server of asd and one machine of
smd, all at their defaults on standardized rows. The matrix profile (`mstump`) takes
windows of 50 rows of training and test series together, and of it the distances in
half of the channels, fixed beforehand.

PyOD and stumpy are no dependencies of this project. Where they are installed, in an
environment of its own, the comparison runs:

    python -m venv pyod-env
    pyod-env/bin/pip install -c constraints.txt torch '.[benchmarks]' pyod stumpy tqdm
    pyod-env/bin/python benchmarks/compare_batch.py --entities omi-1 machine-2-1
"""

import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Self

import numpy as np
import pandas as pd
from _data import Entity
from _detectors import ranking
from _markdown import markdown, pivot
from _report import CommandLine, Record, load_sets, run
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from skmemto import AnomalyTransformerDetector, MEMTODetector

WINDOW = 50
CELL = "{auroc:.1%} / {average_precision:.1%} / {fit_seconds:.1f} / {score_seconds:.2f}"


class AutoEncoder:
    """PyOD's, whose scores are high where something is wrong."""

    def __init__(self, seed: int):
        from pyod.models.auto_encoder import AutoEncoder as Theirs

        self.model = Theirs(random_state=seed, device="cpu", verbose=0)

    def fit(self, X: np.ndarray) -> Self:
        self.model.fit(X)
        return self

    def score_samples(self, X: np.ndarray) -> np.ndarray:
        return -self.model.decision_function(X)


class MatrixProfile:
    """How far each window is from its nearest neighbour, in half of the channels."""

    def fit(self, X: np.ndarray) -> Self:
        self.train = X.astype(np.float64)
        return self

    def score_samples(self, X: np.ndarray) -> np.ndarray:
        from stumpy import mstump

        both = np.concatenate([self.train, X.astype(np.float64)])
        # A constant stretch has no shape to compare.
        both += 1e-6 * np.random.default_rng(0).standard_normal(both.shape)
        profile, _ = mstump(both.T, WINDOW)
        of_windows = profile[both.shape[1] // 2 - 1]
        # A row has the mean of the windows that hold it.
        total = np.convolve(of_windows, np.ones(WINDOW))
        count = np.convolve(np.ones(len(of_windows)), np.ones(WINDOW))
        return -(total / count)[len(self.train) :]


DETECTORS: dict[str, Callable[[int], Any]] = {
    "MEMTODetector": lambda seed: MEMTODetector(random_state=seed),
    "AnomalyTransformerDetector": lambda seed: AnomalyTransformerDetector(
        random_state=seed
    ),
    "IsolationForest": lambda seed: IsolationForest(random_state=seed),
    "LocalOutlierFactor": lambda seed: LocalOutlierFactor(novelty=True),
    "OneClassSVM": lambda seed: OneClassSVM(),
    "PyOD's AutoEncoder": AutoEncoder,
    "stumpy's mstump": lambda seed: MatrixProfile(),
}


def evaluate(entity: Entity, make: Callable[[int], Any], seed: int) -> Record:
    scaler = StandardScaler().fit(entity.train)
    train, test = (scaler.transform(X) for X in (entity.train, entity.test))
    start = time.perf_counter()
    detector = make(seed).fit(train)
    fitted = time.perf_counter()
    anomaly = -detector.score_samples(test)
    seconds = {
        "fit_seconds": fitted - start,
        "score_seconds": time.perf_counter() - fitted,
    }
    return ranking(entity.labels, anomaly) | seconds


def table(records: pd.DataFrame) -> str:
    """One row per detector, one column per series."""
    cells = pivot(records, "detector", "series", CELL)
    return markdown(cells, corner="AUROC / AP, % / fit s / score s")


def main(argv: Sequence[str] | None = None) -> int:
    parser = CommandLine(__file__, __doc__, ("asd", "smd"), detectors=DETECTORS)
    parser.add_argument(
        "--entities", nargs="+", help="by default the first of each set"
    )
    args = parser.parse_args(argv)
    chosen = [
        (set_name, entity)
        for set_name, entities in load_sets(args).items()
        for i, entity in enumerate(entities)
        if (entity.name in args.entities if args.entities else i == 0)
    ]
    tasks = (
        (
            {"detector": name, "series": f"{set_name}, {entity.name}", "seed": seed},
            partial(evaluate, entity, DETECTORS[name], seed),
        )
        for name in args.detectors
        for set_name, entity in chosen
        for seed in args.seeds
    )
    return run(args, tasks, table)


if __name__ == "__main__":
    sys.exit(main())
