"""Bars of average precision per set, from what `accuracy.py` stored.

python benchmarks/bars.py accuracy accuracy-msl
"""

import argparse
import json
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
from _report import RESULTS
from matplotlib.axes import Axes

OURS = ("MEMTODetector", "AnomalyTransformer")
OUR_COLOR, THEIR_COLOR = "tab:blue", "0.75"


def draw(means: list[dict[str, Any]]) -> plt.Figure:
    """One panel per set, one bar per detector, best at the top."""
    sets = list(dict.fromkeys(row["set"] for row in means))
    figure, panels = plt.subplots(
        1,
        len(sets),
        figsize=(3.2 * len(sets), 2.6),
        layout="constrained",
        squeeze=False,
    )
    for panel, name in zip(panels[0], sets, strict=True):
        rows = [r for r in means if r["set"] == name and "average_precision" in r]
        _draw_set(panel, sorted(rows, key=lambda r: r["average_precision"]))
        panel.set_title(name)
    figure.supxlabel("average precision, %", fontsize="medium")
    return figure


def _draw_set(panel: Axes, rows: list[dict[str, Any]]) -> None:
    names = [row["detector"] for row in rows]
    values = [100 * row["average_precision"] for row in rows]
    spreads = [100 * (row["average_precision_sd"] or 0) for row in rows]
    colors = [OUR_COLOR if name in OURS else THEIR_COLOR for name in names]
    bars = panel.barh(names, values, xerr=spreads, color=colors, ecolor="0.3")
    panel.bar_label(bars, fmt="%.0f", padding=4, fontsize="small")
    panel.spines[["top", "right", "left"]].set_visible(False)
    panel.tick_params(axis="y", length=0)
    panel.margins(x=0.15)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("results", nargs="*", default=["accuracy", "accuracy-msl"])
    parser.add_argument("--out", default="accuracy")
    args = parser.parse_args(argv)
    matplotlib.use("Agg")
    means = []
    for name in args.results:
        report = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
        means += report["means"]
    path = (RESULTS / args.out).with_suffix(".png")
    draw(means).savefig(path, dpi=120)
    print(path.name)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
