"""Bars of average precision per set, from what `accuracy.py` stored.

python benchmarks/bars.py accuracy accuracy-msl
"""

import argparse
from collections.abc import Sequence
from itertools import zip_longest

import matplotlib
import matplotlib.pyplot as plt
import pandas as pd
from _markdown import spreads, succeeded
from _report import RESULTS, read
from matplotlib.axes import Axes

OURS = ("MEMTODetector", "AnomalyTransformer")
OUR_COLOR, THEIR_COLOR = "tab:blue", "0.75"
N_COLUMNS = 3


def draw(records: pd.DataFrame) -> plt.Figure:
    """One panel per set, one bar per detector, best at the top."""
    sets = records["set"].unique()
    n_columns = min(len(sets), N_COLUMNS)
    n_rows = -(-len(sets) // n_columns)
    figure, panels = plt.subplots(
        n_rows,
        n_columns,
        figsize=(3.2 * n_columns, 2.6 * n_rows),
        layout="constrained",
        squeeze=False,
    )
    for panel, name in zip_longest(panels.flat, sets):
        if name is None:
            panel.remove()
            continue
        aps = {
            detector: spreads(group)["average_precision"]
            for detector, group in records[records["set"] == name].groupby("detector")
            if len(succeeded(group)) == len(group)
        }
        _draw_set(panel, pd.DataFrame(aps, index=["mean", "sd"]).T)
        panel.set_title(name)
    figure.supxlabel("average precision, %", fontsize="medium")
    return figure


def _draw_set(panel: Axes, aps: pd.DataFrame) -> None:
    aps = 100 * aps.sort_values("mean", kind="stable").fillna(0)
    colors = [OUR_COLOR if name in OURS else THEIR_COLOR for name in aps.index]
    bars = panel.barh(
        aps.index, aps["mean"], xerr=aps["sd"], color=colors, ecolor="0.3"
    )
    panel.bar_label(bars, fmt="%.0f", padding=4, fontsize="small")
    panel.spines[["top", "right", "left"]].set_visible(False)
    panel.tick_params(axis="y", length=0)
    panel.margins(x=0.15)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("results", nargs="*", default=["accuracy", "accuracy-msl"])
    parser.add_argument("--out", default="accuracy")
    args = parser.parse_args(argv)
    matplotlib.use("Agg")
    path = (RESULTS / args.out).with_suffix(".png")
    draw(read(*args.results)).savefig(path, dpi=120)
    print(path.name)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
