"""What the threshold that sets itself does, beside plain quantiles.

Each entity's model learns from the first 80 % of the training rows. False alarms are
the share flagged of the last 20 %, which are taken as normal and which it has not
seen; recall is that of the test series' anomalous rows and events. With
`early_stopping=True` the model leaves the last tenth of what it is given unlearned, and
the threshold takes in the scores there.

    python benchmarks/thresholds.py --sets asd skab msl smd
"""

import sys
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from _data import Entity
from _markdown import markdown, texts
from _report import Record, run_entities
from sklearn.metrics import precision_score, recall_score

from skmemto import MEMTODetector
from skmemto.metrics import event_recall

SETS = ("asd", "skab", "msl", "smd")
LEARNED = 0.8


def evaluate(entity: Entity, seed: int) -> Iterator[Record]:
    """Yield the figures of each way to set the threshold."""
    n_learned = int(LEARNED * len(entity.train))
    learned = entity.train[:n_learned]
    plain = MEMTODetector(random_state=seed).fit(learned)
    stopping = MEMTODetector(random_state=seed, early_stopping=True).fit(learned)
    in_sample = plain.score_samples(learned)
    ways = {
        "auto": (plain, plain.offset_),
        "auto, early_stopping=True": (stopping, stopping.offset_),
        "99 % quantile": (plain, np.quantile(in_sample, 0.01)),
        "99.5 % quantile": (plain, np.quantile(in_sample, 0.005)),
        "99.9 % quantile": (plain, np.quantile(in_sample, 0.001)),
    }
    scored = {
        model: [model.score_samples(X) for X in (entity.train, entity.test)]
        for model in (plain, stopping)
    }
    for name, (model, threshold) in ways.items():
        train_scores, scores = scored[model]
        flagged = (scores < threshold).astype(int)
        yield {
            "threshold": name,
            "false_alarms": (train_scores[n_learned:] < threshold).mean(),
            "precision": precision_score(entity.labels, flagged, zero_division=0),
            "recall": recall_score(entity.labels, flagged),
            "event_recall": event_recall(entity.labels, flagged),
        }


def table(records: pd.DataFrame) -> str:
    """One row per set and threshold: mean over the entities, in %."""
    figures = ("false_alarms", "precision", "recall", "event_recall")
    cells = {f"{name.replace('_', ' ')} %": f"{{{name}:.2%}}" for name in figures}
    return markdown(texts(records, ["set", "threshold"], cells))


def main(argv: Sequence[str] | None = None) -> int:
    return run_entities(__file__, __doc__, SETS, evaluate, table, argv)


if __name__ == "__main__":
    sys.exit(main())
