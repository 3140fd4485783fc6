"""What `side_by_side.py` measures, in a process that sees one version of the project.

Prints the figures of one task as JSON. Seconds are of the processor, which others that
wait for it do not lengthen.
"""

import json
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np
from _data import load_entities
from sklearn.metrics import average_precision_score

from skmemto import MEMTODetector, PerGroupDetector

N_CALLS = 30  # of few rows; the fastest counts


def seconds(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def entity(data: str, set: str, entity: str) -> dict[str, float]:
    """Fit, score, and 50 rows at once, of one entity."""
    found = next(e for e in load_entities(set, data) if e.name == entity)
    detector = MEMTODetector(device="cpu", random_state=0)
    fit = seconds(lambda: detector.fit(found.train))
    scores: list[np.ndarray] = []
    score = seconds(lambda: scores.append(-detector.score_samples(found.test)))
    few = [
        seconds(lambda: detector.score_samples(found.test[:50])) for _ in range(N_CALLS)
    ]
    return {
        "fit_seconds": fit,
        "score_seconds": score,
        "few_rows_seconds": min(few),
        "average_precision": average_precision_score(found.labels, scores[0]),
    }


def long(rows: int, features: int) -> dict[str, float]:
    """One long history, of sines and noise."""
    X = waves(rows, features, np.random.default_rng(0))
    detector = MEMTODetector(device="cpu", random_state=0)
    fit = seconds(lambda: detector.fit(X))
    return {"fit_seconds": fit, "score_seconds": seconds(lambda: detector.predict(X))}


def fleet(groups: int, rows: int, features: int, **options: bool) -> dict[str, float]:
    """One model for each of many short histories."""
    rng = np.random.default_rng(0)
    X = np.concatenate([waves(rows, features, rng) for _ in range(groups)])
    model = MEMTODetector(device="cpu", random_state=0)
    detector = PerGroupDetector(model, n_jobs=1, **options)
    machines = np.repeat(np.arange(groups), rows)
    return {"fit_seconds": seconds(lambda: detector.fit(X, groups=machines))}


def waves(rows: int, features: int, rng: np.random.Generator) -> np.ndarray:
    steps = np.arange(rows)[:, np.newaxis] / rng.uniform(8, 40, features)
    X = np.sin(2 * np.pi * (steps + rng.uniform(size=features)))
    return X + 0.1 * rng.standard_normal(X.shape)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    task, arguments = json.loads(sys.argv[1])
    # Kernels are chosen and modules imported before anything is measured.
    MEMTODetector(max_iter=1, device="cpu").fit(waves(200, 2, np.random.default_rng(0)))
    print(
        json.dumps({"entity": entity, "long": long, "fleet": fleet}[task](**arguments))
    )
