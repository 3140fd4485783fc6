"""Decisions -> events: flagged rows that belong together, and the channels to blame.

Here scores are low for anomalies, as `decision_function` gives them.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skmemto._deviations import RowDeviations
from skmemto._series import SeriesBounds

# Channels are to blame that make up this share of an event's deviation together.
_BLAMED_SHARE = 0.8
_MOST_BLAMED = 10


class Event(NamedTuple):
    """An anomaly as it was found: rows ``start:stop``, of one series."""

    start: int
    stop: int
    peak: int  # row of the lowest score
    score: float  # the lowest, as `score_samples` gives them
    channels: tuple[Any, ...]  # to blame, worst first: names, or numbers
    group: Any  # None without groups

    def moved(self, n_rows: int, group: Any) -> "Event":
        """Return the event so many rows later, of a group."""
        start, stop, peak = (row + n_rows for row in self[:3])
        return self._replace(start=start, stop=stop, peak=peak, group=group)


class FlaggedRun(NamedTuple):
    """Rows ``start:stop`` that make one event."""

    start: int
    stop: int
    series: int  # which one


def find_runs(
    decision: NDArray[np.float64],
    series: SeriesBounds,
    *,
    min_length: int,
    merge_gap: int,
    hysteresis: float,
) -> list[FlaggedRun]:
    """Join flagged rows of a series that belong together; drop what is too short.

    Two runs are one where at most `merge_gap` rows lie between, or where no decision
    between them is above `hysteresis`.
    """
    runs = []
    for i, (start, stop) in enumerate(series.tolist()):
        for first, last in _joined(decision[start:stop], merge_gap, hysteresis):
            if last - first >= min_length:
                runs.append(FlaggedRun(start + first, start + last, i))
    return runs


def _joined(
    decision: NDArray[np.float64], merge_gap: int, hysteresis: float
) -> Iterator[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(decision < 0, prepend=False, append=False))
    starts, stops = edges[::2], edges[1::2]
    apart = np.array(
        [
            start - stop > merge_gap and decision[stop:start].max() > hysteresis
            for stop, start in zip(stops[:-1], starts[1:], strict=True)
        ],
        dtype=bool,
    )
    if len(starts):
        starts = np.concatenate([starts[:1], starts[1:][apart]])
        stops = np.concatenate([stops[:-1][apart], stops[-1:]])
    yield from zip(starts.tolist(), stops.tolist(), strict=True)


def mean_deviations(
    deviations: Iterable[RowDeviations], runs: list[FlaggedRun], n_features: int
) -> NDArray[np.float64]:
    """Average the input deviations over the rows of each run: (n_runs, F).

    A missing value does not count; a channel without any has 0.
    """
    totals, counts = np.zeros((2, len(runs), n_features))
    starts = np.array([run.start for run in runs])
    stops = np.array([run.stop for run in runs])
    for rows, values, _ in deviations:
        of = np.searchsorted(starts, rows, side="right") - 1
        inside = (of >= 0) & (rows < stops[of])
        known = ~np.isnan(values[inside])
        np.add.at(totals, of[inside], np.where(known, values[inside], 0.0))
        np.add.at(counts, of[inside], known)
    return totals / np.maximum(counts, 1)


def surroundings(
    runs: list[FlaggedRun], series: SeriesBounds, reach: int
) -> SeriesBounds:
    """Bounds that hold all runs and `reach` rows around them, ascending and apart."""
    bounds: list[list[int]] = []
    before = None
    for run in runs:
        start = max(run.start - reach, int(series[run.series, 0]))
        stop = min(run.stop + reach, int(series[run.series, 1]))
        if run.series == before and start <= bounds[-1][1]:
            bounds[-1][1] = stop
        else:
            bounds.append([start, stop])
        before = run.series
    return np.array(bounds, dtype=np.int64).reshape(-1, 2)


def channels_to_blame(deviations: NDArray[np.float64], stuck: list[int]) -> list[int]:
    """Order the channels by their deviations (F,), the stuck ones first.

    As many as make up most of the whole deviation.
    """
    order = np.argsort(-deviations, kind="stable")
    share = np.cumsum(deviations[order]) / max(deviations.sum(), 1e-300)
    n_blamed = int(np.searchsorted(share, _BLAMED_SHARE)) + 1
    order = order[: min(n_blamed, _MOST_BLAMED)]
    blamed = [int(channel) for channel in order if deviations[channel] > 0]
    return [*stuck, *(channel for channel in blamed if channel not in stuck)]
