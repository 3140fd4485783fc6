"""Seconds to fit and score one model for each machine of a fleet, by number of jobs.

Synthetic machines, each with sines of its own. All numbers of jobs take turns, several
times over, so that what else the computer does falls on each alike; processes are
started before. Ratios are between neighbours in time, and the median is shown.

    python benchmarks/fleet.py --groups 1000 --jobs 1 2
"""

import argparse
import sys
import time
from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
from _markdown import markdown, succeeded
from _report import CommandLine, run

from skmemto import MEMTODetector, PerGroupDetector


def make_fleet(args: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    """Readings (groups * rows, features), and the machine of each row."""
    rng = np.random.default_rng(args.seed)
    shape = (args.groups, 1, args.features)
    periods = rng.uniform(8, 40, shape)
    phases = rng.uniform(0, 2 * np.pi, shape)
    steps = np.arange(args.rows)[:, np.newaxis]
    X = np.sin(2 * np.pi * steps / periods + phases)
    X += 0.1 * rng.standard_normal(X.shape)
    return X.reshape(-1, args.features), np.repeat(np.arange(args.groups), args.rows)


def measure(X: np.ndarray, groups: np.ndarray, n_jobs: int, args) -> dict[str, float]:
    detector = PerGroupDetector(
        MEMTODetector(max_iter=args.epochs, device="cpu", random_state=args.seed),
        n_jobs=n_jobs,
    )
    start = time.perf_counter()
    detector.fit(X, groups=groups)
    fitted = time.perf_counter()
    detector.score_samples(X, groups=groups)
    scored = time.perf_counter()
    return {"fit_seconds": fitted - start, "score_seconds": scored - fitted}


def table(records: pd.DataFrame) -> str:
    """Median seconds, and median ratio to the first number of jobs, of each."""
    turns = succeeded(records).pivot(index="turn", columns="n_jobs")
    first = records["n_jobs"].iloc[0]
    shown = {}
    for name in ("fit", "score"):
        seconds = turns[f"{name}_seconds"][records["n_jobs"].unique()]
        shown[f"{name} s"] = seconds.median()
        shown[f"{name}, times as fast"] = seconds.rdiv(seconds[first], axis=0).median()
    return markdown(pd.DataFrame(shown).map("{:.2f}".format), corner="jobs")


def main(argv: Sequence[str] | None = None) -> int:
    parser = CommandLine(__file__, __doc__, seeds=False)
    parser.add_argument("--groups", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--features", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=1, help="max_iter of each model")
    parser.add_argument("--jobs", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    X, groups = make_fleet(args)
    few = groups < max(args.jobs)
    for n_jobs in args.jobs:  # starts the processes, and imports torch in them
        measure(X[few], groups[few], n_jobs, args)
    tasks = (
        ({"turn": turn, "n_jobs": n_jobs}, partial(measure, X, groups, n_jobs, args))
        for turn in range(args.repeats)
        for n_jobs in args.jobs
    )
    return run(args, tasks, table)


if __name__ == "__main__":
    sys.exit(main())
