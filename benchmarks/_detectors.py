"""The detectors that are compared, and the figures of one on an entity."""

import ast
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from _alarms import alarm_figures, decisions
from _baselines import (
    MovingAverage,
    NearestRow,
    PCAError,
    RandomScores,
    WindowKMeans,
    scaled,
)
from _data import Entity
from sklearn.base import BaseEstimator
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score

from skmemto import AnomalyTransformerDetector, MEMTODetector
from skmemto.metrics import vus_pr

# Name -> factory(seed).
BASELINES: dict[str, Callable[[int], BaseEstimator]] = {
    "Random": lambda seed: RandomScores(random_state=seed),
    "PCA": lambda seed: scaled(PCAError(), clip=30),
    "IsolationForest": lambda seed: IsolationForest(random_state=seed),
    "1-NN": lambda seed: scaled(NearestRow(random_state=seed), clip=30),
    "1-NN-ma21": lambda seed: MovingAverage(BASELINES["1-NN"](seed), width=21),
    "1-NN-all": lambda seed: scaled(NearestRow(n_rows=None), clip=30),
    "1-NN-all-ma21": lambda seed: MovingAverage(BASELINES["1-NN-all"](seed), width=21),
    "KMeans40": lambda seed: scaled(WindowKMeans(random_state=seed), clip=10),
}
DETECTORS: dict[str, Callable[[int], BaseEstimator]] = BASELINES | {
    "MEMTODetector-softmax": lambda seed: MEMTODetector(
        criterion="softmax", random_state=seed
    ),
    "MEMTODetector": lambda seed: MEMTODetector(random_state=seed),
    "AnomalyTransformer-softmax": lambda seed: AnomalyTransformerDetector(
        criterion="softmax", random_state=seed
    ),
    "AnomalyTransformer": lambda seed: AnomalyTransformerDetector(random_state=seed),
}


def key_values(texts: Iterable[str]) -> dict[str, Any]:
    """Parameters from texts such as "window_size=50" or "criterion=softmax"."""
    found: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"A parameter is KEY=VALUE, not {text!r}.")
        try:
            found[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            found[key] = value  # a plain word
    return found


def build(name: str, seed: int, params: dict[str, Any] | None = None) -> BaseEstimator:
    """The detector of that name, with those of `params` that it has."""
    detector = DETECTORS[name](seed)
    known = detector.get_params()
    params = {k: v for k, v in (params or {}).items() if k in known}
    return detector.set_params(**params)


def seeds_for(name: str, seeds: Sequence[int]) -> Sequence[int]:
    """All seeds for a detector that draws random numbers, else one."""
    seeded = any(
        key.split("__")[-1] == "random_state" and value is not None
        for key, value in DETECTORS[name](0).get_params().items()
    )
    return seeds if seeded else seeds[:1]


def each_fit(
    sets: dict[str, list[Entity]],
    names: Iterable[str],
    seeds: Sequence[int],
    params: dict[str, Any] | None = None,
) -> Iterator[tuple[dict[str, Any], Entity, BaseEstimator]]:
    """Every detector, still to be fitted, with every entity, and what records say."""
    for set_name, entities in sets.items():
        for name in names:
            for seed in seeds_for(name, seeds):
                for entity in entities:
                    where = {"detector": name, "set": set_name, "entity": entity.name}
                    yield where | {"seed": seed}, entity, build(name, seed, params)


def ranking(labels: np.ndarray, anomaly: np.ndarray) -> dict[str, float]:
    """Figures of scores that are high where something is wrong; label 1 = anomalous."""
    return {
        "auroc": roc_auc_score(labels, anomaly),
        "average_precision": average_precision_score(labels, anomaly),
    }


def evaluate(entity: Entity, detector: BaseEstimator) -> dict[str, float]:
    """Figures of a detector, which is fitted to the entity's training series."""
    start = time.perf_counter()
    detector.fit(entity.train)
    fitted = time.perf_counter()
    anomaly = -detector.score_samples(entity.test)
    scored = time.perf_counter()
    (alarm,) = decisions(detector, entity)
    return {
        **ranking(entity.labels, anomaly),
        "vus_pr": vus_pr(entity.labels, anomaly),
        **alarm_figures(entity.labels, alarm),
        "fit_seconds": fitted - start,
        "score_seconds": scored - fitted,
    }
