"""Pictures of a table and of its events, drawn without a screen."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skmemto._cli.outputs import channel_names
from skmemto._cli.tables import Table
from skmemto._events import Event
from skmemto.plotting import AnomalyScoreDisplay
from skmemto.plotting._axes import BLUE, ORANGE, RED

MAX_CHANNELS = 8
_CLOSE_CHANNELS = 3
# What is drawn around an event: so many windows, or its own length, and rows at most.
_WINDOWS, _MOST_ROWS = 2, 2000
# In a longer series the dashes of a reconstruction hide the readings.
_RECONSTRUCTED_ROWS = 5000


class CloseUp(NamedTuple):
    """Rows around an event, and what a detector expected of them."""

    start: int
    stop: int
    X: NDArray[np.float64]
    expected: NDArray[np.float64]


class Surprise(NamedTuple):
    """What a channel to blame read where it was furthest off, and what was expected."""

    channel: str
    row: int
    came: float
    expected: float


def draw_overview(
    path: Any,
    table: Table,
    detector: Any,
    X: Any,
    score: NDArray[np.float64],
    events: Sequence[Event],
) -> None:
    """Draw channels, score and events of a table; `path` may be an open file."""
    from matplotlib.figure import Figure

    n_axes = min(len(table.columns), MAX_CHANNELS) + 1
    figure = Figure(figsize=(12, 1 + 1.1 * n_axes), layout="constrained")
    options: dict[str, Any] = {}
    if len(score) <= _RECONSTRUCTED_ROWS and table.groups is None:
        options["reconstruction"] = detector.reconstruct(X)
    if np.ndim(detector.offset_) == 0:
        options["threshold"] = detector.offset_
    AnomalyScoreDisplay.from_predictions(
        table.values,
        score,
        y=table.labels,
        events=events,
        feature_names=shown_names(table),
        index=time_axis(table),
        axes=figure.subplots(n_axes, sharex=True),
        max_channels=MAX_CHANNELS,
        **options,
    )
    figure.savefig(path, dpi=120, format=None if isinstance(path, str) else "png")


def shown_names(table: Table) -> list[str]:
    """Return what the channels are called in pictures."""
    if table.has_names:
        return table.columns
    return [f"column {number}" for number in table.columns]


def time_axis(table: Table) -> NDArray | None:
    """Return times for an axis, if the rows are in their order."""
    if table.times is None or len(table.times) < 2 or table.groups is not None:
        return None
    steps = np.diff(table.times)
    return table.times if (steps >= np.zeros(1, steps.dtype)).all() else None


def close_up(table: Table, detector: Any, X: Any, event: Event) -> CloseUp:
    """Take the rows around an event, of its series, and what is expected of them."""
    window = getattr(detector, "window_size_", event.stop - event.start)
    margin = max(_WINDOWS * window, event.stop - event.start)
    same = np.flatnonzero(table.series == table.series[event.start])
    start = max(int(same[0]), event.start - min(margin, _MOST_ROWS // 2))
    stop = min(int(same[-1]) + 1, event.stop + margin, start + _MOST_ROWS)
    groups = None if table.groups is None else table.groups[start:stop]
    if hasattr(detector, "window_size_"):
        groups = None  # one model for all
    expected = detector.reconstruct(X[start:stop], groups=groups)
    return CloseUp(start, stop, table.values[start:stop], expected)


def surprises(table: Table, event: Event, view: CloseUp) -> list[Surprise]:
    """Say for each channel to blame what came, and what had been expected."""
    found = []
    rows = slice(event.start - view.start, min(event.stop, view.stop) - view.start)
    for name in channel_names(table, event)[:_CLOSE_CHANNELS]:
        channel = table.columns.index(name)
        came, expected = view.X[rows, channel], view.expected[rows, channel]
        off = np.abs(came - expected)
        if np.isnan(off).all():
            found.append(Surprise(name, event.start, np.nan, float(expected[0])))
            continue
        row = int(np.nanargmax(off))
        found.append(
            Surprise(name, event.start + row, float(came[row]), float(expected[row]))
        )
    return found


def draw_event(file: Any, table: Table, event: Event, view: CloseUp) -> None:
    """Draw the channels to blame around an event, as PNG."""
    from matplotlib.figure import Figure

    names = channel_names(table, event)[:_CLOSE_CHANNELS] or table.columns[:1]
    figure = Figure(figsize=(9, 0.8 + 1.5 * len(names)), layout="constrained")
    all_axes = np.ravel(figure.subplots(len(names), sharex=True, squeeze=False))
    axis = time_axis(table)
    index = (
        np.arange(view.start, view.stop)
        if axis is None
        else axis[view.start : view.stop]
    )
    last = min(event.stop, view.stop) - 1
    for ax, name in zip(all_axes, names, strict=True):
        channel = table.columns.index(name)
        ax.axvspan(
            index[event.start - view.start],
            index[last - view.start],
            color=(ORANGE, 0.3),
            lw=1,
            label="event",
        )
        ax.plot(index, view.X[:, channel], color=BLUE, lw=1.2, label="came")
        kw: dict[str, Any] = {"color": RED, "lw": 1.2, "ls": "--"}
        ax.plot(index, view.expected[:, channel], label="expected", **kw)
        ax.set_ylabel(name if table.has_names else f"column {name}")
        ax.margins(x=0)
    place = {"loc": "lower right", "bbox_to_anchor": (1, 1), "borderaxespad": 0.2}
    all_axes[0].legend(ncols=3, frameon=False, **place)
    all_axes[-1].set_xlabel("row" if axis is None else table.time_name)
    figure.savefig(file, dpi=100, format="png")
