"""The path of the data, common to all detectors.

series -> windows -> network -> deviations -> score -> threshold -> labels
"""

from abc import ABCMeta, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.callback import CallbackSupportMixin
from sklearn.utils import Tags, assert_all_finite, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from skmemto import _auto, _distributed
from skmemto._blockwise import row_blocks
from skmemto._criteria import (
    CalibratedCriterion,
    Calibration,
    Criterion,
    make_criterion,
    measure_deviations,
)
from skmemto._device import make_generator, resolve_device, usable_device
from skmemto._inference import RowOutputs
from skmemto._nn.network import WindowNetwork, build_empty, pack, unpack
from skmemto._parameters import SharedParameters
from skmemto._reporting import FitReporter
from skmemto._scaling import ChannelScaler
from skmemto._scoring import (
    Deviations,
    RowDeviations,
    gather_deviations,
    iter_deviations,
    iter_outputs,
    mean_deviation,
    score_rows,
    share_out,
    smooth_series,
)
from skmemto._series import SeriesBounds, hold_out_tails, split_series, with_values
from skmemto._thresholds import threshold
from skmemto._training import Trainer
from skmemto._windows import WindowReader, window_blocks


class BaseWindowDetector(
    CallbackSupportMixin,
    SharedParameters,
    OutlierMixin,
    BaseEstimator,
    metaclass=ABCMeta,
):
    """Detector that looks at a series through windows and reconstructs them.

    A subclass says which network (`_network_class`, `_network_config`) and, where
    one phase of training is not enough, how to train it (`_train`).
    """

    _network_class: ClassVar[type[WindowNetwork]]
    _n_fit_tasks: ClassVar[int] = 1

    @abstractmethod
    def fit(
        self, X: ArrayLike, y: Any = None, *, groups: ArrayLike | None = None
    ) -> Self:
        """Learn what is normal, by `_fit_draft`."""

    def _fit_draft(self, X: ArrayLike, y: Any, groups: ArrayLike | None) -> Self:
        """Fit a draft and take it over, so that a failed fit leaves all as it was."""
        draft = type(self)(**self.get_params(deep=False))
        X, series = draft._validate(X, groups, reset=True)

        def fitted_attributes() -> dict[str, Any]:
            draft._calibrate(X, series)
            return draft._fitted_attributes()

        reporter = FitReporter.begin(
            self, {"X": X, "y": y}, self._n_fit_tasks, fitted_attributes
        )
        draft._fit(X, series, reporter)
        attributes = draft._fitted_attributes()
        # The model is the same already, and lives on the device of its own rank.
        own = {name: attributes.pop(name) for name in ("model_", "device_")}
        attributes = _distributed.from_first_rank(attributes) | own
        for name in self._fitted_attributes():
            delattr(self, name)
        self.__dict__.update(attributes)
        reporter.end()
        return self

    def _fit(self, X: NDArray, series: SeriesBounds, reporter: FitReporter) -> None:
        """Hold out, scale, build, train, calibrate, set the threshold."""
        rng = _distributed.agree(X, series, check_random_state(self.random_state))
        self.device_ = resolve_device(self.device)
        learned, held_out = self._hold_out(X, series)
        self.window_size_ = _auto.window_size(self.window_size, learned)
        self.scaler_ = ChannelScaler(self.standardize).fit(X, series=learned)
        self.model_ = self._build(rng)
        trainer = self._make_trainer(X, learned, held_out, rng)
        self._train(trainer, reporter)
        self.n_iter_ = len(trainer.losses)
        self.loss_curve_ = [losses.train for losses in trainer.losses]
        self.validation_loss_curve_ = None
        if self.early_stopping:
            self.validation_loss_curve_ = [
                losses.validation for losses in trainer.losses
            ]
        self._calibrate(X, series)

    def _hold_out(
        self, X: NDArray, series: SeriesBounds
    ) -> tuple[SeriesBounds, SeriesBounds]:
        """Cut off what early stopping watches: (to learn from, held out)."""
        if not self.early_stopping:
            return series, series[:0]
        learned, held_out = hold_out_tails(series, self.validation_fraction)
        held_out = with_values(X, held_out)
        if not len(held_out):
            raise ValueError(
                "The rows held out for early stopping contain no value: all are "
                "missing (NaN). Raise validation_fraction, or set early_stopping=False."
            )
        return learned, held_out

    def _build(self, rng: np.random.RandomState) -> WindowNetwork:
        if self.d_model % self.n_heads:
            raise ValueError(
                f"The 'n_heads' parameter of {type(self).__name__} must divide "
                f"d_model={self.d_model}. Got {self.n_heads} instead."
            )
        config = self._network_config()
        network = build_empty(lambda: self._network_class(config))
        network.initialize(make_generator(rng))
        return network.to(self.device_).eval()

    def _make_trainer(
        self,
        X: NDArray,
        learned: SeriesBounds,
        held_out: SeriesBounds,
        rng: np.random.RandomState,
    ) -> Trainer:
        length = self.window_size_
        stride = _auto.training_stride(self.stride, learned, length)
        train_blocks = window_blocks(learned, length, stride)
        n_windows = sum(len(block.starts) for block in train_blocks)
        return Trainer(
            self.model_,
            get_windows=self._reader(X).windows,
            train_blocks=train_blocks,
            validation_blocks=window_blocks(held_out, length, stride),
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

    def _calibrate(self, X: NDArray, series: SeriesBounds) -> None:
        """Learn what deviations and scores are like on normal data."""
        blocks = (part.input for part in self._iter_deviations(X, series))
        calibration = measure_deviations(blocks, X.shape[1])
        self.error_scale_, self.error_limit_ = calibration
        scores, unknown = self._score_rows(X, series)
        if unknown.any():
            scores = scores[~unknown]
        self.offset_ = -threshold(scores, self.contamination)

    def fit_predict(
        self, X: ArrayLike, y: Any = None, *, groups: ArrayLike | None = None
    ) -> NDArray[np.int64]:
        """Fit to `X` and label its rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in time order, taken as mostly normal.
        y : Ignored
            Not used, present for API consistency by convention.
        groups : array-like of shape (n_samples,), default=None
            Equal values in one contiguous run of rows make one series.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            +1 for normal rows, -1 for anomalies.
        """
        return self.fit(X, groups=groups).predict(X, groups=groups)

    def predict(
        self, X: ArrayLike, *, groups: ArrayLike | None = None
    ) -> NDArray[np.int64]:
        """Label each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in time order.
        groups : array-like of shape (n_samples,), default=None
            Equal values in one contiguous run of rows make one series.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            +1 for normal rows, -1 for anomalies.
        """
        return np.where(self.decision_function(X, groups=groups) < 0, -1, 1)

    def decision_function(
        self, X: ArrayLike, *, groups: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Compute the score of each row relative to the threshold.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in time order.
        groups : array-like of shape (n_samples,), default=None
            Equal values in one contiguous run of rows make one series.

        Returns
        -------
        decision : ndarray of shape (n_samples,)
            ``score_samples(X) - offset_``; negative for anomalies.
        """
        return self.score_samples(X, groups=groups) - self.offset_

    def score_samples(
        self, X: ArrayLike, *, groups: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Score each row with `criterion`; the lower, the more anomalous.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in time order. A series may be shorter than the window. NaN is a
            missing value. An array of float32 or float64, such as a read-only
            ``numpy.memmap``, is not copied.
        groups : array-like of shape (n_samples,), default=None
            Equal values in one contiguous run of rows make one series.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Minus the anomaly score of each row. A row without any value is just
            below ``offset_``, unless its neighbours are lower still.
        """
        check_is_fitted(self)
        return self._score_samples(*self._validate(X, groups))

    def _score_samples(self, X: NDArray, series: SeriesBounds) -> NDArray[np.float64]:
        scores, unknown = self._score_rows(X, series)
        np.negative(scores, out=scores)
        # Just beyond the threshold: never an unseen inlier, nor ahead of anomalies.
        beyond = np.nextafter(self.offset_, -np.inf)
        scores[unknown] = np.fmin(scores[unknown], beyond)
        return scores

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
            score (with the sign turned), in each row with a value. A missing value
            has the part that smoothing gives it.

        Returns
        -------
        deviations : Deviations
            NamedTuple of ``input`` (n_samples, n_features), the squared
            reconstruction error of each channel in scaled units, and ``latent``
            (n_samples,), how far the encoded row is from normal in latent space. NaN
            where a value is missing, and in ``latent`` where all of a row are.
            The latter is averaged over the windows that hold the row, as is the
            reconstruction behind the former.
        """
        check_is_fitted(self)
        X, series = self._validate(X, groups)
        parts = self._iter_deviations(X, series)
        if not calibrated:
            return gather_deviations(parts, X.shape)
        criterion = CalibratedCriterion(self._calibration())
        result = gather_deviations(share_out(parts, criterion), X.shape)
        smooth_series(result.input, series, criterion, span=self._smoothing())
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
        return -mean_deviation(self._iter_deviations(X, series))

    def _validate(
        self, X: ArrayLike, groups: ArrayLike | None, *, reset: bool = False
    ) -> tuple[NDArray, SeriesBounds]:
        array: NDArray = validate_data(
            self,
            X,
            dtype=[np.float64, np.float32],
            ensure_all_finite=False,
            reset=reset,
            ensure_min_samples=2 if reset else 1,
        )
        # In blocks: with NaN among the values this makes an array as large as theirs.
        for rows in row_blocks(array):
            assert_all_finite(
                array[rows],
                allow_nan=True,
                estimator_name=type(self).__name__,
                input_name="X",
            )
        return array, split_series(groups, len(array))

    # What the stations are told of this estimator.

    def _reader(self, X: NDArray) -> WindowReader:
        return WindowReader(X, self.scaler_, self.device_)

    def _iter_outputs(self, X: NDArray, series: SeriesBounds) -> Iterator[RowOutputs]:
        return iter_outputs(
            self.model_,
            self._reader(X),
            series,
            window_size=self.window_size_,
            stride=_auto.score_stride(
                self.score_stride, self.criterion, self.window_size_
            ),
            precision=self.precision,
        )

    def _iter_deviations(
        self, X: NDArray, series: SeriesBounds
    ) -> Iterator[RowDeviations]:
        return iter_deviations(self._iter_outputs(X, series), self._reader(X))

    def _score_rows(
        self, X: NDArray, series: SeriesBounds
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        deviations = self._iter_deviations(X, series)
        return score_rows(deviations, series, self._criterion(), span=self._smoothing())

    def _calibration(self) -> Calibration:
        return Calibration(self.error_scale_, self.error_limit_)

    def _criterion(self) -> Criterion:
        return make_criterion(
            self.criterion,
            window_size=self.window_size_,
            temperature=self.temperature,
            calibration=self._calibration(),
        )

    def _smoothing(self) -> int:
        return _auto.smoothing(self.smoothing, self.criterion, self.window_size_)

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
