"""Time and memory of MEMTODetector as the data grow.

The data are a read-only numpy.memmap of float32 in a temporary folder. One thing grows
at a time: rows, channels, or groups of one table. Each measurement has a process of its
own, which fits (one epoch a phase, otherwise the defaults) and then scores the rows it
has learned from. With the default stride an epoch has about 1000 windows, and of more
than 51,200 rows those that cover each row once: only from there on the steps of a fit
grow with the rows, so exponents in rows are fitted to larger tables, if there are two.

Memory is the peak of anonymous memory (RssAnon of Linux: the pages of the file do not
count) beyond what the process has after its imports; that of the score includes what is
left from the fit. What torch loads in a first fit counts as memory, not as time: a fit
of a few rows goes ahead of the clock. K-means takes in up to 50,000 queries (70 MB), as
many as that from 500,000 rows on; only beyond that does the peak tell what a row costs.

    python benchmarks/scale.py --max-rows 1000000
    python benchmarks/scale.py --sweeps target --out scale-target
"""

import multiprocessing
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import pandas as pd
from _markdown import markdown, succeeded, texts
from _report import RESULTS, CommandLine, read, run

from skmemto import MEMTODetector

ROWS = (10**4, 10**5, 10**6, 10**7)
CHANNELS = (1, 8, 38, 200)
GROUPS = (1, 10, 100, 1000)
SWEEPS = ("rows", "channels", "groups", "target")
FIXED_CHANNELS = 8
STEPS_GROW_FROM = 51_200  # rows: the windows of an epoch times their size
# Data that do not fit beside their copy: to be learned and scored in this many MB.
TARGET_ROWS, TARGET_CHANNELS, TARGET_MB = 2_000_000, 38, 300
STATUS = Path("/proc/self/status")
SECONDS_BETWEEN_SAMPLES = 0.005
ROWS_PER_WRITE = 65_536
FIRST_ROWS = 100
MB = 1e6
CELLS = {
    "data MB": "{data_mb:.1f}",
    "fit s": "{fit_seconds:.1f}",
    "score s": "{score_seconds:.1f}",
}


class Size(NamedTuple):
    """Of the data of one measurement."""

    rows: int
    channels: int
    groups: int


def sizes_of(sweep: str, at_rows: int) -> list[Size]:
    """What a sweep measures, small to large."""
    if sweep == "rows":
        return [Size(rows, FIXED_CHANNELS, 1) for rows in ROWS]
    if sweep == "channels":
        return [Size(at_rows, channels, 1) for channels in CHANNELS]
    if sweep == "groups":
        return [Size(at_rows, FIXED_CHANNELS, groups) for groups in GROUPS]
    return [Size(TARGET_ROWS, TARGET_CHANNELS, 1)]


def write_data(path: Path, size: Size) -> None:
    """Noisy sines, a block of rows at a time."""
    shape = (size.rows, size.channels)
    X = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    rng = np.random.default_rng(0)
    periods = rng.uniform(10, 100, size.channels)
    for start in range(0, size.rows, ROWS_PER_WRITE):
        block = X[start : start + ROWS_PER_WRITE]
        steps = np.arange(start, start + len(block))[:, np.newaxis]
        noise = rng.standard_normal(block.shape, dtype=np.float32)
        block[:] = np.sin(2 * np.pi * steps / periods) + 0.1 * noise
    X.flush()


class PeakMemory:
    """Samples the anonymous memory of this process, in bytes, from a thread."""

    def __enter__(self) -> Self:
        self.peak = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()
        self.peak = max(self.peak, anonymous_memory())

    def _watch(self) -> None:
        while not self._stop.wait(SECONDS_BETWEEN_SAMPLES):
            self.peak = max(self.peak, anonymous_memory())


def anonymous_memory() -> int:
    lines = STATUS.read_text().splitlines()
    (kib,) = (line.split()[1] for line in lines if line.startswith("RssAnon:"))
    return 1024 * int(kib)


