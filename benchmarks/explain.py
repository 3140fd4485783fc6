"""Which channels were to blame? Hit rates per event, beside PCA error per channel.

HitRate@P% of an event with g channels to blame: the share of these among the P% * g
channels that are ranked first, ranked by their mean deviation over the event (Su et
al., KDD 2019, section 5.5).

    python benchmarks/explain.py --seeds 0 1 2
"""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from _baselines import ClippedScaler, PCAError
from _data import Entity
from _report import markdown_table, run_per_entity

from skmemto import MEMTODetector

SETS = ("smd", "asd")
PERCENTS = (100, 150)


def memto(entity: Entity, seed: int) -> dict[str, np.ndarray]:
    detector = MEMTODetector(random_state=seed).fit(entity.train)
    return {
        "MEMTODetector, calibrated": detector.deviations(
            entity.test, calibrated=True
        ).input,
        "MEMTODetector, raw": detector.deviations(entity.test).input,
    }


def pca(entity: Entity, seed: int) -> dict[str, np.ndarray]:
    scaler = ClippedScaler(clip=30).fit(entity.train)
    model = PCAError().fit(scaler.transform(entity.train)).pca_
    scaled = scaler.transform(entity.test)
    return {
        "PCA error": (scaled - model.inverse_transform(model.transform(scaled))) ** 2
    }


def chance(entity: Entity, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    ranking = rng.random(entity.test.shape[1])
    return {"random": np.broadcast_to(ranking, entity.test.shape)}


METHODS: list[Callable[[Entity, int], dict[str, np.ndarray]]] = [memto, pca, chance]


def parse_events(events: list[str]) -> list[tuple[int, int, np.ndarray]]:
    """Parse "start-end:channels", channels counted from 1."""
    parsed = []
    for event in events:
        rows, _, channels = event.strip().partition(":")
        start, stop = map(int, rows.split("-"))
        parsed.append((start, stop, np.array(channels.split(","), dtype=int) - 1))
    return parsed


def hit_rate(deviations: np.ndarray, to_blame: np.ndarray, percent: int) -> float:
    """Hit rate of one event, from the deviations of its rows (n, n_features)."""
    n_first = percent * len(to_blame) // 100
    first = np.argsort(-deviations.mean(axis=0), kind="stable")[:n_first]
    return len(np.intersect1d(first, to_blame)) / len(to_blame)


def evaluate(entity: Entity, seed: int, path: Path) -> Iterator[dict[str, Any]]:
    """Yield the hit rates of each method and event."""
    events = json.loads(path.with_name(f"{path.stem}_interpretation.json").read_text())
    for method in METHODS:
        for name, deviations in method(entity, seed).items():
            for start, end, to_blame in parse_events(events[entity.name]):
                rows = deviations[start : end + 1]
                rates = {f"hit_rate_{p}": hit_rate(rows, to_blame, p) for p in PERCENTS}
                yield {"method": name, **rates}


def markdown(report: dict[str, Any]) -> str:
    """One row per method: mean over events (and seeds), in %, per set."""
    records = report["results"]
    sets = list(dict.fromkeys(r["set"] for r in records))
    rows = []
    for method in dict.fromkeys(r["method"] for r in records):
        row = [method]
        for name in sets:
            group = [r for r in records if (r["method"], r["set"]) == (method, name)]
            means = [np.mean([r[f"hit_rate_{p}"] for r in group]) for p in PERCENTS]
            row.append(" / ".join(f"{100 * mean:.1f}" for mean in means))
        rows.append(row)
    header = ["", *(f"{name} HitRate@100% / @150%" for name in sets)]
    return f"{markdown_table(header, rows)}\n\n- Command: `{report['command']}`\n"


def main(argv: list[str] | None = None) -> int:
    summary = __doc__.partition("\n")[0]
    return run_per_entity("explain", summary, evaluate, markdown, SETS, argv)


if __name__ == "__main__":
    sys.exit(main())
