"""What each step of the calibrated criterion is worth.

One model is fitted for each entity; only the way from its deviations to the score
differs. Each row adds one step to the row above it; the rows below the line change
one thing of the last. Constant factors and the context of the ends are left out but in
the last step, which is `score_samples` itself.

    python benchmarks/criterion.py --sets asd skab msl smd batadal nab
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from _baselines import NearestRow, scaled
from _data import Entity
from _detectors import ranking
from _markdown import markdown, pivot, spreads
from _report import Record, run_entities

from skmemto import MEMTODetector
from skmemto._history import overfitting, range_factor
from skmemto._rarity import limited
from skmemto._smoothing import smooth
from skmemto._tails import fit_tail

SETS = ("asd", "skab", "msl", "smd", "batadal", "nab")
LEAST = 1e-4  # of the largest scale


class Parts(NamedTuple):
    """What scores are made of."""

    train: np.ndarray  # input deviations (n_train, F)
    test: np.ndarray  # (n_test, F)
    train_latent: np.ndarray
    latent: np.ndarray
    nearest: np.ndarray  # distance to the nearest training row (n_test,)
    window: int
    range_factor: np.ndarray  # (F,)
    scores: np.ndarray  # of the detector itself (n_test,)


def ratios(
    parts: Parts, scale: str, beyond: float, times: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Deviations of training and test in units of the channel's own, and the limits."""
    units = parts.train.mean(axis=0)
    if scale != "mean":
        units = units + parts.train.std(axis=0)
    never_erred = units < LEAST * units.max()
    units = np.maximum(units, LEAST * units.max())
    largest = np.maximum(parts.train.max(axis=0), units) / units
    largest[never_erred] = largest.max()
    largest *= times
    if scale == "mean + sd, range":
        units, largest = units * parts.range_factor, largest / parts.range_factor
    both = []
    for deviations in (parts.train, parts.test):
        values = deviations / units
        excess = np.log(np.maximum(values / largest, 1))
        both.append(np.minimum(values, largest) * (1 + beyond * excess))
    return *both, largest


def power_mean(values: np.ndarray, order: float) -> np.ndarray:
    if np.isinf(order):
        return values.max(axis=1)
    return (values**order).mean(axis=1) ** (1 / order)


def rarity(
    train: np.ndarray, test: np.ndarray, gap: int, more: float = 1
) -> np.ndarray:
    """How rare scores are, by those of training stretched to what they may become."""
    train = more * train
    mean = train.mean()
    return fit_tail(mean + range_factor(train) * (train - mean), gap).rarity(test)


def by_itself(values: np.ndarray, largest: np.ndarray) -> np.ndarray:
    """The worst channel, all of the logarithm beyond its limit counted."""
    return (values + 9 * np.maximum(values - largest, 0)).max(axis=1)


def of_alone(rarities: np.ndarray, decades: float = 1, most: float = 2.5) -> np.ndarray:
    return limited(rarities - decades, most)


def of_wider(rarities: np.ndarray) -> np.ndarray:
    return limited(rarities, 1.5)


def as_it_is(rarities: np.ndarray) -> np.ndarray:
    return rarities


def calibrated(
    parts: Parts,
    *,
    scale: str = "mean + sd, range",
    beyond: float = 0.1,  # what the logarithm of a deviation beyond the largest counts
    times: float = 1,  # the largest deviation in training
    order: float = 4,
    share: float = 2 / 5,  # span of the average, of the window
    alone: Callable[[np.ndarray], np.ndarray] | None = of_alone,
    wider: int | None = 20,  # times the span: the wider surroundings
    limit: Callable[[np.ndarray], np.ndarray] = of_wider,  # of these
    of_latent: float = 0.5,  # what the latent deviation says of these
    latent_alone: bool = True,  # or, where it is the larger, it says all
    change: Callable[[np.ndarray, Parts], np.ndarray] = lambda scores, parts: scores,
) -> np.ndarray:
    train, test, largest = ratios(parts, scale, beyond, times)
    means = [power_mean(train, order), change(power_mean(test, order), parts)]
    span = max(1, int(share * parts.window))
    near = [smooth(values, span, means[0].mean()) for values in means]
    scores, more = near[1], overfitting(len(train))
    if alone is not None:
        worst = (by_itself(values, largest) for values in (train, test))
        scores = np.fmax(rarity(*near, span, more), alone(rarity(*worst, 0)))
    elif wider is not None:
        scores = rarity(*near, span, more)
    if wider is not None:
        both = [
            rarity(
                *(smooth(v, wider * span, of[0].mean()) for v in of), wider * span, m
            )
            for of, m in ((means, more), ((parts.train_latent, parts.latent), 1))
        ]
        further = (1 - of_latent) * both[0] + of_latent * limit(both[1])
        scores = np.fmax(scores, limit(further))
        if latent_alone:
            scores = np.fmax(scores, limit(both[1]))
    return scores


