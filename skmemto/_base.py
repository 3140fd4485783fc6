"""The path of the data, common to all detectors.

series -> windows -> network -> deviations -> score -> threshold -> labels
"""

from abc import ABCMeta, abstractmethod
from collections.abc import Iterator
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OutlierMixin, _fit_context
from sklearn.callback import CallbackSupportMixin
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn

from skmemto import _auto, _distributed
from skmemto._criteria import (
    CalibratedCriterion,
    Calibration,
    Criterion,
    Deviations,
    calibrate,
    exponential_average,
    make_criterion,
)
from skmemto._device import make_generator, resolve_device, usable_device
from skmemto._inference import RowOutputs, iter_row_outputs
from skmemto._labels import LabelsMixin
from skmemto._nn.layers import build_empty
from skmemto._nn.saving import pack, unpack
from skmemto._reporting import FitReporter
from skmemto._scaling import LARGEST_SEEN, fit_scaler, scale
from skmemto._series import SeriesBounds, hold_out_tails, split_series
from skmemto._thresholds import threshold
from skmemto._training import Trainer
from skmemto._windows import take_windows, window_blocks

_POSITIVE = Interval(Integral, 1, None, closed="left")


class BaseWindowDetector(
    CallbackSupportMixin, LabelsMixin, OutlierMixin, BaseEstimator, metaclass=ABCMeta
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
            Rows in time order, taken as mostly normal.
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
            reset=reset,
            ensure_min_samples=2 if reset else 1,
        )
        return X, split_series(groups, X.shape[0])

    def _read(self, X: NDArray, starts: NDArray, length: int) -> Tensor:
        """Read windows as the network wants them: scaled float32 (B, L, F)."""
        windows = scale(self.scaler_, take_windows(X, starts, length))
        if self.standardize:
            np.clip(windows, -LARGEST_SEEN, LARGEST_SEEN, out=windows)
        return torch.from_numpy(windows.astype(np.float32)).to(self.device_)

    def _iter_outputs(self, X: NDArray, series: SeriesBounds) -> Iterator[RowOutputs]:
        stride = _auto.score_stride(
            self.score_stride, self.criterion, self.window_size_
        )
        return iter_row_outputs(
            self.model_,
            partial(self._read, X),
            window_blocks(series, self.window_size_, stride),
            device=self.device_,
            precision=self.precision,
        )

    def _iter_deviations(
        self, X: NDArray, series: SeriesBounds
    ) -> Iterator[tuple[NDArray, NDArray, NDArray]]:
        """Yield rows (n,), their input (n, F) and latent deviation (n,)."""
        for rows, reconstruction, latent in self._iter_outputs(X, series):
            yield rows, (scale(self.scaler_, X[rows]) - reconstruction) ** 2, latent

    def _score_samples(self, X: NDArray, series: SeriesBounds) -> NDArray[np.float64]:
        criterion = self._criterion()
        error, latent = np.empty(len(X)), np.empty(len(X))
        for rows, input_deviations, latent_deviations in self._iter_deviations(
            X, series
        ):
            error[rows] = criterion.reduce(input_deviations)
            latent[rows] = latent_deviations
        for start, stop in series:
            error[start:stop] = criterion.score(error[start:stop], latent[start:stop])
        return -self._smooth(error, series)

    def _smooth(self, values: NDArray, series: SeriesBounds) -> NDArray:
        """Average each series over time."""
        span = _auto.smoothing(self.smoothing, self.criterion, self.window_size_)
        parts = [
            exponential_average(values[start:stop], span) for start, stop in series
        ]
        return np.concatenate(parts)

    def _criterion(self) -> Criterion:
        return make_criterion(
            self.criterion,
            window_size=self.window_size_,
            temperature=self.temperature,
            calibration=Calibration(self.error_scale_, self.error_limit_),
        )

    def score_samples(
        self, X: ArrayLike, *, groups: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Score each row with `criterion`; the lower, the more anomalous.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in time order. A series may be shorter than the window.
        groups : array-like of shape (n_samples,), default=None
            Equal values in one contiguous run of rows make one series.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Minus the anomaly score of each row.
        """
        check_is_fitted(self)
        return self._score_samples(*self._validate(X, groups))

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
            Rows in time order.
        groups : array-like of shape (n_samples,), default=None
            Equal values in one contiguous run of rows make one series.
        calibrated : bool, default=False
            Whether to give, instead of raw input deviations, each channel's part of
            the score of criterion "calibrated": over the channels they sum to that
            score (with the sign turned).

        Returns
        -------
        deviations : Deviations
            NamedTuple of ``input`` (n_samples, n_features), the squared
            reconstruction error of each channel in scaled units, and ``latent``
            (n_samples,), how far the encoded row is from normal in latent space.
            The latter is averaged over the windows that hold the row, as is the
            reconstruction behind the former.
        """
        check_is_fitted(self)
        X, series = self._validate(X, groups)
        result = Deviations(np.empty(X.shape), np.empty(len(X)))
        for rows, input_deviations, latent_deviations in self._iter_deviations(
            X, series
        ):
            result.input[rows] = input_deviations
            result.latent[rows] = latent_deviations
        if calibrated:
            calibration = Calibration(self.error_scale_, self.error_limit_)
            parts = CalibratedCriterion(calibration).contributions(result.input)
            result.input[:] = self._smooth(parts, series)
        return result

    def reconstruct(
        self, X: ArrayLike, *, groups: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Reconstruct each row as the model expects it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in time order.
        groups : array-like of shape (n_samples,), default=None
            Equal values in one contiguous run of rows make one series.

        Returns
        -------
        X_reconstructed : ndarray of shape (n_samples, n_features)
            The reconstruction in the units of `X`, averaged over the windows that
            hold the row.
        """
        check_is_fitted(self)
        X, series = self._validate(X, groups)
        result = np.empty(X.shape)
        for rows, reconstruction, _ in self._iter_outputs(X, series):
            result[rows] = self.scaler_.inverse_transform(reconstruction)
        return result

    def score(
        self, X: ArrayLike, y: Any = None, *, groups: ArrayLike | None = None
    ) -> float:
        """Compute how well `X` is reconstructed; needs no labels.

        Comparable across all parameters, the window size included, except
        `standardize`, so that ``GridSearchCV`` can choose on normal data.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in time order.
        y : Ignored
            Not used, present for API consistency by convention.
        groups : array-like of shape (n_samples,), default=None
            Equal values in one contiguous run of rows make one series.

        Returns
        -------
        score : float
            Minus the mean squared reconstruction error in scaled units; higher is
            better.
        """
        check_is_fitted(self)
        X, series = self._validate(X, groups)
        total = sum(d.sum() for _, d, _ in self._iter_deviations(X, series))
        return -float(total) / X.size

    def _set_score_scale(self, X: NDArray, series: SeriesBounds) -> None:
        """Set what turns deviations into scores, and scores into labels."""
        errors = (parts[1] for parts in self._iter_deviations(X, series))
        self.error_scale_, self.error_limit_ = calibrate(errors)
        scores = self._score_samples(X, series)
        self.offset_ = -threshold(-scores, self.contamination)

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
