"""Scores over time: the weighted average of a series along its rows.

NaN is the score of a row without any value.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from skmemto._blockwise import row_blocks


def smooth(
    values: NDArray[np.float64], span: int, typical: float
) -> NDArray[np.float64]:
    """Average one series (n, ...) along its rows, weights falling on both sides.

    A row k steps away weighs ``((span - 1) / (span + 1)) ** k``, as in pandas'
    ``ewm(span=span)`` to both sides. What is not there, beyond the ends of the series
    and where a value is NaN, counts as `typical`: few rows say little. With span 1 the
    values are returned as they are.
    """
    if span == 1 or len(values) == 0:
        return values
    decay = (span - 1) / (span + 1)
    own_share = (1 - decay) / (1 + decay)  # of all weight
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
        average[rows] = typical + own_share * (before + after[::-1])
    return average


def _above(values: NDArray[np.float64], typical: float) -> NDArray[np.float64]:
    return np.nan_to_num(values - typical, nan=0.0)
