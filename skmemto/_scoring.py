"""From deviations to scores, without an estimator: calibrating, and scoring rows.

Here scores are high for anomalies. Deviations come a few rows at a time, so that a
history may be larger than memory.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from skmemto._blockwise import RunningMoments
from skmemto._context import measure_context, piece_bounds
from skmemto._criteria import (
    ORDER,
    CalibratedCriterion,
    Calibration,
    Criterion,
    limited,
    powers,
    reduce_ratios,
    to_ratios,
)
from skmemto._deviations import RowDeviations
from skmemto._levels import LevelFollower, Levels, starting_levels
from skmemto._lookahead import Lookahead
from skmemto._rarity import Reduced, fit_rarity
from skmemto._series import SeriesBounds
from skmemto._smoothing import smooth
from skmemto._stuck import Motion, measure_motion

# Channels that hardly deviate are measured by this share of the scale of the worst.
_LEAST_SHARE = 1e-4

# Deviations of the training rows are kept for a second pass if they take no more: those
# of 58,000 rows of 55 do.
_MOST_BYTES = 2**25

# Gives the deviations of the rows of series, of their bounds.
DeviationsOf = Callable[[SeriesBounds], Iterable[RowDeviations]]


def score_rows(
    deviations: Iterable[RowDeviations], series: SeriesBounds, criterion: Criterion
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Score each row (n,), and tell which have no value to be scored by (n,).

    The latter are given what their neighbours say of them, NaN where there are none.
    """
    n_rows = int(series[-1, 1])
    numbers = [np.empty(n_rows) for _ in range(criterion.n_numbers)]
    for part in deviations:
        for whole, values in zip(numbers, criterion.reduce(part, series), strict=True):
            whole[part.rows] = values
    unknown = np.isnan(numbers[-1])
    for start, stop in series:
        of_series = (whole[start:stop] for whole in numbers)
        numbers[0][start:stop] = criterion.score(*of_series)
    return numbers[0], unknown


def as_score_samples(
    scores: NDArray[np.float64], unknown: NDArray[np.bool_], offset: float
) -> NDArray[np.float64]:
    """Turn scores (n,), high = anomalous, around, in place.

    Rows without any value are just beyond the threshold: never an unseen inlier, nor
    ahead of anomalies.
    """
    np.negative(scores, out=scores)
    beyond = np.nextafter(offset, -np.inf)
    scores[unknown] = np.fmin(scores[unknown], beyond)
    return scores


def share_out(
    deviations: Iterable[RowDeviations],
    series: SeriesBounds,
    criterion: CalibratedCriterion,
    shape: tuple[int, int],
) -> NDArray[np.float64]:
    """Return the share (n, F) that each channel has in the score of each row.

    The shares of a row sum to 1, or to 0 where nothing deviates: those of its power
    mean, averaged over time as that is.
    """
    parts = np.empty(shape)
    for part in deviations:
        values = np.nan_to_num(powers(criterion.ratios(part, series)))
        parts[part.rows] = _shares(values) * values.sum(axis=1, keepdims=True) ** (
            1 / ORDER
        )
    for start, stop in series:
        rarity = criterion.rarity
        parts[start:stop] = smooth(
            parts[start:stop], rarity.span, 0.0, rarity.lookahead
        )
    return _shares(parts)


def _shares(parts: NDArray[np.float64]) -> NDArray[np.float64]:
    total = parts.sum(axis=1, keepdims=True)
    return np.divide(parts, total, out=np.zeros_like(parts), where=total > 0)


class Normal(NamedTuple):
    """What normal rows are like, all that scoring needs besides a network."""

    spread: NDArray[np.float64]  # mean plus standard deviation of each channel (F,)
    criterion: CalibratedCriterion
    levels: Levels
    motion: Motion


