"""Metrics of scores which know segments: range-aware areas, and VUS over them."""

import warnings
from collections.abc import Iterator
from numbers import Integral
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import trapezoid
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.utils._param_validation import Interval, validate_params

from skmemto.metrics._labels import SCORES, check_scores, segments


def _mean_pr_auc(y_true: np.ndarray, y_score: np.ndarray, buffers: range) -> float:
    if not y_true.any():
        warnings.warn(
            "No anomalous sample found in y_true. The area under the "
            "precision-recall curve is not defined in that case and set to 0.0.",
            UndefinedMetricWarning,
            stacklevel=4,  # whoever called the metric, past validate_params
        )
        return 0.0
    curves = _range_curves(y_true, y_score, buffers)
    return float(np.mean([curve.pr_auc() for curve in curves]))


def _mean_roc_auc(y_true: np.ndarray, y_score: np.ndarray, buffers: range) -> float:
    if y_true.min() == y_true.max():
        warnings.warn(
            "Only one class is present in y_true. The area under the ROC curve is "
            "not defined in that case.",
            UndefinedMetricWarning,
            stacklevel=4,  # whoever called the metric, past validate_params
        )
        return np.nan
    curves = _range_curves(y_true, y_score, buffers)
    return float(np.mean([curve.roc_auc() for curve in curves]))


def _buffer_range(y_true: np.ndarray, buffer_size: int | None) -> range:
    """Return the one buffer size asked for, or the median length of a segment."""
    if buffer_size is None:
        starts, ends = segments(y_true)
        buffer_size = int(np.median(ends - starts)) if len(starts) else 0
    return range(buffer_size, buffer_size + 1)


_BUFFER = [Interval(Integral, 0, None, closed="left"), None]
_MAX_BUFFER = [Interval(Integral, 0, None, closed="left")]


@validate_params({**SCORES, "buffer_size": _BUFFER}, prefer_skip_nested_validation=True)
def range_pr_auc(
    y_true: ArrayLike, y_score: ArrayLike, *, buffer_size: int | None = None
) -> float:
    """Compute the range-aware area under the precision-recall curve.

    The labels fall off gradually on both sides of a segment, so that a score which
    is a little early or late is not punished in full, and recall is multiplied by
    the share of segments found, so that finding them all matters. This is R-AUC-PR
    of [1]_.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels in time order, 1 = anomalous and 0 = normal.
    y_score : array-like of shape (n_samples,)
        Anomaly scores, high = anomalous. Only their order matters.
    buffer_size : int or None, default=None
        The labels slope over half of it on either side of a segment. 0 leaves them
        as they are; None takes the median length of a segment.

    Returns
    -------
    area : float
        In [0, 1]; higher is better. With a buffer even the best score stays below
        1, as the samples on the slopes are neither right nor wrong. If nothing is
        anomalous: 0 with an ``UndefinedMetricWarning``, like
        :func:`sklearn.metrics.average_precision_score`.

    Raises
    ------
    ValueError
        If the lengths differ, a label is neither 0 nor 1, or a score is not finite.

    See Also
    --------
    vus_pr : The mean over buffer sizes, without one to choose.
    range_roc_auc : The same for the ROC curve.

    Notes
    -----
    Let l be the sloped labels, ``n_pos = (sum(y_true) + sum(l)) / 2``, and F the
    samples whose score reaches a threshold. Then::

        precision = sum(l[F]) / len(F)
        recall = min(1, sum(l[F]) / n_pos) * share of segments with a sample in F

    Where the definition leaves a choice, the authors' code decides, as it does in
    aeon's ``range_pr_auc_score``: ``l = sqrt(1 - d / buffer_size)`` at distance d
    from a segment; a slope has ``buffer_size // 2`` samples before a segment and one
    less behind it; where slopes meet, l is 1; segments whose slopes touch count as
    one when asking which were found.

    Two things differ. Every distinct score is a threshold, where the authors take
    the scores of 250 samples: the same up to 250 samples, within 0.01 on real data.
    Tied samples count at the precision of all of them together, as in
    :func:`sklearn.metrics.average_precision_score`; the trapezoids of the paper
    would give a constant score an area of more than one half.

    References
    ----------
    .. [1] J. Paparrizos et al., "Volume Under the Surface: A New Accuracy
       Evaluation Measure for Time-Series Anomaly Detection", PVLDB 15(11), 2022.

    Examples
    --------
    >>> from skmemto.metrics import range_pr_auc
    >>> y_true = [0, 0, 0, 0, 1, 1, 0, 0, 0, 0]
    >>> y_score = [1, 2, 3, 9, 8, 7, 4, 6, 5, 0]  # one sample early
    >>> round(range_pr_auc(y_true, y_score, buffer_size=0), 2)
    0.42
    >>> round(range_pr_auc(y_true, y_score, buffer_size=2), 2)
    0.83
    """
    y_true, y_score = check_scores(y_true, y_score)
    return _mean_pr_auc(y_true, y_score, _buffer_range(y_true, buffer_size))


