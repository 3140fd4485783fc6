"""Seconds to fit and score one model for each machine of a fleet, by number of jobs.

Synthetic machines, each with sines of its own. All numbers of jobs take turns, several
times over, so that what else the computer does falls on each alike; processes are
started before. Ratios are between neighbours in time, and the median is shown.

    python benchmarks/fleet.py --groups 1000 --jobs 1 2
"""

import argparse
import shlex
import sys
import time
from typing import Any

import numpy as np
from _report import environment, markdown_table, save

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


def summarize(records: list[dict[str, Any]], jobs: list[int]) -> list[dict[str, Any]]:
    """Median seconds, and median ratio to the first number of jobs, of each."""
    summary = []
    for n_jobs in jobs:
        row: dict[str, Any] = {"n_jobs": n_jobs}
        for key in ("fit_seconds", "score_seconds"):
            mine, first = (
                np.array([r[key] for r in records if r["n_jobs"] == n])
                for n in (n_jobs, jobs[0])
            )
            row[key] = float(np.median(mine))
            row[key.replace("seconds", "speedup")] = float(np.median(first / mine))
        summary.append(row)
    return summary


def markdown(report: dict[str, Any]) -> str:
    keys = ("fit_seconds", "fit_speedup", "score_seconds", "score_speedup")
    rows = [
        [str(row["n_jobs"]), *(f"{row[key]:.2f}" for key in keys)]
        for row in report["summary"]
    ]
    table = markdown_table(
        ["jobs", "fit s", "times as fast", "score s", "times as fast"], rows
    )
    return f"{table}\n\n- Command: `{report['command']}`\n"


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--groups", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--features", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=1, help="max_iter of each model")
    parser.add_argument("--jobs", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="fleet")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    arguments = sys.argv[1:] if argv is None else argv
    X, groups = make_fleet(args)
    few = groups < max(args.jobs)
    for n_jobs in args.jobs:  # starts the processes, and imports torch in them
        measure(X[few], groups[few], n_jobs, args)
    results = []
    for turn in range(args.repeats):
        for n_jobs in args.jobs:
            print(f"turn {turn + 1}, {n_jobs} jobs", file=sys.stderr, flush=True)
            figures = measure(X, groups, n_jobs, args)
            results.append({"turn": turn, "n_jobs": n_jobs, **figures})
    report = {
        "command": shlex.join(["python", "benchmarks/fleet.py", *arguments]),
        "environment": environment(),
        "results": results,
        "summary": summarize(results, args.jobs),
    }
    save(report, markdown(report), args.out)
    print(markdown(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
