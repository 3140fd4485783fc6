"""What the threshold that sets itself does, beside plain quantiles.

Each entity's model learns from the first 80 % of the training rows. False alarms are
the share flagged of the last 20 %, which are taken as normal and which it has not
seen; recall is that of the test series' anomalous rows and events. With
`early_stopping=True` the model leaves the last tenth of what it is given unlearned, and
the threshold takes in the scores there.

    python benchmarks/thresholds.py --sets asd skab msl smd
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from _data import Entity
from _report import markdown_table, run_per_entity
from sklearn.metrics import precision_score, recall_score

from skmemto import MEMTODetector
from skmemto.metrics import event_recall

SETS = ("asd", "skab", "msl", "smd")
LEARNED = 0.8
FIGURES = {
    "false_alarms": "false alarms",
    "precision": "precision",
    "recall": "recall",
    "event_recall": "event recall",
}


def evaluate(entity: Entity, seed: int, path: Path) -> Iterator[dict[str, Any]]:
    """Yield the figures of each way to set the threshold."""
    learned = entity.train[: int(LEARNED * len(entity.train))]
    detector = MEMTODetector(random_state=seed).fit(learned)
    stopped_early = MEMTODetector(random_state=seed, early_stopping=True).fit(learned)
    in_sample = detector.score_samples(learned)
    thresholds = {
        "auto": detector.offset_,
        "99 % quantile": np.quantile(in_sample, 0.01),
        "99.5 % quantile": np.quantile(in_sample, 0.005),
        "99.9 % quantile": np.quantile(in_sample, 0.001),
    }
    yield from _figures(detector, entity, len(learned), thresholds)
    threshold = {"auto, early_stopping=True": stopped_early.offset_}
    yield from _figures(stopped_early, entity, len(learned), threshold)


def _figures(
    detector: MEMTODetector,
    entity: Entity,
    n_learned: int,
    thresholds: dict[str, float],
) -> Iterator[dict[str, Any]]:
    held_back = detector.score_samples(entity.train)[n_learned:]
    scores = detector.score_samples(entity.test)
    for name, threshold in thresholds.items():
        flagged = (scores < threshold).astype(int)
        yield {
            "threshold": name,
            "false_alarms": float((held_back < threshold).mean()),
            "precision": precision_score(entity.labels, flagged, zero_division=0),
            "recall": recall_score(entity.labels, flagged),
            "event_recall": event_recall(entity.labels, flagged),
        }


def markdown(report: dict[str, Any]) -> str:
    """One row per set and threshold: mean over the entities, in %."""
    records = report["results"]
    keys = dict.fromkeys((r["set"], r["threshold"]) for r in records)
    rows = []
    for key in keys:
        group = [r for r in records if (r["set"], r["threshold"]) == key]
        means = (np.mean([r[figure] for r in group]) for figure in FIGURES)
        rows.append([*key, *(f"{100 * mean:.2f}" for mean in means)])
    header = ["set", "threshold", *(f"{title} %" for title in FIGURES.values())]
    return f"{markdown_table(header, rows)}\n\n- Command: `{report['command']}`\n"


def main(argv: list[str] | None = None) -> int:
    summary = __doc__.partition("\n")[0]
    return run_per_entity("thresholds", summary, evaluate, markdown, SETS, argv)


if __name__ == "__main__":
    sys.exit(main())
