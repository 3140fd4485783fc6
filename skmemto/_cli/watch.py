"""A file that grows -> a line for each event, as it begins and as it ends."""

import argparse
import io
import os
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skmemto._cli.columns import Choice, Source, find_roles, to_numbers
from skmemto._cli.commands import choice_of, warn, warnings_as_lines
from skmemto._cli.models import load_model
from skmemto._cli.tables import read_rows, time_names
from skmemto._cli.text_files import (
    Layout,
    count_fields,
    find_layout,
    holds_fields,
    open_text,
)
from skmemto.streaming import StreamEvent, StreamingDetector

_MOST_LINES = 1000  # at once, of a file that is long already
_NAMED_ROWS = 100_000  # whose times are remembered


class _Lines(NamedTuple):
    """New lines of a file, with their numbers, from 1."""

    layout: Layout
    numbers: list[int]
    texts: list[str]


def watch(args: argparse.Namespace, sleep: Callable[[float], None] = time.sleep) -> int:
    """Say which events there are in a file, as it grows, until an interrupt."""
    detector = load_model(args.model)
    if getattr(detector, "lookahead", None) != 0:
        raise ValueError(f"{args.model}: to watch, learn a model by `fit --live`")
    with open(args.file, "rb"):
        pass  # what is wrong with the file itself is said at once
    reader = _Reader(args.file, choice_of(args), detector)
    stream, n_rows = StreamingDetector(detector, args.adapt), 0
    names: dict[int, str] = {}
    try:
        for lines in _as_they_come(args.file, lambda: sleep(args.every)):
            X, times = reader.read(lines)
            if len(X) == 0:
                continue
            with warnings_as_lines(args.file):
                stream.update(reader.as_learned(X))
            names |= {n_rows + i: name for i, name in enumerate(times)}
            n_rows += len(X)
            for event in stream.events:
                _say(event, names, reader.channels)
            for row in range(min(names), n_rows - _NAMED_ROWS):
                del names[row]
    except KeyboardInterrupt:
        pass
    return 0


def _say(event: StreamEvent, names: dict[int, str], columns: list[str]) -> None:
    """Print a line if an event is new, and one if it is over."""
    blamed = ", ".join(c if isinstance(c, str) else columns[c] for c in event.channels)
    start = names.get(event.start, f"row {event.start}")
    if event.is_new:
        print(f"{start}: an event begins ({blamed})", flush=True)
    if event.is_over:
        stop = names.get(event.stop - 1, f"row {event.stop - 1}")
        print(
            f"{start} to {stop}: over, score {event.score:.1f} ({blamed})", flush=True
        )


class _Reader:
    """Turns lines into rows; which columns are what is found out from the first."""

    def __init__(self, path: str, choice: Choice, detector: Any) -> None:
        self.path, self.choice = path, choice
        names = getattr(detector, "feature_names_in_", None)
        self._wanted = None if names is None else [str(name) for name in names]
        self._n_channels = detector.n_features_in_
        self._n_rows = 0
        self.time: list[str] = []
        self.channels: list[str] = []

    def read(self, lines: _Lines) -> tuple[NDArray[np.float64], list[str]]:
        """Return values (n, F) and names of the rows; say what is wrong with others."""
        layout = lines.layout
        whole = [i for i, text in enumerate(lines.texts) if self._is_whole(lines, i)]
        if not whole:
            return np.empty((0, 0)), []
        text = "\n".join(lines.texts[i] for i in whole) + "\n"
        frame = read_rows(io.StringIO(text), layout, self.choice.missing)
        source = Source(self.path, layout, [lines.numbers[i] for i in whole])
        if not self.channels:
            self._find_columns(frame, source)
        good, values = self._good_values(frame, source)
        names = [f"row {self._n_rows + i}" for i in range(len(good))]
        if self.time:
            names = time_names(frame, self.time)[good].tolist()
        self._n_rows += len(good)
        return values, names

    def as_learned(self, X: NDArray[np.float64]) -> Any:
        """Return values with the names that the model was fitted with, if it was."""
        return X if self._wanted is None else pd.DataFrame(X, columns=self._wanted)

    def _is_whole(self, lines: _Lines, i: int) -> bool:
        n_fields = count_fields(lines.texts[i], lines.layout)
        n_columns = len(lines.layout.columns)
        if n_fields != n_columns:
            warn(
                f"{self.path}, line {lines.numbers[i]}: {n_fields} field(s) for "
                f"{n_columns} columns; the line is left out"
            )
        return n_fields == n_columns

    def _find_columns(self, frame: pd.DataFrame, source: Source) -> None:
        remarks: list[str] = []
        roles = find_roles(frame, source, self.choice, self._wanted, remarks)
        for remark in remarks:
            warn(f"{self.path}: {remark}")
        if len(roles.channels) != self._n_channels:
            raise ValueError(
                f"{self.path} has {len(roles.channels)} channels, the model was fitted "
                f"on {self._n_channels}"
            )
        self.time, self.channels = roles.time, roles.channels

    def _good_values(
        self, frame: pd.DataFrame, source: Source
    ) -> tuple[list[int], NDArray[np.float64]]:
        try:
            columns = [to_numbers(frame[name], source, name) for name in self.channels]
            return list(range(len(frame))), np.column_stack(columns)
        except ValueError as error:
            if len(frame) == 1:
                warn(f"{error}; the line is left out")
                return [], np.empty((0, len(self.channels)))
        good, rows = [], [np.empty((0, len(self.channels)))]
        for i, number in enumerate(source.numbers or ()):
            alone = source._replace(numbers=[number])
            found, values = self._good_values(frame.iloc[i : i + 1], alone)
            good += [i for _ in found]
            rows.append(values)
        return good, np.concatenate(rows)


def _as_they_come(path: str, wait: Callable[[], None]) -> Iterator[_Lines]:
    """Yield whole lines that are new; a line is whole with the end of it.

    A file that has become shorter, or is another one, is read from its beginning.
    """
    while True:
        layout = _wait_for_layout(path, wait)
        with open_text(path, layout.encoding, layout.compression) as file:
            number, part = 0, ""
            while True:
                numbers: list[int] = []
                texts: list[str] = []
                while len(texts) < _MOST_LINES and (read := file.readline()):
                    part += read
                    if not part.endswith("\n"):
                        continue
                    number += 1
                    if number > layout.first and holds_fields(part):
                        numbers.append(number)
                        texts.append(part.rstrip("\n"))
                    part = ""
                if texts:
                    yield _Lines(layout, numbers, texts)
                elif _is_another(path, file):
                    warn(f"{path}: the file is new, and read from its beginning")
                    break
                else:
                    wait()


def _wait_for_layout(path: str, wait: Callable[[], None]) -> Layout:
    """Wait until a file holds rows of readings."""
    while True:
        try:
            layout = find_layout(path)
        except (FileNotFoundError, ValueError):
            layout = None  # not there between two files, or no rows yet
        if layout is not None and (len(layout.peeked) > 1 or _ends_with_a_line(path)):
            return layout
        wait()


def _ends_with_a_line(path: str) -> bool:
    with open(path, "rb") as file:
        return file.read().rstrip(b"\x00").endswith(b"\n")


def _is_another(path: str, file: Any) -> bool:
    try:
        now = os.stat(path)
    except FileNotFoundError:
        return False  # the next one is yet to come
    opened = os.fstat(file.fileno())
    return now.st_ino != opened.st_ino or now.st_size < file.buffer.tell()
