"""Windows -> network -> deviations -> score: what every detector says of rows."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from skmemto import _auto
from skmemto._criteria import (
    CalibratedCriterion,
    Calibration,
    Criterion,
    Deviations,
    calibrate,
    make_criterion,
    smooth,
)
from skmemto._inference import RowOutputs, iter_row_outputs
from skmemto._scaling import constant_channels, scale
from skmemto._series import SeriesBounds
from skmemto._thresholds import threshold
from skmemto._windows import window_blocks


class ScoresMixin:
    """Deviations and scores from a network (`model_`) and `_read`, `_validate`."""

    def _iter_outputs(self, X: NDArray, series: SeriesBounds) -> Iterator[RowOutputs]:
        stride = _auto.score_stride(
            self.score_stride, self.criterion, self.window_size_
        )
        outputs = iter_row_outputs(
            self.model_,
            partial(self._read, X),
            window_blocks(series, self.window_size_, stride),
            device=self.device_,
            precision=self.precision,
        )
        # What never moved is expected to stay: of that the network knows less, since
        # its guess there follows the other channels.
        constant = constant_channels(self.scaler_)
        for row_outputs in outputs:
            row_outputs.reconstruction[:, constant] = 0.0
            yield row_outputs

    def _iter_deviations(
        self, X: NDArray, series: SeriesBounds
    ) -> Iterator[tuple[NDArray, NDArray, NDArray]]:
        """Yield rows (n,), their input (n, F) and latent deviation (n,).

        NaN is the input deviation of a missing reading, and both of a row without
        any reading.
        """
        for rows, reconstruction, latent in self._iter_outputs(X, series):
            errors = (scale(self.scaler_, X[rows]) - reconstruction) ** 2
            yield rows, errors, np.where(np.isnan(errors).all(axis=1), np.nan, latent)

    def _score_samples(self, X: NDArray, series: SeriesBounds) -> NDArray[np.float64]:
        scores, unknown = self._known_scores(X, series)
        # Just beyond the threshold: never an unseen inlier, nor ahead of anomalies.
        beyond = np.nextafter(self.offset_, -np.inf)
        scores[unknown] = np.fmin(scores[unknown], beyond)
        return scores

    def _known_scores(
        self, X: NDArray, series: SeriesBounds
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Score each row (n,), and tell which have no reading to score (n,).

        The latter are given the average of their neighbours where there is one, else
        NaN.
        """
        criterion = self._criterion()
        error, latent = np.empty(len(X)), np.empty(len(X))
        for rows, input_deviations, latent_deviations in self._iter_deviations(
            X, series
        ):
            error[rows] = criterion.reduce(input_deviations)
            latent[rows] = latent_deviations
        for start, stop in series:
            error[start:stop] = criterion.score(error[start:stop], latent[start:stop])
        del latent  # of a long history each array counts
        unknown = np.isnan(error)
        self._smooth(error, series, criterion)
        return np.negative(error, out=error), unknown

    def _smooth(
        self, values: NDArray, series: SeriesBounds, criterion: Criterion
    ) -> None:
        """Smooth each series over time, in place."""
        span = _auto.smoothing(self.smoothing, self.criterion, self.window_size_)
        for start, stop in series:
            smooth(values[start:stop], span, criterion.time_order)

    def _calibration(self) -> Calibration:
        return Calibration(self.error_scale_, self.error_limit_)

    def _criterion(self) -> Criterion:
        return make_criterion(
            self.criterion,
            window_size=self.window_size_,
            temperature=self.temperature,
            calibration=self._calibration(),
        )

    def score_samples(
        self, X: ArrayLike, *, groups: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Score each row with `criterion`; the lower, the more anomalous.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in time order. A series may be shorter than the window. NaN is a
            missing reading. An array of float32 or float64, such as a read-only
            ``numpy.memmap``, is not copied.
        groups : array-like of shape (n_samples,), default=None
            Equal values in one contiguous run of rows make one series.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Minus the anomaly score of each row. A row without any reading is just
            below ``offset_``, unless its neighbours are lower still.
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
            score (with the sign turned), in each row with a reading. A missing reading
            has the part that smoothing gives it.

        Returns
        -------
        deviations : Deviations
            NamedTuple of ``input`` (n_samples, n_features), the squared
            reconstruction error of each channel in scaled units, and ``latent``
            (n_samples,), how far the encoded row is from normal in latent space. NaN
            where a reading is missing, and in ``latent`` where all of a row are.
            The latter is averaged over the windows that hold the row, as is the
            reconstruction behind the former.
        """
        check_is_fitted(self)
        X, series = self._validate(X, groups)
        criterion = CalibratedCriterion(self._calibration())
        result = Deviations(np.empty(X.shape), np.empty(len(X)))
        for rows, input_deviations, latent_deviations in self._iter_deviations(
            X, series
        ):
            if calibrated:
                input_deviations = criterion.contributions(input_deviations)
            result.input[rows] = input_deviations
            result.latent[rows] = latent_deviations
        if calibrated:
            self._smooth(result.input, series, criterion)
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
        total, n_readings = 0.0, 0
        for _, errors, _ in self._iter_deviations(X, series):
            total += np.nansum(errors)
            n_readings += np.count_nonzero(~np.isnan(errors))
        if n_readings == 0:
            raise ValueError("X contains no reading that could be reconstructed.")
        return -float(total) / n_readings

    def _set_score_scale(self, X: NDArray, series: SeriesBounds) -> None:
        """Set what turns deviations into scores, and scores into labels."""
        errors = (parts[1] for parts in self._iter_deviations(X, series))
        self.error_scale_, self.error_limit_ = calibrate(errors)
        scores, unknown = self._known_scores(X, series)
        if unknown.any():
            scores = scores[~unknown]
        np.negative(scores, out=scores)
        self.offset_ = -threshold(scores, self.contamination)
