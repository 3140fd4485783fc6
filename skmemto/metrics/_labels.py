"""What the metrics share: checks on labels and scores, and segments.

Checked labels are int8 arrays of 0 and 1. A segment is a half-open interval
``[start, end)`` of consecutive ones.
"""

import warnings
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.utils._param_validation import Options, StrOptions
from sklearn.utils.validation import (
    check_array,
    check_consistent_length,
    column_or_1d,
)

LABELS = {"y_true": ["array-like"], "y_pred": ["array-like"]}
SCORES = {"y_true": ["array-like"], "y_score": ["array-like"]}
ZERO_DIVISION = [Options(Real, {0.0, 1.0}), "nan", StrOptions({"warn"})]


def check_binary(y: ArrayLike, name: str) -> np.ndarray:
    """Return y as int8 (n_samples,), or say which value is neither 0 nor 1."""
    array = check_array(y, ensure_2d=False, input_name=name)
    labels: np.ndarray = column_or_1d(array, input_name=name)
    wrong = labels[~np.isin(labels, (0, 1))]
    if wrong.size:
        message = (
            f"{name} must contain 0 (normal) and 1 (anomalous) only. "
            f"Got {wrong[0]!s} instead."
        )
        if np.isin(-1, wrong):
            message += (
                " Detectors in scikit-learn mark an anomaly by -1 and a normal sample "
                f"by +1: pass `{name} == -1`."
            )
        raise ValueError(message)
    return labels.astype(np.int8)


def check_predictions(
    y_true: ArrayLike, y_pred: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and predictions as int8 (n_samples,)."""
    true, predicted = check_binary(y_true, "y_true"), check_binary(y_pred, "y_pred")
    check_consistent_length(true, predicted)
    return true, predicted


def check_scores(
    y_true: ArrayLike, y_score: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    """Return labels as int8 and scores as float64, both (n_samples,)."""
    true = check_binary(y_true, "y_true")
    array = check_array(
        y_score, ensure_2d=False, dtype=np.float64, input_name="y_score"
    )
    scores = column_or_1d(array, input_name="y_score")
    check_consistent_length(true, scores)
    return true, scores


def ill_defined(what: str, missing: str, zero_division: str | float) -> float:
    """Return the value of a quotient 0 / 0 as scikit-learn's metrics do."""
    if zero_division != "warn":
        return float(zero_division)
    warnings.warn(
        f"{what} is ill-defined and being set to 0.0 due to no {missing} samples. "
        "Use `zero_division` parameter to control this behavior.",
        UndefinedMetricWarning,
        stacklevel=4,  # whoever called the metric, past validate_params
    )
    return 0.0


def segments(flags: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the starts and the ends, both (n_segments,), of the runs of ones."""
    edges = np.flatnonzero(np.diff(flags, prepend=0, append=0))
    return edges[::2], edges[1::2]