@validate_params({**SCORES, "buffer_size": _BUFFER}, prefer_skip_nested_validation=True)
def range_roc_auc(
    y_true: ArrayLike, y_score: ArrayLike, *, buffer_size: int | None = None
) -> float:
    """Compute the range-aware area under the ROC curve.

    This is R-AUC-ROC of [1]_. :func:`range_pr_auc` has the definition of the sloped
    labels l, of n_pos and of recall.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels in time order, 1 = anomalous and 0 = normal.
    y_score : array-like of shape (n_samples,)
        Anomaly scores, high = anomalous. Only their order matters.
    buffer_size : int or None, default=None
        The labels slope over half of it on either side of a segment. 0 leaves them
        as they are; None takes the median length of a segment.

    Returns
    -------
    area : float
        In [0, 1]; higher is better. If all samples are of one class: NaN with an
        ``UndefinedMetricWarning``, like :func:`sklearn.metrics.roc_auc_score`.

    Raises
    ------
    ValueError
        If the lengths differ, a label is neither 0 nor 1, or a score is not finite.

    See Also
    --------
    vus_roc : The mean over buffer sizes, without one to choose.
    range_pr_auc : The same for the precision-recall curve.

    Notes
    -----
    The false positive rate is ``sum(1 - l[F]) / (n_samples - n_pos)``, and the curve
    ends at (1, 1).

    References
    ----------
    .. [1] J. Paparrizos et al., "Volume Under the Surface: A New Accuracy
       Evaluation Measure for Time-Series Anomaly Detection", PVLDB 15(11), 2022.

    Examples
    --------
    >>> from skmemto.metrics import range_roc_auc
    >>> y_true = [0, 0, 0, 0, 1, 1, 0, 0, 0, 0]
    >>> y_score = [1, 2, 3, 9, 8, 7, 4, 6, 5, 0]  # one sample early
    >>> round(range_roc_auc(y_true, y_score, buffer_size=0), 2)
    0.88
    >>> round(range_roc_auc(y_true, y_score, buffer_size=2), 2)
    0.97
    """
    y_true, y_score = check_scores(y_true, y_score)
    return _mean_roc_auc(y_true, y_score, _buffer_range(y_true, buffer_size))


