"""The path of the data, common to all detectors.

series -> windows -> network -> deviations -> score -> threshold -> labels
"""

from abc import ABCMeta, abstractmethod
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OutlierMixin, _fit_context
from sklearn.callback import CallbackSupportMixin
from sklearn.utils import Tags, assert_all_finite, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import validate_data
from torch import Tensor, nn

from skmemto import _auto, _distributed
from skmemto._device import make_generator, resolve_device, usable_device
from skmemto._labels import LabelsMixin
from skmemto._nn.layers import build_empty
from skmemto._nn.saving import pack, unpack
from skmemto._reporting import FitReporter
from skmemto._scaling import LARGEST_SEEN, fit_scaler, row_blocks, scale
from skmemto._scores import ScoresMixin
from skmemto._series import (
    SeriesBounds,
    hold_out_tails,
    split_series,
    with_readings,
)
from skmemto._training import Trainer
from skmemto._windows import take_windows, window_blocks

_POSITIVE = Interval(Integral, 1, None, closed="left")


class BaseWindowDetector(
    CallbackSupportMixin,
    ScoresMixin,
    LabelsMixin,
    OutlierMixin,
    BaseEstimator,
    metaclass=ABCMeta,
):
    """Detector that looks at a series through windows and reconstructs them.

    A subclass says which network (`_network_class`, `_network_config`) and, where
    one phase of training is not enough, how to train it (`_train`).
    """

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
    _network_class: ClassVar[type[nn.Module]]
    _n_fit_tasks: ClassVar[int] = 1

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: ArrayLike, y: Any = None, *, groups: ArrayLike | None = None
    ) -> Self:
        """Learn what is normal.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in time order, taken as mostly normal. NaN is a missing reading. An
            array of float32 or float64, such as a read-only ``numpy.memmap``, is not
            copied.
        y : Ignored
            Not used, present for API consistency by convention.
        groups : array-like of shape (n_samples,), default=None
            Equal values in one contiguous run of rows make one series (a machine,
            a channel, a recording). Windows never cross the border of a series.
            By default all rows are one series.

        Returns
        -------
        self : object
            The fitted estimator. A fit that fails or is interrupted leaves it as
            it was.

        Raises
        ------
        ValueError
            If `X` or `groups` is malformed, values are too large to be
            standardized, or training diverges.
        """
        # All is fitted on a draft, so that a failed fit leaves this one as it was.
        draft = type(self)(**self.get_params(deep=False))
        X, series = draft._validate(X, groups, reset=True)
        context = self._init_callback_context(max_subtasks=self._n_fit_tasks)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)

        def fitted_attributes():
            draft._set_score_scale(X, series)
            return draft._fitted_attributes()

        reporter = FitReporter(
            self, context, {"X": X, "y": y}, fitted_attributes, self.max_iter
        )
        draft._fit_network(X, series, reporter)
        attributes = fitted_attributes()
        # The model is the same already, and lives on the device of its own rank.
        own = {name: attributes.pop(name) for name in ("model_", "device_")}
        attributes = _distributed.from_first_rank(attributes) | own
        for name in self._fitted_attributes():
            delattr(self, name)
        vars(self).update(attributes)
        context.call_on_fit_task_end(
            estimator=self, X=X, y=y, reconstruction_attributes=dict
        )
        return self

    def _fit_network(
        self, X: NDArray, series: SeriesBounds, reporter: FitReporter
    ) -> None:
        if self.d_model % self.n_heads:
            raise ValueError(
                f"The 'n_heads' parameter of {type(self).__name__} must divide "
                f"d_model={self.d_model}. Got {self.n_heads} instead."
            )
        _distributed.check_same_data(X, series)
        rng = _distributed.from_first_rank(check_random_state(self.random_state))
        self.device_ = resolve_device(self.device)
        train_series, validation_series = hold_out_tails(
            series, self.validation_fraction if self.early_stopping else 0
        )
        validation_series = with_readings(X, validation_series)
        if self.early_stopping and not len(validation_series):
            raise ValueError(
                "The rows held out for early stopping contain no reading: all values "
                "are NaN. Raise validation_fraction, or set early_stopping=False."
            )
        self.window_size_ = _auto.window_size(self.window_size, train_series)
        self.scaler_ = fit_scaler(X, train_series, self.standardize)
        network = build_empty(lambda: self._network_class(self._network_config()))
        network.initialize(make_generator(rng))
        self.model_ = network.to(self.device_).eval()

        trainer = self._make_trainer(X, train_series, validation_series, rng)
        self._train(trainer, reporter)
        _distributed.broadcast(self.model_.state_dict().values())
        self.n_iter_ = len(trainer.losses)
        self.loss_curve_ = [losses.train for losses in trainer.losses]
        self.validation_loss_curve_ = None
        if self.early_stopping:
            self.validation_loss_curve_ = [
                losses.validation for losses in trainer.losses
            ]

    def _make_trainer(
        self,
        X: NDArray,
        train_series: SeriesBounds,
        validation_series: SeriesBounds,
        rng: np.random.RandomState,
    ) -> Trainer:
        length = self.window_size_
        stride = _auto.training_stride(self.stride, train_series, length)
        train_blocks = window_blocks(train_series, length, stride)
        n_windows = sum(len(block.starts) for block in train_blocks)
        return Trainer(
            self.model_,
            read=partial(self._read, X),
            train_blocks=train_blocks,
            validation_blocks=window_blocks(validation_series, length, stride),
            batch_size=_auto.batch_size(self.batch_size, n_windows),
            max_iter=self.max_iter,
            tol=self.tol,
            n_iter_no_change=self.n_iter_no_change,
            device=self.device_,
            precision=self.precision,
            rng=rng,
            generator=make_generator(rng, self.device_, stream=_distributed.rank()),
        )

    @abstractmethod
    def _network_config(self) -> Any:
        """Sizes of the network, a frozen dataclass of plain numbers."""

    def _train(self, trainer: Trainer, reporter: FitReporter) -> None:
        """Train the network; one phase, unless a subclass needs more."""
        with reporter.phase("training") as phase:
            trainer.run(self.learning_rate, phase)

    def _validate(
        self, X: ArrayLike, groups: ArrayLike | None, *, reset: bool = False
    ) -> tuple[NDArray, SeriesBounds]:
        X = validate_data(
            self,
            X,
            dtype=[np.float64, np.float32],
            ensure_all_finite=False,
            reset=reset,
            ensure_min_samples=2 if reset else 1,
        )
        # In blocks: with NaN among the values this makes an array as large as theirs.
        for rows in row_blocks(X):
            assert_all_finite(
                X[rows],
                allow_nan=True,
                estimator_name=type(self).__name__,
                input_name="X",
            )
        return X, split_series(groups, X.shape[0])

    def _read(self, X: NDArray, starts: NDArray, length: int) -> Tensor:
        """Read windows as the network wants them: scaled float32 (B, L, F)."""
        windows = scale(self.scaler_, take_windows(X, starts, length))
        if self.standardize:
            np.clip(windows, -LARGEST_SEEN, LARGEST_SEEN, out=windows)
        return torch.from_numpy(windows.astype(np.float32)).to(self.device_)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _fitted_attributes(self) -> dict[str, Any]:
        return {name: v for name, v in vars(self).items() if name.endswith("_")}

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__().copy()
        if "model_" in state:
            state["model_"] = pack(state["model_"])
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "model_" in state:
            self.device_ = usable_device(self.device_)
            network = unpack(self._network_class, state["model_"])
            self.model_ = network.to(self.device_).eval()
