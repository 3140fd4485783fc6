"""Milliseconds for an update, rows a second and bytes of a stream, live.

Streams of waves with noise, of 8 and of 55 channels: one row at a time from so many
sources at once, through one `StreamingDetector`. Beside it, what there was before: a
call of `score_samples` on a buffer of the last 50 rows, looking both ways. Before each
of them the network alone sees as many windows, so that times can be compared on a busy
machine. Medians are shown, and the bytes that one more stream takes in a pickle.

    OMP_NUM_THREADS=1 python benchmarks/live.py
"""

import argparse
import pickle
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import pandas as pd
import torch
from _markdown import markdown, texts
from _report import CommandLine, Record, run

from skmemto import MEMTODetector, StreamingDetector

N_TRAIN = 1500
BUFFER = 50
BATCH_STEPS = 2048
BUFFERED = f"buffer of {BUFFER} rows"
CELLS = {
    "ms for an update": "{milliseconds:.2f}",
    "in units of the network alone": "{by_network:.2f}",
    "rows a second": "{rows_a_second:,.0f}",
    "kB for each": "{kilobytes:.1f}",
}


def waves(n_rows: int, n_features: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    periods = 40 * rng.uniform(0.5, 2, n_features)
    steps = np.arange(n_rows)[:, np.newaxis]
    rows = np.sin(2 * np.pi * steps / periods)
    return rows + 0.1 * rng.standard_normal(rows.shape)


def seconds_of(
    call: Callable[[int], object], network: Callable[[], object], n_updates: int
) -> np.ndarray:
    """Seconds (n, 2) of each of the calls and of the network before it."""
    taken = []
    for i in range(n_updates + 3):
        start = time.perf_counter()
        network()
        between = time.perf_counter()
        call(i)
        taken.append((time.perf_counter() - between, between - start))
    return np.array(taken[3:])  # the first few are slow


def network_alone(detector: MEMTODetector, n_windows: int) -> Callable[[], object]:
    """A pass of so many windows, in batches of at most so many as a detector takes."""
    n_steps, n_features = detector.window_size_, detector.n_features_in_
    windows = torch.randn(n_windows, n_steps, n_features)

    def forward() -> None:
        with torch.inference_mode():
            for batch in windows.split(BATCH_STEPS // n_steps):
                detector.model_(batch)

    return forward


def evaluate(n_features: int, args: argparse.Namespace) -> Iterator[Record]:
    """Yield figures of one stream and of many, and of the buffer."""
    X = waves(N_TRAIN + BUFFER + args.updates + 3, n_features, args.seed)
    train, new = X[:N_TRAIN], X[N_TRAIN:]
    make = partial(MEMTODetector, max_iter=args.epochs, random_state=args.seed)
    live, both_ways = make(lookahead=0).fit(train), make().fit(train)
    for n_streams in args.streams:
        stream, groups = StreamingDetector(live), np.arange(n_streams)
        rows = np.repeat(new[:, np.newaxis], n_streams, axis=1)
        for i in range(BUFFER):  # a full window of each
            stream.update(rows[i], groups=groups)
        n_updates = max(5, args.updates // n_streams)
        seconds = seconds_of(
            lambda i, stream=stream, rows=rows, groups=groups: stream.update(
                rows[BUFFER + i], groups=groups
            ),
            network_alone(live, n_streams),
            n_updates,
        )
        yield _figures("StreamingDetector", n_streams, seconds, _size(stream))
    seconds = seconds_of(
        lambda i: both_ways.score_samples(new[i : i + BUFFER]),
        network_alone(both_ways, 1),
        args.updates,
    )
    yield _figures(BUFFERED, 1, seconds, new[:BUFFER].nbytes)


def _figures(way: str, n_streams: int, seconds: np.ndarray, size: float) -> Record:
    median = np.median(seconds[:, 0])
    return {
        "way": way,
        "streams": n_streams,
        "milliseconds": 1000 * median,
        "by_network": np.median(seconds[:, 0] / seconds[:, 1]),
        "rows_a_second": n_streams / median,
        "kilobytes": size / 1000,
    }


def _size(stream: StreamingDetector) -> float:
    """Bytes that one more stream takes in a pickle."""
    whole = len(pickle.dumps(stream))
    row = np.zeros((1, stream.detector.n_features_in_))
    for name in ("one more", "and one more"):
        for _ in range(BUFFER):
            stream.update(row, groups=[name])
    more = (len(pickle.dumps(stream)) - whole) / 2
    for name in ("one more", "and one more"):
        stream.forget(name)
    return more


def table(records: pd.DataFrame) -> str:
    """One row per number of channels, way and number of streams."""
    return markdown(texts(records, ["channels", "way", "streams"], CELLS))


def main(argv: Sequence[str] | None = None) -> int:
    parser = CommandLine(__file__, __doc__, seeds=False)
    parser.add_argument("--features", nargs="+", type=int, default=[8, 55])
    parser.add_argument("--streams", nargs="+", type=int, default=[1, 100, 1000])
    parser.add_argument("--updates", type=int, default=300)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    tasks = (({"channels": n}, partial(evaluate, n, args)) for n in args.features)
    return run(args, tasks, table)


if __name__ == "__main__":
    sys.exit(main())
