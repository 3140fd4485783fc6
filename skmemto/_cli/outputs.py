"""Scores and events -> files, in the order and by the names of the rows' own file."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skmemto._cli.tables import Table
from skmemto._events import Event


def write_scores(path: str, table: Table, score: NDArray, decision: NDArray) -> None:
    """Write score, decision and label of each row beside its time or number."""
    columns: dict[str, Any] = {table.time_name: table.row_names()}
    if table.groups is not None:
        columns["group"] = table.groups
    columns |= {"score": score, "decision": decision}
    columns["label"] = np.where(decision < 0, -1, 1)
    frame = pd.DataFrame(columns)
    # As the rows stand in the file.
    frame.iloc[np.argsort(table.rows)].to_csv(path, index=False, lineterminator="\n")


def events_frame(table: Table, events: Sequence[Event]) -> pd.DataFrame:
    """Make a table of events: from when to when, how bad, and who is to blame."""
    names = table.row_names()
    rows = [
        [
            names[event.start],
            names[event.stop - 1],
            event.stop - event.start,
            names[event.peak],
            event.score,
            " ".join(str(name) for name in channel_names(table, event)),
        ]
        for event in events
    ]
    columns = ["start", "end", "rows", "peak", "score", "channels"]
    frame = pd.DataFrame(rows, columns=columns)
    if table.groups is not None:
        frame.insert(0, "group", [table.groups[event.start] for event in events])
    return frame


def write_events(path: str, table: Table, events: Sequence[Event]) -> None:
    """Write a line for each event."""
    events_frame(table, events).to_csv(path, index=False, lineterminator="\n")


def channel_names(table: Table, event: Event) -> list[str]:
    """Return the channels to blame, by the names in the file."""
    return [
        channel if isinstance(channel, str) else table.columns[channel]
        for channel in event.channels
    ]
