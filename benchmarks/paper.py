"""The papers' protocol: point-adjusted F1, beside what random scores get under it.

All entities pooled into one series, windows of 100 without overlap, the last 20 % of
the training rows held out for early stopping, criterion "softmax", threshold at the
top p % of the training and validation scores. The test set is used for nothing but
the figures.

    python benchmarks/paper.py --sets msl --seeds 0 1 2 3 4 5 6 7 8 9
    python benchmarks/paper.py --detector anomaly-transformer
"""

import argparse
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from _data import DEFAULT_FOLDER, load_entities
from _report import environment, markdown_table, mean_and_sd, save
from sklearn.base import BaseEstimator, clone
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from skmemto import AnomalyTransformerDetector, MEMTODetector
from skmemto.metrics import point_adjusted_precision_recall_fscore

# Share of the training and validation scores above the threshold, in %.
PERCENT = {"smd": 0.5, "swat": 0.1}
OTHER_PERCENT = 1.0
N_RANDOM_DRAWS = 20

PROTOCOL = {
    "window_size": 100,
    "stride": 100,
    "criterion": "softmax",
    "early_stopping": True,
    "validation_fraction": 0.2,
    "n_iter_no_change": 10,
    "noise": 0.0,
}
DETECTORS = {
    "memto": MEMTODetector,
    "anomaly-transformer": AnomalyTransformerDetector,
}
PAPER_SIZE = {
    "d_model": 512,
    "n_heads": 8,
    "dim_feedforward": 512,
    "learning_rate": 1e-4,  # MEMTO's last phase takes half of it, as in the paper
}
SIZES: dict[str, dict[str, dict[str, Any]]] = {
    "memto": {
        # Rate and epochs were chosen on msl, by PA F1. The temperature divides sums of
        # d_model numbers: at 64 an eighth of the paper's is as sharp as that at 512.
        "default": {
            "batch_size": 32,
            "max_iter": 10,
            "learning_rate": 3e-4,
            "temperature": 0.1 * 64 / 512,
        },
        "paper": PAPER_SIZE | {"batch_size": 256, "max_iter": 100},
    },
    "anomaly-transformer": {
        "default": {"batch_size": 32, "max_iter": 30},
        "paper": PAPER_SIZE | {"batch_size": 32, "max_iter": 10},
    },
}
FIGURES = {
    "pa_precision": "PA precision",
    "pa_recall": "PA recall",
    "pa_f1": "PA F1",
    "random_pa_f1": "PA F1 of random scores",
    "f1": "F1",
    "auroc": "AUROC",
    "average_precision": "AP",
    "random_average_precision": "AP of random scores",
    "fit_seconds": "fit s",
    "n_iter": "epochs",
}


def pooled(name: str, folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All entities of a set as one series, as the papers have it."""
    entities = load_entities(name, folder)
    train, test, labels = (
        np.concatenate([getattr(entity, part) for entity in entities])
        for part in ("train", "test", "labels")
    )
    return train, test, labels


def evaluate(
    name: str, folder: Path, detector: BaseEstimator, seed: int
) -> dict[str, float]:
    train, test, labels = pooled(name, folder)
    detector = clone(detector).set_params(random_state=seed)
    start = time.perf_counter()
    detector.fit(train)
    fit_seconds = time.perf_counter() - start
    scores = -detector.score_samples(test)
    flagged = flags(name, -detector.score_samples(train), scores)
    precision, recall, f1 = point_adjusted_precision_recall_fscore(labels, flagged)
    return {
        "pa_precision": precision,
        "pa_recall": recall,
        "pa_f1": f1,
        "random_pa_f1": random_pa_f1(labels, flagged.mean(), seed),
        "f1": f1_score(labels, flagged),
        "auroc": roc_auc_score(labels, scores),
        "average_precision": average_precision_score(labels, scores),
        "random_average_precision": labels.mean(),
        "flagged_percent": 100 * flagged.mean(),
        "fit_seconds": fit_seconds,
        "n_iter": detector.n_iter_,
    }


def flags(name: str, train_scores: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """1 where a score is above the threshold that the training scores of a set give."""
    percent = PERCENT.get(name, OTHER_PERCENT)
    return (scores > np.percentile(train_scores, 100 - percent)).astype(int)


def random_pa_f1(labels: np.ndarray, share: float, seed: int) -> float:
    """Mean point-adjusted F1 of flags drawn at random at the same rate."""
    rng = np.random.default_rng(seed)
    draws = [
        point_adjusted_precision_recall_fscore(
            labels, (rng.random(len(labels)) < share).astype(int)
        )[2]
        for _ in range(N_RANDOM_DRAWS)
    ]
    return float(np.mean(draws))


def markdown(report: dict[str, Any]) -> str:
    """One row per set: mean and, over several seeds, standard deviation."""
    rows = []
    for name in dict.fromkeys(r["set"] for r in report["results"]):
        group = [r for r in report["results"] if r["set"] == name]
        row = [name, str(len(group))]
        for figure in FIGURES:
            unit = 1 if figure in ("fit_seconds", "n_iter") else 100
            row.append(mean_and_sd([unit * r[figure] for r in group]))
        rows.append(row)
    table = markdown_table(["set", "seeds", *FIGURES.values()], rows)
    return f"{table}\n\n- Command: `{report['command']}`\n"


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default=DEFAULT_FOLDER)
    parser.add_argument("--sets", nargs="+", default=["msl"])
    parser.add_argument("--detector", choices=DETECTORS, default="memto")
    parser.add_argument("--size", choices=["default", "paper"], default="default")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--max-iter", type=int, help="epochs of each phase at most")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--out", help="stored as benchmarks/results/OUT.json and .md")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    parameters = PROTOCOL | SIZES[args.detector][args.size] | {"verbose": args.verbose}
    if args.max_iter is not None:
        parameters["max_iter"] = args.max_iter
    detector = DETECTORS[args.detector](**parameters)
    out = args.out or f"paper-{args.detector}-{args.size}"
    arguments = sys.argv[1:] if argv is None else argv
    report = {
        "command": shlex.join(["python", "benchmarks/paper.py", *arguments]),
        "environment": environment(),
        "detector": repr(detector),
        "results": [],
    }
    for name in args.sets:
        for seed in args.seeds:
            print(f"{name}: seed {seed}", file=sys.stderr, flush=True)
            try:
                figures = evaluate(name, args.data, detector, seed)
            except FileNotFoundError as error:
                sys.exit(f"error: {error}")
            figures = {key: float(value) for key, value in figures.items()}
            report["results"].append({"set": name, "seed": seed, **figures})
            save(report, markdown(report), out)
    print(markdown(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
