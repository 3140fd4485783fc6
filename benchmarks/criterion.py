"""What each step of the calibrated criterion is worth.

One model is fitted for each entity; only the way from its deviations to the score
differs. Each row adds one step to the row above it; the rows below the line change
one thing of the last.

    python benchmarks/criterion.py --sets asd skab msl smd
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from _baselines import NearestRow, scaled
from _data import Entity
from _report import markdown_table, run_per_entity
from sklearn.metrics import average_precision_score, roc_auc_score

from skmemto import MEMTODetector
from skmemto._criteria import exponential_average

SETS = ("asd", "skab", "msl", "smd")
LEAST = 1e-4  # of the largest scale
BEYOND = 0.1  # what the logarithm of an error beyond the largest in training counts
ORDER = 4
TIME_ORDER = 1.5
SHARE = 2 / 5  # span of the average, of the window
LONGER = 5  # times as long is the other span


class Parts(NamedTuple):
    """What scores are made of."""

    train: np.ndarray  # input deviations (n_train, F)
    test: np.ndarray  # (n_test, F)
    train_latent: np.ndarray
    latent: np.ndarray
    nearest: np.ndarray  # distance to the nearest training row (n_test,)
    window: int


def ratios(
    parts: Parts, *, scale: str = "mean + sd", beyond: float = BEYOND, times: float = 1
) -> np.ndarray:
    """Errors in units of the channel's own, in full up to its largest in training."""
    units = parts.train.mean(axis=0)
    if scale == "mean + sd":
        units = units + parts.train.std(axis=0)
    never_erred = units < LEAST * units.max()
    units = np.maximum(units, LEAST * units.max())
    largest = np.maximum(parts.train.max(axis=0), units) / units
    largest[never_erred] = largest.max()
    largest *= times
    values = parts.test / units
    excess = np.log(np.maximum(values / largest, 1))
    return np.minimum(values, largest) * (1 + beyond * excess)


def unlimited(parts: Parts) -> np.ndarray:
    return ratios(parts, times=np.inf)


def power_mean(values: np.ndarray, order: float = ORDER) -> np.ndarray:
    return (values**order).mean(axis=1) ** (1 / order)


def tails(
    scores: np.ndarray,
    parts: Parts,
    order: float = TIME_ORDER,
    share: float = SHARE,
    longer: int = LONGER,
) -> np.ndarray:
    span = max(1, int(share * parts.window))
    spans = [span, longer * span] if longer else [span]
    return exponential_average(scores**order, *spans) ** (1 / order)


def one_span(scores: np.ndarray, parts: Parts, order: float = TIME_ORDER) -> np.ndarray:
    return tails(scores, parts, order, share=2 / 3, longer=0)


def latent(parts: Parts) -> np.ndarray:
    scale = parts.train_latent.mean() + parts.train_latent.std()
    return parts.latent / scale


STEPS: dict[str, Callable[[Parts], np.ndarray]] = {
    "mean ISD": lambda p: p.test.mean(axis=1),
    "+ channels by their training mean": lambda p: ratios(
        p, scale="mean", times=np.inf
    ).mean(axis=1),
    "+ by mean and standard deviation": lambda p: unlimited(p).mean(axis=1),
    "+ exponential average": lambda p: one_span(unlimited(p).mean(axis=1), p, 1),
    "+ logarithm beyond the largest error": lambda p: one_span(
        ratios(p).mean(axis=1), p, 1
    ),
    "+ power mean over channels": lambda p: one_span(power_mean(ratios(p)), p, 1),
    "+ power mean over time": lambda p: one_span(power_mean(ratios(p)), p),
    "+ a second, longer span = calibrated": lambda p: tails(power_mean(ratios(p)), p),
}
CHANGES: dict[str, Callable[[Parts], np.ndarray]] = {
    "over channels: order 1 (mean)": lambda p: tails(power_mean(ratios(p), 1), p),
    "over channels: order 2": lambda p: tails(power_mean(ratios(p), 2), p),
    "over channels: order 8": lambda p: tails(power_mean(ratios(p), 8), p),
    "over channels: maximum": lambda p: tails(ratios(p).max(axis=1), p),
    "over time: order 1.25": lambda p: tails(power_mean(ratios(p)), p, 1.25),
    "over time: order 2": lambda p: tails(power_mean(ratios(p)), p, 2),
    "no limit": lambda p: tails(power_mean(unlimited(p)), p),
    "nothing beyond the largest error": lambda p: tails(
        power_mean(ratios(p, beyond=0)), p
    ),
    "nothing beyond twice the largest error": lambda p: tails(
        power_mean(ratios(p, beyond=0, times=2)), p
    ),
    "twice the share of the logarithm": lambda p: tails(
        power_mean(ratios(p, beyond=2 * BEYOND)), p
    ),
    "half of both spans": lambda p: tails(power_mean(ratios(p)), p, share=SHARE / 2),
    "twice both spans": lambda p: tails(power_mean(ratios(p)), p, share=2 * SHARE),
    "the longer one 3 times": lambda p: tails(power_mean(ratios(p)), p, longer=3),
    "the longer one 10 times": lambda p: tails(power_mean(ratios(p)), p, longer=10),
    "plus LSD": lambda p: tails(power_mean(ratios(p)) + latent(p), p),
    "LSD alone": lambda p: tails(latent(p), p),
    "times LSD ** (1 / 8)": lambda p: tails(
        power_mean(ratios(p)) * p.latent ** (1 / 8), p
    ),
    "times (distance to the nearest training row) ** (1 / 4)": lambda p: tails(
        power_mean(ratios(p)) * p.nearest ** (1 / 4), p
    ),
}


def parts_of(entity: Entity, seed: int) -> Parts:
    detector = MEMTODetector(random_state=seed).fit(entity.train)
    train, test = detector.deviations(entity.train), detector.deviations(entity.test)
    neighbor = scaled(NearestRow(random_state=seed), clip=30).fit(entity.train)
    nearest = -neighbor.score_samples(entity.test)
    return Parts(
        train.input,
        test.input,
        train.latent,
        test.latent,
        nearest,
        detector.window_size_,
    )


def evaluate(entity: Entity, seed: int, path: Path) -> Iterator[dict[str, Any]]:
    parts = parts_of(entity, seed)
    for name, score in (STEPS | CHANGES).items():
        scores = score(parts)
        yield {
            "criterion": name,
            "auroc": float(roc_auc_score(entity.labels, scores)),
            "average_precision": float(average_precision_score(entity.labels, scores)),
        }


def markdown(report: dict[str, Any]) -> str:
    """One row per criterion: AUROC / average precision in %, mean over entities."""
    records = report["results"]
    sets = list(dict.fromkeys(r["set"] for r in records))
    rows = []
    for name in STEPS | CHANGES:
        if name == next(iter(CHANGES)):
            rows.append(["*changes to the last*", *[""] * len(sets)])
        row = [name]
        for set_name in sets:
            group = [
                r for r in records if (r["criterion"], r["set"]) == (name, set_name)
            ]
            row.append(
                " / ".join(
                    f"{100 * np.mean([r[figure] for r in group]):.1f}"
                    for figure in ("auroc", "average_precision")
                )
            )
        rows.append(row)
    table = markdown_table(["criterion", *(f"{s} AUROC / AP" for s in sets)], rows)
    return f"{table}\n\n- Command: `{report['command']}`\n"


def main(argv: list[str] | None = None) -> int:
    summary = __doc__.partition("\n")[0]
    return run_per_entity("criterion", summary, evaluate, markdown, SETS, argv)


if __name__ == "__main__":
    sys.exit(main())
