"""Scores over time: the weighted average of a series along its rows.

NaN is the score of a row without any value.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from skmemto._blockwise import row_blocks

# The average over time is of two spans: one keeps short anomalies sharp, the other, so
# many times as long, carries long ones over their quiet moments.
_LONGER = 5


def smooth(values: NDArray, span: int, order: float) -> None:
    """Take the power mean of one series over time, in place; none with span 1.

    The weights are those of `exponential_average` with `span` and `_LONGER` times
    `span`. For any other order than 1 no value may be negative. Values (n,) become
    their means; values (n, F) are the parts of those that they sum to, and become the
    parts of the means.
    """
    if span == 1 or len(values) == 0:
        return
    _times_power_of_total(values, order - 1)
    values[:] = exponential_average(values, span, _LONGER * span)
    _times_power_of_total(values, 1 / order - 1)


def _times_power_of_total(values: NDArray, exponent: float) -> None:
    for rows in row_blocks(values):
        part = values[rows]
        total = part if part.ndim == 1 else part.sum(axis=1, keepdims=True)
        part *= np.where(total > 0, total, 1.0) ** exponent


def exponential_average(scores: NDArray, *spans: int) -> NDArray:
    """Average of one series along its rows, weights falling on both sides.

    With one span a row k steps away weighs ``((span - 1) / (span + 1)) ** k``, as in
    pandas' ``ewm(span=span)`` to both sides; with several, each has the same share of
    all weight. NaN takes the average of its neighbours, where these are near enough to
    weigh as much as one score would, and gives them nothing.
    """
    if len(scores) == 0:
        return scores
    # In blocks, so that a long series has no other array of its length: forwards for
    # the sums over earlier rows where each block begins, then backwards for all.
    blocks = list(row_blocks(scores))
    states = [np.zeros((len(spans), 2, 1, *scores.shape[1:]))]
    for rows in blocks[:-1]:
        x = _values_and_weights(scores[rows])
        states.append(_decaying_sums(x, spans, states[-1], lag=0)[1])
    after_block = np.zeros_like(states[0])
    # Further from what is known than the weight of one score, there is no average.
    average = np.full(scores.shape, np.nan)
    own_weight = sum(max(spans) / span for span in spans)
    for rows, before_block in zip(reversed(blocks), reversed(states), strict=True):
        x = _values_and_weights(scores[rows])
        before, _ = _decaying_sums(x, spans, before_block, lag=0)
        after, after_block = _decaying_sums(x[:, ::-1], spans, after_block, lag=1)
        total, weights = before + after[:, ::-1]
        np.divide(total, weights, out=average[rows], where=weights >= own_weight)
    return average


def _decaying_sums(
    x: NDArray, spans: tuple[int, ...], states: NDArray, *, lag: int
) -> tuple[NDArray, NDArray]:
    """Sum x (2, n, ...) over the rows so far by the weights of all spans.

    With lag 0 up to each row itself, with lag 1 up to the row before. Also returns the
    states to go on from, one for each span.
    """
    sums, next_states = np.zeros_like(x), np.empty_like(states)
    for i, span in enumerate(spans):
        decay = (span - 1) / (span + 1)
        weights = np.array([0.0, decay] if lag else [1.0]) * max(spans) / span
        y, next_states[i] = lfilter(weights, [1.0, -decay], x, axis=1, zi=states[i])
        sums += y
    return sums, next_states


def _values_and_weights(scores: NDArray) -> NDArray:
    """Stack scores and their weights (2, n, ...): both 0 where NaN."""
    known = ~np.isnan(scores)
    return np.stack([np.where(known, scores, 0.0), known])
