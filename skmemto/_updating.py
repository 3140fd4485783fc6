"""Learning on from new normal rows, and being judged by others than before."""

from copy import deepcopy
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import _fit_context
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skmemto import _auto, _distributed
from skmemto._base import BaseWindowDetector
from skmemto._blockwise import RunningMoments, series_blocks
from skmemto._history import range_factors
from skmemto._messages import channel_name, listed
from skmemto._reporting import UpdateReporter
from skmemto._scaling import ChannelScaler
from skmemto._series import SeriesBounds


class UpdatingDetector(BaseWindowDetector):
    """Detector that goes on learning, and whose scores can be calibrated anew."""

    def calibrate(
        self, X: ArrayLike, y: Any = None, *, groups: ArrayLike | None = None
    ) -> Self:
        """Set scores and threshold anew by normal rows; the network stays as it is.

        Scoring goes by the settings that `fit` found. After a change of `criterion`,
        `smoothing`, `score_stride`, `lookahead`, `rebase` or `contamination` this takes
        them over, without training: with the rows of `fit`, the detector is then the
        one that a `fit` with the new settings and the same `random_state` gives (but
        for `early_stopping`, where rows held out do not tell how far channels may go).
        With other rows, these say what is usual. Of `precision` it takes over that of
        scoring; of all else `fit` alone takes notice.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in time order, taken as mostly normal. NaN is a missing value.
        y : Ignored
            Not used, present for API consistency by convention.
        groups : array-like of shape (n_samples,), default=None
            Equal values in one contiguous run of rows make one series. One at least
            must be as long as the window.

        Returns
        -------
        self : object
            The estimator. A call that fails or is interrupted leaves it as it was.

        Raises
        ------
        ValueError
            If a parameter is out of range, `X` or `groups` is malformed, or a channel
            that `fit` knows has no value.

        Examples
        --------
        >>> import numpy as np
        >>> from skmemto import MEMTODetector
        >>> X = np.random.RandomState(0).normal(size=(1000, 2))
        >>> detector = MEMTODetector(max_iter=1, random_state=0).fit(X)
        >>> detector.set_params(contamination=0.05).calibrate(X)
        MEMTODetector(contamination=0.05, max_iter=1, random_state=0)
        >>> int((detector.predict(X) == -1).sum())
        50
        """
        check_is_fitted(self)
        self._validate_params()
        self._check_together()
        X, series = self._validate(X, groups)
        draft = self._fitted_draft()
        draft._check_known(X, series)
        draft._warn_of_absurd(X, series)
        draft._take_as_normal(X, series)
        draft._calibrate(X, series)
        self._take_over(draft)
        return self

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
        self._validate_params()
        X, series = self._validate(X, groups)
        draft = self._fitted_draft()
        draft.model_ = deepcopy(self.model_)
        draft._update(X, series)
        self._take_over(draft)
        return self

    def _fitted_draft(self) -> Self:
        """Return one with the parameters of now that has learned the same."""
        draft = type(self)(**self.get_params(deep=False))
        draft.__dict__.update(self._fitted_attributes())
        return draft

    def _update(self, X: NDArray, series: SeriesBounds) -> None:
        """Scale, train on, calibrate, set the threshold; keep some of the rows."""
        self._check_together()
        rng = _distributed.agree(X, series, check_random_state(self.random_state))
        everything, pieces = self.reservoir_.with_new(X, series)
        self.scaler_ = ChannelScaler(self.standardize).fit(everything, series=pieces)
        self._warn_of_absurd(X, series)
        self._take_as_normal(everything, pieces)
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

    def _take_as_normal(self, X: NDArray, series: SeriesBounds) -> None:
        """Learn from rows how far channels may go, if there are enough in a row."""
        longest = int((series[:, 1] - series[:, 0]).max())
        if longest < self.window_size_:
            raise ValueError(
                f"Found {longest} rows in a row (X and its groups) while a window, "
                f"{self.window_size_}, is required: give a longer stretch."
            )
        self.range_factor_ = range_factors(X, series, self.scaler_)

    def _check_known(self, X: NDArray, series: SeriesBounds) -> None:
        """Raise where nothing is said of a channel that was learned from."""
        blocks = (
            self.scaler_.hide_absurd(rows) for _, rows in series_blocks(X, series)
        )
        seen = RunningMoments.of(blocks, X.shape[1]).count > 0
        silent = np.flatnonzero(~(seen | self.scaler_.unknown_))
        if len(silent):
            names = [channel_name(c, self._names()) for c in silent]
            raise ValueError(
                f"Input X contains no values of {listed(names)}, which fit knows: "
                "all are missing (NaN) or absurd. Give rows in which it has some."
            )