@validate_params(
    {**SCORES, "max_buffer_size": _MAX_BUFFER}, prefer_skip_nested_validation=True
)
def vus_pr(
    y_true: ArrayLike, y_score: ArrayLike, *, max_buffer_size: int = 100
) -> float:
    """Compute VUS-PR, the volume under the precision-recall surface.

    The mean of :func:`range_pr_auc` over all buffer sizes from 0 to
    `max_buffer_size`, as in [1]_.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels in time order, 1 = anomalous and 0 = normal.
    y_score : array-like of shape (n_samples,)
        Anomaly scores, high = anomalous. Only their order matters.
    max_buffer_size : int, default=100
        The longest buffer. The authors suggest the period of the series; their
        later benchmark, TSB-AD, takes 100 for all, and aeon 500. Compare values
        of the same length only.

    Returns
    -------
    volume : float
        In [0, 1]; higher is better. With buffers even the best score stays below 1.
        If nothing is anomalous: 0 with an ``UndefinedMetricWarning``.

    Raises
    ------
    ValueError
        If the lengths differ, a label is neither 0 nor 1, or a score is not finite.

    See Also
    --------
    range_pr_auc : One slice, with the definition and the choices made.
    vus_roc : The same for the ROC curve.
    vus_pr_scorer : For ``GridSearchCV(scoring=...)``.

    Notes
    -----
    The ends of the scale depend on the data, since a buffer adds to what may be
    found: with segments of 50 samples, 5 % in all, and buffers of up to 100, a random
    score gets 0.09, and 0.8 one that ranks all anomalous samples first. Compare
    detectors, and state the value of a random score beside them.

    All thresholds are used. The samples are ranked once, and a buffer size costs a
    few passes over them, so that 30,000 samples take a fraction of a second.

    References
    ----------
    .. [1] J. Paparrizos et al., "Volume Under the Surface: A New Accuracy
       Evaluation Measure for Time-Series Anomaly Detection", PVLDB 15(11), 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from skmemto.metrics import vus_pr
    >>> y_true = np.repeat([0, 1, 0], [500, 50, 450])
    >>> noise = np.random.RandomState(0).normal(size=1000)
    >>> round(vus_pr(y_true, noise), 2)
    0.09
    >>> round(vus_pr(y_true, noise + 3 * y_true), 2)
    0.69
    >>> round(vus_pr(y_true, noise + 3 * np.roll(y_true, -5)), 2)  # five early
    0.69
    >>> round(vus_pr(y_true, noise + 3 * np.roll(y_true, -50)), 2)  # a miss
    0.24
    """
    y_true, y_score = check_scores(y_true, y_score)
    return _mean_pr_auc(y_true, y_score, range(max_buffer_size + 1))


@validate_params(
    {**SCORES, "max_buffer_size": _MAX_BUFFER}, prefer_skip_nested_validation=True
)
def vus_roc(
    y_true: ArrayLike, y_score: ArrayLike, *, max_buffer_size: int = 100
) -> float:
    """Compute VUS-ROC, the volume under the ROC surface.

    The mean of :func:`range_roc_auc` over all buffer sizes from 0 to
    `max_buffer_size`, as in [1]_.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels in time order, 1 = anomalous and 0 = normal.
    y_score : array-like of shape (n_samples,)
        Anomaly scores, high = anomalous. Only their order matters.
    max_buffer_size : int, default=100
        The longest buffer; see :func:`vus_pr`.

    Returns
    -------
    volume : float
        In [0, 1]; higher is better. If all samples are of one class: NaN with an
        ``UndefinedMetricWarning``.

    Raises
    ------
    ValueError
        If the lengths differ, a label is neither 0 nor 1, or a score is not finite.

    See Also
    --------
    range_roc_auc : One slice.
    vus_pr : The same for the precision-recall curve; sharper if anomalies are rare.

    Notes
    -----
    A random score gets more than 0.5, the more the shorter the segments: 0.61 with
    segments of 50 samples and buffers of up to 100, and 0.7 with segments of 5. Once
    the flagged slopes make up for n_pos, recall is full, well before the false
    positive rate is.

    References
    ----------
    .. [1] J. Paparrizos et al., "Volume Under the Surface: A New Accuracy
       Evaluation Measure for Time-Series Anomaly Detection", PVLDB 15(11), 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from skmemto.metrics import vus_roc
    >>> y_true = np.repeat([0, 1, 0], [500, 50, 450])
    >>> noise = np.random.RandomState(0).normal(size=1000)
    >>> round(vus_roc(y_true, noise), 2)
    0.6
    >>> round(vus_roc(y_true, noise + 3 * y_true), 2)
    0.92
    """
    y_true, y_score = check_scores(y_true, y_score)
    return _mean_roc_auc(y_true, y_score, range(max_buffer_size + 1))


