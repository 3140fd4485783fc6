"""Scores over time: the weighted average of a series along its rows.

NaN is the score of a row without any value.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from skmemto._blockwise import row_blocks


def smooth(
    values: NDArray[np.float64],
    span: int,
    typical: float,
    lookahead: int | None = None,
) -> NDArray[np.float64]:
    """Average one series (n, ...) along its rows, weights falling on both sides.

    A row k steps away weighs ``((span - 1) / (span + 1)) ** k``, as in pandas'
    ``ewm(span=span)`` to both sides; of later rows at most `lookahead` count. What is
    not there, beyond the ends of the series and where a value is NaN, counts as
    `typical`: few rows say little. With span 1 the values are returned as they are.
    """
    if span == 1 or len(values) == 0:
        return values
    if lookahead is not None:
        return _smooth_back(values, span, typical, lookahead)
    decay = _decay(span)
    # In blocks, so that a long series has no other array of its length: forwards for
    # the sums over earlier rows where each block begins, then backwards for all.
    blocks = list(row_blocks(values))
    states = [np.zeros((1, *values.shape[1:]))]
    for rows in blocks[:-1]:
        x = _above(values[rows], typical)
        states.append(lfilter([1.0], [1.0, -decay], x, axis=0, zi=states[-1])[1])
    average = np.empty(values.shape)
    after_block = np.zeros_like(states[0])
    for rows, before_block in zip(reversed(blocks), reversed(states), strict=True):
        x = _above(values[rows], typical)
        before, _ = lfilter([1.0], [1.0, -decay], x, axis=0, zi=before_block)
        after, after_block = lfilter(
            [0.0, decay], [1.0, -decay], x[::-1], axis=0, zi=after_block
        )
        average[rows] = typical + own_share(span) * (before + after[::-1])
    return average


def smooth_next(
    values: NDArray[np.float64],
    span: int,
    typical: float,
    sums: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Go on averaging series (..., n) without looking ahead.

    Parameters
    ----------
    values : ndarray of shape (..., n)
        Their next rows.
    span, typical
        As in `smooth`.
    sums : ndarray of shape (...)
        What is remembered of the rows before; 0 before the first.

    Returns
    -------
    averages : ndarray of shape (..., n)
    sums : ndarray of shape (...)
    """
    if span == 1 or values.shape[-1] == 0:
        return values, sums
    state = sums[..., np.newaxis]
    total, state = _sums_before(_above(values, typical), span, state, axis=-1)
    return typical + own_share(span, 0) * total, state[..., 0]


def own_share(span: int, lookahead: int | None = None) -> float:
    """Return the weight of a row itself, where all weights sum to one."""
    decay = _decay(span)
    if lookahead is None:
        return (1 - decay) / (1 + decay)
    return (1 - decay) / (1 + decay - decay ** (lookahead + 1))


def _decay(span: int) -> float:
    return (span - 1) / (span + 1)


def _smooth_back(
    values: NDArray[np.float64], span: int, typical: float, lookahead: int
) -> NDArray[np.float64]:
    """Average over all earlier rows, and `lookahead` later ones.

    What comes after those changes no bit: they are added up one by one.
    """
    decay, share = _decay(span), own_share(span, lookahead)
    average, state = np.empty(values.shape), np.zeros((1, *values.shape[1:]))
    for rows in row_blocks(values):
        x = _above(values[rows.start : rows.stop + lookahead], typical)
        n = len(values[rows])
        total, state = _sums_before(x[:n], span, state)
        for k in range(1, min(lookahead, len(x) - 1) + 1):
            weight = decay**k
            if weight == 0:
                break  # no later row counts
            later = x[k : n + k]
            total[: len(later)] += weight * later
        average[rows] = typical + share * total
    return average


def _sums_before(
    x: NDArray[np.float64], span: int, state: NDArray[np.float64], axis: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Add up all rows before and the row itself, by their weights."""
    total, state = lfilter([1.0], [1.0, -_decay(span)], x, axis=axis, zi=state)
    return total, state


def _above(values: NDArray[np.float64], typical: float) -> NDArray[np.float64]:
    return np.nan_to_num(values - typical, nan=0.0)
