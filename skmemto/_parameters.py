"""The parameters that all detectors share: their types, and what values they take.

What they mean is documented in each detector, as scikit-learn does.
"""

from numbers import Integral, Real
from typing import ClassVar, Literal

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

_POSITIVE = Interval(Integral, 1, None, closed="left")


class SharedParameters:
    """Declares the parameters; a detector's `__init__` sets them."""

    window_size: int | Literal["auto"]
    stride: int | Literal["auto"]
    d_model: int
    n_heads: int
    n_layers: int
    dim_feedforward: int | None
    dropout: float
    noise: float
    temperature: float
    criterion: Literal["calibrated", "softmax", "isd", "lsd"]
    score_stride: int | Literal["auto"]
    smoothing: int | Literal["auto"]
    lookahead: int | Literal["auto"]
    rebase: int | Literal["auto"] | None
    reservoir_size: int
    standardize: bool
    max_iter: int
    batch_size: int | Literal["auto"]
    learning_rate: float
    early_stopping: bool
    validation_fraction: float
    n_iter_no_change: int
    tol: float
    contamination: float | Literal["auto"]
    device: str
    precision: Literal["float32", "bfloat16"]
    random_state: int | np.random.RandomState | None
    verbose: int | bool

    _parameter_constraints: ClassVar[dict] = {
        "window_size": [StrOptions({"auto"}), _POSITIVE],
        "stride": [StrOptions({"auto"}), _POSITIVE],
        "d_model": [_POSITIVE],
        "n_heads": [_POSITIVE],
        "n_layers": [_POSITIVE],
        "dim_feedforward": [None, _POSITIVE],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "noise": [Interval(Real, 0, None, closed="left")],
        "temperature": [Interval(Real, 0, None, closed="neither")],
        "criterion": [StrOptions({"calibrated", "softmax", "isd", "lsd"})],
        "score_stride": [StrOptions({"auto"}), _POSITIVE],
        "smoothing": [StrOptions({"auto"}), _POSITIVE],
        "lookahead": [StrOptions({"auto"}), Interval(Integral, 0, None, closed="left")],
        "rebase": [
            StrOptions({"auto"}),
            Interval(Integral, 2, None, closed="left"),
            None,
        ],
        "reservoir_size": [Interval(Integral, 0, None, closed="left")],
        "standardize": ["boolean"],
        "max_iter": [_POSITIVE],
        "batch_size": [StrOptions({"auto"}), _POSITIVE],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [_POSITIVE],
        "tol": [Interval(Real, 0, None, closed="left")],
        "contamination": [StrOptions({"auto"}), Interval(Real, 0, 0.5, closed="right")],
        "device": [str],
        "precision": [StrOptions({"float32", "bfloat16"})],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }
