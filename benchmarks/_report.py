"""What the benchmarks share: the command line, running, and what is stored.

A benchmark is a function `evaluate` that gives records (flat dicts of figures), one or
a generator of several, and a function `table` that makes markdown of all of them:

    def main(argv=None):
        return run_entities(__file__, __doc__, ("asd", "smd"), evaluate, table, argv)

With other tasks than entities and seeds, or more options, `run` and `CommandLine` do
the same.
"""

import argparse
import json
import os
import platform
import shlex
import sys
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from _data import DEFAULT_FOLDER, Entity, load_entities
from _markdown import succeeded

import skmemto

RESULTS = Path(__file__).resolve().parent / "results"
PACKAGES = ("numpy", "scipy", "scikit-learn", "torch")
Record = dict[str, Any]  # keys and figures, flat


class CommandLine(argparse.ArgumentParser):
    """Options that scripts share; parsed arguments also have the `command` itself."""

    def __init__(
        self,
        file: str,
        doc: str,
        sets: Sequence[str] = (),
        *,
        detectors: Collection[str] = (),
        seeds: bool = True,
    ):
        name = Path(file)
        super().__init__(prog=name.name, description=doc.partition("\n")[0])
        if sets:
            self.add_argument("--data", type=Path, default=DEFAULT_FOLDER)
            self.add_argument("--sets", nargs="+", default=list(sets))
        if detectors:
            self.add_argument(
                "--detectors", nargs="+", choices=detectors, default=list(detectors)
            )
        if seeds:
            self.add_argument("--seeds", nargs="+", type=int, default=[0])
        self.add_argument(
            "--out", default=name.stem, help="stored as benchmarks/results/OUT.json"
        )

    def parse_args(self, argv: Sequence[str] | None = None) -> argparse.Namespace:
        args = super().parse_args(argv)
        arguments = sys.argv[1:] if argv is None else argv
        args.command = shlex.join(["python", f"benchmarks/{self.prog}", *arguments])
        return args


def load_sets(args: argparse.Namespace) -> dict[str, list[Entity]]:
    """All sets at once: one that is missing is found before any fit."""
    try:
        return {name: load_entities(name, args.data) for name in args.sets}
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f"error: {error}")


def judged(set_name: str, entities: Iterable[Entity]) -> list[Entity]:
    """Entities with normal and anomalous rows to tell apart."""
    kept = []
    for entity in entities:
        if len(np.unique(entity.labels)) == 2:
            kept.append(entity)
        else:
            note = (
                f"{set_name} {entity.name}: skipped, its test labels are all the same."
            )
            print(note, file=sys.stderr)
    return kept


def each_entity(args: argparse.Namespace) -> Iterator[tuple[Record, Entity]]:
    """Entities of all sets, once for each seed, and what the records say of them."""
    for set_name, entities in load_sets(args).items():
        kept = judged(set_name, entities)
        for seed in args.seeds:
            for entity in kept:
                yield {"set": set_name, "entity": entity.name, "seed": seed}, entity


def run_entities(
    file: str,
    doc: str,
    sets: Sequence[str],
    evaluate: Callable[[Entity, int], Iterable[Record]],
    table: Callable[[pd.DataFrame], str],
    argv: Sequence[str] | None,
) -> int:
    """`main` of a script that looks at one entity and one seed at a time."""
    args = CommandLine(file, doc, sets).parse_args(argv)
    tasks = ((w, partial(evaluate, e, w["seed"])) for w, e in each_entity(args))
    return run(args, tasks, table)


def run(
    args: argparse.Namespace,
    tasks: Iterable[tuple[Record, Callable[[], Record | Iterable[Record]]]],
    table: Callable[[pd.DataFrame], str],
) -> int:
    """Store the records of each task, print their table, return the exit status.

    A task is what its records have in common, and a function that gives them. What it
    raises becomes a record, too: one failure must not cost the others. Records are
    stored after each task, so that a stopped run keeps what it has.
    """
    head = {"command": args.command, "environment": environment()}
    lines: list[str] = []
    announced = None
    for where, evaluate in tasks:
        keys = [key for key in where if key not in ("entity", "seed")]
        what = ", ".join(f"{key} {where[key]}" for key in keys)
        if what != announced:
            print(what, file=sys.stderr, flush=True)
            announced = what
        try:
            figures = evaluate()
            for record in [figures] if isinstance(figures, dict) else figures:
                lines.append(_line(where | record))
        except Exception as error:
            traceback.print_exc()
            lines.append(_line(where | {"error": f"{type(error).__name__}: {error}"}))
        save(head, lines, args.out)
    if not lines:
        sys.exit("error: there was nothing to measure.")
    print(show(args.out, table))
    return int("error" in read(args.out))


def environment() -> dict[str, str | int | None]:
    return {
        "python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
        "skmemto": skmemto.__version__,  # Also of a checkout that is not installed.
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
    }


def save(head: dict[str, Any], lines: Iterable[str], name: str) -> None:
    """Write NAME.json, each record in a line."""
    path = RESULTS / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    start = json.dumps(head, indent=1).removesuffix("\n}")
    records = ",\n".join(lines)
    path.write_text(f'{start},\n "records": [\n{records}\n]}}\n', encoding="utf-8")


def read_report(name: str) -> dict[str, Any]:
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def read(*names: str) -> pd.DataFrame:
    """Stored records, those of several results one after the other."""
    return pd.DataFrame([r for name in names for r in read_report(name)["records"]])


def show(name: str, table: Callable[[pd.DataFrame], str]) -> str:
    """The table, what failed, and the command it comes from."""
    records = read(name)
    n_failed = len(records) - len(succeeded(records))
    lines = [table(records), ""] if n_failed < len(records) else []
    lines += [f"- FAILED: {n_failed} of {len(records)} records."] if n_failed else []
    return "\n".join([*lines, f"- Command: `{read_report(name)['command']}`", ""])


def _line(record: Record) -> str:
    # JSON has no NaN, so a figure that is none is an error. `item`: NumPy's numbers.
    return json.dumps(record, allow_nan=False, default=lambda value: value.item())
