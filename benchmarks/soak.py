"""A million rows through one stream: memory, and whether a pickle goes on bit for bit.

The rows are waves with noise of 8 channels, new ones all the time. Half of the way the
stream is pickled; what the pickle says of the rows after that is held against what the
stream itself says. Memory is that of the process.

    OMP_NUM_THREADS=1 python benchmarks/soak.py --rows 1000000
"""

import argparse
import pickle
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from _markdown import markdown, texts
from _report import CommandLine, Record, run
from live import N_TRAIN, waves

from skmemto import MEMTODetector, StreamingDetector

N_FEATURES = 8
N_REPORTS = 10
CELLS = {
    "process MB": "{megabytes:.0f}",
    "stream kB": "{kilobytes:.1f}",
    "rows that a pickle scores otherwise": "{unequal:.0f}",
}


def megabytes() -> float:
    """Memory of this process, now."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1000


def evaluate(args: argparse.Namespace) -> Iterator[Record]:
    train = waves(N_TRAIN, N_FEATURES, seed=0)
    detector = MEMTODetector(lookahead=0, max_iter=args.epochs, random_state=0)
    stream = StreamingDetector(detector.fit(train))
    other, unequal = None, 0
    n_blocks = args.rows // args.block
    for i in range(n_blocks):
        X = wave_block(i, args.block)
        scores = stream.update(X).scores
        if other is not None:
            unequal += int((other.update(X).scores != scores).sum())
        if i + 1 == n_blocks // 2:
            other = pickle.loads(pickle.dumps(stream))
        if (i + 1) % (n_blocks // N_REPORTS) == 0:
            yield {
                "rows": (i + 1) * args.block,
                "megabytes": megabytes(),
                "kilobytes": len(pickle.dumps(stream._streams)) / 1000,
                "unequal": unequal,
            }


def wave_block(i: int, n_rows: int) -> np.ndarray:
    """The next rows of the waves that were trained on, with new noise."""
    rng = np.random.default_rng(0)
    periods = 40 * rng.uniform(0.5, 2, N_FEATURES)
    steps = N_TRAIN + i * n_rows + np.arange(n_rows)[:, np.newaxis]
    noise = np.random.default_rng(i + 1).standard_normal((n_rows, N_FEATURES))
    return np.sin(2 * np.pi * steps / periods) + 0.1 * noise


def table(records: pd.DataFrame) -> str:
    """One row per so many rows."""
    return markdown(texts(records, ["rows"], CELLS))


def main(argv: Sequence[str] | None = None) -> int:
    parser = CommandLine(__file__, __doc__, seeds=False)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--block", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=3)
    args = parser.parse_args(argv)
    return run(args, [({"channels": N_FEATURES}, partial(evaluate, args))], table)


if __name__ == "__main__":
    sys.exit(main())
