"""Scores -> labels: what every detector does with its score and its threshold."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


class LabelsMixin:
    """Decisions and labels from `score_samples` and `offset_`."""

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
