"""What missing readings cost: average precision with a share of them removed.

Readings are removed at random, each on its own, from training and test series alike
("both"), or from the test series alone, scored by the model of the complete training
series ("test").

    python benchmarks/missing.py --seeds 0 1 2
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from _data import Entity
from _report import markdown_table, mean_and_sd, run_per_entity
from sklearn.metrics import average_precision_score

from skmemto import MEMTODetector

SETS = ("asd",)
SHARES = (0.1, 0.2, 0.5)


def evaluate(entity: Entity, seed: int, path: Path) -> Iterator[dict[str, Any]]:
    """Yield the average precision for each share removed."""
    if len(np.unique(entity.labels)) < 2:
        return
    rng = np.random.default_rng(seed)
    complete = MEMTODetector(random_state=seed).fit(entity.train)
    yield record("both", 0.0, complete, entity.test, entity)
    for share in SHARES:
        train, test = (without(X, share, rng) for X in (entity.train, entity.test))
        yield record("test", share, complete, test, entity)
        model = MEMTODetector(random_state=seed).fit(train)
        yield record("both", share, model, test, entity)


def without(X: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    return np.where(rng.random(X.shape) < share, np.nan, X)


def record(
    where: str, share: float, model: MEMTODetector, test: np.ndarray, entity: Entity
) -> dict[str, Any]:
    scores = -model.score_samples(test)
    ap = float(average_precision_score(entity.labels, scores))
    return {"removed_from": where, "share": share, "average_precision": ap}


def markdown(report: dict[str, Any]) -> str:
    """One row per set and share: AP in %, and as a share of the complete one."""
    records = report["results"]
    rows = []
    for name in dict.fromkeys(r["set"] for r in records):
        complete = np.mean(per_seed(records, name, "both", 0.0))
        rows.append([name, "0", "", *cells(records, name, "both", 0.0, complete)])
        for where in ("both", "test"):
            for share in SHARES:
                figures = cells(records, name, where, share, complete)
                rows.append([name, f"{100 * share:.0f}", where, *figures])
    header = ["set", "removed, %", "from", "AP, %", "of the complete one"]
    return f"{markdown_table(header, rows)}\n\n- Command: `{report['command']}`\n"


def cells(
    records: list[dict[str, Any]], name: str, where: str, share: float, complete: float
) -> list[str]:
    values = per_seed(records, name, where, share)
    return [mean_and_sd(100 * values, 1), f"{values.mean() / complete:.2f}"]


def per_seed(
    records: list[dict[str, Any]], name: str, where: str, share: float
) -> np.ndarray:
    """Mean over the entities, for each seed."""
    kept = [
        r
        for r in records
        if (r["set"], r["removed_from"], r["share"]) == (name, where, share)
    ]
    seeds = dict.fromkeys(r["seed"] for r in kept)
    return np.array(
        [
            np.mean([r["average_precision"] for r in kept if r["seed"] == seed])
            for seed in seeds
        ]
    )


def main(argv: list[str] | None = None) -> int:
    summary = __doc__.partition("\n")[0]
    return run_per_entity("missing", summary, evaluate, markdown, SETS, argv)


if __name__ == "__main__":
    sys.exit(main())
