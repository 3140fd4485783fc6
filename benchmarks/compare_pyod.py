"""AnomalyTransformerDetector side by side with PyOD's AnomalyTransformer.

Same width, heads, layers, windows, stride, epochs, batch and learning rate, no
dropout, the same standardized data, one after the other in one process. What differs
is what each does with them: PyOD takes two steps for each batch, has one width of the
prior per head, and scores with the paper's criterion.

PyOD is no dependency of this project. Where it is installed, in an environment of its
own, the comparison runs:

    python -m venv pyod-env
    pyod-env/bin/pip install -c constraints.txt '.[benchmarks]' pyod
    pyod-env/bin/python benchmarks/compare_pyod.py --sets asd
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from _data import Entity
from _detectors import evaluate, ranking
from _markdown import markdown, texts
from _report import CommandLine, Record, each_entity, run
from sklearn.preprocessing import StandardScaler

from skmemto import AnomalyTransformerDetector

SIZE = {"window_size": 50, "d_model": 64, "n_heads": 4, "n_layers": 3, "batch_size": 32}
OURS, PAPERS, PYOD = "skmemto", 'skmemto, criterion "softmax"', "PyOD"


def load_pyod() -> tuple[type, str]:
    """PyOD's class, and its version."""
    try:
        import pyod
        from pyod.models.ts_anomaly_transformer import AnomalyTransformer
    except ImportError as error:
        install = __doc__.split("runs:\n")[1]
        sys.exit(f"error: PyOD's AnomalyTransformer is not here ({error}).\n{install}")
    return AnomalyTransformer, pyod.__version__


class PyOD:
    """PyOD's detector with our methods and standardized data, as ours has them."""

    def __init__(self, detector: Any, seed: int):
        self.detector, self.seed = detector, seed

    def fit(self, X: np.ndarray) -> None:
        torch.manual_seed(self.seed)  # it takes no seed of its own
        self.scaler = StandardScaler().fit(X.astype(float))
        self.detector.fit(self.scaler.transform(X.astype(float)))

    def score_samples(self, X: np.ndarray) -> np.ndarray:
        return -self.detector.decision_function(self.scaler.transform(X.astype(float)))


def compare(
    entity: Entity, seed: int, pyod: tuple[type, str], args: argparse.Namespace
) -> Iterator[Record]:
    ours = AnomalyTransformerDetector(
        **SIZE,
        stride=args.stride,
        score_stride=args.stride,
        max_iter=args.epochs,
        learning_rate=args.learning_rate,
        device="cpu",
        random_state=seed,
    )
    yield {"detector": OURS} | evaluate(entity, ours)
    ours.set_params(criterion="softmax").calibrate(entity.train)
    softmax = -ours.score_samples(entity.test)
    yield {"detector": PAPERS} | ranking(entity.labels, softmax)
    pyod_class, version = pyod
    theirs = pyod_class(
        **SIZE,
        step=args.stride,
        epochs=args.epochs,
        lr=args.learning_rate,
        dropout=0.0,
        device="cpu",
    )
    figures = evaluate(entity, PyOD(theirs, seed))
    yield {"detector": PYOD, "version": version} | figures


def table(records: pd.DataFrame) -> str:
    """One row per detector, and one for how many times longer PyOD takes."""
    cells = {"AUROC": "{auroc:.1%}", "AP": "{average_precision:.1%}"}
    shown = texts(records, ["detector"], cells)
    # The second criterion's scores come from the model of the first: no seconds.
    seconds = records.groupby("detector")[["fit_seconds", "score_seconds"]].sum()
    seconds = seconds.reindex([OURS, PYOD]).set_axis(["fit s", "score s"], axis=1)
    ratio = f"{PYOD} / {OURS}"
    seconds.loc[ratio] = seconds.loc[PYOD] / seconds.loc[OURS]
    shown = shown.reindex([*shown.index, ratio]).join(seconds.map("{:.1f}".format))
    return markdown(shown, corner="")


def main(argv: Sequence[str] | None = None) -> int:
    parser = CommandLine(__file__, __doc__, sets=("asd",))
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--stride", type=int, default=10)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    args = parser.parse_args(argv)
    pyod = load_pyod()
    tasks = (
        (where, partial(compare, entity, where["seed"], pyod, args))
        for where, entity in each_entity(args)
    )
    return run(args, tasks, table)


if __name__ == "__main__":
    sys.exit(main())
