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
# Since when a channel has been away that has not been there yet.
NEVER = -1


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


def levels_before(
    ratios: NDArray[np.float64], level: NDArray[np.float64], normal: Levels
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Follow the levels (..., F) of series along the rows of ratios (..., n, F).

    Returns the levels before each row, and those after the last.
    """
    logs = np.log(np.minimum(ratios, normal.most) + _FLOOR)
    logs = np.where(np.isnan(logs), normal.usual, logs)
    decay = 1 - 2 / (normal.span + 1)
    level = level[..., np.newaxis, :]
    after, _ = lfilter([1 - decay], [1.0, -decay], logs, axis=-2, zi=decay * level)
    return np.concatenate([level, after[..., :-1, :]], axis=-2), after[..., -1, :]


def rebase(
    ratios: NDArray[np.float64], before: NDArray[np.float64], normal: Levels
) -> NDArray[np.float64]:
    """Divide ratios (..., F) by what their channels have moved, in place.

    Returns the levels, in units of the highest of the training data.
    """
    factors = np.exp(before - normal.highest)
    moved = factors > 1
    np.minimum(ratios, normal.most, out=ratios, where=moved)
    np.divide(ratios, factors**_POWER, out=ratios, where=moved)
    return factors


def away_since(
    factors: NDArray[np.float64], since: NDArray[np.int64], first: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return since which row channels are far above their levels (..., F).

    Parameters
    ----------
    factors : ndarray of shape (..., n, F)
        Levels before the next rows, in units of the highest of the training data.
    since : ndarray of shape (..., F)
        The same before those rows; `NEVER` where there was none.
    first : ndarray of shape (...)
        Number of the first of those rows.

    Returns
    -------
    since : ndarray of shape (..., F)
        The row after the last is that of a channel which is not away.
    """
    away = factors >= _REPORTED
    first, n_rows = first[..., np.newaxis], factors.shape[-2]
    last_home = n_rows - 1 - away[..., ::-1, :].argmin(axis=-2)
    began = np.where(since < 0, first, since)
    return np.where(away.all(axis=-2), began, first + last_home + 1)


class LevelFollower:
    """Follows the levels of the channels through series, in time order."""

    def __init__(self, levels: Levels, series: SeriesBounds):
        self.normal = levels
        self.series = series
        self._level = levels.usual
        self._since = np.full(len(levels.usual), NEVER)
        self.moved: list[MovedChannel] = []

    def before(
        self, ratios: NDArray[np.float64], rows: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return the levels (n, F) before each of the next rows, from their ratios."""
        levels = np.empty(ratios.shape)
        for is_first, part in _of_series(rows, self.series):
            if is_first:
                self._level = self.normal.usual
            levels[part], self._level = levels_before(
                ratios[part], self._level, self.normal
            )
        return levels

    def rebase(self, ratios: NDArray[np.float64], rows: NDArray[np.int64]) -> None:
        """Divide ratios (n, F) by what their channels have moved, in place."""
        factors = rebase(ratios, self.before(ratios, rows), self.normal)
        for is_first, part in _of_series(rows, self.series):
            if is_first:
                self._since = np.full_like(self._since, NEVER)
            self._since = away_since(factors[part], self._since, rows[part][0])
            end = rows[part][-1] + 1
            if end in self.series[:, 1]:
                last = factors[part][-1]
                self.moved += moved_for_good(last, self._since, end, self.normal.span)


def moved_for_good(
    factors: NDArray[np.float64], since: NDArray[np.int64], end: int, span: int
) -> list[MovedChannel]:
    """Return the channels that at the `end` have been away for longer than a span."""
    return [
        MovedChannel(int(channel), int(since[channel]), float(factors[channel]))
        for channel in np.flatnonzero((factors >= _REPORTED) & (end - since > span))
    ]


def _of_series(
    rows: NDArray[np.int64], series: SeriesBounds
) -> Iterator[tuple[bool, slice]]:
    """Cut ascending rows where series begin: (whether one begins, which rows)."""
    of = np.searchsorted(series[:, 0], rows, side="right") - 1
    cuts = np.flatnonzero(np.diff(of)) + 1
    for start, stop in zip([0, *cuts], [*cuts, len(rows)], strict=True):
        yield bool(rows[start] == series[of[start], 0]), slice(start, stop)
