"""Accuracy of the detectors and of simple baselines on labelled data.

Each detector is fitted on each entity's training series and scores its test series;
AUROC and average precision (1 = anomalous) are averaged over the entities of a set. The
alarms at its threshold are stored as well, for the table of `alarms.py`.

    python benchmarks/accuracy.py --sets asd skab --detectors MEMTODetector PCA --quick
"""

import argparse
import sys
from collections.abc import Sequence
from functools import partial

import pandas as pd
from _detectors import BASELINES, DETECTORS, each_fit, evaluate, key_values
from _markdown import markdown, pivot, spreads, succeeded, texts
from _report import CommandLine, judged, load_sets, run

OURS = "MEMTODetector"
N_QUICK = 2


def table(records: pd.DataFrame) -> str:
    """One row per detector: accuracy in % per set, and the seconds of all sets."""
    cell = "{auroc:.1%} / {average_precision:.1%} / {vus_pr:.1%}"
    cells = pivot(records, "detector", "set", cell, "{} AUROC / AP / VUS-PR")
    # Of a stopped run some detectors have not seen all sets: no sum to compare.
    whole = cells.notna().all(axis=1)
    seconds = {"fit s": "{fit_seconds.mean:.1f}", "score s": "{score_seconds.mean:.1f}"}
    cells = cells.join(texts(records, ["detector"], seconds)[whole])
    ratios = {
        f"{name} AUROC / AP / VUS-PR": by_the_best_baseline(group)
        for name, group in records.groupby("set")
    }
    if any(ratios.values()):
        cells.loc[f"AP of {OURS} by the best baseline's"] = ratios
    return markdown(cells)


def by_the_best_baseline(records: pd.DataFrame) -> str:
    """Average precision of MEMTODetector on a set, in units of the best baseline's."""
    means = {
        name: spreads(group)["average_precision"].mean
        for name, group in records.groupby("detector")
        if len(succeeded(group)) == len(group)
    }
    others = {name: mean for name, mean in means.items() if name in BASELINES}
    if not others or OURS not in means:
        return ""
    best = max(others, key=others.get)
    return f"{means[OURS] / others[best]:.2f} ({best})"


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    sets = ("asd", "skab", "msl", "smd", "batadal", "nab")
    parser = CommandLine(__file__, __doc__, sets, detectors=DETECTORS)
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"{N_QUICK} entities a set, 1 seed, asd and skab",
    )
    parser.add_argument(
        "--set-param",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="for every chosen detector that has the parameter",
    )
    args = parser.parse_args(argv)
    if args.quick:
        parser.set_defaults(sets=["asd", "skab"], out="quick")
        args = parser.parse_args(argv)
        args.seeds = args.seeds[:1]
    try:
        args.set_param = key_values(args.set_param)
    except ValueError as error:
        parser.error(str(error))
    known = set().union(*(DETECTORS[name](0).get_params() for name in args.detectors))
    if unknown := args.set_param.keys() - known:
        parser.error(f"no chosen detector has the parameter {sorted(unknown)}")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    args = parse(argv)
    sets = {name: judged(name, entities) for name, entities in load_sets(args).items()}
    if args.quick:
        print("PARTIAL (--quick)", file=sys.stderr)
        sets = {name: entities[:N_QUICK] for name, entities in sets.items()}
    fits = each_fit(sets, args.detectors, args.seeds, args.set_param)
    tasks = ((where, partial(evaluate, entity, fit)) for where, entity, fit in fits)
    return run(args, tasks, table)


if __name__ == "__main__":
    sys.exit(main())
