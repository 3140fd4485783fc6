"""What every benchmark stores beside its figures, and how it writes a table."""

import argparse
import json
import os
import platform
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from _data import DEFAULT_FOLDER, Entity, load_entities

import skmemto

RESULTS = Path(__file__).resolve().parent / "results"
PACKAGES = ("numpy", "scipy", "scikit-learn", "torch")


def environment() -> dict[str, str | int | None]:
    return {
        "python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
        "skmemto": skmemto.__version__,  # Also of a checkout that is not installed.
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
    }


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def mean_and_sd(values: Sequence[float], digits: int = 2) -> str:
    """Mean and, of several values, their standard deviation."""
    sd = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean(values):.{digits}f}{sd}"


def save(report: dict[str, Any], text: str, name: str) -> None:
    """Write the report as NAME.json and its readable form as NAME.md."""
    path = RESULTS / name
    path.parent.mkdir(parents=True, exist_ok=True)
    dump = json.dumps(report, indent=1, allow_nan=False) + "\n"
    path.with_name(f"{path.name}.json").write_text(dump, encoding="utf-8")
    path.with_name(f"{path.name}.md").write_text(text, encoding="utf-8")


def run_per_entity(
    script: str,
    description: str,
    evaluate: Callable[[Entity, int, Path], Iterable[dict[str, Any]]],
    markdown: Callable[[dict[str, Any]], str],
    sets: Sequence[str],
    argv: Sequence[str] | None,
) -> int:
    """Command line of a benchmark that looks at one entity at a time.

    `evaluate(entity, seed, path)`, with the path of the set's data, gives records;
    those of all sets, seeds and entities are stored after each set.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", type=Path, default=DEFAULT_FOLDER)
    parser.add_argument("--sets", nargs="+", default=sets)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--out", default=script)
    args = parser.parse_args(argv)
    arguments = sys.argv[1:] if argv is None else argv
    report: dict[str, Any] = {
        "command": shlex.join(["python", f"benchmarks/{script}.py", *arguments]),
        "environment": environment(),
        "results": [],
    }
    for set_name in args.sets:
        print(set_name, file=sys.stderr, flush=True)
        try:
            entities = load_entities(set_name, args.data)
        except FileNotFoundError as error:
            sys.exit(f"error: {error}")
        for seed in args.seeds:
            for entity in entities:
                where = {"set": set_name, "entity": entity.name, "seed": seed}
                for record in evaluate(entity, seed, args.data / f"{set_name}.npz"):
                    report["results"].append(where | record)
        save(report, markdown(report), args.out)
    print(markdown(report))
    return 0
