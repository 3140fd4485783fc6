"""Made-up plants with anomalies of every kind, as the eye would judge the alarms.

Four plants, eleven kinds of anomaly, two of each kind in 6,000 rows to score and 6,000
to learn from. Events found, false runs per 10,000 normal rows, delay in rows, share of
flagged rows more than 10 rows away from an event, and average precision. `--draw` makes
a picture of what was found of each kind.

    python benchmarks/eye.py --seeds 0 1 2
    python benchmarks/eye.py --draw eye
"""

import sys
from collections.abc import Iterator, Sequence
from functools import partial

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from _alarms import alarm_figures, decisions
from _data import Entity
from _detectors import DETECTORS, ranking
from _markdown import markdown, texts
from _report import RESULTS, CommandLine, Record, read, run
from sklearn.utils import Bunch

from skmemto._plants import PLANTS
from skmemto.datasets import KINDS, make_anomalous_series

COMPARED = (
    "MEMTODetector",
    "AnomalyTransformer",
    "IsolationForest",
    "1-NN-ma21",
    "KMeans40",
)
N_ROWS = 6000
N_OF_A_KIND = 2
CELLS = {
    "events found %": "{events_found:.0%}",
    "false runs / 10,000": "{false_runs:.1f}",
    "delay, rows": "{delay:.1f}",
    "flagged off %": "{flagged_off:.0%}",
    "average precision %": "{average_precision:.1%}",
}


def make_plant(plant: str, seed: int, n_rows: int) -> Bunch:
    return make_anomalous_series(
        plant=plant,
        kinds=KINDS,
        n_events=N_OF_A_KIND * len(KINDS),
        n_train=n_rows,
        n_test=n_rows,
        random_state=1000 + seed,
    )


def evaluate(name: str, plant: str, seed: int, n_rows: int) -> Iterator[Record]:
    """Yield figures of the whole series, and what was found of each kind."""
    data = make_plant(plant, seed, n_rows)
    entity = Entity(plant, data.X_train, data.X_test, data.y_test)
    detector = DETECTORS[name](seed).fit(data.X_train)
    (alarm,) = decisions(detector, entity)
    scores = -detector.score_samples(data.X_test)
    hits = [np.flatnonzero(alarm[e.start : e.stop] > 0) for e in data.events]
    delays = [rows[0] for rows in hits if len(rows)]
    yield {
        "kind": "all",
        "delay": float(np.mean(delays)) if delays else 0.0,
        **alarm_figures(data.y_test, alarm),
        **ranking(data.y_test, scores),
    }
    for event, rows in zip(data.events, hits, strict=True):
        yield {"kind": event.kind, "events_found": float(len(rows) > 0)}


def table(records: pd.DataFrame) -> str:
    """One row per detector, all plants together; then one per kind of anomaly."""
    kind = records["kind"].fillna("all")  # failures have none
    whole = texts(records[kind == "all"], ["detector"], CELLS)
    kinds = records[kind != "all"]
    found = kinds.pivot_table("events_found", "kind", "detector", sort=False)
    found = found.reindex(columns=records["detector"].unique())
    shown = found.map("{:.0%}".format, na_action="ignore")
    return f"{markdown(whole)}\n\n{markdown(shown, corner='events found')}"


def draw(records: pd.DataFrame) -> plt.Figure:
    """Share of the events found, of each kind, by detector."""
    kinds = records[records["kind"] != "all"]
    found = 100 * kinds.pivot_table("events_found", "kind", "detector", sort=False)
    found = found.loc[list(KINDS), list(records["detector"].unique())]
    figure, axes = plt.subplots(figsize=(11, 4), layout="constrained")
    image = axes.imshow(found.T, cmap="cividis", vmin=0, vmax=100, aspect="auto")
    axes.set_xticks(range(len(found)), found.index, rotation=30, ha="right")
    axes.set_yticks(range(found.shape[1]), found.columns)
    for (row, column), value in np.ndenumerate(found.T.to_numpy()):
        color = "black" if value > 50 else "white"
        axes.text(column, row, f"{value:.0f}", ha="center", va="center", color=color)
    figure.colorbar(image, label="events found, %")
    return figure


def main(argv: Sequence[str] | None = None) -> int:
    parser = CommandLine(__file__, __doc__, detectors=COMPARED)
    parser.add_argument("--plants", nargs="+", choices=PLANTS, default=list(PLANTS))
    parser.add_argument(
        "--rows", type=int, default=N_ROWS, help="to learn, and to score"
    )
    parser.add_argument("--draw", metavar="NAME", help="only draw a stored result")
    args = parser.parse_args(argv)
    if args.draw:
        matplotlib.use("Agg")
        draw(read(args.draw)).savefig(RESULTS / f"{args.draw}.png", dpi=100)
        return 0
    tasks = (
        (
            {"detector": name, "plant": plant, "seed": seed},
            partial(evaluate, name, plant, seed, args.rows),
        )
        for name in args.detectors
        for plant in args.plants
        for seed in args.seeds
    )
    return run(args, tasks, table)


if __name__ == "__main__":
    sys.exit(main())