class _RangeCurve(NamedTuple):
    """Rates at every distinct score, the highest first; all (n_thresholds,)."""

    precision: np.ndarray
    recall: np.ndarray
    false_positive_rate: np.ndarray
    tied: np.ndarray  # whether several samples share the score

    def pr_auc(self) -> float:
        """Return the area under precision against recall, from (0, 1) on.

        Trapezoids, as in the paper, but for tied samples: they come all together,
        so their gain in recall counts at the precision they bring about. Else a
        constant score would reach (1 + share of anomalies) / 2.
        """
        before = np.concatenate(([1.0], self.precision[:-1]))
        before = np.where(self.tied, self.precision, before)
        width = np.diff(self.recall, prepend=0.0)
        # Not a dot product: BLAS would start threads, which costs more than it gains.
        return float(np.sum(width * (before + self.precision)) / 2)

    def roc_auc(self) -> float:
        """Return the area under recall against false positive rate, up to (1, 1)."""
        recall = np.concatenate(([0.0], self.recall, [1.0]))
        rate = np.concatenate(([0.0], self.false_positive_rate, [1.0]))
        return float(trapezoid(recall, rate))


def _range_curves(
    y_true: np.ndarray, y_score: np.ndarray, buffer_sizes: range
) -> Iterator[_RangeCurve]:
    """Yield the range-aware curve of each buffer size.

    The samples are ranked once. A buffer size then costs a weighted count per
    rank and a cumulative sum, which serve all thresholds together.
    """
    _, ranks = np.unique(-y_score, return_inverse=True)
    n_flagged = np.cumsum(np.bincount(ranks))
    distances = _segment_distances(y_true)
    for buffer_size in buffer_sizes:
        labels = _buffered_labels(y_true, distances, buffer_size)
        yield _range_curve(y_true, labels, ranks, n_flagged)


def _segment_distances(y_true: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the distances to the two segments before and the two after, each (n,).

    Two on a side, because a long slope can reach across a short segment.
    """
    starts, ends = segments(y_true)
    t = np.arange(len(y_true))
    last = np.concatenate(([-np.inf, -np.inf], ends - 1))
    first = np.concatenate((starts, [np.inf, np.inf]))
    n_before = np.searchsorted(ends - 1, t)
    n_begun = np.searchsorted(starts, t)
    return (
        t - last[n_before + 1],
        t - last[n_before],
        first[n_begun] - t,
        first[n_begun + 1] - t,
    )


def _buffered_labels(
    y_true: np.ndarray, distances: tuple[np.ndarray, ...], buffer_size: int
) -> np.ndarray:
    """Return the labels (n,) with a square-root slope on both sides of a segment.

    Two slopes add up to more than 1 wherever they meet, and are cut to 1.
    """
    labels = y_true.astype(np.float64)
    half = buffer_size // 2
    if half == 0:
        return labels
    # The authors' slope behind a segment is one sample shorter than that before.
    for distance, reach in zip(
        distances, (half - 1, half - 1, half, half), strict=True
    ):
        near = np.flatnonzero(distance <= reach)
        labels[near] += np.sqrt(1 - distance[near] / buffer_size)
    return np.minimum(labels, 1.0)


def _range_curve(
    y_true: np.ndarray, labels: np.ndarray, ranks: np.ndarray, n_flagged: np.ndarray
) -> _RangeCurve:
    """Return the curve for buffered labels (n,) and the rank of each sample (n,)."""
    n_thresholds = len(n_flagged)
    # A segment counts as found once the highest score within it is reached.
    edges = np.ravel(segments((labels > 0).astype(np.int8)), order="F")
    padded = np.append(ranks, n_thresholds)  # the last edge may lie at the end
    found_at = np.minimum.reduceat(padded, edges)[::2]
    found = np.cumsum(np.bincount(found_at, minlength=n_thresholds))
    true_positives = np.cumsum(np.bincount(ranks, weights=labels))
    n_positive = (y_true.sum(dtype=np.int64) + labels.sum()) / 2
    n_negative = len(labels) - n_positive
    recall = np.minimum(true_positives / n_positive, 1) * (found / len(found_at))
    precision = np.minimum(true_positives / n_flagged, 1)
    false_positives = np.maximum(n_flagged - true_positives, 0)
    with np.errstate(invalid="ignore"):  # without a negative the rate is NaN
        false_positive_rate = false_positives / n_negative
    tied = np.diff(n_flagged, prepend=0) > 1
    return _RangeCurve(precision, recall, false_positive_rate, tied)
