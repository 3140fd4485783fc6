"""How a text file of readings is laid out: encoding, delimiter, header, numbers.

pandas reads the file; this finds out, from its first lines, what pandas has to be told.
"""

import csv
import gzip
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple, TextIO

_PEEKED = 1000  # lines
_BYTES = 1 << 20  # a piece to find the encoding by
_DELIMITERS = ",;\t|"
#: Begins a line that is none of the table.
COMMENT = "#"
_BYTE_ORDER_MARKS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
_GZIP = b"\x1f\x8b"

#: What stands for a reading that is not there, beside what pandas takes as such.
MISSING_WORDS = (
    "?",
    "-",
    "--",
    ".",
    "*",
    "na",
    "n.a.",
    "nil",
    "none",
    "NONE",
    "No Data",
)
_MISSING = {"", *MISSING_WORDS, "NA", "N/A", "n/a", "null", "NULL", "NaN", "nan"}
_TRUE, _FALSE = {"true", "yes", "on"}, {"false", "no", "off"}

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_WITH_COMMAS = re.compile(r"[+-]?[\d.,]*\d[\d.,]*([eE][+-]?\d+)?", re.ASCII)
_THOUSANDS = {
    sep: re.compile(rf"[+-]?\d{{1,3}}({re.escape(sep)}\d{{3}})+", re.ASCII)
    for sep in ",."
}
_SEPARATOR = re.compile(r"sep=.$")  # tells a spreadsheet what separates fields
_CLOCK = re.compile(r"\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?( ?[AaPp][Mm])?", re.ASCII)
_DATE = re.compile(
    r"(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](\d{4}|\d{2})"
    r"|\d{1,2}[- ][A-Za-z]{3}[- ]\d{2,4}|[A-Za-z]{3,9} \d{1,2},? \d{4})"
    r"([T ]+(?P<clock>\d{1,2}:\d{2}.*))?",
    re.ASCII,
)


class Layout(NamedTuple):
    """What pandas has to be told of a text file, and what was found on the way."""

    encoding: str
    compression: str | None
    delimiter: str
    decimal: str
    thousands: str | None
    first: int  # line of the first row of readings, from 0
    columns: list[str]  # names, or numbers in the file, from 1
    has_header: bool
    has_comments: bool  # among the readings
    peeked: list[list[str]]  # the first rows of readings
    remarks: list[str]


def is_number(text: str) -> bool:
    """Tell whether a field holds a number, with a point."""
    return _NUMBER.fullmatch(text) is not None


def is_missing(text: str) -> bool:
    """Tell whether a field says that there is no reading."""
    return text in _MISSING


def is_clock(text: str) -> bool:
    """Tell whether a field holds a time of day, and no date."""
    return _CLOCK.fullmatch(text) is not None


def is_date(text: str) -> bool:
    """Tell whether a field holds a date, and perhaps a time of day."""
    return _DATE.fullmatch(text) is not None


def is_date_only(text: str) -> bool:
    """Tell whether a field holds a date and no time of day."""
    match = _DATE.fullmatch(text)
    return match is not None and match["clock"] is None


def as_truth(text: str) -> float | None:
    """Return 1 or 0 for a word that says yes or no, else None."""
    word = text.lower()
    return 1.0 if word in _TRUE else 0.0 if word in _FALSE else None


def find_layout(path: str) -> Layout:
    """Find out how a text file is laid out.

    Raises
    ------
    OSError
        If the file can't be read.
    ValueError
        If it is empty, or holds no table.
    """
    encoding, compression = _encoding(path)
    lines = _first_lines(path, encoding, compression)
    content = [i for i, line in enumerate(lines) if holds_fields(line)]
    if not content:
        what = "there are only comments" if any(lines) else "the file is empty"
        raise ValueError(f"{path}: {what}")
    delimiter = _delimiter([lines[i] for i in content])
    fields = {i: _fields(lines[i], delimiter) for i in content}
    width = Counter(map(len, fields.values())).most_common(1)[0][0]
    rows = [i for i in content if len(fields[i]) == width]
    decimal, thousands = _number_style([fields[i] for i in rows], delimiter)
    plain = [[_plain(t, decimal, thousands) for t in fields[i]] for i in rows]
    is_header, first = _header(plain)
    if first == len(rows):
        raise ValueError(f"{path}: there are no rows below the header")
    commented = _commented_header(lines[: rows[0]], delimiter, width)
    names = fields[rows[0]] if is_header else commented or _numbers(width)
    remarks = []
    if n_above := content.index(rows[0]):
        remarks.append(f"{n_above} line(s) above the table are left out")
    if first > 1:
        units = " ".join(filter(None, fields[rows[1]]))
        remarks.append(f"line {rows[1] + 1} ({units}) is taken for units, not readings")
    return Layout(
        *(encoding, compression, delimiter, decimal, thousands),
        *(rows[first], _unique(names), is_header or commented is not None),
        any(line.lstrip().startswith(COMMENT) for line in lines[rows[first] :]),
        *(plain[first:], remarks),
    )


