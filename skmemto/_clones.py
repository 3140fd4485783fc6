"""Clones of an estimator: made, and asked in whatever process joblib chose.

Or one that has learned from all groups, and goes on from there for each.
"""

from collections.abc import Callable
from copy import copy
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing, check_array, check_random_state, indexable
from sklearn.utils.validation import _num_samples, validate_data

from skmemto import _auto
from skmemto._base import BaseWindowDetector
from skmemto._frames import refuse_times
from skmemto._scaling import ChannelScaler
from skmemto._series import series_names, split_series


def estimator_has(method: str, *, of_last_step: bool = False) -> Callable[[Any], bool]:
    """Say whether what a meta-estimator was given has a method."""

    def check(self: Any) -> bool:
        estimator = self.estimator
        if of_last_step and isinstance(estimator, Pipeline):
            estimator = estimator[-1]
        getattr(estimator, method)  # its own error says why it has none
        return True

    return check


def split_rows(X: ArrayLike, groups: ArrayLike | None) -> tuple[list[Any], list[Any]]:
    """Return the names of the groups and the rows of each."""
    # Only a check: the models get X as it came, a data frame with its names.
    refuse_times(X)
    check_array(X, accept_sparse=True, dtype=None, ensure_all_finite=False)
    (X,) = indexable(X)
    series = split_series(groups, _num_samples(X))
    parts = [_safe_indexing(X, slice(*bounds)) for bounds in series.tolist()]
    return series_names(groups, series), parts


def clone_with_seeds(estimator: BaseEstimator) -> BaseEstimator:
    """Clone; each random state that is no int becomes one, drawn from it here."""
    copy, seeds = clone(estimator), {}
    for key, value in sorted(estimator.get_params().items()):
        is_random_state = key == "random_state" or key.endswith("__random_state")
        if is_random_state and not isinstance(value, Integral):
            seeds[key] = check_random_state(value).randint(np.iinfo(np.int32).max)
    return copy.set_params(**seeds)


def pooled_start(
    estimator: BaseEstimator, names: list[Any], parts: list[Any]
) -> BaseWindowDetector:
    """Fit a clone to all groups, each scaled by itself, as series of their own.

    No window is longer than the shortest group, which is to go on with it.
    """
    if not isinstance(estimator, BaseWindowDetector):
        raise TypeError(
            "pooled_start takes a detector of skmemto as estimator, which can go on "
            f"learning. Got {type(estimator).__name__} instead."
        )
    start = clone_with_seeds(estimator)
    arrays = [check_array(X, dtype=np.float64, ensure_all_finite=False) for X in parts]
    lengths = np.array([len(X) for X in arrays])
    stops = np.cumsum(lengths)
    requested = start.window_size
    if requested == "auto":
        series = np.column_stack([stops - lengths, stops])
        requested = _auto.window_size(requested, series)
    start.set_params(window_size=min(requested, int(lengths.min())), reservoir_size=0)
    scaled = [
        call(ChannelScaler(start.standardize), "fit_transform", name, X)
        for name, X in zip(names, arrays, strict=True)
    ]
    of = np.repeat(np.arange(len(parts)), lengths)
    return start.fit(np.concatenate(scaled), groups=of)


def going_on(
    start: BaseWindowDetector, estimator: BaseEstimator, name: Any, X: Any
) -> BaseWindowDetector:
    """Return a model that goes on from `start` with the rows of a group."""
    model = copy(start)
    parameters = {
        key: value
        for key, value in estimator.get_params().items()
        if key in ("window_size", "reservoir_size")
    }
    model.set_params(**parameters)
    # It is to know the names of the channels, which scaled rows had not.
    validate_data(model, X, skip_check_array=True)
    call(model, "partial_fit", name, X)
    return model


def call(
    estimator: BaseEstimator, method: str, name: Any, X: Any, **options: Any
) -> Any:
    """Call a method, in whatever process joblib chose; an error names the group."""
    try:
        if isinstance(estimator, Pipeline) and not hasattr(estimator, method):
            # What a Pipeline does not pass on, its last step is asked for.
            X, estimator = estimator[:-1].transform(X), estimator[-1]
        return getattr(estimator, method)(X, **options)
    except Exception as error:
        if name is not None:
            error.add_note(f"This was in {method} for group {name!r}.")
        raise
