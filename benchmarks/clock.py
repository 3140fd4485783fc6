"""What the time of day is worth as channels of its own, where times are known.

Each detector sees the readings alone, and with sine and cosine of the day, and of the
week where dates are known and there are several weeks to learn from.

    python benchmarks/clock.py --seeds 0 1 2
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from _data import Entity
from _detectors import build, evaluate, seeds_for
from _markdown import markdown, pivot
from _report import CommandLine, Record, judged, load_sets, run

SETS = ("asd", "smd", "batadal", "nab")
# Rows of a day, and of a week, by set or recording. Of nab's recordings most have gaps.
PERIODS = {
    "asd": (288, 2016),
    "smd": (1440,),
    "batadal": (24,),
    "nyc_taxi": (48, 336),
}
STARTS_ANEW = ("batadal",)  # at midnight; the others' tests go on where training ends
NAMES = ("MEMTODetector", "AnomalyTransformer", "IsolationForest", "1-NN-ma21")
CELL = "{average_precision:.1%} / {events_found:.0%} / {flagged_normal:.2%}"


def clock(rows: np.ndarray, periods: Sequence[int]) -> np.ndarray:
    """Sine and cosine (n, 2 * n_periods) of where rows (n,) are in each period."""
    angles = 2 * np.pi * rows[:, np.newaxis] / np.array(periods)
    return np.hstack([np.sin(angles), np.cos(angles)])


def with_clock(entity: Entity, key: str) -> Entity:
    rows = np.arange(len(entity.train) + len(entity.test))
    start = 0 if key in STARTS_ANEW else len(entity.train)
    parts = {
        "train": rows[: len(entity.train)],
        "test": rows[start : start + len(entity.test)],
    }
    return entity._replace(
        **{
            name: np.hstack([getattr(entity, name), clock(part, PERIODS[key])])
            for name, part in parts.items()
        }
    )


def worth(entity: Entity, name: str, seed: int, key: str) -> Iterator[Record]:
    """Yield the figures without and with the clock."""
    yield {"detector": name} | evaluate(entity, build(name, seed))
    figures = evaluate(with_clock(entity, key), build(name, seed))
    yield {"detector": f"{name}, clock"} | figures


def tasks(args: argparse.Namespace) -> Iterator[tuple[Record, Any]]:
    for set_name, entities in load_sets(args).items():
        for name in args.detectors:
            for entity in judged(set_name, entities):
                recording = entity.name.rpartition("/")[2]
                key = set_name if set_name in PERIODS else recording
                if key not in PERIODS:
                    continue
                where = {"data": key, "entity": entity.name}
                for seed in seeds_for(name, args.seeds):
                    task = partial(worth, entity, name, seed, key)
                    yield where | {"seed": seed}, task


def table(records: pd.DataFrame) -> str:
    """Of each detector AP, events found and normal rows flagged, without and with."""
    return markdown(pivot(records, "detector", "data", CELL))


def main(argv: Sequence[str] | None = None) -> int:
    args = CommandLine(__file__, __doc__, SETS, detectors=NAMES).parse_args(argv)
    return run(args, tasks(args), table)


if __name__ == "__main__":
    sys.exit(main())
