"""False alarms where nothing happens, by how many rows there were to learn from.

Stationary made-up series (autoregressions of order 1, with a matrix of its own for each
seed): new rows are like those learned, so every flag is a false alarm. The threshold is
"auto", of a model that learned from all rows, without and with `early_stopping`; or
the model learns from the first 80 % and the threshold is the RISK quantile of the
scores of the rest. Beside it, how many rows score below each of SCORES, which mean one
in 10 ** -score; and how many labels another fit gives alike: of another seed, of
float32.

    python benchmarks/steady.py --rows 500 1000 3000 10000 30000 --seeds 0 1 2
"""

import sys
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise

import numpy as np
import pandas as pd
from _markdown import markdown, pivot, texts
from _report import CommandLine, Record, run

from skmemto import MEMTODetector

RISK = 0.001
SCORES = (-1.0, -2.0, -2.5, -3.0)
SHARES = {f"below_{i}": score for i, score in enumerate(SCORES)}
OTHER_FITS = ("auto, another seed", "auto, float32")
LEARNED = 0.8
N_CHANNELS = 12
N_NEW = 20_000
BURN_IN = 200


def autoregression(n_rows: int, rng: np.random.Generator) -> np.ndarray:
    """Rows of a stationary series, each a matrix times the one before, plus noise."""
    matrix = rng.standard_normal((N_CHANNELS, N_CHANNELS))
    matrix *= 0.9 / np.abs(np.linalg.eigvals(matrix)).max()
    rows = rng.standard_normal((BURN_IN + n_rows, N_CHANNELS))
    for before, row in pairwise(rows):
        row += before @ matrix
    return rows[BURN_IN:]


def evaluate(n_rows: int, seed: int, epochs: int) -> Iterator[Record]:
    """Yield what each way to fit and to set the threshold makes of new rows."""
    series = autoregression(n_rows + N_NEW, np.random.default_rng(seed))
    history, new = series[:n_rows], series[n_rows:]
    learned, held_back = np.split(history, [int(LEARNED * n_rows)])
    make = partial(MEMTODetector, max_iter=epochs, random_state=seed)
    thrifty = make().fit(learned)
    thrifty.offset_ = np.quantile(thrifty.score_samples(held_back), RISK)
    fits = {
        "auto": make().fit(history),
        "auto, early_stopping=True": make(early_stopping=True).fit(history),
        "from rows held back": thrifty,
        OTHER_FITS[0]: make(random_state=1000 + seed).fit(history),
        OTHER_FITS[1]: make().fit(history.astype(np.float32)),
    }
    labels = fits["auto"].predict(new)
    for name, fitted in fits.items():
        scores = fitted.score_samples(new)
        flags = fitted.predict(new)
        yield {
            "threshold": name,
            "alarms": (flags == -1).mean(),
            "alike": (flags == labels).mean(),
        } | {key: (scores < score).mean() for key, score in SHARES.items()}


def table(records: pd.DataFrame) -> str:
    """One row per threshold, one column per number of rows, in %."""
    records = records[~records["threshold"].isin(OTHER_FITS)]
    return _by_rows(records, "alarms", "false alarms, %")


def same_labels(records: pd.DataFrame) -> str:
    """Labels that another fit gives alike."""
    records = records[records["threshold"].isin(OTHER_FITS)]
    return _by_rows(records, "alike", "labels alike, %")


def meaning(records: pd.DataFrame) -> str:
    """Share of new rows below each score, and what the score says it is."""
    records = records[records["threshold"] == "auto"]
    cells = {
        f"below {score:g}, % (1 in {10**-score:.0f})": f"{{{key}:.2%}}"
        for key, score in SHARES.items()
    }
    return markdown(texts(records, ["rows"], cells))


def _by_rows(records: pd.DataFrame, figure: str, corner: str) -> str:
    cells = pivot(records, "threshold", "rows", f"{{{figure}:.2%}}", "{:,} rows")
    return markdown(cells, corner=corner)


def main(argv: Sequence[str] | None = None) -> int:
    parser = CommandLine(__file__, __doc__)
    parser.add_argument("--rows", nargs="+", type=int, default=[500, 3000, 30000])
    parser.add_argument("--epochs", type=int, default=3)
    args = parser.parse_args(argv)
    tasks = (
        ({"rows": n_rows, "seed": seed}, partial(evaluate, n_rows, seed, args.epochs))
        for n_rows in args.rows
        for seed in args.seeds
    )
    return run(args, tasks, table)


if __name__ == "__main__":
    sys.exit(main())
