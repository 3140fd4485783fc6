"""The path of the data, common to all detectors.

series -> windows -> network -> deviations -> score -> threshold -> labels
"""

from abc import ABCMeta, abstractmethod
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import OutlierMixin
from sklearn.callback import CallbackSupportMixin
from sklearn.utils import Tags, assert_all_finite, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from skmemto import _auto, _distributed
from skmemto._blockwise import row_blocks
from skmemto._bounds import find_absurd
from skmemto._criteria import Criterion
from skmemto._deviations import Reconstructor, mean_deviation
from skmemto._device import make_generator, resolve_device, usable_device
from skmemto._frames import refuse_times
from skmemto._history import range_factors
from skmemto._levels import LevelFollower
from skmemto._links import DocumentedEstimator
from skmemto._messages import warn_of_absurd, warn_of_drift, warn_of_short_history
from skmemto._model_state import LEARNED, from_plain, to_plain
from skmemto._nn.network import WindowNetwork, build_empty, pack, unpack
from skmemto._parameters import SharedParameters
from skmemto._rarity import ALARMING_RARITY
from skmemto._reporting import FitReporter
from skmemto._reservoir import fill
from skmemto._saved import SavedState
from skmemto._scaling import ChannelScaler
from skmemto._scoring import as_score_samples, calibrate, score_rows
from skmemto._series import SeriesBounds, hold_out_tails, split_series, with_values
from skmemto._settings import Settings
from skmemto._thresholds import (
    enough_for_an_alarm,
    rarity_threshold,
    threshold,
)
from skmemto._training import EpochReporter, Trainer
from skmemto._windows import WindowReader, window_blocks