def latent(parts: Parts) -> np.ndarray:
    scale = parts.train_latent.mean() + parts.train_latent.std()
    return parts.latent / scale


def mean_error(scores: np.ndarray, parts: Parts) -> np.ndarray:
    return parts.test.mean(axis=1)


# Parameters of `calibrated`: all that a step does not have yet, then all that changes.
ONE_SCOPE = {"alone": None, "wider": None}
NO_LIMIT = {"times": np.inf}
NO_RANGE = {"scale": "mean + sd"} | ONE_SCOPE
ROWS = NO_RANGE | NO_LIMIT | {"order": 1}
STEPS: dict[str, dict[str, Any]] = {
    "mean ISD": ROWS | {"share": 0, "change": mean_error},
    "+ channels by their training mean": ROWS | {"share": 0, "scale": "mean"},
    "+ by mean and standard deviation": ROWS | {"share": 0},
    "+ exponential average": ROWS,
    "+ logarithm beyond the largest deviation": NO_RANGE | {"order": 1},
    "+ power mean over channels": NO_RANGE,
    "+ channels that may go further count less": ONE_SCOPE,
    "+ wider surroundings": {"alone": None, "of_latent": 0, "latent_alone": False},
    "+ their latent deviation, in the mean": {"alone": None, "latent_alone": False},
    "+ or alone": {"alone": None},
    "+ a row by itself": {},
}
ITSELF = "+ ends of a series, stuck sensors = calibrated"
CHANGES: dict[str, dict[str, Any]] = {
    "over channels: order 1 (mean)": {"order": 1},
    "over channels: order 2": {"order": 2},
    "over channels: order 8": {"order": 8},
    "over channels: maximum": {"order": np.inf},
    "no limit": NO_LIMIT,
    "nothing beyond the largest deviation": {"beyond": 0},
    "twice the share of the logarithm": {"beyond": 0.2},
    "half of the span": {"share": 1 / 5},
    "twice the span": {"share": 4 / 5},
    "a row by itself as good as with neighbours": {
        "alone": partial(of_alone, decades=0)
    },
    "a row by itself 2 decades rarer": {"alone": partial(of_alone, decades=2)},
    "a row by itself without a limit": {"alone": partial(of_alone, most=np.inf)},
    "wider surroundings 5 times": {"wider": 5},
    "wider surroundings 10 times": {"wider": 10},
    "wider surroundings 40 times": {"wider": 40},
    "wider surroundings without a limit": {"limit": as_it_is},
    "their latent deviation only in the mean": {"latent_alone": False},
    "their latent deviation alone": {"of_latent": 1},
    "plus LSD": {"change": lambda scores, p: scores + latent(p)},
    "LSD alone": {"change": lambda scores, p: latent(p)},
    "times (distance to the nearest training row) ** (1 / 4)": {
        "change": lambda scores, p: scores * p.nearest ** (1 / 4)
    },
}


def parts_of(entity: Entity, seed: int) -> Parts:
    detector = MEMTODetector(random_state=seed).fit(entity.train)
    train, test = detector.deviations(entity.train), detector.deviations(entity.test)
    neighbor = scaled(NearestRow(random_state=seed), clip=30).fit(entity.train)
    return Parts(
        train.input,
        test.input,
        train.latent,
        test.latent,
        nearest=-neighbor.score_samples(entity.test),
        window=detector.window_size_,
        range_factor=detector.range_factor_,
        scores=-detector.score_samples(entity.test),
    )


def evaluate(entity: Entity, seed: int) -> Iterator[Record]:
    parts = parts_of(entity, seed)
    for name, parameters in (STEPS | CHANGES).items():
        scores = calibrated(parts, **parameters)
        yield {"criterion": name} | ranking(entity.labels, scores)
    yield {"criterion": ITSELF} | ranking(entity.labels, parts.scores)


def table(records: pd.DataFrame) -> str:
    """One row per criterion: AUROC / average precision in %, mean over entities.

    The last column is the geometric mean over the sets of the average precision, in
    units of that of the row `ITSELF`.
    """
    cell = "{auroc:.1%} / {average_precision:.1%}"
    cells = pivot(records, "criterion", "set", cell, "{} AUROC / AP")
    means = {
        key: spreads(group)["average_precision"].mean
        for key, group in records.groupby(["criterion", "set"])
    }
    logs = pd.Series(means).map(np.log).unstack()
    whole = np.exp((logs - logs.loc[ITSELF]).mean(axis=1))
    cells["AP, geometric mean"] = whole.map("{:.3f}".format)
    rows = [*STEPS, ITSELF, "*changes to the last but one*", *CHANGES]
    return markdown(cells.reindex(rows), corner="criterion")


def main(argv: Sequence[str] | None = None) -> int:
    return run_entities(__file__, __doc__, SETS, evaluate, table, argv)


if __name__ == "__main__":
    sys.exit(main())
