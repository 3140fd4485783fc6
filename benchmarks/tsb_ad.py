"""Beside the field's benchmark, TSB-AD-M: fit on a prefix, score the whole series.

VUS-PR with the period of the first column as the largest buffer, exact and as the
benchmark's own code has it, whose published figures are stored beside ours. The series
come from a list and a set as `prepare_data.py` makes it, or from the benchmark's files:

    python benchmarks/tsb_ad.py --list ../shared/tsb_ad_msl.csv --sets msl --seeds 0 1 2
    python benchmarks/tsb_ad.py --files TSB-AD-M --out tsb_ad-all
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from _detectors import DETECTORS, build, key_values, seeds_for
from _markdown import markdown, spreads
from _report import RESULTS, CommandLine, Record, read, run
from _tsb_ad import Series, from_files, from_list, period, vus_pr_by_samples
from matplotlib.patches import Patch

from skmemto.metrics import vus_pr

# Those of ours that look both ways, and the same looking back only.
OURS = ("MEMTODetector", "AnomalyTransformer")
BACK = ", looking back"
BASELINES = (
    "Random",
    "PCA",
    "IsolationForest",
    "1-NN-ma21",
    "1-NN-all-ma21",
    "KMeans40",
)
FIGURES = {"vus_pr_benchmark": "VUS-PR, as published", "vus_pr": "VUS-PR, exact"}


def evaluate(series: Series, name: str, params: dict[str, Any], seed: int) -> Record:
    entity = series.entity
    detector = build(name, seed, params)
    start = time.perf_counter()
    anomaly = -detector.fit(entity.train).score_samples(entity.test)
    seconds = time.perf_counter() - start
    buffer_size = period(entity.test[:, 0])
    return {
        "vus_pr_benchmark": vus_pr_by_samples(
            entity.labels, anomaly, max_buffer_size=buffer_size
        ),
        "vus_pr": vus_pr(entity.labels, anomaly, max_buffer_size=buffer_size),
        "buffer_size": buffer_size,
        "seconds": seconds,
    }


def published(series: Series) -> Iterator[Record]:
    for name, value in series.published.items():
        known = {"published": True, "seed": 0, "vus_pr_benchmark": value}
        yield {"detector": f"{name}, published"} | known


def tasks(args: argparse.Namespace) -> Iterator[tuple[Record, Any]]:
    all_series = list(
        from_files(args.files)
        if args.files
        else from_list(args.list, args.sets[0], args.data)
    )
    for series in all_series:
        yield {"entity": series.entity.name}, partial(published, series)
    ours = {name: (name, args.set_param) for name in args.detectors}
    for name in set(OURS) & set(args.detectors):
        ours[name + BACK] = (name, args.set_param | {"lookahead": 0})
    for label, (name, params) in ours.items():
        for seed in seeds_for(name, args.seeds):
            for series in all_series:
                where = {"detector": label, "entity": series.entity.name, "seed": seed}
                yield where, partial(evaluate, series, name, params, seed)


def table(records: pd.DataFrame) -> str:
    """One row per detector, the best first: means over the series."""
    rows = {}
    for name, group in records.groupby("detector"):
        cells = {
            title: "" if group[figure].isna().all() else f"{spreads(group)[figure]:.3f}"
            for figure, title in FIGURES.items()
        }
        rows[name] = cells
    frame = pd.DataFrame.from_dict(rows, orient="index")
    order = frame[FIGURES["vus_pr_benchmark"]].str[:5].astype(float).argsort()[::-1]
    return markdown(frame.iloc[order], corner="detector")


def draw(out: str) -> None:
    """Draw the means as bars, by who measured them and which way they look."""
    records = read(out)
    means = records.groupby("detector")["vus_pr_benchmark"].mean().sort_values()
    is_published = set(records.loc[records["published"].eq(True), "detector"])
    colours = [
        "0.75" if n in is_published else "C0" if n.startswith(OURS) else "C1"
        for n in means.index
    ]
    figure, ax = plt.subplots(figsize=(7, 8), layout="constrained")
    ax.barh(range(len(means)), means, color=colours)
    ax.set_yticks(range(len(means)), means.index, fontsize=8)
    ax.set_xlabel(f"VUS-PR by the benchmark's thresholds, mean of {out}'s series")
    labels = {"C0": "skmemto", "C1": "baselines, run here", "0.75": "published"}
    handles = [Patch(color=colour, label=label) for colour, label in labels.items()]
    ax.legend(handles=handles, loc="lower right")
    figure.savefig(RESULTS / f"{out}.png", dpi=110)
    plt.close(figure)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    default = [*BASELINES, *OURS]
    parser = CommandLine(__file__, __doc__, ("msl",), detectors=DETECTORS)
    parser.set_defaults(detectors=default)
    parser.add_argument("--list", type=Path, help="series of the set; see _tsb_ad.py")
    parser.add_argument("--files", type=Path, help="a folder of the benchmark's files")
    parser.add_argument(
        "--set-param", nargs="+", action="extend", default=[], metavar="KEY=VALUE"
    )
    args = parser.parse_args(argv)
    if (args.list is None) == (args.files is None) or len(args.sets) != 1:
        parser.error("give --list FILE with one of --sets, or --files FOLDER")
    args.set_param = key_values(args.set_param)
    return args


def main(argv: Sequence[str] | None = None) -> int:
    args = parse(argv)
    status = run(args, tasks(args), table)
    draw(args.out)
    return status


if __name__ == "__main__":
    sys.exit(main())
