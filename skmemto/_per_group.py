"""PerGroupDetector: one model for each group of rows, fitted in parallel."""

from functools import partial
from numbers import Integral
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import (
    BaseEstimator,
    MetaEstimatorMixin,
    OutlierMixin,
    _fit_context,
)
from sklearn.utils import (
    Tags,
    get_tags,
)
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.metaestimators import available_if
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import _num_samples, check_is_fitted, validate_data

from skmemto._clones import (
    call,
    clone_with_seeds,
    estimator_has,
    going_on,
    pooled_start,
    split_rows,
)
from skmemto._deviations import Deviations
from skmemto._events import Event
from skmemto._links import DocumentedEstimator
from skmemto._messages import listed
from skmemto._saved import SavedState
from skmemto._series import series_names, split_series


class PerGroupDetector(
    SavedState, MetaEstimatorMixin, OutlierMixin, DocumentedEstimator
):
    """One detector for each group of rows: a machine, a channel, a site.

    Where one model for all machines would call normal for one what is normal for
    another, this fits a clone of `estimator` to the rows of each group alone, and
    judges each row by the model of its group, relative to that model's threshold.
    The clones are fitted and asked through joblib, so that
    ``joblib.parallel_config(backend="dask")`` spreads them over a cluster.

    Parameters
    ----------
    estimator : estimator
        Any outlier detector of scikit-learn's API with `predict`, a ``Pipeline``
        included. Each clone sees one group, as one series.
    n_jobs : int, default=None
        Number of groups fitted or scored at the same time. None means 1, or what a
        ``joblib.parallel_config`` context says; -1 means all processors.
    pooled_start : bool, default=False
        Whether to fit `estimator`, a detector of skmemto, to all groups together
        first, each scaled by itself, and let each model go on from there by one
        `partial_fit`: for machines of one kind, in less than half the time.

    Attributes
    ----------
    estimators_ : dict
        The fitted clones by the name of their group, in the order of the training
        rows. Without `groups` the only name is None.
    offset_ : ndarray of shape (n_groups,)
        The thresholds, in the order of `estimators_`. Only where the clones have an
        `offset_`.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, when `X` has names that are all strings.

    See Also
    --------
    MEMTODetector : Fitted with `groups`, one model for all series together.

    Notes
    -----
    `X` reaches the clones as it is, cut by rows: a data frame remains one, and
    whether missing values or sparse matrices are allowed is up to `estimator`.

    The results do not depend on `n_jobs` or joblib's backend as long as torch has as
    many threads (joblib gives its workers fewer): training makes more of a difference
    in rounding, see "What is promised" in the user guide. A `random_state` that
    is an int goes to every clone as it is; from any other, nested ones included, an
    int for each clone is drawn before the first is fitted.

    Examples
    --------
    >>> import numpy as np
    >>> from skmemto import MEMTODetector, PerGroupDetector
    >>> t = np.arange(300)
    >>> slow = np.column_stack([np.sin(t / 9), np.cos(t / 9)])
    >>> fast = 100 * np.column_stack([np.sin(t / 4), np.cos(t / 4)])
    >>> X, groups = np.vstack([slow, fast]), np.repeat(["slow", "fast"], 300)
    >>> detector = PerGroupDetector(MEMTODetector(max_iter=1, random_state=0))
    >>> detector.fit(X, groups=groups).predict(X, groups=groups).shape
    (600,)
    >>> list(detector.estimators_)
    ['slow', 'fast']
    """

    _parameter_constraints: ClassVar[dict] = {
        "estimator": [HasMethods("fit")],
        "n_jobs": [Integral, None],
        "pooled_start": ["boolean"],
    }

    def __init__(
        self,
        estimator: BaseEstimator,
        n_jobs: int | None = None,
        *,
        pooled_start: bool = False,
    ):
        self.estimator = estimator
        self.n_jobs = n_jobs
        self.pooled_start = pooled_start

    # The parameters of `estimator` are validated by the fit of its clones.
    @_fit_context(prefer_skip_nested_validation=False)
    def fit(
        self, X: ArrayLike, y: Any = None, *, groups: ArrayLike | None = None
    ) -> Self:
        """Fit a clone of `estimator` to each group.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in time order within each group, taken as mostly normal.
        y : Ignored
            Not used, present for API consistency by convention.
        groups : array-like of shape (n_samples,), default=None
            The name of each row's model. The rows of a group must be one contiguous
            run. By default all rows are one group.

        Returns
        -------
        self : object
            The fitted estimator. A fit that fails leaves it as it was.

        Raises
        ------
        ValueError
            If `groups` is malformed. What a clone raises is passed on, with a note
            that names its group.
        """
        names, parts = split_rows(X, groups)
        fit = partial(call, method="fit")
        if self.pooled_start:
            fit = partial(going_on, pooled_start(self.estimator, names, parts))
        clones = [clone_with_seeds(self.estimator) for _ in names]
        estimators = Parallel(n_jobs=self.n_jobs)(
            delayed(fit)(estimator, name=name, X=part)
            for estimator, name, part in zip(clones, names, parts, strict=True)
        )
        # Not before: a fit that failed has changed nothing.
        validate_data(self, X, skip_check_array=True)
        self.estimators_ = dict(zip(names, estimators, strict=True))
        return self

    @available_if(estimator_has("predict"))
    def fit_predict(
        self, X: ArrayLike, y: Any = None, *, groups: ArrayLike | None = None
    ) -> NDArray[np.int64]:
        """Fit to `X` and label its rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in time order within each group, taken as mostly normal.
        y : Ignored
            Not used, present for API consistency by convention.
        groups : array-like of shape (n_samples,), default=None
            The name of each row's model, equal names in one contiguous run.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            +1 for normal rows, -1 for anomalies.
        """
        return self.fit(X, groups=groups).predict(X, groups=groups)

    @available_if(estimator_has("predict"))
    def predict(
        self, X: ArrayLike, *, groups: ArrayLike | None = None
    ) -> NDArray[np.int64]:
        """Label each row by the model of its group.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in time order within each group.
        groups : array-like of shape (n_samples,), default=None
            The name of each row's model, equal names in one contiguous run. All must
            have been seen in `fit`.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            +1 for normal rows, -1 for anomalies.
        """
        return np.concatenate(self._call_models("predict", X, groups))

    @available_if(estimator_has("decision_function"))
    def decision_function(
        self, X: ArrayLike, *, groups: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Compute the score of each row relative to its group's threshold.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in time order within each group.
        groups : array-like of shape (n_samples,), default=None
            The name of each row's model, equal names in one contiguous run. All must
            have been seen in `fit`.

        Returns
        -------
        decision : ndarray of shape (n_samples,)
            `score_samples` minus the `offset_` of the row's group; negative for
            anomalies.
        """
        return np.concatenate(self._call_models("decision_function", X, groups))

    @available_if(estimator_has("score_samples"))
    def score_samples(
        self, X: ArrayLike, *, groups: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Score each row by the model of its group; the lower, the more anomalous.

        Scores of different groups come from different models; what compares them is
        `decision_function`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in time order within each group.
        groups : array-like of shape (n_samples,), default=None
            The name of each row's model, equal names in one contiguous run. All must
            have been seen in `fit`.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Minus the anomaly score of each row.
        """
        return np.concatenate(self._call_models("score_samples", X, groups))

    @available_if(estimator_has("score"))
    def score(
        self, X: ArrayLike, y: Any = None, *, groups: ArrayLike | None = None
    ) -> float:
        """Average the clones' own `score` over the rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in time order within each group.
        y : Ignored
            Not used, present for API consistency by convention.
        groups : array-like of shape (n_samples,), default=None
            The name of each row's model, equal names in one contiguous run. All must
            have been seen in `fit`.

        Returns
        -------
        score : float
            The mean of the groups' scores, weighted by their number of rows; higher
            is better.
        """
        scores = self._call_models("score", X, groups)
        n_rows = np.diff(split_series(groups, _num_samples(X))).ravel()
        return float(np.average(scores, weights=n_rows))

    @available_if(estimator_has("deviations"))
    def deviations(
        self,
        X: ArrayLike,
        *,
        groups: ArrayLike | None = None,
        calibrated: bool = False,
    ) -> Deviations:
        """Compute what the score is made of: which channel deviates, and how.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in time order within each group.
        groups : array-like of shape (n_samples,), default=None
            The name of each row's model, equal names in one contiguous run. All must
            have been seen in `fit`.
        calibrated : bool, default=False
            Whether to give each channel's part of the score of criterion
            "calibrated" instead of raw input deviations.

        Returns
        -------
        deviations : Deviations
            NamedTuple of ``input`` (n_samples, n_features) and ``latent``
            (n_samples,), as of `estimator`.
        """
        parts = self._call_models("deviations", X, groups, calibrated=calibrated)
        return Deviations(*map(np.concatenate, zip(*parts, strict=True)))

    @available_if(estimator_has("reconstruct"))
    def reconstruct(
        self, X: ArrayLike, *, groups: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Reconstruct each row as the model of its group expects it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in time order within each group.
        groups : array-like of shape (n_samples,), default=None
            The name of each row's model, equal names in one contiguous run. All must
            have been seen in `fit`.

        Returns
        -------
        X_reconstructed : ndarray of shape (n_samples, n_features)
            The reconstruction in the units of `X`.
        """
        return np.concatenate(self._call_models("reconstruct", X, groups))

    @available_if(estimator_has("events", of_last_step=True))
    def events(
        self,
        X: ArrayLike,
        *,
        groups: ArrayLike | None = None,
        min_length: int = 1,
        merge_gap: int | Literal["auto"] = "auto",
    ) -> list[Event]:
        """Find the events of all groups, each by its own model.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in time order within each group.
        groups : array-like of shape (n_samples,), default=None
            The name of each row's model, equal names in one contiguous run. All must
            have been seen in `fit`.
        min_length, merge_gap : int
            As of `estimator`.

        Returns
        -------
        events : list of Event
            As of `estimator`, with the rows of `X` and the names of the groups.
        """
        events = self._call_models(
            "events", X, groups, min_length=min_length, merge_gap=merge_gap
        )
        series = split_series(groups, _num_samples(X))
        names = series_names(groups, series)
        firsts = series[:, 0].tolist()
        return [
            event.moved(first, name)
            for of_group, first, name in zip(events, firsts, names, strict=True)
            for event in of_group
        ]

    @property
    def offset_(self) -> NDArray[np.float64]:
        """Thresholds of the groups, in the order of `estimators_`."""
        # Read each time: a threshold that was set by hand on one model counts.
        return np.hstack([model.offset_ for model in self.estimators_.values()])

    def __sklearn_tags__(self) -> Tags:
        """Allow what the estimator allows."""
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.input_tags.allow_nan = inner.input_tags.allow_nan
        tags.input_tags.sparse = inner.input_tags.sparse
        tags.non_deterministic = inner.non_deterministic
        return tags

    def _call_models(
        self, method: str, X: ArrayLike, groups: ArrayLike | None, **options: Any
    ) -> list[Any]:
        """Call a method of each group's model with its rows."""
        check_is_fitted(self)
        names, parts = split_rows(X, groups)
        validate_data(self, X, reset=False, skip_check_array=True)
        self._check_known(names)
        return Parallel(n_jobs=self.n_jobs)(
            delayed(call)(self.estimators_[name], method, name, part, **options)
            for name, part in zip(names, parts, strict=True)
        )

    def _to_plain(self, state: dict[str, Any]) -> dict[str, Any]:
        if "estimators_" not in state:
            return state
        names, models = list(self.estimators_), list(self.estimators_.values())
        return state | {"estimators_": {"names": names, "models": models}}

    def _from_plain(self, plain: dict[str, Any]) -> dict[str, Any]:
        if "estimators_" not in plain:
            return plain
        found = plain["estimators_"]
        try:
            models = dict(zip(found["names"], found["models"], strict=True))
            for model in models.values():
                check_is_fitted(model)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"This saved {type(self).__name__} cannot be used: estimators_ must "
                "hold a fitted model for each name."
            ) from error
        return plain | {"estimators_": models}

    def _check_known(self, names: list[Any]) -> None:
        unknown = [name for name in names if name not in self.estimators_]
        if not unknown:
            return
        known = list(self.estimators_)
        if unknown == [None]:
            raise ValueError(
                f"This {type(self).__name__} was fitted with groups: give the name of "
                f"each row's model as groups. There are models of {_named(known)}."
            )
        if known == [None]:
            raise ValueError(
                f"This {type(self).__name__} was fitted without groups, as one model. "
                "Leave groups out, or fit it with groups."
            )
        raise ValueError(
            f"No model was fitted for the groups {_named(unknown)}; there are models "
            f"of {_named(known)}. Leave those rows out, or fit again with training "
            "rows of these groups too."
        )


def _named(groups: list[Any]) -> str:
    return listed([repr(name) for name in groups])
