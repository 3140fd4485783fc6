"""Warnings in the words of the user, pointing to the user's line."""

import sys
import warnings
from collections.abc import Hashable, Sequence
from types import FrameType
from typing import Any

from numpy.typing import NDArray

from skmemto._bounds import AbsurdValues
from skmemto._levels import MovedChannel
from skmemto._tails import Tail
from skmemto.exceptions import (
    AbsurdValueWarning,
    DataDriftWarning,
    ShortHistoryWarning,
)

# So many independent peaks tell how the tail of the scores goes on, and so many rows
# beyond the threshold are to be expected in what tells where it is.
_ENOUGH_PEAKS, _ENOUGH_BEYOND = 5, 3
_NAMED_AT_MOST = 5


def warn_of_absurd(found: list[AbsurdValues], names: NDArray | None) -> None:
    """Name the channels, the first row and value of each."""
    if not found:
        return
    texts = [
        f"{channel_name(a.channel, names)} has {a.n_values}, the first is {a.value:g} "
        f"in row {a.row}"
        for a in found
    ]
    warn_user(
        f"X holds values far from all others of their channel: {listed(texts, '; ')}. "
        "They are taken as missing; make them NaN to silence this.",
        AbsurdValueWarning,
    )


def warn_of_short_history(tail: Tail, n_rows: int, risk: float) -> None:
    """Say how many rows would do."""
    needed = max(n_rows * _ENOUGH_PEAKS / max(tail.n_peaks, 1), _ENOUGH_BEYOND / risk)
    if needed <= n_rows:
        return
    digits = 10 ** max(0, len(str(int(needed))) - 2)
    warn_user(
        f"{n_rows} rows to learn from are few: their scores have {tail.n_peaks} "
        f"independent peaks, which hardly tell what {100 * risk:.1f} % of normal rows "
        "exceed, so the threshold is a cautious guess. About "
        f"{int(-(-needed // digits) * digits)} rows would do; or set contamination to "
        "a number.",
        ShortHistoryWarning,
    )


def warn_of_drift(moved: list[MovedChannel], names: NDArray | None) -> None:
    """Say which channels have moved on, since when, and how far."""
    if moved:
        _warn_of_drift(min(m.row for m in moved), _moved_channels(moved, names))


def warn_of_drift_in_streams(
    moved: dict[Hashable, list[MovedChannel]], names: NDArray | None
) -> None:
    """Say of streams by name which channels have moved on."""
    texts = [
        ("" if stream is None else f"{stream}: ") + text
        for stream, channels in moved.items()
        for text in _moved_channels(channels, names)
    ]
    if texts:
        first = min(m.row for channels in moved.values() for m in channels)
        _warn_of_drift(first, texts)


def warn_of_risen_thresholds(streams: list[Hashable]) -> None:
    """Say whose thresholds follow scores that have risen far."""
    if not streams:
        return
    names = [] if streams == [None] else [f"of {listed(streams)} "]
    warn_user(
        f"The scores {''.join(names)}have risen lastingly, and the threshold has "
        "followed by a quarter of a decade or more: smaller anomalies pass. A new fit, "
        "or a partial_fit with rows from now on, is due.",
        DataDriftWarning,
    )


def _moved_channels(moved: list[MovedChannel], names: NDArray | None) -> list[str]:
    return [
        f"{channel_name(m.channel, names)} since row {m.row} ({m.factor:.1f} times)"
        for m in sorted(moved, key=lambda m: -m.factor)
    ]


def _warn_of_drift(first: int, texts: list[str]) -> None:
    warn_user(
        f"Since row {first} the data no longer look like the training data: "
        "channels deviate lastingly by more than they ever did there, "
        f"{listed(texts, ', ')}. What they deviate now counts as their new normal, and "
        "alarms for it have ended. Fit again with rows from then on, or set "
        "rebase=None to keep the alarms.",
        DataDriftWarning,
    )


def channel_name(channel: int, names: NDArray | None) -> str:
    """Return the name of a channel, or its number."""
    return f"channel {channel if names is None else repr(str(names[channel]))}"


def listed(things: Sequence[Any], separator: str = ", ") -> str:
    """Name the first few of many things."""
    text = separator.join(str(thing) for thing in things[:_NAMED_AT_MOST])
    left = len(things) - _NAMED_AT_MOST
    return f"{text} and {left} more" if left > 0 else text


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn whoever called the package, through however many of its frames."""
    level = 1
    frame: FrameType | None = sys._getframe()
    while frame is not None and _package(frame.f_globals) in ("skmemto", "sklearn"):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _package(names: dict[str, Any]) -> str:
    return str(names.get("__name__", "")).partition(".")[0]
