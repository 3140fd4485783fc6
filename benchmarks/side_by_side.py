"""Processor seconds and accuracy of this version and of another commit, taking turns.

The other is a folder with its files; each task runs in a process of its own, first in
one version, then in the other, on one thread, so that what else the computer does falls
on both alike.

    git worktree add ../other 7b93348
    OMP_NUM_THREADS=1 python benchmarks/side_by_side.py --other ../other
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _markdown import markdown, succeeded
from _report import CommandLine, Record, judged, load_sets, run

HERE = Path(__file__).resolve().parent
FIGURES = {
    "fit_seconds": "fit s",
    "score_seconds": "score s",
    "few_rows_seconds": "50 rows, ms",
    "average_precision": "AP, %",
}


def measure(folder: Path, task: str, arguments: dict[str, Any]) -> Record:
    """Run one task with the version in a folder."""
    result = subprocess.run(
        [sys.executable, HERE / "_one_side.py", json.dumps([task, arguments])],
        env={**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    if result.returncode:
        raise RuntimeError(result.stderr.strip()[-500:])
    return json.loads(result.stdout.splitlines()[-1])


def tasks(args: argparse.Namespace) -> Iterator[tuple[Record, Any]]:
    sides = {"other": args.other, "this": HERE.parent}
    wanted: list[tuple[str, str, dict[str, Any]]] = []
    for name, entities in load_sets(args).items():
        for entity in judged(name, entities):
            of = {"data": str(args.data), "set": name, "entity": entity.name}
            wanted.append((name, "entity", of))
    if args.rows:
        shape = {"rows": args.rows, "features": args.features}
        title = f"{args.rows:,} x {args.features}"
        wanted += args.repeats * [(title, "long", shape)]
    for title, task, arguments in wanted:
        for side, folder in sides.items():
            where = {"task": title, "side": side, "entity": arguments.get("entity")}
            yield where, partial(measure, folder, task, arguments)
    if args.groups:
        title = f"{args.groups:,} groups of 500 x 8"
        fleet = {"groups": args.groups, "rows": 500, "features": 8}
        for side, options in (
            ("other", {}),
            ("this", {}),
            ("this, pooled start", {"pooled_start": True}),
        ):
            folder = sides[side.partition(",")[0]]
            where = {"task": title, "side": side, "entity": None}
            yield where, partial(measure, folder, "fleet", fleet | options)


def table(records: pd.DataFrame) -> str:
    """Of each task the sums of seconds, median ms, mean AP; shares of the other's."""
    rows = {}
    for task, group in succeeded(records).groupby("task", sort=False):
        of = {side: summary(part) for side, part in group.groupby("side", sort=False)}
        for side, values in of.items():
            cells = {FIGURES[k]: f"{v:.1f}" for k, v in values.items()}
            if side != "other":
                for name in ("fit_seconds", "score_seconds", "few_rows_seconds"):
                    if name in values:
                        share = values[name] / of["other"][name]
                        cells[FIGURES[name]] += f" ({share:.2f})"
            rows[f"{task}, {side}"] = cells
    return markdown(pd.DataFrame.from_dict(rows, orient="index").fillna(""), corner="")


def summary(records: pd.DataFrame) -> dict[str, float]:
    figures = records.reindex(columns=list(FIGURES)).dropna(axis=1, how="all")
    values = figures.sum().to_dict()
    if "few_rows_seconds" in values:
        values["few_rows_seconds"] = 1000 * float(
            np.median(figures["few_rows_seconds"])
        )
    if "average_precision" in values:
        values["average_precision"] = 100 * float(figures["average_precision"].mean())
    return values


def main(argv: Sequence[str] | None = None) -> int:
    parser = CommandLine(__file__, __doc__, ("asd", "smd"), seeds=False)
    parser.add_argument("--other", type=Path, required=True, help="the other version")
    parser.add_argument("--rows", type=int, default=58_000, help="0: no long history")
    parser.add_argument("--features", type=int, default=55)
    parser.add_argument("--repeats", type=int, default=3, help="of the long history")
    parser.add_argument("--groups", type=int, default=0, help="of a fleet")
    args = parser.parse_args(argv)
    if not (args.other / "skmemto").is_dir():
        parser.error(f"--other: there is no skmemto in {args.other}")
    args.other = args.other.resolve()
    return run(args, tasks(args), table)


if __name__ == "__main__":
    sys.exit(main())
