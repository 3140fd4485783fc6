"""How much a few later rows are worth: average precision by `lookahead`.

From what `accuracy.py` stored of MEMTODetector with `--set-param lookahead=K`, each as
`lookahead-K`, and of all rows as `accuracy` and `accuracy-msl`, seed 0.

    python benchmarks/delay.py
"""

import argparse
from collections.abc import Sequence

import matplotlib
import matplotlib.pyplot as plt
import pandas as pd
from _markdown import markdown, pivot
from _report import RESULTS, read

LOOKAHEADS = ("0", "5", "10", "25", "50")
ALL = "all"
SETS = ("asd", "skab", "msl", "smd", "batadal", "nab")
CELL = "{auroc:.1%} / {average_precision:.1%}"


def read_all() -> pd.DataFrame:
    """Records of MEMTODetector, seed 0, with their `lookahead`."""
    parts = [read(f"lookahead-{k}").assign(lookahead=k) for k in LOOKAHEADS]
    both_ways = read("accuracy", "accuracy-msl").assign(lookahead=ALL)
    records = pd.concat([*parts, both_ways], ignore_index=True)
    return records[(records["detector"] == "MEMTODetector") & (records["seed"] == 0)]


def table(records: pd.DataFrame) -> str:
    """One row per lookahead."""
    cells = pivot(records, "lookahead", "set", CELL)
    return markdown(cells[list(SETS)], corner="AUROC / AP, %, lookahead")


def draw(records: pd.DataFrame) -> plt.Figure:
    """One line per set."""
    figure, panel = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    means = records.groupby(["set", "lookahead"])["average_precision"].mean()
    positions = range(len(LOOKAHEADS) + 1)
    for name, style in zip(SETS, ("o-", "s-", "^-", "v-", "D-", "x-"), strict=True):
        line = 100 * means[name].reindex([*LOOKAHEADS, ALL])
        panel.plot(positions, line, style, label=name, markersize=4)
    panel.set(xticks=positions, xticklabels=[*LOOKAHEADS, ALL])
    panel.set(xlabel="lookahead, rows", ylabel="average precision, %")
    panel.legend(ncols=3, fontsize="small")
    panel.spines[["top", "right"]].set_visible(False)
    return figure


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", default="delay")
    args = parser.parse_args(argv)
    matplotlib.use("Agg")
    path = (RESULTS / args.out).with_suffix(".png")
    records = read_all()
    print(table(records))
    draw(records).savefig(path, dpi=120)
    print(path.name)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
