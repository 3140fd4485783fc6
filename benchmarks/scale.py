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

import argparse
import multiprocessing
import shlex
import sys
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from _report import RESULTS, environment, markdown_table, save

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
FIGURES = {
    "fit_seconds": "fit s",
    "score_seconds": "score s",
    "fit_mb": "fit MB",
    "score_mb": "score MB",
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

    def __init__(self) -> None:
        self.peak = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
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
    for name, run in (("fit", detector.fit), ("score", detector.score_samples)):
        begin = time.perf_counter()
        with PeakMemory() as memory:
            run(X, groups=groups)
        figures[f"{name}_seconds"] = time.perf_counter() - begin
        figures[f"{name}_mb"] = (memory.peak - start) / MB
    return figures | {
        "data_mb": X.nbytes / MB,
        "window_size": detector.window_size_,
        "threads": torch.get_num_threads(),
    }


def measure_apart(size: Size, folder: Path | None) -> dict[str, float]:
    """Fit and score in a new process, on data that are then deleted."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        path = Path(name) / "X.npy"
        write_data(path, size)
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=spawn) as executor:
            return executor.submit(measure, path, size).result()


def fitted_exponent(sweep: str, results: list[dict[str, Any]], figure: str) -> float:
    """Exponent b of ``figure ~ sweep ** b``, by least squares of the logarithms."""
    x, y = ([r[key] for r in results] for key in (sweep, figure))
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def summarize(results: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """What is fitted to each sweep of more than one size."""
    summary: dict[str, dict[str, float]] = {}
    for sweep in SWEEPS:
        group = [r for r in results if r["sweep"] == sweep]
        growing = [r for r in group if r["rows"] > STEPS_GROW_FROM]
        if sweep == "rows" and len(growing) > 1:
            group = growing
        if len(group) > 1:
            summary[sweep] = {"from": group[0][sweep]}
            for name in ("fit", "score"):
                exponent = fitted_exponent(sweep, group, f"{name}_seconds")
                summary[sweep][f"{name}_exponent"] = exponent
    return summary


def markdown(report: dict[str, Any]) -> str:
    """A table for each sweep, and below it what was fitted."""
    parts = []
    for sweep in dict.fromkeys(r["sweep"] for r in report["results"]):
        group = [r for r in report["results"] if r["sweep"] == sweep]
        rows = [
            [
                *(f"{r[key]:,}" for key in (*Size._fields, "window_size")),
                *(f"{r[key]:.1f}" for key in ("data_mb", *FIGURES)),
            ]
            for r in group
        ]
        header = [*Size._fields, "window", "data MB", *FIGURES.values()]
        parts += [markdown_table(header, rows), conclusion(sweep, group, report)]
    parts.append(f"- Command: `{report['command']}`\n")
    return "\n\n".join(part for part in parts if part)


def conclusion(
    sweep: str, results: list[dict[str, Any]], report: dict[str, Any]
) -> str:
    if sweep == "target":
        most = max(results[0]["fit_mb"], results[0]["score_mb"])
        return (
            f"{most:.0f} MB beyond the start at most, "
            f"{'within' if most < TARGET_MB else 'NOT within'} {TARGET_MB} MB."
        )
    fitted = report["summary"].get(sweep)
    if fitted is None:
        return ""
    part = beyond(results[0][sweep], fitted)
    seconds = (
        f"Seconds grow as {sweep} to the power of {fitted['fit_exponent']:.2f} (fit), "
        f"{fitted['score_exponent']:.2f} (score){part}."
    )
    memory = " and ".join(
        f"{max(r['fit_mb'], r['score_mb']):.0f} MB for {r[sweep]:,} {sweep}"
        for r in (results[0], results[-1])
    )
    return f"{seconds} Memory beyond the start: {memory}."


def beyond(least: int, fitted: dict[str, float]) -> str:
    """Say which sizes an exponent is of, where it is not all."""
    return f" from {fitted['from']:,} on" if fitted["from"] > least else ""


def draw(report: dict[str, Any], path: Path) -> None:
    """Time above, memory below; a column for each sweep with several sizes."""
    from matplotlib.figure import Figure

    sweeps = list(report["summary"])
    figure = Figure(figsize=(4 * len(sweeps), 6), layout="constrained")
    axes = figure.subplots(2, len(sweeps), sharex="col", sharey="row", squeeze=False)
    for sweep, (seconds, memory) in zip(sweeps, axes.T, strict=True):
        group = [r for r in report["results"] if r["sweep"] == sweep]
        sizes = [r[sweep] for r in group]
        fitted = report["summary"][sweep]
        part = beyond(sizes[0], fitted).replace(" ", "\n", 1)
        for name, marker in (("fit", "o-"), ("score", "s--")):
            label = f"{name}, exponent {fitted[f'{name}_exponent']:.2f}{part}"
            values = [r[f"{name}_seconds"] for r in group]
            seconds.loglog(sizes, values, marker, label=label)
            memory.loglog(sizes, [r[f"{name}_mb"] for r in group], marker, label=name)
        memory.loglog(sizes, [r["data_mb"] for r in group], ":", label="the data")
        memory.set_xlabel(sweep)
        seconds.legend()
        memory.legend()
    axes[0, 0].set_ylabel("seconds")
    axes[1, 0].set_ylabel("MB beyond the start")
    figure.savefig(path, dpi=120)


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sweeps", nargs="+", choices=SWEEPS, default=SWEEPS)
    parser.add_argument(
        "--max-rows", type=int, default=10**7, help="larger tables are left out"
    )
    parser.add_argument(
        "--at-rows", type=int, default=50_000, help="rows while channels or groups grow"
    )
    parser.add_argument("--folder", type=Path, help="for the data, up to 320 MB")
    parser.add_argument("--out", default="scale", help="benchmarks/results/OUT.*")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    if not STATUS.exists():
        sys.exit(f"error: memory is read from {STATUS}, which only Linux has.")
    arguments = sys.argv[1:] if argv is None else argv
    report: dict[str, Any] = {
        "command": shlex.join(["python", "benchmarks/scale.py", *arguments]),
        "environment": environment(),
        "results": [],
        "summary": {},
    }
    measured: dict[Size, dict[str, float]] = {}
    for sweep in args.sweeps:
        for size in sizes_of(sweep, args.at_rows):
            if size.rows > args.max_rows:
                continue
            print(f"{sweep}: {size}", file=sys.stderr, flush=True)
            if size not in measured:
                measured[size] = measure_apart(size, args.folder)
            figures = {"sweep": sweep, **size._asdict(), **measured[size]}
            report["results"].append(figures)
            report["summary"] = summarize(report["results"])
            save(report, markdown(report), args.out)
    if report["summary"]:
        draw(report, (RESULTS / args.out).with_suffix(".png"))
    print(markdown(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
