"""Watch a CSV file that grows: a line for each event as it begins, and as it ends.

    python examples/follow_csv.py model.pkl readings.csv

The model is a pickled detector with ``lookahead=0``; the file has a header and numbers,
a row for each time step, an empty field where a value is missing. Ctrl-C ends it; with
``--once`` it stops at the end of the file.
"""

import argparse
import csv
import pickle
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from skmemto import StreamingDetector

MOST_ROWS = 1000  # at once, of a file that is long already


def lines_as_they_come(
    path: Path, once: bool, wait: float = 1.0
) -> Iterator[list[str]]:
    """Yield all whole lines that are new; a line is whole with the end of it."""
    with path.open(newline="") as file:
        part = ""
        while True:
            lines = []
            while len(lines) < MOST_ROWS and (read := file.readline()):
                part += read
                if part.endswith("\n"):
                    lines.append(part)
                    part = ""
            if lines:
                yield lines
            elif once:
                return
            else:
                time.sleep(wait)


def to_rows(lines: list[str]) -> np.ndarray:
    """Turn lines of numbers into rows; an empty field is a missing value."""
    return np.array(
        [[float(field or "nan") for field in row] for row in csv.reader(lines)]
    )


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", type=Path, help="trust it: a pickle can run anything")
    parser.add_argument("file", type=Path)
    parser.add_argument("--once", action="store_true", help="stop at the end")
    args = parser.parse_args(argv)
    stream = StreamingDetector(pickle.loads(args.model.read_bytes()))
    names = None
    for lines in lines_as_they_come(args.file, args.once):
        if names is None:
            names, lines = next(csv.reader(lines[:1])), lines[1:]
        if not lines:
            continue
        stream.update(to_rows(lines))
        for event in stream.events:
            channels = ", ".join(
                c if isinstance(c, str) else names[c] for c in event.channels
            )
            if event.is_new:
                print(f"row {event.start}: begins ({channels})", flush=True)
            if event.is_over:
                rows = f"rows {event.start} to {event.stop - 1}"
                print(f"{rows}: over, score {event.score:.1f} ({channels})", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
