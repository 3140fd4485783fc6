"""What to follow on data that drift: channels, or the threshold.

Scores that look back only (`lookahead=0`), and alarms by several rules: the threshold
as it was fitted (`rebase=None`); channels that have moved on are followed (`rebase`,
the default); a threshold that follows the scores of rows that are not flagged
(`StreamingDetector(adapt=True)`), alone and on top of that; and a threshold that is
simply higher. Shown are events found, false runs per 10,000 rows, normal rows flagged.

    python benchmarks/follow.py
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from copy import copy
from functools import partial

import pandas as pd
from _alarms import alarm_figures
from _data import Entity
from _markdown import markdown, pivot
from _report import CommandLine, Record, each_entity, run

from skmemto import MEMTODetector, StreamingDetector

HIGHER = (0.1, 0.25)  # decades
CELL = "{events_found:.0%} / {false_runs:.1f} / {flagged_normal:.1%}"


def evaluate(entity: Entity, seed: int) -> Iterator[Record]:
    fitted = MEMTODetector(lookahead=0, random_state=seed).fit(entity.train)
    lasting = copy(fitted).set_params(rebase=None).calibrate(entity.train)
    for name, detector in (("as fitted", lasting), ("channels followed", fitted)):
        alarm = -detector.decision_function(entity.test)
        yield {"rule": name} | alarm_figures(entity.labels, alarm)
        stream = StreamingDetector(detector, adapt=True)
        followed = -stream.update(entity.test).decisions
        yield {"rule": f"{name}, adapt"} | alarm_figures(entity.labels, followed)
        for higher in HIGHER:
            rule = {"rule": f"{name}, threshold {higher} higher"}
            yield rule | alarm_figures(entity.labels, alarm - higher)


def table(records: pd.DataFrame) -> str:
    """One row per rule."""
    return markdown(
        pivot(records, "rule", "set", CELL),
        corner="events found / false runs per 10,000 rows / normal rows flagged",
    )


def main(argv: Sequence[str] | None = None) -> int:
    sets = ("skab", "batadal", "smd", "nab", "asd", "msl")
    args: argparse.Namespace = CommandLine(__file__, __doc__, sets).parse_args(argv)
    tasks = (
        (where, partial(evaluate, entity, where["seed"]))
        for where, entity in each_entity(args)
    )
    return run(args, tasks, table)


if __name__ == "__main__":
    sys.exit(main())
