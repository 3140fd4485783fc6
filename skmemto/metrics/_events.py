"""Metrics of predicted labels by segment: point adjustment, PA%K, event recall."""

from numbers import Real

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import f1_score, precision_recall_fscore_support, recall_score
from sklearn.utils._param_validation import Interval, validate_params

from skmemto.metrics._labels import (
    LABELS,
    ZERO_DIVISION,
    check_predictions,
    segments,
)

_PERCENT = [Interval(Real, 0, 100, closed="both")]


@validate_params({**LABELS, "k": _PERCENT}, prefer_skip_nested_validation=True)
def point_adjust(y_true: ArrayLike, y_pred: ArrayLike, *, k: float = 0.0) -> np.ndarray:
    """Flag the whole of every anomalous segment of which a part is flagged.

    With ``k=0`` this is the point adjustment of [1]_, where one flagged sample is
    enough; with a larger `k` it is PA%K of [2]_, where more than `k` % of the segment
    must be flagged. ``k=100`` changes nothing.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels in time order, 1 = anomalous and 0 = normal.
    y_pred : array-like of shape (n_samples,)
        Predicted labels, 1 = anomalous and 0 = normal.
    k : float, default=0
        Percentage of a segment, in [0, 100], to be exceeded.

    Returns
    -------
    y_adjusted : ndarray of shape (n_samples,), dtype int8
        The adjusted predictions.

    Raises
    ------
    ValueError
        If the lengths differ or a label is neither 0 nor 1.

    See Also
    --------
    point_adjusted_f1 : F1 of these predictions.
    pa_k : F1 of these predictions for a given `k`.

    Notes
    -----
    For t in segment S, ``adjusted[t] = 1`` if ``y_pred[t] == 1`` or
    ``sum(y_pred[S]) / len(S) > k / 100``. So the true labels improve the predictions:
    see :func:`point_adjusted_f1` for what that does to a metric.

    References
    ----------
    .. [1] H. Xu et al., "Unsupervised Anomaly Detection via Variational
       Auto-Encoder for Seasonal KPIs in Web Applications", WWW 2018.
    .. [2] S. Kim et al., "Towards a Rigorous Evaluation of Time-Series Anomaly
       Detection", AAAI 2022.

    Examples
    --------
    >>> from skmemto.metrics import point_adjust
    >>> point_adjust([0, 1, 1, 1, 0, 1, 1], [1, 0, 0, 1, 0, 0, 0])
    array([1, 1, 1, 1, 0, 0, 0], dtype=int8)
    """
    y_true, y_pred = check_predictions(y_true, y_pred)
    return _point_adjust(y_true, y_pred, k)


@validate_params(
    {**LABELS, "zero_division": ZERO_DIVISION}, prefer_skip_nested_validation=True
)
def point_adjusted_f1(
    y_true: ArrayLike, y_pred: ArrayLike, *, zero_division: str | float = "warn"
) -> float:
    """Compute F1 after point adjustment; for comparison with papers only.

    .. warning::
        Random scores do as well on this metric as the best published detectors, or
        better [2]_: a long segment counts in full as soon as one of its samples is
        flagged, and chance sees to that. It says nothing about the quality of a
        detector. Put the figure of random predictions of the same rate beside it,
        and use :func:`vus_pr` or the plain average precision to choose a model.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels in time order, 1 = anomalous and 0 = normal.
    y_pred : array-like of shape (n_samples,)
        Predicted labels, 1 = anomalous and 0 = normal.
    zero_division : {"warn", 0.0, 1.0, np.nan}, default="warn"
        The value when nothing is anomalous nor predicted so, as in
        :func:`sklearn.metrics.f1_score`. "warn" acts as 0 and warns.

    Returns
    -------
    f1 : float
        In [0, 1]; 1 is best.

    Raises
    ------
    ValueError
        If the lengths differ or a label is neither 0 nor 1.

    See Also
    --------
    point_adjust : The adjusted predictions.
    pa_k : The same, asking for more than one flagged sample.

    References
    ----------
    .. [1] H. Xu et al., "Unsupervised Anomaly Detection via Variational
       Auto-Encoder for Seasonal KPIs in Web Applications", WWW 2018.
    .. [2] S. Kim et al., "Towards a Rigorous Evaluation of Time-Series Anomaly
       Detection", AAAI 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.metrics import f1_score
    >>> from skmemto.metrics import point_adjusted_f1
    >>> y_true = np.repeat([0, 1, 0, 1, 0], [400, 100, 300, 150, 50])
    >>> chance = np.random.RandomState(0).uniform(size=1000) > 0.98
    >>> round(f1_score(y_true, chance), 2)
    0.04
    >>> round(point_adjusted_f1(y_true, chance), 2)
    0.98
    """
    y_true, y_pred = check_predictions(y_true, y_pred)
    y_pred = _point_adjust(y_true, y_pred, k=0)
    return float(f1_score(y_true, y_pred, zero_division=zero_division))


