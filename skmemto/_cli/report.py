"""What was found in a table -> one page of HTML, without links to anything else."""

import base64
from collections.abc import Callable
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

import skmemto
from skmemto._cli.outputs import events_frame
from skmemto._cli.pictures import close_up, draw_event, draw_overview, surprises
from skmemto._cli.tables import Table
from skmemto._cli.times import say_seconds, say_step
from skmemto._events import Event

_PICTURED_EVENTS = 12
_LISTED_EVENTS = 500


def write_report(
    path: str, table: Table, detector: Any, X: Any, judged: Any, has_pictures: bool
) -> None:
    """Write what was read, the events, and a picture of each of the first ones.

    Parameters
    ----------
    path : str
        Of the page.
    table : Table
        What was scored.
    detector : estimator
        Fitted; says what it expected.
    X : array-like of shape (n_samples, n_features)
        The values of the table as the detector takes them.
    judged : Judged
        Scores, decisions and events.
    has_pictures : bool
        Whether matplotlib is there.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("skmemto._cli", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    overview = None
    if has_pictures:
        overview = _picture(
            lambda file: draw_overview(
                file, table, detector, X, judged.score, judged.events
            )
        )
    text = environment.get_template("report.html").render(
        file=Path(table.path).name,
        facts=_facts(table, judged),
        remarks=table.remarks,
        overview=overview,
        has_groups=table.groups is not None,
        events=_events(table, detector, X, judged.events, has_pictures),
        n_events=len(judged.events),
        listed=_LISTED_EVENTS,
        made=f"{datetime.now():%Y-%m-%d %H:%M}, skmemto {skmemto.__version__}, "
        f"{type(detector).__name__}",
    )
    Path(path).write_text(text, encoding="utf-8")


def _facts(table: Table, judged: Any) -> list[tuple[str, str]]:
    n_flagged = int(np.count_nonzero(judged.decision < 0))
    n_missing = int(np.isnan(table.values).sum())
    names = table.row_names()
    return [
        ("rows", f"{len(table.values):,}"),
        ("channels", ", ".join(table.columns)),
        (table.time_name, f"{names[0]} to {names[-1]}"),
        ("a row each", "-" if table.times is None else say_step(table.times)),
        ("series", f"{int(table.series[-1]) + 1:,}"),
        ("missing readings", f"{n_missing:,} ({n_missing / table.values.size:.1%})"),
        ("rows flagged", f"{n_flagged:,} ({n_flagged / len(table.values):.2%})"),
        ("events", f"{len(judged.events):,}"),
    ]


def _events(
    table: Table, detector: Any, X: Any, events: list[Event], has_pictures: bool
) -> list[dict[str, Any]]:
    """Describe each event; worst first get a picture if there are too many."""
    frame = events_frame(table, events)
    pictured = sorted(range(len(events)), key=lambda i: events[i].score)
    pictured = pictured[:_PICTURED_EVENTS]
    described = []
    listed = zip(events[:_LISTED_EVENTS], frame.to_dict("records"), strict=False)
    for i, (event, row) in enumerate(listed):
        view = close_up(table, detector, X, event)
        row |= {
            "number": i + 1,
            "duration": _duration(table, event),
            "surprises": [
                s._replace(row=table.row_names()[s.row])
                for s in surprises(table, event, view)
            ],
            "picture": None,
        }
        if has_pictures and i in pictured:
            row["picture"] = _picture(_drawing(table, event, view))
        described.append(row)
    return described


def _drawing(table: Table, event: Event, view: Any) -> Callable[[Any], None]:
    return lambda file: draw_event(file, table, event, view)


def _duration(table: Table, event: Event) -> str:
    n_rows = event.stop - event.start
    rows = f"{n_rows} row{'s' if n_rows > 1 else ''}"
    if n_rows == 1 or table.times is None or table.times.dtype.kind != "M":
        return rows
    span = table.times[event.stop - 1] - table.times[event.start]
    return f"{say_seconds(float(span / np.timedelta64(1, 's')))} ({rows})"


def _picture(draw: Callable[[Any], None]) -> str:
    """Return a picture as what an image's source may hold."""
    file = BytesIO()
    draw(file)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
