"""Which channels were to blame? Hit rates per event, beside PCA error per channel.

HitRate@P% of an event with g channels to blame: the share of these among the P% * g
channels that are ranked first, ranked by their mean deviation over the event (Su et
al., KDD 2019, section 5.5).

    python benchmarks/explain.py --seeds 0 1 2
"""

import json
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from _baselines import ClippedScaler, PCAError
from _data import Entity
from _markdown import markdown, pivot
from _report import CommandLine, Record, each_entity, run

from skmemto import MEMTODetector

PERCENTS = (100, 150)


def rankings(entity: Entity, seed: int) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each method's deviations of the test series (n_test, n_features)."""
    memto = MEMTODetector(random_state=seed).fit(entity.train)
    raw = memto.deviations(entity.test).input
    yield "MEMTODetector, `deviations(X).input`", raw
    calibrated = memto.deviations(entity.test, calibrated=True).input
    yield "MEMTODetector, `deviations(X, calibrated=True).input`", calibrated
    scaler = ClippedScaler(clip=30).fit(entity.train)
    pca = PCAError().fit(scaler.transform(entity.train)).pca_
    scaled = scaler.transform(entity.test)
    yield "PCA error", (scaled - pca.inverse_transform(pca.transform(scaled))) ** 2
    chance = np.random.default_rng(seed).random(entity.test.shape[1])
    yield "random", np.broadcast_to(chance, entity.test.shape)


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


def evaluate(entity: Entity, where: Record, folder: Path) -> Iterator[Record]:
    """Yield the hit rates of each method and event."""
    path = folder / f"{where['set']}_interpretation.json"
    events = parse_events(json.loads(path.read_text())[entity.name])
    for name, deviations in rankings(entity, where["seed"]):
        for start, end, to_blame in events:
            rows = deviations[start : end + 1]
            rates = {f"hit_rate_{p}": hit_rate(rows, to_blame, p) for p in PERCENTS}
            yield {"method": name, **rates}


def table(records: pd.DataFrame) -> str:
    """One row per method: mean over the events in %, per set."""
    cell = " / ".join(f"{{hit_rate_{p}:.1%}}" for p in PERCENTS)
    header = "{} HitRate@100% / @150%"
    return markdown(pivot(records, "method", "set", cell, header), corner="")


def main(argv: Sequence[str] | None = None) -> int:
    args = CommandLine(__file__, __doc__, sets=("smd", "asd")).parse_args(argv)
    tasks = ((w, partial(evaluate, e, w, args.data)) for w, e in each_entity(args))
    return run(args, tasks, table)


if __name__ == "__main__":
    sys.exit(main())
