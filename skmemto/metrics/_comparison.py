"""Events as they were found, compared with labels."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_scalar

from skmemto.metrics._labels import check_binary, segments


class EventComparison(NamedTuple):
    """Events that were found, held against those that were there.

    Attributes
    ----------
    found : ndarray of bool of shape (n_true,)
        Which of the true events, in time order, any event found overlaps.
    false : ndarray of bool of shape (n_found,)
        Which of the events found are near none of the true ones.
    delay : ndarray of shape (n_true,)
        Rows from the start of a true event to the first row of it that is within an
        event found; NaN where it was missed.
    overlap : ndarray of shape (n_true,)
        Share of the rows of a true event that are within events found.
    false_per_10000 : float
        Number of false events per 10,000 rows that are near no true event.
    """

    found: np.ndarray
    false: np.ndarray
    delay: np.ndarray
    overlap: np.ndarray
    false_per_10000: float


def compare_events(
    y_true: ArrayLike, events: Iterable[Any], *, tolerance: int = 0
) -> EventComparison:
    """Say which events were found, how late, how much of them, and which are false.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels in time order, 1 = anomalous and 0 = normal. A run of ones is an
        event.
    events : iterable of (start, stop, ...)
        What was found, as half-open ranges of rows: the result of `events`,
        or pairs.
    tolerance : int, default=0
        An event found is false if it keeps more than so many rows away from every true
        one.

    Returns
    -------
    comparison : EventComparison
        NamedTuple of ``found``, ``false``, ``delay``, ``overlap`` and
        ``false_per_10000``. ``found.mean()`` is the share of events found,
        ``numpy.nanmedian(delay)`` the typical delay.

    Raises
    ------
    ValueError
        If a label is neither 0 nor 1, or an event found is empty or beyond the rows.

    See Also
    --------
    event_recall : The share of events found, from labels of rows.

    Examples
    --------
    >>> from skmemto.metrics import compare_events
    >>> y_true = [0, 0, 1, 1, 1, 0, 0, 0, 0, 1, 0, 0]
    >>> comparison = compare_events(y_true, [(3, 6), (7, 8)])
    >>> comparison.found
    array([ True, False])
    >>> comparison.delay
    array([ 1., nan])
    >>> comparison.false
    array([False,  True])
    """
    labels = check_binary(y_true, "y_true")
    check_scalar(tolerance, "tolerance", int, min_val=0)
    ranges = np.array([tuple(event)[:2] for event in events], dtype=np.int64)
    ranges = ranges.reshape(-1, 2)
    wrong = (ranges[:, 0] >= ranges[:, 1]) | (ranges[:, 0] < 0)
    wrong |= ranges[:, 1] > len(labels)
    if wrong.any():
        start, stop = ranges[wrong][0].tolist()
        raise ValueError(
            f"Events must be ranges of rows between 0 and {len(labels)}, with a start "
            f"below the stop. Got ({start}, {stop}) instead."
        )
    flags = np.zeros(len(labels), dtype=bool)
    near = np.zeros(len(labels), dtype=bool)
    for start, stop in ranges.tolist():
        flags[start:stop] = True
    true_ranges = list(zip(*(edge.tolist() for edge in segments(labels)), strict=True))
    for start, stop in true_ranges:
        near[max(0, start - tolerance) : stop + tolerance] = True
    parts = [flags[start:stop] for start, stop in true_ranges]
    false = np.array([not near[start:stop].any() for start, stop in ranges], dtype=bool)
    n_far = np.count_nonzero(~near)
    return EventComparison(
        found=np.array([part.any() for part in parts], dtype=bool),
        false=false,
        delay=np.array([part.argmax() if part.any() else np.nan for part in parts]),
        overlap=np.array([part.mean() for part in parts]),
        false_per_10000=float(1e4 * false.sum() / n_far) if n_far else 0.0,
    )
