"""AnomalyTransformerDetector side by side with PyOD's AnomalyTransformer.

Same width, heads, layers, windows, stride, epochs, batch and learning rate, no
dropout, the same standardized data, one after the other in one process. What differs
is what each does with them: PyOD takes two steps for each batch, has one width of the
prior per head, and scores with the paper's criterion.

PyOD is no dependency of this project. Where it is installed, in an environment of its
own, the comparison runs:

    python -m venv pyod-env
    pyod-env/bin/pip install -c constraints.txt . pyod
    pyod-env/bin/python benchmarks/compare_pyod.py --sets asd
"""

import argparse
import shlex
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from _data import DEFAULT_FOLDER, Entity, load_entities
from _report import environment, markdown_table, save
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.preprocessing import StandardScaler

from skmemto import AnomalyTransformerDetector

SIZE = {"window_size": 50, "d_model": 64, "n_heads": 4, "n_layers": 3, "batch_size": 32}
OURS, PAPERS, PYOD = "skmemto", 'skmemto, criterion "softmax"', "PyOD"


def load_pyod() -> ModuleType:
    try:
        from pyod.models import ts_anomaly_transformer
    except ImportError as error:
        install = __doc__.split("runs:\n")[1]
        sys.exit(f"error: PyOD's AnomalyTransformer is not here ({error}).\n{install}")
    return ts_anomaly_transformer


def run_ours(entity: Entity, args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    detector = AnomalyTransformerDetector(
        **SIZE,
        stride=args.stride,
        score_stride=args.stride,
        max_iter=args.epochs,
        learning_rate=args.learning_rate,
        device="cpu",
        random_state=args.seed,
    )
    start = time.perf_counter()
    detector.fit(entity.train)
    fitted = time.perf_counter()
    scores = -detector.score_samples(entity.test)
    scored = time.perf_counter()
    seconds = {"fit_seconds": fitted - start, "score_seconds": scored - fitted}
    detector.set_params(criterion="softmax")
    return {
        OURS: accuracy(entity, scores) | seconds,
        PAPERS: accuracy(entity, -detector.score_samples(entity.test)),
    }


def run_pyod(
    module: ModuleType, entity: Entity, args: argparse.Namespace
) -> dict[str, dict[str, Any]]:
    import torch

    torch.manual_seed(args.seed)  # it takes no seed of its own
    train, test = entity.train.astype(float), entity.test.astype(float)
    scaler = StandardScaler().fit(train)
    train, test = scaler.transform(train), scaler.transform(test)
    detector = module.AnomalyTransformer(
        **SIZE,
        step=args.stride,
        epochs=args.epochs,
        lr=args.learning_rate,
        dropout=0.0,
        device="cpu",
    )
    start = time.perf_counter()
    detector.fit(train)
    fitted = time.perf_counter()
    scores = detector.decision_function(test)
    scored = time.perf_counter()
    seconds = {"fit_seconds": fitted - start, "score_seconds": scored - fitted}
    return {PYOD: accuracy(entity, scores) | seconds}


def accuracy(entity: Entity, anomaly: np.ndarray) -> dict[str, float]:
    return {
        "auroc": float(roc_auc_score(entity.labels, anomaly)),
        "average_precision": float(average_precision_score(entity.labels, anomaly)),
    }


def summarize(records: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Mean accuracy and total seconds of each, and the ratio of the seconds."""
    summary = {}
    for name in (OURS, PAPERS, PYOD):
        group = [r for r in records if r["detector"] == name]
        summary[name] = {
            key: float((np.sum if key.endswith("seconds") else np.mean)(values))
            for key in ("auroc", "average_precision", "fit_seconds", "score_seconds")
            if (values := [r[key] for r in group if key in r])
        }
    summary["PyOD / skmemto"] = {
        key: summary[PYOD][key] / summary[OURS][key]
        for key in ("fit_seconds", "score_seconds")
    }
    return summary


def markdown(report: dict[str, Any]) -> str:
    """One row per detector, and one for how many times longer PyOD takes."""
    rows = []
    for name, figures in report["summary"].items():
        shown = {key: f"{value:.1f}" for key, value in figures.items()}
        for key in ("auroc", "average_precision"):
            if key in figures:
                shown[key] = f"{100 * figures[key]:.1f}"
        keys = ("auroc", "average_precision", "fit_seconds", "score_seconds")
        rows.append([name, *(shown.get(key, "") for key in keys)])
    table = markdown_table(["", "AUROC", "AP", "fit s", "score s"], rows)
    return f"{table}\n\n- Command: `{report['command']}`\n"


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default=DEFAULT_FOLDER)
    parser.add_argument("--sets", nargs="+", default=["asd"])
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--stride", type=int, default=10)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", help="stored as benchmarks/results/OUT.json and .md")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    module = load_pyod()
    import pyod

    arguments = sys.argv[1:] if argv is None else argv
    report = {
        "command": shlex.join(["python", "benchmarks/compare_pyod.py", *arguments]),
        "environment": environment() | {"pyod": pyod.__version__},
        "size": SIZE,
        "results": [],
    }
    for name in args.sets:
        try:
            entities = load_entities(name, args.data)
        except FileNotFoundError as error:
            sys.exit(f"error: {error}")
        for entity in entities:
            if len(np.unique(entity.labels)) < 2:
                continue
            print(f"{name}: {entity.name}", file=sys.stderr, flush=True)
            figures = run_ours(entity, args) | run_pyod(module, entity, args)
            report["results"] += [
                {"set": name, "entity": entity.name, "detector": detector, **values}
                for detector, values in figures.items()
            ]
            report["summary"] = summarize(report["results"])
            save(report, markdown(report), args.out or "pyod")
    print(markdown(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