def calibrate(
    X: NDArray,
    deviations_of: DeviationsOf,
    series: SeriesBounds,
    *,
    window_size: int,
    span: int,
    level_span: int,
    range_factor: NDArray[np.float64],
    lookahead: Lookahead,
    threshold_of: Callable[[NDArray[np.float64]], float],
) -> Normal:
    """Learn what deviations, levels and scores of normal rows are like.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Normal rows.
    deviations_of : callable
        Gives the deviations of the rows of series, whose bounds it is given.
    series : ndarray of shape (n_series, 2)
        All there is to learn from.
    window_size, span, level_span : int
        Of the windows, the smoothing, and the running level of a channel.
    range_factor : ndarray of shape (n_features,)
        How many times the range seen each channel may come to span.
    lookahead : Lookahead
        Later rows that count.
    threshold_of : callable
        Says from the rarities of the rows which is an alarm.
    """
    pieces = list(piece_bounds(series, window_size))
    sampled = np.unique(np.concatenate([_rows(bounds) for bounds in pieces]))
    n_features = len(range_factor)
    n_values = int((series[:, 1] - series[:, 0]).sum()) * n_features
    kept = None
    if n_values * np.float64().itemsize <= _MOST_BYTES:
        kept = list(deviations_of(series))
    spread, limit, sample = _measure(kept or deviations_of(series), sampled, n_features)
    context = measure_context(
        pieces,
        lambda bounds: np.concatenate([p.input for p in deviations_of(bounds)]),
        lambda rows: sample[np.searchsorted(sampled, rows)],
        lookahead.window,
    )
    # A channel that may yet go further counts less.
    calibration = Calibration(spread * range_factor, limit)
    largest = calibration.largest
    levels = starting_levels(sample / calibration.scale, largest, level_span)
    follower = LevelFollower(levels, series)
    reduced = Reduced(*np.full((3, int(series[-1, 1])), np.nan))
    for part in kept or deviations_of(series):
        ratios = to_ratios(part, series, context, calibration)
        before = follower.before(ratios, part.rows)
        np.fmax(levels.highest, before.max(axis=0), out=levels.highest)
        worst, mean = reduce_ratios(limited(ratios, largest), largest)
        for whole, values in zip(reduced, (worst, part.latent, mean), strict=True):
            whole[part.rows] = values
    rarity = fit_rarity(reduced, series, span, lookahead.smoothing, threshold_of)
    criterion = CalibratedCriterion(calibration, context, rarity)
    motion = measure_motion(X, series, window_size, lookahead.total)
    return Normal(spread, criterion, levels, motion)


def _measure(
    deviations: Iterable[RowDeviations], sampled: NDArray[np.int64], n_features: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return spread and limit of the channels, and the deviations of sampled rows."""
    moments, largest = RunningMoments(n_features), np.zeros(n_features)
    sample = np.full((len(sampled), n_features), np.nan)
    for rows, values, _ in deviations:
        moments.update(values)
        largest = np.fmax(largest, np.fmax.reduce(values, axis=0))
        wanted = np.isin(sampled, rows, assume_unique=True)
        sample[wanted] = values[np.searchsorted(rows, sampled[wanted])]
    return *_spread_and_limit(moments, largest), sample


def _spread_and_limit(
    moments: RunningMoments, largest: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean plus standard deviation of each channel, and its largest deviation.

    The standard deviation tells a channel with rare large deviations from one that
    deviates evenly: the former is no news when it deviates again.
    """
    spread = moments.mean + np.sqrt(moments.variance)
    spread[moments.count == 0] = np.nan
    least = max(_LEAST_SHARE * np.nanmax(spread), np.finfo(np.float64).eps)
    never_deviated = spread < least
    spread = np.maximum(spread, least)
    limit = np.maximum(largest, spread)
    # News of a channel that never deviated counts as much as that of any can.
    limit[never_deviated] = np.nanmax(limit / spread) * least
    return spread, limit


def _rows(bounds: SeriesBounds) -> NDArray[np.int64]:
    """Rows of pieces of one length, in order."""
    return (bounds[:, :1] + np.arange(bounds[0, 1] - bounds[0, 0])).ravel()
