"""Accuracy of the detectors and of simple baselines on labelled data.

Each detector is fitted on each entity's training series and scores its test series;
AUROC and average precision (1 = anomalous) are averaged over the entities of a set.

    python benchmarks/accuracy.py --sets asd skab --detectors MEMTODetector PCA --quick
"""

import argparse
import ast
import shlex
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from _baselines import (
    MovingAverage,
    NearestRow,
    PCAError,
    RandomScores,
    WindowKMeans,
    scaled,
)
from _data import DEFAULT_FOLDER, Entity, load_entities
from _report import environment, markdown_table, save
from sklearn.base import BaseEstimator
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score

from skmemto import AnomalyTransformerDetector, MEMTODetector
from skmemto.metrics import vus_pr

FIGURES = ("auroc", "average_precision", "vus_pr", "fit_seconds", "score_seconds")

# Name -> factory(seed). One without a `random_state` in its parameters runs once.
DETECTORS: dict[str, Callable[[int], BaseEstimator]] = {
    "Random": lambda seed: RandomScores(random_state=seed),
    "PCA": lambda seed: scaled(PCAError(), clip=30),
    "IsolationForest": lambda seed: IsolationForest(random_state=seed),
    "1-NN": lambda seed: scaled(NearestRow(random_state=seed), clip=30),
    "1-NN-ma21": lambda seed: MovingAverage(
        scaled(NearestRow(random_state=seed), clip=30), width=21
    ),
    "1-NN-all": lambda seed: scaled(NearestRow(n_rows=None), clip=30),
    "1-NN-all-ma21": lambda seed: MovingAverage(
        scaled(NearestRow(n_rows=None), clip=30), width=21
    ),
    "KMeans40": lambda seed: scaled(WindowKMeans(random_state=seed), clip=10),
    "MEMTODetector-softmax": lambda seed: MEMTODetector(
        criterion="softmax", random_state=seed
    ),
    "MEMTODetector": lambda seed: MEMTODetector(random_state=seed),
    "AnomalyTransformer-softmax": lambda seed: AnomalyTransformerDetector(
        criterion="softmax", random_state=seed
    ),
    "AnomalyTransformer": lambda seed: AnomalyTransformerDetector(random_state=seed),
}
OURS = ("MEMTO", "AnomalyTransformer")
BASELINES = [name for name in DETECTORS if not name.startswith(OURS)]


def build(name: str, seed: int, params: dict[str, Any]) -> BaseEstimator:
    """The detector of that name, with those of `params` that it has."""
    detector = DETECTORS[name](seed)
    known = detector.get_params()
    return detector.set_params(**{k: v for k, v in params.items() if k in known})


def seeds_for(name: str, seeds: list[int]) -> list[int]:
    """All seeds for a detector that draws random numbers, else one."""
    seeded = any(
        key.split("__")[-1] == "random_state" and value is not None
        for key, value in DETECTORS[name](0).get_params().items()
    )
    return seeds if seeded else seeds[:1]


def evaluate(detector: BaseEstimator, entity: Entity) -> dict[str, float]:
    start = time.perf_counter()
    detector.fit(entity.train)
    fitted = time.perf_counter()
    anomaly = -detector.score_samples(entity.test)
    scored = time.perf_counter()
    return {
        "auroc": float(roc_auc_score(entity.labels, anomaly)),
        "average_precision": float(average_precision_score(entity.labels, anomaly)),
        "vus_pr": vus_pr(entity.labels, anomaly),
        "fit_seconds": fitted - start,
        "score_seconds": scored - fitted,
    }


