"""What a pooled start of a fleet's models saves, and what it costs.

The entities of a set are the machines of a fleet: one model each, fitted by itself or
going on from a model of all. Seconds are those of fits, CPU time of this process.

    OMP_NUM_THREADS=1 python benchmarks/pooled.py --seeds 0 1 2
"""

import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import pandas as pd
from _data import Entity
from _detectors import ranking
from _markdown import markdown, pivot
from _report import CommandLine, Record, judged, load_sets, run

from skmemto import MEMTODetector, PerGroupDetector

CELL = "{auroc:.1%} / {average_precision:.1%} / {fit_seconds:.1f}"


def evaluate(entities: list[Entity], pooled_start: bool, seed: int) -> Iterator[Record]:
    detector = PerGroupDetector(
        MEMTODetector(random_state=seed), pooled_start=pooled_start
    )
    lengths = [len(entity.train) for entity in entities]
    X = np.concatenate([entity.train for entity in entities])
    start = time.process_time()
    detector.fit(X, groups=np.repeat(np.arange(len(entities)), lengths))
    seconds = time.process_time() - start
    for i, entity in enumerate(entities):
        anomaly = -detector.estimators_[i].score_samples(entity.test)
        figures = ranking(entity.labels, anomaly)
        yield {"entity": entity.name, "fit_seconds": seconds / len(entities)} | figures


def table(records: pd.DataFrame) -> str:
    """One row for each way to fit, one column per set."""
    cells = pivot(records, "models", "set", CELL)
    return markdown(cells, corner="AUROC / AP, % / all fits, CPU s")


def main(argv: Sequence[str] | None = None) -> int:
    parser = CommandLine(__file__, __doc__, ("skab", "asd"))
    args = parser.parse_args(argv)
    tasks = (
        (
            {"models": name, "set": set_name, "seed": seed},
            partial(evaluate, judged(set_name, entities), pooled_start, seed),
        )
        for set_name, entities in load_sets(args).items()
        for name, pooled_start in (("each by itself", False), ("pooled start", True))
        for seed in args.seeds
    )
    return run(args, tasks, table)


if __name__ == "__main__":
    sys.exit(main())
