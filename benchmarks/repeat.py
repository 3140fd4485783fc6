"""What repeats, and what does not: the same fit again, on two threads, of float32.

Each fit runs in a process of its own, on made-up waves. Weights are compared after each
phase and step of the fit, by the norm of their difference in units of their own norm.

    python benchmarks/repeat.py
"""

import multiprocessing
import sys
import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from _markdown import markdown, texts
from _report import CommandLine, Record, run

from skmemto import AnomalyTransformerDetector, MEMTODetector
from skmemto.datasets import make_anomalous_series

DETECTORS = {cls.__name__: cls for cls in (MEMTODetector, AnomalyTransformerDetector)}
FITS: dict[str, dict[str, Any]] = {
    "again": {},
    "on two threads": {"n_threads": 2},
    "of values rounded to float32": {"dtype": "float32"},
}
CELLS = {
    "weights, first epoch": "{weights_first:.1e}",
    "weights, at the end": "{weights_end:.1e}",
    "scores, median": "{scores:.1e}",
    "labels that differ, %": "{labels:.2%}",
}


class Weights:
    """Keeps the weights after the first epoch."""

    def setup(self, estimator: Any, context: Any) -> None:
        self.first: np.ndarray | None = None

    def teardown(self, estimator: Any, context: Any) -> None:
        pass

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        pass

    def on_fit_task_end(
        self, estimator: Any, context: Any, *, fitted_estimator: Any = None
    ) -> None:
        if self.first is None and context.task_name == "epoch 1":
            self.first = flat(fitted_estimator.model_)


def flat(network: torch.nn.Module) -> np.ndarray:
    tensors = network.state_dict().values()
    return np.concatenate([t.numpy().ravel() for t in tensors]).astype(np.float64)


def fit(
    name: str, n_rows: int, seed: int, *, n_threads: int = 1, dtype: str = "float64"
) -> tuple[np.ndarray, ...]:
    """Fit in this process: weights twice, scores and labels of rows not seen."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(n_threads)
    data = make_anomalous_series(
        n_train=n_rows, n_test=3000, n_features=6, n_events=5, random_state=seed
    )
    weights = Weights()
    X = data.X_train.astype(dtype)
    detector = DETECTORS[name](random_state=seed).set_callbacks(weights).fit(X)
    scores = detector.score_samples(data.X_test)
    assert weights.first is not None
    return weights.first, flat(detector.model_), scores, detector.predict(data.X_test)


def evaluate(name: str, n_rows: int, seeds: Sequence[int]) -> Iterator[Record]:
    context = multiprocessing.get_context("spawn")
    for seed in seeds:
        with context.Pool(1, maxtasksperchild=1) as pool:
            # One after the other: each has the machine for itself.
            first = pool.apply(fit, (name, n_rows, seed))
            for label, options in FITS.items():
                found = pool.apply(fit, (name, n_rows, seed), options)
                yield {"fit": label, "seed": seed} | differences(first, found)


def differences(
    one: tuple[np.ndarray, ...], other: tuple[np.ndarray, ...]
) -> dict[str, float]:
    first, end, scores, labels = zip(one, other, strict=True)
    moved = np.abs(scores[1] - scores[0]) / np.maximum(np.abs(scores[0]), 0.1)
    differ = float((labels[0] != labels[1]).mean())
    return {
        "weights_first": float(
            np.linalg.norm(first[1] - first[0]) / np.linalg.norm(first[0])
        ),
        "weights_end": float(np.linalg.norm(end[1] - end[0]) / np.linalg.norm(end[0])),
        "scores": float(np.median(moved)),
        "labels": differ,
    }


def table(records: pd.DataFrame) -> str:
    """One row per fit and length: means over the seeds."""
    return markdown(texts(records, ["detector", "rows", "fit"], CELLS))


def main(argv: Sequence[str] | None = None) -> int:
    parser = CommandLine(__file__, __doc__)
    parser.add_argument("--rows", nargs="+", type=int, default=[1000, 3000, 10_000])
    parser.set_defaults(seeds=[0, 1, 2])
    args = parser.parse_args(argv)
    tasks = (
        ({"detector": name, "rows": n}, partial(evaluate, name, n, args.seeds))
        for name in DETECTORS
        for n in args.rows
    )
    return run(args, tasks, table)


if __name__ == "__main__":
    sys.exit(main())
