"""Simple detectors to compare with: `fit(X)`, `score_samples(X)`, higher = more normal.

The reference figures in the README were measured without noting every detail. These
choices, found by trying, give them back within a point on all four sets; they are
not the strongest possible ones.

- Readings are standardized in float64 and clipped at 30 standard deviations (PCA,
  1-NN) or 10 (KMeans40), in training and test alike. PCA is sensitive to this.
- 1-NN and KMeans40 learn from at most 2000 rows or windows, drawn at random;
  `n_rows=None` keeps all rows.
- k-means has 10 centres; a row's score is the mean over the windows that hold it.
- The moving average goes on beyond the ends with the first and the last score.
"""

from typing import Self

import numpy as np
from scipy.ndimage import uniform_filter1d
from sklearn.base import (
    BaseEstimator,
    MetaEstimatorMixin,
    OutlierMixin,
    TransformerMixin,
    clone,
)
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state, gen_batches


class ClippedScaler(TransformerMixin, BaseEstimator):
    """Standardized readings, within [-clip, clip]."""

    def __init__(self, clip: float) -> None:
        self.clip = clip

    def fit(self, X: np.ndarray, y: None = None) -> Self:
        # In float32 a constant channel can get a tiny standard deviation.
        self.scaler_ = StandardScaler().fit(np.asarray(X, dtype=np.float64))
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        scaled_X = self.scaler_.transform(np.asarray(X, dtype=np.float64))
        return np.clip(scaled_X, -self.clip, self.clip)


def scaled(detector: BaseEstimator, clip: float) -> Pipeline:
    return make_pipeline(ClippedScaler(clip), detector)


class RandomScores(OutlierMixin, BaseEstimator):
    """Scores that know nothing: what chance gets."""

    def __init__(self, random_state: int | None = None) -> None:
        self.random_state = random_state

    def fit(self, X: np.ndarray, y: None = None) -> Self:
        self.n_features_in_ = X.shape[1]
        return self

    def score_samples(self, X: np.ndarray) -> np.ndarray:
        return check_random_state(self.random_state).uniform(size=len(X))


class PCAError(OutlierMixin, BaseEstimator):
    """Squared error of the reconstruction from the leading components."""

    def __init__(self, n_components: float = 0.9) -> None:
        self.n_components = n_components

    def fit(self, X: np.ndarray, y: None = None) -> Self:
        self.pca_ = PCA(self.n_components).fit(X)
        return self

    def score_samples(self, X: np.ndarray) -> np.ndarray:
        reconstruction = self.pca_.inverse_transform(self.pca_.transform(X))
        return -np.square(X - reconstruction).mean(axis=1)


class NearestRow(OutlierMixin, BaseEstimator):
    """Distance to the nearest training row; `n_rows=None` keeps all of them."""

    def __init__(
        self, n_rows: int | None = 2000, random_state: int | None = None
    ) -> None:
        self.n_rows = n_rows
        self.random_state = random_state

    def fit(self, X: np.ndarray, y: None = None) -> Self:
        if self.n_rows is not None:
            X = X[_draw(len(X), self.n_rows, self.random_state)]
        # Brute force: a tree does not help with this many channels.
        self.neighbors_ = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(X)
        return self

    def score_samples(self, X: np.ndarray) -> np.ndarray:
        return -self.neighbors_.kneighbors(X)[0][:, 0]


class WindowKMeans(OutlierMixin, BaseEstimator):
    """Distance of flattened windows to the nearest of k centres."""

    def __init__(
        self,
        window_size: int = 40,
        n_clusters: int = 10,
        n_windows: int = 2000,
        random_state: int | None = None,
    ) -> None:
        self.window_size = window_size
        self.n_clusters = n_clusters
        self.n_windows = n_windows
        self.random_state = random_state

    def fit(self, X: np.ndarray, y: None = None) -> Self:
        self.window_size_ = min(self.window_size, len(X))
        windows = _windows(X, self.window_size_)
        windows = windows[_draw(len(windows), self.n_windows, self.random_state)]
        self.kmeans_ = KMeans(
            min(self.n_clusters, len(windows)), random_state=self.random_state
        ).fit(windows.reshape(len(windows), -1))
        return self

    def score_samples(self, X: np.ndarray) -> np.ndarray:
        size = self.window_size_
        missing = max(0, size - len(X))
        windows = _windows(np.pad(X, ((0, missing), (0, 0)), mode="edge"), size)
        # Flattening copies each reading `size` times: a batch at a time.
        distances = [
            self.kmeans_.transform(windows[batch].reshape(-1, size * X.shape[1])).min(1)
            for batch in gen_batches(len(windows), 1000)
        ]
        total = np.convolve(np.concatenate(distances), np.ones(size))
        count = np.convolve(np.ones(len(windows)), np.ones(size))
        return -(total / count)[: len(X)]


class MovingAverage(MetaEstimatorMixin, OutlierMixin, BaseEstimator):
    """Moving average of another detector's scores, centred or of past rows only."""

    def __init__(
        self, estimator: BaseEstimator, width: int = 21, past_only: bool = False
    ) -> None:
        self.estimator = estimator
        self.width = width
        self.past_only = past_only

    def fit(self, X: np.ndarray, y: None = None) -> Self:
        self.estimator_ = clone(self.estimator).fit(X)
        return self

    def score_samples(self, X: np.ndarray) -> np.ndarray:
        scores = self.estimator_.score_samples(X)
        origin = self.width // 2 if self.past_only else 0
        return uniform_filter1d(scores, self.width, mode="nearest", origin=origin)


def _draw(n: int, at_most: int, random_state: int | None) -> np.ndarray:
    return check_random_state(random_state).permutation(n)[:at_most]


def _windows(X: np.ndarray, size: int) -> np.ndarray:
    """Every window of X as a view (n_windows, n_features, size)."""
    return np.lib.stride_tricks.sliding_window_view(X, size, axis=0)