def holds_fields(line: str) -> bool:
    """Tell whether a line is one of the table."""
    text = line.strip()
    return bool(text) and not text.startswith(COMMENT) and not _SEPARATOR.match(text)


def count_fields(line: str, layout: Layout) -> int:
    """Return the number of fields of a line."""
    return len(_fields(line, layout.delimiter))


def find_line(path: str, layout: Layout, row: int) -> int:
    """Return the number, from 1, of the line that holds a row."""
    for count, (number, _) in enumerate(_lines_of_rows(path, layout)):
        if count == row:
            return number
    raise IndexError(row)


def find_short_line(path: str, layout: Layout) -> str | None:
    """Say which line, if any, is the first with more or fewer fields than columns."""
    for number, line in _lines_of_rows(path, layout):
        if line.count('"') % 2:
            return None  # a quoted field goes on in the next line: pandas can tell
        n_fields = len(_fields(line, layout.delimiter))
        if n_fields != len(layout.columns):
            return (
                f"line {number}: {n_fields} field(s) for {len(layout.columns)} columns"
            )
    return None


def _lines_of_rows(path: str, layout: Layout) -> Iterator[tuple[int, str]]:
    with open_text(path, layout.encoding, layout.compression) as file:
        for i, line in enumerate(file):
            if i >= layout.first and holds_fields(line):
                yield i + 1, line.rstrip("\n")


def open_text(path: str, encoding: str, compression: str | None) -> TextIO:
    """Open a text file; what is no character of its encoding is replaced."""
    open_file: Any = gzip.open if compression else open
    return open_file(path, "rt", encoding=encoding, errors="replace", newline=None)


def _encoding(path: str) -> tuple[str, str | None]:
    """Return encoding and compression, by what the file begins with."""
    with open(path, "rb") as file:
        begin = file.read(_BYTES)
    compression = None
    if begin.startswith(_GZIP):
        compression = "gzip"
        with gzip.open(path) as unpacked:
            begin = unpacked.read(_BYTES)
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if begin.startswith(mark):
            return encoding, compression
    if begin[1:200:2].count(0) > len(begin[1:200:2]) // 2:
        return "utf-16-le", compression  # without a mark
    try:
        # A character that the piece cuts through is no error.
        begin[: begin.rfind(b"\n") + 1 or len(begin)].decode("utf-8")
    except UnicodeDecodeError:
        return "cp1252", compression
    return "utf-8", compression


def _first_lines(path: str, encoding: str, compression: str | None) -> list[str]:
    with open_text(path, encoding, compression) as file:
        return [line.rstrip("\n") for line in islice(file, _PEEKED)]


def _delimiter(lines: Sequence[str]) -> str:
    """Return what cuts most lines into the same number of fields, the most if tied."""

    def agreement(delimiter: str) -> tuple[int, int]:
        counts = Counter(len(_fields(line, delimiter)) for line in lines)
        width, n_lines = max(counts.items(), key=lambda item: (item[1], item[0]))
        # One column needs no delimiter: anything that cuts is better.
        return (n_lines if width > 1 else 0, width)

    best = max(_DELIMITERS, key=agreement)
    if agreement(best)[0] == 0 and any(len(line.split()) > 1 for line in lines):
        return _of_spaces(lines)
    return best


def _of_spaces(lines: Sequence[str]) -> str:
    """Return a run of spaces where it cuts lines of numbers, else a comma."""
    fields = [line.split() for line in lines]
    width = len(fields[-1])
    same = sum(len(row) == width for row in fields)
    numbers = sum(map(is_number, fields[-1]))
    return r"\s+" if width > 1 and same > len(lines) / 2 and numbers > 0 else ","


def _fields(line: str, delimiter: str) -> list[str]:
    if len(delimiter) > 1:
        return line.split()
    return [field.strip() for field in next(csv.reader([line], delimiter=delimiter))]


