"""``skmemto`` and ``python -m skmemto``: a demonstration, and your own files."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from skmemto import __version__
from skmemto._cli.demo import demonstrate

DESCRIPTION = """\
Anomalies in multivariate time series, from files: CSV of any delimiter, also packed by
gzip, Parquet, Excel. Rows are in time order, one channel per column; times, names and
missing values are found out. Without a command: a demonstration on synthetic data. With
two files and no command: learn from the first and score the second."""

_COMMANDS = ("demo", "fit", "score", "run", "watch")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns 0, or 1 if there are events and `--fail-on-event` is set; errors of the user
    end in ``SystemExit`` with status 2.
    """
    parser = _make_parser()
    args = parser.parse_args(_with_command(sys.argv[1:] if argv is None else argv))
    try:
        return _run(args)
    except ImportError as error:
        parser.exit(2, f"skmemto: error: {error}: pip install 'skmemto[files]'\n")
    except KeyboardInterrupt:
        parser.exit(130, "skmemto: interrupted\n")
    except (OSError, ValueError) as error:
        # What the user can put right; scikit-learn and matplotlib do the same.
        parser.exit(2, f"skmemto: error: {' '.join(str(error).split())}\n")


def _with_command(argv: Sequence[str]) -> list[str]:
    """Put in what is left out: the demonstration, or to fit and score in one go."""
    if not argv or (argv[0].startswith("-") and argv[0] not in ("-h", "--help")):
        return list(argv) if "--version" in argv[:1] else ["demo", *argv]
    if argv[0] in (*_COMMANDS, "-h", "--help"):
        return list(argv)
    return ["run", *argv]


def _run(args: argparse.Namespace) -> int:
    if args.command == "demo":
        demonstrate(args)
        return 0
    # These need pandas.
    from skmemto._cli import commands, watch

    command = {
        "fit": commands.fit,
        "score": commands.score,
        "run": commands.run,
        "watch": watch.watch,
    }
    return command[args.command](args)


def _make_parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="skmemto", description=DESCRIPTION, formatter_class=raw
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    demo = commands.add_parser("demo", help="synthetic data, a table and a picture")
    demo.add_argument("--plot", metavar="PNG", help="default: skmemto-demo.png")
    _add_learning(demo)
    fit = commands.add_parser("fit", help="learn from a file, and save the model")
    fit.add_argument("train", metavar="TRAIN", help="normal data to learn from")
    fit.add_argument("--model", required=True, metavar="M.skops", help="to write")
    _add_reading(fit)
    _add_series(fit)
    _add_learning(fit)
    _add_kind(fit)
    score = commands.add_parser("score", help="score a file by a saved model")
    score.add_argument("new", metavar="NEW", help="data to score")
    score.add_argument("--model", required=True, metavar="M.skops", help="of `fit`")
    _add_reading(score)
    _add_series(score)
    _add_writing(score)
    run = commands.add_parser("run", help="learn from one file and score another")
    run.add_argument("train", metavar="TRAIN", help="normal data to learn from")
    run.add_argument("new", metavar="NEW", help="data to score")
    _add_reading(run)
    _add_series(run)
    _add_learning(run)
    _add_kind(run)
    _add_writing(run)
    _add_watch(commands)
    return parser


def _add_watch(commands: Any) -> None:
    watch = commands.add_parser(
        "watch", help="say what events there are as a file grows"
    )
    watch.add_argument("file", metavar="FILE", help="a text file, rows appended")
    watch.add_argument(
        "--model", required=True, metavar="M.skops", help="of `fit --live`"
    )
    text = "between two looks at the file (default: %(default)s)"
    watch.add_argument("--every", type=float, default=1.0, metavar="SECONDS", help=text)
    text = "let the threshold follow slow drift"
    watch.add_argument("--adapt", action="store_true", help=text)
    _add_reading(watch)


def _add_reading(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group(
        "reading", "columns by name, or by number from 1; each may be repeated"
    ).add_argument
    more: dict[str, Any] = {"action": "append", "default": [], "metavar": "NAME"}
    add("--time", **more, help="column of times (found out if not given)")
    add("--columns", **more, help="channels (default: all columns of numbers)")
    add("--drop", **more, help="column to leave out")
    more["metavar"] = "WORD"
    add("--missing", **more, help="word for a reading that is not there, as -999")


def _add_series(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("series").add_argument
    add("--group", metavar="NAME", help="column that names machines: a series each")
    add("--no-split", action="store_true", help="gaps in the times do not end a series")


def _add_learning(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("learning").add_argument
    text = "share of anomalies in the training data (default: auto, a fitted threshold)"
    add("--contamination", type=_contamination, default="auto", metavar="P", help=text)
    add("--seed", type=int, default=0, help="random seed (default: %(default)s)")
    add("--verbose", action="store_true", help="report the progress of training")


def _add_kind(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--live", action="store_true", help="judge a row by what came before it only")
    add("--per-group", action="store_true", help="a model for each group")


def _add_writing(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("writing").add_argument
    default = " (default: scores.csv)" if parser.prog.endswith("run") else ""
    add("--out", metavar="CSV", help=f"scores of the rows{default}")
    add("--events", metavar="CSV", help="events")
    add("--plot", metavar="PNG", help="picture")
    add("--report", metavar="HTML", help="page that says what was found")
    add(
        "--label", metavar="NAME", help="column that says what is anomalous, to compare"
    )
    add(
        "--fail-on-event",
        action="store_true",
        help="exit with status 1 if there is one",
    )


def _contamination(text: str) -> float | str:
    if text == "auto":
        return text
    with suppress(ValueError):
        if 0 < float(text) <= 0.5:
            return float(text)
    message = f"must be 'auto' or a number in (0, 0.5]. Got {text!r} instead."
    raise argparse.ArgumentTypeError(message)


if __name__ == "__main__":
    sys.exit(main())
