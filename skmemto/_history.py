"""What a history shows of a process, and what it leaves open.

A short or slow history does not show how far a process may go: where the means of its
tenths differ as much as its rows do, it is worth ten independent rows, not a thousand.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from skmemto._blockwise import RunningMoments, series_blocks
from skmemto._scaling import ChannelScaler
from skmemto._series import SeriesBounds

_N_PARTS = 10
_FEWEST = _N_PARTS  # independent rows that any history is worth
# The range to be known leaves such a share of rows outside.
_OUTSIDE = 1e-3
# Of a channel's part of a network. More leaves anomalies unseen after short histories,
# fewer leave false alarms there: `benchmarks/steady.py` and `alarms.py`.
_N_PARAMETERS = 40


def range_factors(
    X: NDArray, series: SeriesBounds, scaler: ChannelScaler
) -> NDArray[np.float64]:
    """Return how many times the range seen each channel may come to span, (F,).

    Both ranges are those of normally distributed values: what as many independent rows
    as the history is worth have reached, and what the next row stays within where mean
    and deviation are uncertain (Student's t). 1 where the rows are worth a thousand.
    """
    n_rows = int((series[:, 1] - series[:, 0]).sum())
    length = max(1, n_rows // _N_PARTS)
    moments = RunningMoments(X.shape[1])
    n_parts = -(-n_rows // length)
    totals, counts = np.zeros((2, n_parts, X.shape[1]))
    seen = 0
    for _, block in series_blocks(X, series):
        rows = scaler.hide_absurd(block)
        moments.update(rows)
        parts = (seen + np.arange(len(rows))) // length
        known = ~np.isnan(rows)
        np.add.at(totals, parts, np.where(known, rows, 0.0))
        np.add.at(counts, parts, known)
        seen += len(rows)
    with np.errstate(divide="ignore", invalid="ignore"):
        # What is left over at the end is too short to compare.
        means = np.where(counts > length / 2, totals / counts, np.nan)
        of_parts = RunningMoments.of([means], X.shape[1])
        between = of_parts.variance * of_parts.count / np.maximum(of_parts.count - 1, 1)
        # The mean of independent rows would vary by a share of 1 / length.
        rows_worth_one = np.fmax(length * between / moments.variance, 1.0)
    rows_worth_one[scaler.constant_ | (moments.variance == 0)] = 1.0
    return _range_factor(n_rows / rows_worth_one)


def range_factor(values: NDArray[np.float64]) -> float:
    """Return how many times their range seen values (n,), in time order, may span."""
    length = max(1, len(values) // _N_PARTS)
    means = values[: len(values) // length * length].reshape(-1, length).mean(axis=1)
    variance = values.var()
    worth_one = length * float(means.var(ddof=1)) / variance if variance > 0 else 1.0
    return float(_range_factor(np.asarray(len(values) / max(1.0, worth_one))))


def overfitting(n_rows: int) -> float:
    """Return how many times as large errors are on rows that were not learned from.

    The final prediction error of Akaike ("Fitting autoregressive models for
    prediction", 1969), to first order, at most 2: 1 + 2 p / n for p parameters.
    """
    return 1 + 2 * _N_PARAMETERS / max(n_rows, 2 * _N_PARAMETERS)


def _range_factor(n_independent: NDArray[np.float64]) -> NDArray[np.float64]:
    n = np.maximum(n_independent, _FEWEST)
    reached = stats.norm.isf(np.maximum(1 / (n + 1), _OUTSIDE))
    possible = stats.t.isf(_OUTSIDE, n - 1) * np.sqrt(1 + 1 / n)
    return np.maximum(possible / reached, 1.0)
