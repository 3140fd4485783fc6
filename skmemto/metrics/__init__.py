"""Metrics and scorers for anomaly detection in time series.

Labels follow the benchmarks here: in ``y_true`` and ``y_pred``, 1 is an anomalous
sample and 0 a normal one; in ``y_score``, high is anomalous. Detectors in
scikit-learn say -1 and +1, and score normal samples high: use
``detector.predict(X) == -1`` and ``-detector.score_samples(X)``, or the scorers
below, which do so.

A run of consecutive ones in ``y_true`` is an anomalous segment, so samples must
come in time order. Evaluate several series one by one and average: where two are
laid end to end, a segment or its buffer would reach across the border.

What a detector that knows nothing gets, to hold results against:

============================ ======= ===============================================
Metric                       Of      Random scores or flags get
============================ ======= ===============================================
vus_pr, range_pr_auc         scores  one to two times the share of anomalies
vus_roc, range_roc_auc       scores  0.5 to 0.7, more for short segments
pa_k, pa_k_auc               labels  little, unless k is small
affiliation_precision_recall labels  above 0.5; recall up to 1
event_recall                 labels  up to 1: report precision with it
point_adjusted_f1            labels  as much as the best published detectors
============================ ======= ===============================================
"""

from skmemto.metrics._affiliation import affiliation_precision_recall
from skmemto.metrics._comparison import EventComparison, compare_events
from skmemto.metrics._events import (
    event_recall,
    pa_k,
    pa_k_auc,
    point_adjust,
    point_adjusted_f1,
    point_adjusted_precision_recall_fscore,
)
from skmemto.metrics._range import range_pr_auc, range_roc_auc, vus_pr, vus_roc
from skmemto.metrics._scorers import (
    average_precision_scorer,
    make_anomaly_scorer,
    roc_auc_scorer,
    vus_pr_scorer,
    vus_roc_scorer,
)

__all__ = [
    "EventComparison",
    "affiliation_precision_recall",
    "average_precision_scorer",
    "compare_events",
    "event_recall",
    "make_anomaly_scorer",
    "pa_k",
    "pa_k_auc",
    "point_adjust",
    "point_adjusted_f1",
    "point_adjusted_precision_recall_fscore",
    "range_pr_auc",
    "range_roc_auc",
    "roc_auc_scorer",
    "vus_pr",
    "vus_pr_scorer",
    "vus_roc",
    "vus_roc_scorer",
]
