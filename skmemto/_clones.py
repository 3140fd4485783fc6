"""Clones of an estimator: made, and asked in whatever process joblib chose."""

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state


def clone_with_seeds(estimator: BaseEstimator) -> BaseEstimator:
    """Clone; each random state that is no int becomes one, drawn from it here."""
    copy, seeds = clone(estimator), {}
    for key, value in sorted(estimator.get_params().items()):
        is_random_state = key == "random_state" or key.endswith("__random_state")
        if is_random_state and not isinstance(value, Integral):
            seeds[key] = check_random_state(value).randint(np.iinfo(np.int32).max)
    return copy.set_params(**seeds)


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