class BaseWindowDetector(
    SavedState,
    CallbackSupportMixin,
    SharedParameters,
    OutlierMixin,
    DocumentedEstimator,
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
            self, {"X": X, "y": y}, self._n_fit_tasks, fitted_attributes, series
        )
        draft._fit(X, series, reporter)
        before = self.__dict__
        self._take_over(draft)
        try:
            reporter.end()
        except BaseException:  # of a callback, or an interrupt in one
            self.__dict__ = before
            raise
        return self

    def _take_over(self, draft: Self) -> None:
        """Become what the draft is, in one step: an interrupt leaves no part of it."""
        attributes = draft._fitted_attributes()
        # The model is the same already, and lives on the device of its own rank.
        own = {name: attributes.pop(name) for name in ("model_", "device_")}
        attributes = _distributed.from_first_rank(attributes) | own
        fitted = self._fitted_attributes()
        others = {name: v for name, v in vars(self).items() if name not in fitted}
        self.__dict__ = others | attributes

    def _fit(self, X: NDArray, series: SeriesBounds, reporter: FitReporter) -> None:
        """Split, scale, build, train, calibrate, set the threshold."""
        self._check_together()
        rng = _distributed.agree(X, series, check_random_state(self.random_state))
        self.device_ = resolve_device(self.device)
        learned, held_out = self._hold_out(X, series)
        self.window_size_ = _auto.window_size(self.window_size, learned)
        block = _auto.reservoir_block(self.window_size_)
        self.reservoir_ = fill(X, series, self.reservoir_size, block)
        self.scaler_ = ChannelScaler(self.standardize).fit(X, series=learned)
        self._warn_of_absurd(X, learned)
        self.range_factor_ = range_factors(X, learned, self.scaler_)
        self.model_ = self._build(rng)
        trainer = self._make_trainer(X, learned, held_out, rng)
        trainer.resume = reporter.resume
        self._train(trainer, reporter)
        self.n_iter_ = len(trainer.losses)
        self.loss_curve_ = [losses.train for losses in trainer.losses]
        validation = [losses.validation for losses in trainer.losses]
        self.validation_loss_curve_ = validation if self.early_stopping else None
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

    def _warn_of_absurd(self, X: NDArray, series: SeriesBounds) -> None:
        bounds = self.scaler_.lower_, self.scaler_.upper_
        warn_of_absurd(find_absurd(X, series, bounds), self._names())

    def _check_together(self) -> None:
        """Raise where parameters do not go together."""
        if self.d_model % self.n_heads:
            raise ValueError(
                f"The 'n_heads' parameter of {type(self).__name__} must divide "
                f"d_model={self.d_model}. Got {self.n_heads} instead."
            )
        if self.criterion == "softmax" and self.lookahead != "auto":
            raise ValueError(
                f"The 'lookahead' parameter of {type(self).__name__} must be 'auto' "
                "with criterion='softmax', which weighs the rows of a window against "
                f"each other. Got {self.lookahead!r} instead."
            )

    def _build(self, rng: np.random.RandomState) -> WindowNetwork:
        config = self._network_config()
        try:
            network = build_empty(lambda: self._network_class(config))
        except (MemoryError, RuntimeError, TypeError) as error:  # what torch raises
            raise ValueError(
                f"There is no memory for a network of these sizes, {config}: lower "
                "d_model, dim_feedforward or n_memory_items."
            ) from error
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
            get_windows=WindowReader(X, self.scaler_, self.device_).windows,
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
            self._train_on(trainer, phase)

    def _train_on(self, trainer: Trainer, reporter: EpochReporter) -> None:
        """Run the last phase, that a network which has learned may go on with."""
        trainer.run(self.learning_rate, reporter)

    def _calibrate(self, X: NDArray, series: SeriesBounds) -> None:
        """Learn what deviations and scores are like on normal data."""
        settings = Settings.of(self, self.window_size_, self._temperature())
        self.settings_, share = settings, self.contamination
        self.normal_ = calibrate(
            X,
            partial(self._reconstructor().deviations, X, normal=True),
            series,
            window_size=self.window_size_,
            span=settings.span,
            level_span=settings.level_span,
            range_factor=self.range_factor_,
            lookahead=settings.lookahead,
            threshold_of=partial(rarity_threshold, contamination=share, n_rows=len(X)),
        )
        self.offset_ = -self._threshold(X, series)

    def _threshold(self, X: NDArray, series: SeriesBounds) -> float:
        """Choose the score that is an alarm; peaks that smoothing joins are one."""
        calibrated = self.settings_.is_calibrated
        if calibrated and self.contamination == "auto":
            tail = self.normal_.criterion.rarity.near
            warn_of_short_history(tail, len(X), risk=10**-ALARMING_RARITY)
            if enough_for_an_alarm(len(X)):
                return ALARMING_RARITY
        scores, unknown = self._score_rows(X, series)
        if calibrated:
            return rarity_threshold(scores[~unknown], self.contamination, len(X))
        return threshold(scores[~unknown], self.contamination, self.settings_.span)

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
            ``score_samples(X) - offset_``, where no channel has moved on; negative for
            anomalies. Where one has (`rebase`), what it deviates counts less.
        """
        check_is_fitted(self)
        return self._decision_function(*self._validate(X, groups))

    def _decision_function(
        self, X: NDArray, series: SeriesBounds
    ) -> NDArray[np.float64]:
        if not self.settings_.follows_levels:
            return self._score_samples(X, series) - self.offset_
        follower = LevelFollower(self.normal_.levels, series)
        decision = self._score_samples(X, series, follower) - self.offset_
        warn_of_drift(follower.moved, self._names())
        return decision

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

    def _score_rows(
        self, X: NDArray, series: SeriesBounds, follower: LevelFollower | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Score rows, high = anomalous, and tell which have no value."""
        deviations = self._reconstructor().deviations(X, series)
        scores, unknown = score_rows(deviations, series, self._criterion(follower))
        if self.settings_.is_calibrated:
            self.normal_.motion.score_stuck(X, series, scores)
        return scores, unknown

    def _score_samples(
        self, X: NDArray, series: SeriesBounds, follower: LevelFollower | None = None
    ) -> NDArray[np.float64]:
        scores, unknown = self._score_rows(X, series, follower)
        return as_score_samples(scores, unknown, self.offset_)

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
        return -mean_deviation(self._reconstructor().deviations(X, series))

    def _validate(
        self, X: ArrayLike, groups: ArrayLike | None, *, reset: bool = False
    ) -> tuple[NDArray, SeriesBounds]:
        refuse_times(X)
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
            with np.errstate(invalid="ignore"):  # of inf - inf, in a sum over all
                assert_all_finite(
                    array[rows],
                    allow_nan=True,
                    estimator_name=type(self).__name__,
                    input_name="X",
                )
        return array, split_series(groups, len(array))

    def _reconstructor(self) -> Reconstructor:
        return Reconstructor(
            self.model_,
            self.scaler_,
            self.window_size_,
            self.settings_.stride,
            self.settings_.lookahead.window,
            self.device_,
            self.settings_.precision,
        )

    def _criterion(self, follower: LevelFollower | None = None) -> Criterion:
        return self.settings_.to_criterion(
            self.normal_.criterion, self.window_size_, follower
        )

    def _temperature(self) -> float:
        """Return that of the softmax in the score."""
        return self.temperature

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _names(self) -> NDArray | None:
        return getattr(self, "feature_names_in_", None)

    def _fitted_attributes(self) -> dict[str, Any]:
        return {name: v for name, v in vars(self).items() if name.endswith("_")}

    def _to_plain(self, state: dict[str, Any]) -> dict[str, Any]:
        learned = {name: to_plain(state[name]) for name in LEARNED & state.keys()}
        network = {"model_": pack(self.model_)} if "model_" in state else {}
        return state | learned | network

    def _from_plain(self, plain: dict[str, Any]) -> dict[str, Any]:
        if not LEARNED & plain.keys():
            return plain
        try:
            learned = from_plain(plain)
            network = unpack(
                self._network_class, plain.get("model_"), learned["n_features_in_"]
            )
        except ValueError as error:
            raise ValueError(
                f"This saved {type(self).__name__} cannot be used: {error}."
            ) from error
        device = usable_device(learned["device_"])
        network = network.to(device).eval()
        return plain | learned | {"model_": network, "device_": device}
