"""Mixed load in several threads: memory, open files, and whether results repeat.

Each thread fits, scores series of any length, feeds a stream, and saves and loads
models, in random order. What comes out is held against what came out at first for the
same input, bit for bit. Memory is that of the process.

    OMP_NUM_THREADS=1 python benchmarks/mixed_load.py --minutes 60
"""

import io
import os
import pickle
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import skops.io
from _markdown import markdown, texts
from _report import CommandLine, Record, run
from soak import megabytes

from skmemto import (
    AnomalyTransformerDetector,
    MEMTODetector,
    PerGroupDetector,
    StreamingDetector,
)

N_THREADS = 4
N_REPORTS = 10
N_FEATURES = 6
SMALL = {"max_iter": 1, "d_model": 16, "n_layers": 1, "random_state": 0}
LENGTHS = (1, 10, 100, 1000, 10_000)
CELLS = {
    "tasks done": "{tasks:.0f}",
    "of these with another result": "{unequal:.0f}",
    "process MB": "{megabytes:.0f}",
    "open files": "{files:.0f}",
    "threads": "{threads:.0f}",
}


def rows(seed: int, n_rows: int) -> np.ndarray:
    """Waves with noise."""
    rng = np.random.default_rng(seed)
    steps = np.arange(n_rows)[:, np.newaxis]
    periods = 20 + 10 * np.arange(N_FEATURES)
    noise = 0.1 * rng.standard_normal((n_rows, N_FEATURES))
    return np.sin(2 * np.pi * steps / periods) + noise


def fit(cls: type, seed: int) -> np.ndarray:
    X = rows(seed, 600)
    return cls(**SMALL).fit(X).score_samples(X)


def fleet(seed: int) -> np.ndarray:
    X, groups = rows(seed, 600), np.repeat([0, 1, 2], 200)
    detector = PerGroupDetector(MEMTODetector(**SMALL)).fit(X, groups=groups)
    return detector.decision_function(X, groups=groups)


def score(detector: Any, n_rows: int) -> np.ndarray:
    return detector.decision_function(rows(n_rows, n_rows))


def stream(detector: Any, seed: int) -> np.ndarray:
    live, X = StreamingDetector(detector), rows(seed, 200)
    parts = [live.update(X[i : i + 7]).scores for i in range(0, 200, 7)]
    return np.concatenate(parts)


def learn_on(detector: Any, seed: int) -> np.ndarray:
    again = pickle.loads(pickle.dumps(detector)).partial_fit(rows(seed, 300))
    return again.score_samples(rows(seed, 100))


def round_trip(detector: Any, kind: str) -> np.ndarray:
    file = io.BytesIO()
    if kind == "joblib":
        joblib.dump(detector, file, compress=3)
        file.seek(0)
        again = joblib.load(file)
    else:
        skops.io.dump(detector, file)
        types = skops.io.get_untrusted_types(file=file)
        again = skops.io.load(file, trusted=types)
    return again.score_samples(rows(0, 300))


def jobs() -> dict[Any, Callable[[], np.ndarray]]:
    """What is done, by name."""
    X = rows(0, 1000)
    both = MEMTODetector(**SMALL).fit(X)
    back = MEMTODetector(**SMALL, lookahead=0).fit(X)
    found: dict[Any, Callable[[], np.ndarray]] = {}
    for n_rows in LENGTHS:
        found["score", n_rows] = partial(score, both, n_rows)
    for kind in ("joblib", "skops"):
        found[kind] = partial(round_trip, both, kind)
    for seed in range(3):
        found["fit", seed] = partial(fit, MEMTODetector, seed)
        found["fit at", seed] = partial(fit, AnomalyTransformerDetector, seed)
        found["fleet", seed] = partial(fleet, seed)
        found["stream", seed] = partial(stream, back, seed)
        found["learn on", seed] = partial(learn_on, both, seed)
    return found


class Load:
    """Threads at work, and what they have found."""

    def __init__(self) -> None:
        self.jobs = jobs()
        self.expected = {name: job() for name, job in self.jobs.items()}
        self.tasks = self.unequal = 0
        self.over, self.lock = threading.Event(), threading.Lock()
        self.errors: list[BaseException] = []

    def work(self, seed: int) -> None:
        rng, names = np.random.default_rng(seed), list(self.jobs)
        while not self.over.is_set():
            name = names[rng.integers(len(names))]
            try:
                same = np.array_equal(self.jobs[name](), self.expected[name])
            except BaseException as error:  # to be told, not lost with its thread
                self.errors.append(error)
                self.over.set()
                raise
            with self.lock:
                self.tasks += 1
                self.unequal += not same


def evaluate(minutes: float) -> Iterator[Record]:
    warnings.simplefilter("ignore")  # that histories are short
    load = Load()
    threads = [threading.Thread(target=load.work, args=(i,)) for i in range(N_THREADS)]
    for thread in threads:
        thread.start()
    start = time.monotonic()
    try:
        for i in range(N_REPORTS):
            load.over.wait(
                start + 60 * minutes * (i + 1) / N_REPORTS - time.monotonic()
            )
            if load.errors:
                break
            yield {
                "minutes": round((time.monotonic() - start) / 60, 1),
                "tasks": load.tasks,
                "unequal": load.unequal,
                "megabytes": megabytes(),
                "files": len(os.listdir("/proc/self/fd")),
                "threads": len(list(Path("/proc/self/task").iterdir())),
            }
    finally:
        load.over.set()
        for thread in threads:
            thread.join()
    if load.errors:
        raise load.errors[0]


def table(records: pd.DataFrame) -> str:
    """One row per tenth of the time."""
    return markdown(texts(records, ["minutes"], CELLS))


def main(argv: Sequence[str] | None = None) -> int:
    parser = CommandLine(__file__, __doc__, seeds=False)
    parser.add_argument("--minutes", type=float, default=2)
    args = parser.parse_args(argv)
    return run(
        args, [({"threads at work": N_THREADS}, partial(evaluate, args.minutes))], table
    )


if __name__ == "__main__":
    sys.exit(main())
