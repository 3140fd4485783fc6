"""What to follow on data that drift: channels, or the threshold.

Scores that look back only (`lookahead=0`), and alarms by several rules: the threshold
as it was fitted; channels that have moved on are followed (`rebase`); the threshold
rises by what the running mean of the scores is above its highest on the training rows,
or a share of it, learning from rows that are not flagged only and by at most a decade
(in the manner of DSPOT: Siffer et al., KDD 2017); both; and a threshold that is simply
higher. Shown are events found, false runs per 10,000 rows, normal rows flagged.

    python benchmarks/follow.py --sets skab msl smd
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import pandas as pd
from _alarms import alarm_figures
from _data import Entity
from _markdown import markdown, pivot
from _report import CommandLine, Record, each_entity, run

from skmemto import MEMTODetector

WINDOWS = 30  # of the running mean, as of the levels of channels
MOST = 1.0  # decade
SHARES = (0.5, 1.0)
HIGHER = 0.25  # decades
CELL = "{events_found:.0%} / {false_runs:.1f} / {flagged_normal:.1%}"


def running_mean(scores: np.ndarray, start: float, span: int) -> np.ndarray:
    """The mean before each row."""
    decay = 1 - 2 / (span + 1)
    means = np.empty(len(scores) + 1)
    means[0] = start
    for i, score in enumerate(scores):
        means[i + 1] = decay * means[i] + (1 - decay) * score
    return means[:-1]


def following(
    scores: np.ndarray, start: float, highest: float, threshold: float, span: int
) -> np.ndarray:
    """Thresholds that rise by what the mean of unflagged rows is above the highest."""
    decay, mean = 1 - 2 / (span + 1), start
    thresholds = np.empty(len(scores))
    for i, score in enumerate(scores):
        thresholds[i] = threshold + min(MOST, max(0.0, mean - highest))
        if score <= thresholds[i]:
            mean = decay * mean + (1 - decay) * score
    return thresholds


def evaluate(entity: Entity, seed: int) -> Iterator[Record]:
    detector = MEMTODetector(lookahead=0, random_state=seed).fit(entity.train)
    threshold, span = -detector.offset_, WINDOWS * detector.window_size_
    trained = np.minimum(-detector.score_samples(entity.train), threshold)
    start = trained.mean()
    highest = running_mean(trained, start, span).max()
    lasting = -detector.score_samples(entity.test)
    rebased = -(detector.decision_function(entity.test) + detector.offset_)
    for name, scores in (("as fitted", lasting), ("channels followed", rebased)):
        yield {"rule": name} | alarm_figures(entity.labels, scores - threshold)
        for share in SHARES:
            # A share of what the mean has risen.
            risen = following(scores, start, highest, threshold, span) - threshold
            alarm = scores - threshold - share * risen
            yield {"rule": f"{name}, threshold follows {share:.0%}"} | alarm_figures(
                entity.labels, alarm
            )
        higher = scores - threshold - HIGHER
        yield {"rule": f"{name}, threshold {HIGHER} higher"} | alarm_figures(
            entity.labels, higher
        )


def table(records: pd.DataFrame) -> str:
    """One row per rule."""
    return markdown(
        pivot(records, "rule", "set", CELL),
        corner="events found / false runs per 10,000 rows / normal rows flagged",
    )


def main(argv: Sequence[str] | None = None) -> int:
    sets = ("skab", "msl", "smd", "batadal", "nab", "asd")
    args: argparse.Namespace = CommandLine(__file__, __doc__, sets).parse_args(argv)
    tasks = (
        (where, partial(evaluate, entity, where["seed"]))
        for where, entity in each_entity(args)
    )
    return run(args, tasks, table)


if __name__ == "__main__":
    sys.exit(main())
