"""Affiliation metrics: distances in time, compared with those of a random point."""

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import validate_params

from skmemto.metrics._labels import (
    LABELS,
    ZERO_DIVISION,
    check_predictions,
    ill_defined,
    segments,
)


@validate_params(
    {**LABELS, "zero_division": ZERO_DIVISION}, prefer_skip_nested_validation=True
)
def affiliation_precision_recall(
    y_true: ArrayLike, y_pred: ArrayLike, *, zero_division: str | float = "warn"
) -> tuple[float, float]:
    """Compute affiliation precision and recall, which forgive near misses.

    The time line is cut midway between neighbouring segments, so that each segment
    owns a zone. Within its zone, the distance from a flagged sample to the segment
    (precision) and from the segment to the nearest flagged sample (recall) is
    compared with that of a point drawn at random from the zone: the metric is the
    probability that the random point is no nearer, averaged over the samples and
    then over the zones.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels in time order, 1 = anomalous and 0 = normal.
    y_pred : array-like of shape (n_samples,)
        Predicted labels, 1 = anomalous and 0 = normal.
    zero_division : {"warn", 0.0, 1.0, np.nan}, default="warn"
        The value of precision when nothing is predicted or anomalous, and of recall
        when nothing is anomalous. "warn" acts as 0 and warns.

    Returns
    -------
    precision : float
        In [0, 1]; 1 is best. Mean over the zones with a prediction.
    recall : float
        In [0, 1]; 1 is best. Mean over all zones, 0 in one without a prediction.

    Raises
    ------
    ValueError
        If the lengths differ or a label is neither 0 nor 1.

    See Also
    --------
    event_recall : No credit for near misses.

    Notes
    -----
    With the zone I of segment S, the predictions P in I, dist the distance to the
    nearest point of a set, and X uniform on I::

        precision = mean over x in P of Prob(dist(X, S) >= dist(x, S))
        recall = mean over y in S of Prob(|X - y| >= dist(y, P))

    Sample t stands for the interval [t, t + 1), as in the authors' code, and the
    integrals are exact.

    A few predictions at random get a precision of a little more than 0.5 and a recall
    of 0.9 where segments are rare. Compare with such a baseline.

    References
    ----------
    .. [1] A. Huet, J. M. Navarro and D. Rossi, "Local Evaluation of Time Series
       Anomaly Detection Algorithms", KDD 2022.

    Examples
    --------
    >>> from skmemto.metrics import affiliation_precision_recall
    >>> precision, recall = affiliation_precision_recall(
    ...     [0, 0, 0, 1, 0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 1, 0, 0, 0, 1, 0])
    >>> round(precision, 2), round(recall, 2)
    (0.82, 0.84)
    """
    y_true, y_pred = check_predictions(y_true, y_pred)
    if not y_true.any():
        precision = ill_defined("Affiliation precision", "true", zero_division)
        return precision, ill_defined("Affiliation recall", "true", zero_division)
    if not y_pred.any():
        return ill_defined("Affiliation precision", "predicted", zero_division), 0.0
    return _affiliation(y_true, y_pred)


def _affiliation(y_true: np.ndarray, y_pred: np.ndarray) -> tuple[float, float]:
    """Return affiliation precision and recall; there are events and predictions.

    Sample t fills [t, t + 1). Events begin and end at whole numbers, zones and
    the predictions cut by them at halves, and the points midway between those at
    quarters. On cells of a quarter every integrand is therefore linear, and its
    value at the middle of a cell is its exact mean there.
    """
    starts, ends = segments(y_true)
    borders = np.concatenate(([0], (ends[:-1] + starts[1:]) / 2, [len(y_true)]))
    true_cells = np.flatnonzero(np.repeat(y_true, 4))
    pred_cells = np.flatnonzero(np.repeat(y_pred, 4))

    x = (pred_cells + 0.5) / 4
    zone = np.searchsorted(borders[1:-1], x)
    closeness = _closeness_to_event(x, starts[zone], ends[zone], borders, zone)
    precision = _mean_of_zone_means(closeness, zone)

    x = (true_cells + 0.5) / 4
    zone = np.searchsorted(borders[1:-1], x)
    closeness = _closeness_to_prediction(true_cells, pred_cells, borders, zone)
    return precision, _mean_of_zone_means(closeness, zone)


def _closeness_to_event(
    x: np.ndarray,
    start: np.ndarray,
    end: np.ndarray,
    borders: np.ndarray,
    zone: np.ndarray,
) -> np.ndarray:
    """Return P(a random point of the zone is at least as far from the event as x)."""
    low, high = borders[zone], borders[zone + 1]
    distance = np.maximum(0, np.maximum(start - x, x - end))
    nearer = np.minimum(distance, start - low) + np.minimum(distance, high - end)
    nearer += end - start
    return np.where(distance == 0, 1.0, 1 - nearer / (high - low))


def _closeness_to_prediction(
    true_cells: np.ndarray,
    pred_cells: np.ndarray,
    borders: np.ndarray,
    zone: np.ndarray,
) -> np.ndarray:
    """Return P(a random point of the zone is at least as far as the predictions)."""
    low, high = borders[zone], borders[zone + 1]
    n_before = np.searchsorted(pred_cells, true_cells)
    # Sentinels: nothing is predicted before the first or after the last cell.
    padded = np.concatenate(([-np.inf], pred_cells, [np.inf]))
    left, right = padded[n_before], padded[n_before + 1]
    # Only predictions of the same zone count.
    left = np.where(left >= 4 * low, left, -np.inf)
    right = np.where(right < 4 * high, right, np.inf)
    x = (true_cells + 0.5) / 4
    distance = np.minimum(x - (left + 1) / 4, right / 4 - x)
    nearer = np.minimum(distance, x - low) + np.minimum(distance, high - x)
    return np.where(right == true_cells, 1.0, 1 - nearer / (high - low))


def _mean_of_zone_means(values: np.ndarray, zone: np.ndarray) -> float:
    counts = np.bincount(zone)
    sums = np.bincount(zone, weights=values)
    return float(np.mean(sums[counts > 0] / counts[counts > 0]))
