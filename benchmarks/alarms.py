"""Alarms on real data: events found, false runs and normal rows flagged, by detector.

Each detector is fitted on each entity's training series and flags rows of its test
series: ours by `predict`, with and without `rebase`, the others beyond the 99.9 %
quantile of their own training scores. Means over the entities of a set. `accuracy.py`
stores the same figures beside those of the ranking, without those of `rebase=None`.
`--curve` moves the thresholds as well, for the picture that `--draw` makes of it.

    python benchmarks/alarms.py --curve
    python benchmarks/alarms.py --draw alarms
"""

import sys
from collections.abc import Iterator, Sequence
from copy import copy
from functools import partial

import matplotlib
import matplotlib.pyplot as plt
import pandas as pd
from _alarms import alarm_figures, decisions
from _data import Entity
from _detectors import DETECTORS
from _markdown import markdown, pivot, spreads
from _report import RESULTS, CommandLine, Record, each_entity, read, run

SETS = ("asd", "skab", "msl", "smd", "batadal", "nab")
COMPARED = (
    "MEMTODetector",
    "AnomalyTransformer",
    "IsolationForest",
    "1-NN-ma21",
    "KMeans40",
)
# How far thresholds are moved, in decades of rarity.
CURVE = tuple(i / 2 for i in range(-4, 7))
CELL = "{events_found:.0%} / {false_runs:.1f} / {flagged_normal:.1%}"


def evaluate(
    entity: Entity, name: str, seed: int, decades: Sequence[float]
) -> Iterator[Record]:
    detector = DETECTORS[name](seed).fit(entity.train)
    variants = {name: detector}
    if "rebase" in detector.get_params():
        lasting = copy(detector).set_params(rebase=None).calibrate(entity.train)
        variants[f"{name}, rebase=None"] = lasting
    for label, variant in variants.items():
        alarms = decisions(variant, entity, decades)
        for moved, alarm in zip(decades, alarms, strict=True):
            figures = alarm_figures(entity.labels, alarm)
            yield {"detector": label, "decades": moved} | figures


def table(records: pd.DataFrame) -> str:
    """One row per detector, one column per set, at the thresholds as they are."""
    at_theirs = records[records["decades"].fillna(0) == 0]  # failures have none
    corner = "events found / false runs per 10,000 rows / normal rows flagged"
    return markdown(pivot(at_theirs, "detector", "set", CELL), corner=corner)


def draw(records: pd.DataFrame) -> plt.Figure:
    """Events found against false runs as the threshold moves, a panel for each set."""
    sets = records["set"].unique()
    figure, panels = plt.subplots(
        2, -(-len(sets) // 2), figsize=(11, 6.5), layout="constrained", squeeze=False
    )
    names = records["detector"].unique()
    for panel, name in zip(panels.flat, sets, strict=False):
        of_set = records[records["set"] == name]
        for detector, color in zip(names, plt.colormaps["tab10"].colors, strict=False):
            _draw_curve(panel, of_set[of_set["detector"] == detector], detector, color)
        panel.set(title=name, xscale="symlog", ylim=(0, 103))
    figure.supxlabel("false runs per 10,000 rows (dot: the threshold as it is)")
    figure.supylabel("events found, %")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False)
    return figure


def _draw_curve(
    panel: plt.Axes, records: pd.DataFrame, name: str, color: tuple[float, ...]
) -> None:
    points = {at: spreads(group) for at, group in records.groupby("decades")}
    x = [point["false_runs"].mean for point in points.values()]
    y = [100 * point["events_found"].mean for point in points.values()]
    ours = name.startswith("MEMTO")
    panel.plot(x, y, color=color, lw=2 if ours else 1, label=name)
    here = list(points).index(0)
    panel.plot(x[here], y[here], "o", color=color)


def main(argv: Sequence[str] | None = None) -> int:
    parser = CommandLine(__file__, __doc__, SETS, detectors=COMPARED)
    parser.add_argument("--curve", action="store_true", help="for many thresholds")
    parser.add_argument("--draw", metavar="NAME", help="only draw a stored result")
    args = parser.parse_args(argv)
    if args.draw:
        matplotlib.use("Agg")
        draw(read(args.draw)).savefig(RESULTS / f"{args.draw}.png", dpi=100)
        return 0
    decades = CURVE if args.curve else (0.0,)
    tasks = (
        (where, partial(evaluate, entity, name, where["seed"], decades))
        for where, entity in each_entity(args)
        for name in args.detectors
    )
    return run(args, tasks, table)


if __name__ == "__main__":
    sys.exit(main())