def evaluate_set(
    name: str, set_name: str, entities: list[Entity], args: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """One record per seed and entity; a failure is a record too."""
    for seed in seeds_for(name, args.seeds):
        for entity in entities:
            record = {
                "detector": name,
                "set": set_name,
                "entity": entity.name,
                "seed": seed,
            }
            try:
                record |= evaluate(build(name, seed, args.set_param), entity)
            except Exception as error:  # One detector must not cost the others.
                traceback.print_exc()
                record["error"] = f"{type(error).__name__}: {error}"
            yield record


def summarize(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Per detector and set: mean over entities, then mean and sd over seeds.

    Seconds are summed over the entities.
    """
    summary = []
    for name, set_name in dict.fromkeys((r["detector"], r["set"]) for r in records):
        group = [r for r in records if (r["detector"], r["set"]) == (name, set_name)]
        row = {"detector": name, "set": set_name}
        row["n_failed"] = sum("error" in r for r in group)
        row["n_seeds"] = len({r["seed"] for r in group})
        row["n_entities"] = len({r["entity"] for r in group})
        summary.append(row)
        if row["n_failed"]:
            continue  # A mean over other entities than its neighbours' would mislead.
        for figure in FIGURES:
            values = np.reshape([r[figure] for r in group], (row["n_seeds"], -1))
            collect = values.sum if figure.endswith("seconds") else values.mean
            per_seed = collect(axis=1)
            row[figure] = float(per_seed.mean())
            row[f"{figure}_sd"] = (
                float(per_seed.std(ddof=1)) if len(per_seed) > 1 else None
            )
    return summary


def markdown(report: dict[str, Any]) -> str:
    """One row per detector: accuracy in % per set, and seconds."""
    cells = {(row["detector"], row["set"]): row for row in report["means"]}
    names = list(dict.fromkeys(name for name, _ in cells))
    sets = list(dict.fromkeys(set_name for _, set_name in cells))
    header = ["detector", *(f"{s} AUROC / AP / VUS-PR" for s in sets)]
    header += ["fit s", "score s"]
    lines = []
    for name in names:
        rows = [cells.get((name, s)) for s in sets]
        # Seconds are a sum: without one of the sets there is none to show.
        whole = all(row and "auroc" in row for row in rows)
        seconds = [
            f"{sum(row[key] for row in rows):.1f}" if whole else ""
            for key in ("fit_seconds", "score_seconds")
        ]
        lines.append([name, *map(_cell, rows), *seconds])
    lines += _ratios(cells, sets, len(header))
    table = markdown_table(header, lines)
    notes = [f"- {note}" for note in report["notes"]]
    return "\n".join([table, "", *notes, f"- Command: `{report['command']}`", ""])


def _ratios(
    cells: dict[tuple[str, str], dict[str, Any]], sets: list[str], width: int
) -> list[list[str]]:
    """Average precision of MEMTODetector by that of the best baseline, per set."""
    line = ["AP of MEMTODetector by the best baseline's"]
    for set_name in sets:
        ap = {
            name: row["average_precision"]
            for (name, s), row in cells.items()
            if s == set_name and "average_precision" in row
        }
        others = {name: value for name, value in ap.items() if name in BASELINES}
        if not others or "MEMTODetector" not in ap:
            return []
        best = max(others, key=others.get)
        line.append(f"{ap['MEMTODetector'] / others[best]:.2f} ({best})")
    return [line + [""] * (width - len(line))]


def _cell(row: dict[str, Any] | None) -> str:
    if row is None:
        return ""
    if row["n_failed"]:
        return f"failed ({row['n_failed']})"
    return " / ".join(
        f"{100 * row[figure]:.1f}"
        + (f" ± {100 * row[f'{figure}_sd']:.1f}" if row["n_seeds"] > 1 else "")
        for figure in ("auroc", "average_precision", "vus_pr")
    )


def load(args: argparse.Namespace) -> tuple[dict[str, list[Entity]], list[str]]:
    """Entities that can be judged, per set, and notes on what is left out."""
    sets, notes = {}, []
    if args.quick:
        notes.append("PARTIAL (--quick): 2 entities of each set, one seed.")
    for set_name in args.sets:
        entities = load_entities(set_name, args.data)
        judged = [e for e in entities if len(np.unique(e.labels)) == 2]
        notes += [
            f"{set_name} {e.name}: skipped, its test labels are all the same."
            for e in entities
            if len(np.unique(e.labels)) < 2
        ]
        sets[set_name] = judged[:2] if args.quick else judged
    return sets, notes


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default=DEFAULT_FOLDER)
    parser.add_argument("--sets", nargs="+", help="default: asd skab msl smd")
    parser.add_argument(
        "--detectors", nargs="+", choices=DETECTORS, default=list(DETECTORS)
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument(
        "--quick", action="store_true", help="2 entities a set, 1 seed, asd and skab"
    )
    parser.add_argument("--out", help="stored as benchmarks/results/OUT.json and .md")
    parser.add_argument(
        "--set-param",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="for every chosen detector that has the parameter",
    )
    args = parser.parse_args(argv)
    args.sets = args.sets or ["asd", "skab", *([] if args.quick else ["msl", "smd"])]
    args.seeds = args.seeds[:1] if args.quick else args.seeds
    args.out = args.out or ("quick" if args.quick else "accuracy")
    try:
        args.set_param = dict(map(_key_value, args.set_param))
    except ValueError as error:
        parser.error(str(error))
    known = set().union(*(DETECTORS[name](0).get_params() for name in args.detectors))
    if unknown := args.set_param.keys() - known:
        parser.error(f"no chosen detector has the parameter {sorted(unknown)}")
    return args


def _key_value(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--set-param needs KEY=VALUE, got {text!r}")
    try:
        return key, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return key, value  # A plain word, e.g. criterion=softmax.


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    try:
        sets, notes = load(args)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f"error: {error}")
    arguments = sys.argv[1:] if argv is None else argv
    report = {
        "command": shlex.join(["python", "benchmarks/accuracy.py", *arguments]),
        "partial": args.quick,
        "notes": notes,
        "environment": environment(),
        "detectors": {n: repr(build(n, 0, args.set_param)) for n in args.detectors},
        "means": [],
        "results": [],
    }
    # After each detector on each set, so that a stopped run keeps what it has.
    for set_name, entities in sets.items():
        for name in args.detectors:
            print(f"{set_name}: {name}", file=sys.stderr, flush=True)
            report["results"] += evaluate_set(name, set_name, entities, args)
            report["means"] = summarize(report["results"])
            save(report, markdown(report), args.out)
    print(markdown(report))
    return int(any("error" in record for record in report["results"]))


if __name__ == "__main__":
    sys.exit(main())
