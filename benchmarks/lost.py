"""Pictures of the entities that MEMTODetector loses to a simple baseline.

From what `accuracy.py` stored, the entities of a set where average precision falls
furthest behind the best baseline of that entity, over all seeds. For each: both
scores over the test series, true anomalies shaded, and below the channels that differ
most, during the anomalies, from what the training series is like.

    python benchmarks/lost.py accuracy-msl --set msl --worst 3
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from _data import DEFAULT_FOLDER, Entity, load_entities
from _detectors import BASELINES, DETECTORS
from _markdown import markdown
from _report import read
from matplotlib.axes import Axes

OURS = "MEMTODetector"
N_CHANNELS = 4


def behind(records: pd.DataFrame) -> pd.DataFrame:
    """Entities of a set with our mean AP and the best baseline's, worst first."""
    aps = records.pivot_table("average_precision", "entity", "detector", sort=False)
    theirs = aps[aps.columns.intersection(BASELINES, sort=False)]
    rows = pd.DataFrame({"ours": aps[OURS], "its": theirs.max(axis=1)})
    rows["best"] = theirs.idxmax(axis=1)
    return rows.loc[(rows["ours"] - rows["its"]).sort_values(kind="stable").index]


def draw(entity: Entity, baseline: str) -> plt.Figure:
    """Both scores, and the channels that moved most."""
    channels = moved_most(entity)
    figure, panels = plt.subplots(
        2 + len(channels), 1, figsize=(12, 9), sharex=True, layout="constrained"
    )
    for panel, name in zip(panels, (OURS, baseline), strict=False):
        scores = -DETECTORS[name](0).fit(entity.train).score_samples(entity.test)
        panel.plot(scores, color="tab:red", linewidth=0.7)
        panel.set_ylabel(name)
    for panel, channel in zip(panels[2:], channels, strict=True):
        panel.plot(entity.test[:, channel], linewidth=0.7)
        for bound in (entity.train[:, channel].min(), entity.train[:, channel].max()):
            panel.axhline(bound, color="0.6", linestyle="--", linewidth=0.7)
        panel.set_ylabel(f"channel {channel}")
    for panel in panels:
        shade(panel, entity.labels)
    panels[-1].set_xlabel("time step; dashed: range in training; shaded: anomalies")
    return figure


def moved_most(entity: Entity) -> np.ndarray:
    """Channels whose anomalous readings are furthest from the training series."""
    mean, scale = entity.train.mean(axis=0), entity.train.std(axis=0) + 1e-3
    distance = np.abs(entity.test - mean) / scale
    anomalous = entity.labels == 1
    moved = distance[anomalous].mean(axis=0) - distance[~anomalous].mean(axis=0)
    return np.argsort(-moved)[:N_CHANNELS]


def shade(panel: Axes, labels: np.ndarray) -> None:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], labels, [0]]).astype(int)))
    for start, stop in edges.reshape(-1, 2):
        panel.axvspan(start - 0.5, stop - 0.5, color="tab:orange", alpha=0.3, lw=0)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("results", nargs="?", default="accuracy")
    parser.add_argument("--set", dest="set_name", default="smd")
    parser.add_argument("--worst", type=int, default=3)
    parser.add_argument("--data", type=Path, default=DEFAULT_FOLDER)
    parser.add_argument("--out", type=Path, default=Path())
    args = parser.parse_args(argv)
    matplotlib.use("Agg")
    records = read(args.results)
    rows = behind(records[records["set"] == args.set_name])
    shown = rows.assign(**(100 * rows[["ours", "its"]]).map("{:.1f}".format))
    shown.columns = [f"AP of {OURS}", "best baseline's", "which"]
    print(markdown(shown))
    entities = {e.name: e for e in load_entities(args.set_name, args.data)}
    for name, best in rows["best"].iloc[: args.worst].items():
        path = args.out / f"lost-{args.set_name}-{name.replace('/', '-')}.png"
        draw(entities[name], best).savefig(path, dpi=80)
        print(path)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