def measure(path: Path, size: Size) -> dict[str, float]:
    """Fit and score in this process."""
    names = np.arange(size.groups, dtype=np.int32)
    groups = np.repeat(names, -(-size.rows // size.groups))[: size.rows]
    X = np.load(path, mmap_mode="r")
    detector = MEMTODetector(max_iter=1, random_state=0)
    start = anonymous_memory()
    detector.fit(X[:FIRST_ROWS])
    figures: dict[str, float] = {}
    for name, step in (("fit", detector.fit), ("score", detector.score_samples)):
        begin = time.perf_counter()
        with PeakMemory() as memory:
            step(X, groups=groups)
        figures[f"{name}_seconds"] = time.perf_counter() - begin
        figures[f"{name}_mb"] = (memory.peak - start) / MB
    return figures | {"data_mb": X.nbytes / MB, "window_size": detector.window_size_}


def measure_apart(size: Size, folder: Path | None) -> dict[str, float]:
    """Fit and score in a new process, on data that are then deleted."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        path = Path(name) / "X.npy"
        write_data(path, size)
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=spawn) as executor:
            return executor.submit(measure, path, size).result()


def growing(records: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame, pd.DataFrame]]:
    """Yield each sweep of several sizes: its records, and those to fit exponents to."""
    for sweep, group in succeeded(records).groupby("sweep", sort=False):
        fitted = group[group["rows"] > STEPS_GROW_FROM]
        if sweep != "rows" or len(fitted) < 2:
            fitted = group
        if len(group) > 1:
            yield sweep, group, fitted


def exponent(fitted: pd.DataFrame, sweep: str, figure: str) -> float:
    """Exponent b of ``figure ~ sweep ** b``, by least squares of the logarithms."""
    return float(np.polyfit(np.log(fitted[sweep]), np.log(fitted[figure]), 1)[0])


def beyond(group: pd.DataFrame, fitted: pd.DataFrame, sweep: str) -> str:
    """Say which sizes an exponent is of, where it is not all."""
    least = fitted[sweep].iloc[0]
    return f" from {least:,} on" if len(fitted) < len(group) else ""


def peaks(records: pd.DataFrame) -> pd.Series:
    return records[["fit_mb", "score_mb"]].max(axis=1)


def table(records: pd.DataFrame) -> str:
    """One row per size, and below what was fitted to each sweep."""
    memory = {"fit MB": "{fit_mb:.1f}", "score MB": "{score_mb:.1f}"}
    cells = {"window": "{window_size:.0f}"} | CELLS | memory
    shown = markdown(texts(records, ["sweep", *Size._fields], cells))
    return "\n".join([shown, "", *conclusions(records)])


def conclusions(records: pd.DataFrame) -> Iterator[str]:
    for sweep, group, fitted in growing(records):
        powers = [exponent(fitted, sweep, f"{n}_seconds") for n in ("fit", "score")]
        first, *_, last = (
            f"{peak:.0f} MB for {size:,} {sweep}"
            for peak, size in zip(peaks(group), group[sweep], strict=True)
        )
        yield (
            f"- Seconds grow as {sweep} to the power of {powers[0]:.2f} (fit), "
            f"{powers[1]:.2f} (score){beyond(group, fitted, sweep)}. Memory beyond the "
            f"start: {first} and {last}."
        )
    for most in peaks(records[records["sweep"] == "target"]):
        within = "within" if most < TARGET_MB else "NOT within"
        yield f"- {most:.0f} MB beyond the start at most, {within} {TARGET_MB} MB."


def draw(records: pd.DataFrame, path: Path) -> None:
    """Time above, memory below; a column for each sweep with several sizes."""
    # Here, since what is imported above is part of every measurement's process.
    from matplotlib.figure import Figure

    sweeps = list(growing(records))
    figure = Figure(figsize=(4 * len(sweeps), 6), layout="constrained")
    axes = figure.subplots(2, len(sweeps), sharex="col", sharey="row", squeeze=False)
    for (sweep, group, fitted), (seconds, memory) in zip(sweeps, axes.T, strict=True):
        sizes = group[sweep]
        part = beyond(group, fitted, sweep).replace(" ", "\n", 1)
        for name, marker in (("fit", "o-"), ("score", "s--")):
            power = exponent(fitted, sweep, f"{name}_seconds")
            label = f"{name}, exponent {power:.2f}{part}"
            seconds.loglog(sizes, group[f"{name}_seconds"], marker, label=label)
            memory.loglog(sizes, group[f"{name}_mb"], marker, label=name)
        memory.loglog(sizes, group["data_mb"], ":", label="the data")
        memory.set_xlabel(sweep)
        seconds.legend()
        memory.legend()
    axes[0, 0].set_ylabel("seconds")
    axes[1, 0].set_ylabel("MB beyond the start")
    figure.savefig(path, dpi=120)


def main(argv: Sequence[str] | None = None) -> int:
    parser = CommandLine(__file__, __doc__, seeds=False)
    parser.add_argument("--sweeps", nargs="+", choices=SWEEPS, default=SWEEPS)
    parser.add_argument(
        "--max-rows", type=int, default=10**7, help="larger tables are left out"
    )
    parser.add_argument(
        "--at-rows", type=int, default=50_000, help="rows while channels or groups grow"
    )
    parser.add_argument("--folder", type=Path, help="for the data, up to 320 MB")
    args = parser.parse_args(argv)
    if not STATUS.exists():
        sys.exit(f"error: memory is read from {STATUS}, which only Linux has.")
    measured = cache(measure_apart)  # Sweeps share sizes.
    tasks = (
        ({"sweep": sweep} | size._asdict(), partial(measured, size, args.folder))
        for sweep in args.sweeps
        for size in sizes_of(sweep, args.at_rows)
        if size.rows <= args.max_rows
    )
    status = run(args, tasks, table)
    records = read(args.out)
    if any(growing(records)):
        draw(records, (RESULTS / args.out).with_suffix(".png"))
    return status


if __name__ == "__main__":
    sys.exit(main())