@validate_params(
    {
        **LABELS,
        "beta": [Interval(Real, 0, None, closed="both")],
        "zero_division": ZERO_DIVISION,
    },
    prefer_skip_nested_validation=True,
)
def point_adjusted_precision_recall_fscore(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    beta: float = 1.0,
    zero_division: str | float = "warn",
) -> tuple[float, float, float]:
    """Compute precision, recall and F-score after point adjustment.

    Read the warning of :func:`point_adjusted_f1` first.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels in time order, 1 = anomalous and 0 = normal.
    y_pred : array-like of shape (n_samples,)
        Predicted labels, 1 = anomalous and 0 = normal.
    beta : float, default=1.0
        Weight of recall against precision in the F-score.
    zero_division : {"warn", 0.0, 1.0, np.nan}, default="warn"
        The value of a quotient 0 / 0, as in
        :func:`sklearn.metrics.precision_recall_fscore_support`.

    Returns
    -------
    precision, recall, fscore : float
        Each in [0, 1]; 1 is best.

    Raises
    ------
    ValueError
        If the lengths differ or a label is neither 0 nor 1.

    See Also
    --------
    point_adjusted_f1 : The F-score alone, and what is wrong with it.

    References
    ----------
    .. [1] H. Xu et al., "Unsupervised Anomaly Detection via Variational
       Auto-Encoder for Seasonal KPIs in Web Applications", WWW 2018.

    Examples
    --------
    >>> from skmemto.metrics import point_adjusted_precision_recall_fscore
    >>> point_adjusted_precision_recall_fscore(
    ...     [0, 1, 1, 1, 0, 1], [1, 0, 0, 1, 0, 0])
    (0.75, 0.75, 0.75)
    """
    y_true, y_pred = check_predictions(y_true, y_pred)
    precision, recall, fscore, _ = precision_recall_fscore_support(
        y_true,
        _point_adjust(y_true, y_pred, k=0),
        beta=beta,
        average="binary",
        zero_division=zero_division,
    )
    return float(precision), float(recall), float(fscore)


@validate_params(
    {**LABELS, "k": _PERCENT, "zero_division": ZERO_DIVISION},
    prefer_skip_nested_validation=True,
)
def pa_k(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    k: float = 20.0,
    zero_division: str | float = "warn",
) -> float:
    """Compute F1 after PA%K: segments count in full if over k % of them is flagged.

    Between the point-adjusted F1 (``k=0``) and the plain F1 (``k=100``).

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels in time order, 1 = anomalous and 0 = normal.
    y_pred : array-like of shape (n_samples,)
        Predicted labels, 1 = anomalous and 0 = normal.
    k : float, default=20
        Percentage of a segment, in [0, 100], to be exceeded. 20 is the default of
        the authors' package.
    zero_division : {"warn", 0.0, 1.0, np.nan}, default="warn"
        The value when nothing is anomalous nor predicted so, as in
        :func:`sklearn.metrics.f1_score`.

    Returns
    -------
    f1 : float
        In [0, 1]; 1 is best.

    Raises
    ------
    ValueError
        If the lengths differ, a label is neither 0 nor 1, or `k` is out of range.

    See Also
    --------
    pa_k_auc : All `k` in one number.
    point_adjust : The adjusted predictions.

    Notes
    -----
    The share must be larger than `k` %, as in [1]_: a segment of five with one sample
    flagged is not adjusted at ``k=20``. The paper picks the threshold of the score
    anew for each `k`, by the test labels; here the predictions are given.

    References
    ----------
    .. [1] S. Kim et al., "Towards a Rigorous Evaluation of Time-Series Anomaly
       Detection", AAAI 2022.

    Examples
    --------
    >>> from skmemto.metrics import pa_k
    >>> y_true, y_pred = [0, 0, 1, 1, 1, 1, 0, 1], [0, 1, 0, 1, 0, 0, 0, 1]
    >>> round(pa_k(y_true, y_pred, k=20), 3)
    0.909
    >>> round(pa_k(y_true, y_pred, k=25), 3)
    0.5
    """
    y_true, y_pred = check_predictions(y_true, y_pred)
    y_pred = _point_adjust(y_true, y_pred, k)
    return float(f1_score(y_true, y_pred, zero_division=zero_division))


