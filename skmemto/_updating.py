"""Learning on from new normal rows, without forgetting the old ones at once."""

from copy import deepcopy
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import _fit_context
from sklearn.utils import check_random_state

from skmemto import _auto, _distributed
from skmemto._base import BaseWindowDetector
from skmemto._bounds import find_absurd
from skmemto._history import range_factors
from skmemto._messages import warn_of_absurd
from skmemto._reporting import UpdateReporter
from skmemto._scaling import ChannelScaler
from skmemto._series import SeriesBounds


class UpdatingDetector(BaseWindowDetector):
    """Detector that goes on learning."""

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: ArrayLike, y: Any = None, *, groups: ArrayLike | None = None
    ) -> Self:
        """Go on learning from new normal rows; the first call is a `fit`.

        The network makes one pass over the new rows and those kept of the old ones
        (`reservoir_size`). Scaling, what deviations are usual, and the threshold are
        then of the same rows. Old rows make room for new ones, so that what they said
        is forgotten step by step.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in time order, taken as mostly normal: a stretch of several windows,
            such as a night, since each call is a series of its own. NaN is a missing
            value: make one of what was an anomaly, so that nothing is learned of it.
        y : Ignored
            Not used, present for API consistency by convention.
        groups : array-like of shape (n_samples,), default=None
            Equal values in one contiguous run of rows make one series.

        Returns
        -------
        self : object
            The estimator. A call that fails or is interrupted leaves it as it was.

        Raises
        ------
        ValueError
            If `X` or `groups` is malformed, values are too large to be
            standardized, or training diverges.

        Notes
        -----
        The window and the sizes of the network stay those of `fit`, and nothing is held
        out for `early_stopping`. A model on disk and a stream that has begun go on as
        they are; begin a new stream to use what was learned.
        """
        if not hasattr(self, "model_"):
            return self.fit(X, y, groups=groups)
        X, series = self._validate(X, groups)
        draft = type(self)(**self.get_params(deep=False))
        draft.__dict__.update(self._fitted_attributes())
        draft.model_ = deepcopy(self.model_)
        draft._update(X, series)
        self._take_over(draft)
        return self

    def _update(self, X: NDArray, series: SeriesBounds) -> None:
        """Scale, train on, calibrate, set the threshold; keep some of the rows."""
        self._check_together()
        rng = _distributed.agree(X, series, check_random_state(self.random_state))
        everything, pieces = self.reservoir_.with_new(X, series)
        self.scaler_ = ChannelScaler(self.standardize).fit(everything, series=pieces)
        bounds = self.scaler_.lower_, self.scaler_.upper_
        warn_of_absurd(find_absurd(X, series, bounds), self._names())
        self.range_factor_ = range_factors(everything, pieces, self.scaler_)
        trainer = self._make_trainer(everything, pieces, pieces[:0], rng)
        trainer.max_iter = 1
        self._train_on(trainer, UpdateReporter(self))
        self.n_iter_ += 1
        self.loss_curve_ = [*self.loss_curve_, trainer.losses[0].train]
        highest = self.normal_.levels.highest
        self._calibrate(everything, pieces)
        # In pieces levels do not get as far as in one go.
        levels = self.normal_.levels
        levels = levels._replace(highest=np.fmax(levels.highest, highest))
        self.normal_ = self.normal_._replace(levels=levels)
        block = _auto.reservoir_block(self.window_size_)
        size = self.reservoir_size
        self.reservoir_ = self.reservoir_.renewed(X, series, size, block)
