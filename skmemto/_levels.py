"""When a channel has moved on for good: alarms that end.

The level of a channel is the running average, over the rows before, of the logarithm of
its deviation ratio. Where it is above the highest level of the training data the
channel has moved on, and is measured by its new level: what began as an alarm ends,
while other channels, and this one where it moves again, are watched as before. So
ratios are divided before they are limited: a limited one, divided by ever so little,
would be within the limit, and nothing on top of a change could be seen.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from skmemto._series import SeriesBounds

# Added before the logarithm: below this share of its usual size all is quiet.
_FLOOR = 0.05
# A ratio counts up to so many times the largest of the training data: with less,
# alarms end sooner, and what comes on top of a change is hidden.
_MOST = 10.0
# Power of what its level is above the highest by which a channel is measured. A channel
# that has moved on also varies more: with 1 its peaks would be alarms for ever.
_POWER = 1.5
# A channel whose level is so many times the highest of the training data is reported.
_REPORTED = 2.0


class Levels(NamedTuple):
    """Levels of the channels on normal data, as logarithms."""

    span: int  # rows, of the running average
    usual: NDArray[np.float64]  # (F,)
    highest: NDArray[np.float64]  # (F,)
    most: NDArray[np.float64]  # ratio that counts at most (F,), itself no logarithm


class MovedChannel(NamedTuple):
    """A channel that has moved on, and is still elsewhere at the end of its series."""

    channel: int
    row: int  # since when
    factor: float  # its level, in units of the highest of the training data


def starting_levels(
    ratios: NDArray[np.float64], largest: NDArray[np.float64], span: int
) -> Levels:
    """Start from the mean logarithm of each channel's ratios (n, F), 0 where unknown.

    Parameters
    ----------
    ratios : ndarray of shape (n, n_features)
        Of normal rows.
    largest : ndarray of shape (n_features,)
        Ratio of normal rows.
    span : int
        Rows, of the running average.
    """
    logs = np.log(ratios + _FLOOR)
    known = ~np.isnan(logs)
    total, count = np.where(known, logs, 0.0).sum(axis=0), known.sum(axis=0)
    usual = total / np.maximum(count, 1)
    return Levels(span, usual, np.full_like(usual, -np.inf), _MOST * largest)


class LevelFollower:
    """Follows the levels of the channels through series, in time order."""

    def __init__(self, levels: Levels, series: SeriesBounds):
        self.normal = levels
        self.series = series
        self._decay = 1 - 2 / (levels.span + 1)
        self._level = levels.usual
        self._since = np.full(len(levels.usual), -1)
        self.moved: list[MovedChannel] = []

    def before(
        self, ratios: NDArray[np.float64], rows: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return the levels (n, F) before each of the next rows, from their ratios."""
        logs = np.log(np.minimum(ratios, self.normal.most) + _FLOOR)
        logs = np.where(np.isnan(logs), self.normal.usual, logs)
        levels = np.empty_like(logs)
        for is_first, part in _of_series(rows, self.series):
            if is_first:
                self._level = self.normal.usual
            after, _ = lfilter(
                [1 - self._decay],
                [1.0, -self._decay],
                logs[part],
                axis=0,
                zi=self._decay * self._level[np.newaxis],
            )
            levels[part] = np.vstack([self._level, after[:-1]])
            self._level = after[-1]
        return levels

    def rebase(self, ratios: NDArray[np.float64], rows: NDArray[np.int64]) -> None:
        """Divide ratios (n, F) by what their channels have moved, in place."""
        factors = np.exp(self.before(ratios, rows) - self.normal.highest)
        self._report(factors, rows)
        moved = factors > 1
        np.minimum(ratios, self.normal.most, out=ratios, where=moved)
        np.divide(ratios, factors**_POWER, out=ratios, where=moved)

    def _report(self, factors: NDArray[np.float64], rows: NDArray[np.int64]) -> None:
        """Note since when channels have been elsewhere, and who still is at the end."""
        for is_first, part in _of_series(rows, self.series):
            if is_first:
                self._since = np.full_like(self._since, -1)
            away = factors[part] >= _REPORTED
            last_home = len(away) - 1 - away[::-1].argmin(axis=0)
            returned = ~away.all(axis=0)
            following = np.append(rows[part][1:], rows[part][-1] + 1)
            self._since = np.where(returned, following[last_home], self._since)
            self._since = np.where(
                ~returned & (self._since < 0), rows[part][0], self._since
            )
            end = rows[part][-1] + 1
            if end in self.series[:, 1]:
                for channel in np.flatnonzero(end - self._since > self.normal.span):
                    if away[-1, channel]:
                        moved = (int(self._since[channel]), factors[part][-1, channel])
                        self.moved.append(MovedChannel(int(channel), *moved))


def _of_series(
    rows: NDArray[np.int64], series: SeriesBounds
) -> Iterator[tuple[bool, slice]]:
    """Cut ascending rows where series begin: (whether one begins, which rows)."""
    of = np.searchsorted(series[:, 0], rows, side="right") - 1
    cuts = np.flatnonzero(np.diff(of)) + 1
    for start, stop in zip([0, *cuts], [*cuts, len(rows)], strict=True):
        yield bool(rows[start] == series[of[start], 0]), slice(start, stop)
