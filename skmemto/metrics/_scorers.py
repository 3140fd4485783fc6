"""Scorers of scikit-learn's kind for labels with 1 = anomaly."""

from collections.abc import Callable
from typing import Any

from numpy.typing import ArrayLike
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.metrics._scorer import _BaseScorer
from sklearn.utils._param_validation import StrOptions, validate_params

from skmemto.metrics._labels import check_binary
from skmemto.metrics._range import vus_pr, vus_roc


class _AnomalyScorer(_BaseScorer):
    """A scikit-learn scorer that turns a detector's response to 1 = anomaly."""

    def __repr__(self) -> str:
        return super().__repr__().replace("make_scorer", "make_anomaly_scorer", 1)

    def _score(
        self,
        method_caller: Callable,
        estimator: Any,
        X: ArrayLike,
        y_true: ArrayLike,
        *,
        groups: ArrayLike | None = None,
        **kwargs: Any,
    ) -> float:
        y_true = check_binary(y_true, "y_true")
        method = self._response_method
        if groups is None:
            # The caller remembers the response when several metrics are asked for.
            response = method_caller(estimator, method, X)
        else:
            # A Pipeline hands metadata to decision_function but not to
            # score_samples; up to the offset of the detector the two are the same.
            method = "decision_function" if method == "score_samples" else method
            response = getattr(estimator, method)(X, groups=groups)
        y = response == -1 if method == "predict" else -response
        kwargs = {**self._kwargs, **kwargs}
        return self._sign * self._score_func(y_true, y, **kwargs)


@validate_params(
    {
        "metric": [callable],
        "response_method": [
            StrOptions({"score_samples", "decision_function", "predict"})
        ],
        "greater_is_better": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def make_anomaly_scorer(
    metric: Callable,
    *,
    response_method: str = "score_samples",
    greater_is_better: bool = True,
    **kwargs: Any,
) -> _AnomalyScorer:
    """Make a scorer for labels with 1 = anomaly from a metric.

    The scorer asks a detector of scikit-learn or of this package for its response
    and turns it round, so that the metric sees 1 = anomalous, or high = anomalous.

    .. warning::
        ``scoring="roc_auc"`` and its like take the response of a detector as it is,
        where high is normal. With labels of 1 = anomaly they silently give 1 - AUC,
        and a grid search picks the worst model. Use :data:`roc_auc_scorer`.

    Parameters
    ----------
    metric : callable
        ``metric(y_true, y_score, **kwargs)`` or, with ``response_method="predict"``,
        ``metric(y_true, y_pred, **kwargs)``, returning a number: any metric of this
        module but those which return several numbers, and any of scikit-learn for
        binary labels.
    response_method : {"score_samples", "decision_function", "predict"}, \
            default="score_samples"
        What to ask the detector for. The metric gets ``-score_samples(X)``,
        ``-decision_function(X)`` or ``predict(X) == -1``.
    greater_is_better : bool, default=True
        Whether a high value of the metric is good. If not, its sign is turned.
    **kwargs : dict
        Further parameters of the metric.

    Returns
    -------
    scorer : callable
        ``scorer(detector, X, y_true)`` gives a number, high = good. Works as the
        `scoring` of :class:`~sklearn.model_selection.GridSearchCV` and of
        :func:`~sklearn.model_selection.cross_val_score`, with pipelines, and can
        be pickled if the metric can.

    Raises
    ------
    InvalidParameterError
        If `response_method` is none of those above, or `metric` is not callable.

    See Also
    --------
    sklearn.metrics.make_scorer : For classifiers and regressors.

    Notes
    -----
    Ready made: ``average_precision_scorer``, ``roc_auc_scorer``, ``vus_pr_scorer``
    and ``vus_roc_scorer``.

    The labels go to ``fit`` as well, where detectors ignore them. Every test fold
    needs anomalies, and for the metrics of this module its samples must be
    consecutive, so do not shuffle: :class:`~sklearn.model_selection.KFold` as it is,
    :class:`~sklearn.model_selection.TimeSeriesSplit` or
    :class:`~sklearn.model_selection.LeaveOneGroupOut`.

    With metadata routing enabled, ``scorer.set_score_request(groups=True)`` passes
    `groups` on to the detector, so that its windows respect the borders of several
    series in one test fold. It is then asked for its ``decision_function`` in place
    of ``score_samples``, which ranks the same and which a
    :class:`~sklearn.pipeline.Pipeline` can route to. That call changes the scorer:
    make one of your own rather than change a ready-made one.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.metrics import get_scorer
    >>> from sklearn.model_selection import GridSearchCV, KFold
    >>> from sklearn.neighbors import LocalOutlierFactor
    >>> from skmemto.metrics import (
    ...     event_recall, make_anomaly_scorer, roc_auc_scorer, vus_pr_scorer)
    >>> y = np.tile(np.repeat([0, 1, 0], [30, 5, 15]), 4)
    >>> X = np.random.RandomState(0).normal(size=(200, 2)) + 2 * y[:, None]

    The trap, and the way round it:

    >>> detector = LocalOutlierFactor(novelty=True).fit(X[y == 0])
    >>> round(get_scorer("roc_auc")(detector, X, y), 2)
    0.09
    >>> round(roc_auc_scorer(detector, X, y), 2)
    0.91

    A search, and a scorer for predictions:

    >>> search = GridSearchCV(detector, {"n_neighbors": [2, 40]}, cv=KFold(4),
    ...                       scoring=vus_pr_scorer).fit(X, y)
    >>> search.best_params_
    {'n_neighbors': 40}
    >>> make_anomaly_scorer(event_recall, response_method="predict")(detector, X, y)
    1.0
    """
    sign = 1 if greater_is_better else -1
    return _AnomalyScorer(metric, sign, kwargs, response_method)


average_precision_scorer = make_anomaly_scorer(average_precision_score)
roc_auc_scorer = make_anomaly_scorer(roc_auc_score)
vus_pr_scorer = make_anomaly_scorer(vus_pr)
vus_roc_scorer = make_anomaly_scorer(vus_roc)
