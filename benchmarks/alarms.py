"""False alarms where nothing happens, by how many rows there were to learn from.

Stationary made-up series (autoregressions of order 1, with a matrix of its own for each
seed): new rows are like those learned, so every flag is a false alarm. The threshold is
"auto", of a model that learned from all rows, without and with `early_stopping`; or
the model learns from the first 80 % and the threshold is the RISK quantile of the
scores of the rest.

    python benchmarks/alarms.py --rows 500 1000 3000 10000 30000 --seeds 0 1 2
"""

import argparse
import shlex
import sys
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from _report import environment, markdown_table, mean_and_sd, save
from sklearn.base import clone

from skmemto import MEMTODetector

RISK = 0.001  # that of "auto"
LEARNED = 0.8
N_CHANNELS = 12
N_NEW = 20_000
BURN_IN = 200


def autoregression(n_rows: int, rng: np.random.Generator) -> np.ndarray:
    """Rows of a stationary series, each a matrix times the one before, plus noise."""
    matrix = rng.standard_normal((N_CHANNELS, N_CHANNELS))
    matrix *= 0.9 / np.abs(np.linalg.eigvals(matrix)).max()
    rows = rng.standard_normal((BURN_IN + n_rows, N_CHANNELS))
    for before, row in pairwise(rows):
        row += before @ matrix
    return rows[BURN_IN:]


def evaluate(n_rows: int, seed: int, **parameters: Any) -> Iterator[dict[str, Any]]:
    """Yield the share flagged of new rows by each way to set the threshold."""
    series = autoregression(n_rows + N_NEW, np.random.default_rng(seed))
    history, new = series[:n_rows], series[n_rows:]
    learned, held_back = np.split(history, [int(LEARNED * n_rows)])
    detector = MEMTODetector(**parameters, random_state=seed)
    stopping = clone(detector).set_params(early_stopping=True)
    thrifty = clone(detector).fit(learned)
    thrifty.offset_ = np.quantile(thrifty.score_samples(held_back), RISK)
    for name, fitted in {
        "auto": detector.fit(history),
        "auto, early_stopping=True": stopping.fit(history),
        "from rows held back": thrifty,
    }.items():
        yield {"threshold": name, "alarms": float((fitted.predict(new) == -1).mean())}


def markdown(report: dict[str, Any]) -> str:
    """One row per threshold, one column per number of rows, in %."""
    records = report["results"]
    n_rows = list(dict.fromkeys(r["rows"] for r in records))
    table = []
    for name in dict.fromkeys(r["threshold"] for r in records):
        row = [name]
        for n in n_rows:
            key = (name, n)
            alarms = [
                100 * r["alarms"] for r in records if (r["threshold"], r["rows"]) == key
            ]
            row.append(mean_and_sd(alarms))
        table.append(row)
    header = ["false alarms, %", *(f"{n:,} rows" for n in n_rows)]
    return f"{markdown_table(header, table)}\n\n- Command: `{report['command']}`\n"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", nargs="+", type=int, default=[500, 3000, 30000])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--out", default="alarms")
    args = parser.parse_args(argv)
    arguments = sys.argv[1:] if argv is None else argv
    report: dict[str, Any] = {
        "command": shlex.join(["python", "benchmarks/alarms.py", *arguments]),
        "environment": environment(),
        "results": [],
    }
    for n_rows in args.rows:
        print(f"{n_rows} rows", file=sys.stderr, flush=True)
        for seed in args.seeds:
            for record in evaluate(n_rows, seed, max_iter=args.epochs):
                report["results"].append({"rows": n_rows, "seed": seed, **record})
    save(report, markdown(report), args.out)
    print(markdown(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