@validate_params(
    {**LABELS, "zero_division": ZERO_DIVISION}, prefer_skip_nested_validation=True
)
def pa_k_auc(
    y_true: ArrayLike, y_pred: ArrayLike, *, zero_division: str | float = "warn"
) -> float:
    """Compute the area under the curve of PA%K's F1 over k.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels in time order, 1 = anomalous and 0 = normal.
    y_pred : array-like of shape (n_samples,)
        Predicted labels, 1 = anomalous and 0 = normal.
    zero_division : {"warn", 0.0, 1.0, np.nan}, default="warn"
        The value when nothing is anomalous nor predicted so, as in
        :func:`sklearn.metrics.f1_score`.

    Returns
    -------
    area : float
        Mean of ``pa_k(..., k=k)`` over k from 0 to 100, in [0, 1]; 1 is best.

    Raises
    ------
    ValueError
        If the lengths differ or a label is neither 0 nor 1.

    See Also
    --------
    pa_k : One point of the curve.

    Notes
    -----
    The curve is a staircase, and its area is computed exactly. Papers approximate
    it on a grid of 1 %.

    References
    ----------
    .. [1] S. Kim et al., "Towards a Rigorous Evaluation of Time-Series Anomaly
       Detection", AAAI 2022.

    Examples
    --------
    >>> from skmemto.metrics import pa_k_auc
    >>> round(pa_k_auc([0, 0, 1, 1, 1, 1, 0, 1], [0, 1, 0, 1, 0, 0, 0, 1]), 3)
    0.602
    """
    y_true, y_pred = check_predictions(y_true, y_pred)
    if not y_true.any():
        # Nothing to adjust: F1 is the same for all k, and may be ill-defined.
        return float(f1_score(y_true, y_pred, zero_division=zero_division))
    return _pa_k_area(y_true, y_pred)


@validate_params(
    {**LABELS, "zero_division": ZERO_DIVISION}, prefer_skip_nested_validation=True
)
def event_recall(
    y_true: ArrayLike, y_pred: ArrayLike, *, zero_division: str | float = "warn"
) -> float:
    """Compute the share of anomalous segments with at least one flagged sample.

    Flagging everything gives 1: read it together with precision.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels in time order, 1 = anomalous and 0 = normal.
    y_pred : array-like of shape (n_samples,)
        Predicted labels, 1 = anomalous and 0 = normal.
    zero_division : {"warn", 0.0, 1.0, np.nan}, default="warn"
        The value when nothing is anomalous, as in
        :func:`sklearn.metrics.recall_score`.

    Returns
    -------
    recall : float
        In [0, 1]; 1 is best.

    Raises
    ------
    ValueError
        If the lengths differ or a label is neither 0 nor 1.

    See Also
    --------
    affiliation_precision_recall : Counts near misses and false alarms too.

    References
    ----------
    .. [1] M. El Amine Sehili and Z. Zhang, "Multivariate Time Series Anomaly
       Detection: Fancy Algorithms and Flawed Evaluation Methodology", TPCTC 2023.

    Examples
    --------
    >>> from skmemto.metrics import event_recall
    >>> event_recall([0, 1, 1, 1, 0, 1, 1], [1, 0, 1, 0, 0, 0, 0])
    0.5
    """
    y_true, y_pred = check_predictions(y_true, y_pred)
    # One sample for each segment: its first, which point adjustment flags with it.
    first = np.zeros_like(y_true)
    first[segments(y_true)[0]] = 1
    y_pred = _point_adjust(y_true, y_pred, k=0)
    return float(recall_score(first, y_pred, zero_division=zero_division))


def _segment_hits(y_true: np.ndarray, y_pred: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the flagged samples and the length of each anomalous segment."""
    starts, ends = segments(y_true)
    flagged_before = np.concatenate(([0], np.cumsum(y_pred, dtype=np.int64)))
    return flagged_before[ends] - flagged_before[starts], ends - starts


def _point_adjust(y_true: np.ndarray, y_pred: np.ndarray, k: float) -> np.ndarray:
    """Flag the whole of each segment of which more than k % is flagged."""
    hits, lengths = _segment_hits(y_true, y_pred)
    # Multiplied out, so that no division rounds a share across its limit.
    detected = 100 * hits > k * lengths
    adjusted = y_pred.copy()
    adjusted[y_true == 1] |= np.repeat(detected, lengths)
    return adjusted


def _pa_k_area(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return the area under F1(k), k running from 0 to 100 % of a segment.

    F1(k) is a staircase with a step where k passes the flagged share of a
    segment, so its area is a finite sum.
    """
    hits, lengths = _segment_hits(y_true, y_pred)
    shares, segment_step = np.unique(hits / lengths, return_inverse=True)
    gains = np.bincount(segment_step, weights=lengths - hits)
    # Up to shares[i], every segment with at least that share is filled.
    true_positives = hits.sum() + np.cumsum(gains[::-1])[::-1]
    false_positives = y_pred.sum(dtype=np.int64) - hits.sum()
    # Beyond the largest share nothing is filled.
    true_positives = np.append(true_positives, hits.sum())
    f1 = 2 * true_positives / (true_positives + false_positives + lengths.sum())
    return float(np.sum(np.diff(shares, prepend=0.0, append=1.0) * f1))
