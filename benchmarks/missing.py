"""What missing readings cost: average precision with a share of them removed.

Readings are removed at random, each on its own, from training and test series alike
("both"), or from the test series alone, scored by the model of the complete training
series ("test").

    python benchmarks/missing.py --seeds 0 1 2
"""

import sys
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from _data import Entity
from _detectors import evaluate, ranking
from _markdown import markdown, texts
from _report import Record, run_entities

from skmemto import MEMTODetector

SHARES = (0.1, 0.2, 0.5)


def costs(entity: Entity, seed: int) -> Iterator[Record]:
    """Yield the figures for each share removed."""
    rng = np.random.default_rng(seed)
    complete = MEMTODetector(random_state=seed)
    yield {"removed_from": "", "share": 0.0} | evaluate(entity, complete)
    for share in SHARES:
        train, test = (without(X, share, rng) for X in (entity.train, entity.test))
        figures = ranking(entity.labels, -complete.score_samples(test))
        yield {"removed_from": "test", "share": share} | figures
        holed = entity._replace(train=train, test=test)
        figures = evaluate(holed, MEMTODetector(random_state=seed))
        yield {"removed_from": "both", "share": share} | figures


def without(X: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    return np.where(rng.random(X.shape) < share, np.nan, X)


def table(records: pd.DataFrame) -> str:
    """One row per set and share: AP in %, and as a share of the complete one."""
    records = records.sort_values(["set", "removed_from", "share"])
    keys = ["set", "share", "removed_from"]
    shown = texts(records, keys, {"AP, %": "{average_precision:.1%}"})
    means = records.groupby(keys)["average_precision"].mean()
    ratios = means / means.xs(0.0, level="share").droplevel("removed_from")
    whole = ~shown["AP, %"].str.startswith("failed")
    shown["of the complete one"] = ratios[shown.index[whole]].map("{:.2f}".format)
    shown = shown.rename(index=lambda share: f"{100 * share:.0f}", level="share")
    return markdown(shown.rename_axis(["set", "removed, %", "from"]))


def main(argv: Sequence[str] | None = None) -> int:
    return run_entities(__file__, __doc__, ("asd",), costs, table, argv)


if __name__ == "__main__":
    sys.exit(main())