def _number_style(
    rows: Sequence[Sequence[str]], delimiter: str
) -> tuple[str, str | None]:
    """Return the decimal mark and what separates thousands, if anything does."""
    with_marks = [
        text
        for row in rows
        for text in row
        if ("," in text or text.count(".") > 1) and _WITH_COMMAS.fullmatch(text)
    ]
    with_marks = [text for text in with_marks if not is_date(text)]
    if not with_marks:
        return ".", None
    if all(_fits(text, ".", ",") for text in with_marks):
        # "1,234" alone says little: between semicolons it is a decimal comma.
        certain = any("." in text or text.count(",") > 1 for text in with_marks)
        if certain or delimiter == ",":
            return ".", ","
    if any("." in text for text in with_marks):
        return ",", "."
    return ",", None


def _fits(text: str, decimal: str, thousands: str) -> bool:
    whole, *rest = text.split(decimal)
    grouped = _THOUSANDS[thousands].fullmatch(whole) or is_number(whole)
    return bool(grouped) and len(rest) < 2 and thousands not in "".join(rest)


def _plain(text: str, decimal: str, thousands: str | None) -> str:
    """Return a number with a point and without separators, anything else as it is."""
    if decimal == "." and thousands is None:
        return text
    if not _WITH_COMMAS.fullmatch(text) or is_date(text):
        return text
    return text.replace(thousands or "", "").replace(decimal, ".")


def plain_number(text: str, layout: Layout) -> str:
    """Return a number with a point and without separators, anything else as it is."""
    return _plain(text, layout.decimal, layout.thousands)


def _is_value(text: str) -> bool:
    """Tell whether a field holds what a row of readings may hold, words aside."""
    return is_number(text) or is_date(text) or is_clock(text)


def _header(rows: Sequence[Sequence[str]]) -> tuple[bool, int]:
    """Tell whether the first row is a header, and which row has the first readings."""
    first, later = rows[0], rows[1:]
    if not _is_header(first, later):
        return False, 0
    for i in (1, 2):
        # A second row of words above columns of values: units.
        if i >= len(rows) - 1 or any(map(_is_value, rows[i])):
            return True, i
        if not any(map(_is_value, rows[i + 1])) or all(map(is_missing, rows[i])):
            return True, i
    return True, 3


def _is_header(first: Sequence[str], later: Sequence[Sequence[str]]) -> bool:
    if not any(_is_value(text) or is_missing(text) for text in first):
        return True
    if _counts_columns(first, later):
        return True
    if not later:
        return not any(map(_is_value, first))
    # A word above a column of values.
    for name, *column in zip(first, *later, strict=True):
        word = not _is_value(name) and not is_missing(name) and as_truth(name) is None
        if word and any(map(_is_value, column)):
            return True
    return not any(map(_is_value, first)) and any(first)


def _counts_columns(first: Sequence[str], later: Sequence[Sequence[str]]) -> bool:
    """Tell whether a row is 0, 1, 2, ..., what pandas names columns without names."""
    named = first[1:] if first[0] == "" else first
    if not later or not named or list(named) != [str(i) for i in range(len(named))]:
        return False
    fractions = any("." in text for row in later for text in row)
    return first[0] == "" or len(named) > 2 or fractions or _lies_outside(first, later)


def _lies_outside(first: Sequence[str], later: Sequence[Sequence[str]]) -> bool:
    """Tell whether a row of numbers has none within what its column holds later."""
    for name, *column in zip(first, *later, strict=True):
        values = [float(text) for text in column if is_number(text)]
        if values and min(values) <= float(name) <= max(values):
            return False
    return True


def _commented_header(
    lines: Sequence[str], delimiter: str, width: int
) -> list[str] | None:
    """Return the names in the last comment above the table, if it holds as many."""
    comments = [line for line in lines if line.lstrip().startswith(COMMENT)]
    if not comments:
        return None
    names = _fields(comments[-1].lstrip().removeprefix(COMMENT), delimiter)
    return names if len(names) == width and not any(map(is_number, names)) else None


def _numbers(width: int) -> list[str]:
    return [str(number) for number in range(1, width + 1)]


def _unique(names: Sequence[str]) -> list[str]:
    """Give names that are there twice a number; one that is empty stays so."""
    seen: Counter[str] = Counter()
    unique = []
    for name in names:
        seen[name] += 1
        unique.append(f"{name}.{seen[name]}" if name and seen[name] > 1 else name)
    return unique
