"""Which channel, and how: what stands behind the scores of a detector."""

from numbers import Integral
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from skmemto._deviations import Deviations, gather_deviations
from skmemto._events import (
    Event,
    FlaggedRun,
    channels_to_blame,
    find_runs,
    mean_deviations,
    surroundings,
)
from skmemto._scoring import score_rows, share_out
from skmemto._series import SeriesBounds, series_names
from skmemto._updating import UpdatingDetector

# Between two flagged runs that are one event, rarities stay within so many decades of
# the threshold.
HYSTERESIS = 0.5


class ExplainingDetector(UpdatingDetector):
    """Detector that also says what it sees: deviations, reconstruction, events."""

    @property
    def error_scale_(self) -> NDArray[np.float64]:
        """Mean plus standard deviation of the ISD of each channel, (n_features,)."""
        check_is_fitted(self)
        return self.normal_.spread.copy()

    @property
    def error_limit_(self) -> NDArray[np.float64]:
        """Largest ISD of each channel on the training data, (n_features,)."""
        check_is_fitted(self)
        return self.normal_.criterion.calibration.limit.copy()

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
        deviations_of = self._reconstructor().deviations
        result = gather_deviations(deviations_of(X, series), X.shape)
        if not calibrated:
            return result
        criterion = self.normal_.criterion
        shares = share_out(deviations_of(X, series), series, criterion, X.shape)
        scores, _ = score_rows(deviations_of(X, series), series, criterion)
        np.multiply(shares, scores[:, np.newaxis], out=result.input)
        self.normal_.motion.share_stuck(X, series, result.input)
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
        outputs = self._reconstructor().outputs(X, series)
        for rows, reconstruction, _ in outputs:
            result[rows] = self.scaler_.inverse_transform(reconstruction)
        return result

    def events(
        self,
        X: ArrayLike,
        *,
        groups: ArrayLike | None = None,
        min_length: int = 1,
        merge_gap: int | Literal["auto"] = "auto",
    ) -> list[Event]:
        """Find events: flagged rows that belong together, and the channels to blame.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in time order.
        groups : array-like of shape (n_samples,), default=None
            Equal values in one contiguous run of rows make one series. No event goes
            beyond the end of one.
        min_length : int, default=1
            Shorter events are left out.
        merge_gap : int or "auto", default="auto"
            Flagged rows are one event if at most so many others lie between them.
            "auto" is half a window. For criterion "calibrated" they are one event also
            where all rows between are almost flagged, within half a decade of rarity.

        Returns
        -------
        events : list of Event
            In time order, NamedTuples of the rows ``start`` and ``stop`` (half-open),
            the row ``peak`` with the lowest score, that ``score``, the ``channels`` to
            blame, worst first (names if `X` had names in `fit`, else numbers), and the
            ``group``. ``pandas.DataFrame(events)`` is a table of them.

        Raises
        ------
        ValueError
            If a parameter is out of range, or `X` or `groups` is malformed.

        Notes
        -----
        Channels are blamed that make up 80 % of the deviations (those of
        :meth:`deviations`, not calibrated) of the event's rows, ten at most; before
        them those that are stuck.
        """
        check_is_fitted(self)
        check_scalar(min_length, "min_length", Integral, min_val=1)
        if merge_gap == "auto":
            merge_gap = self.window_size_ // 2
        check_scalar(merge_gap, "merge_gap", Integral, min_val=0)
        X, series = self._validate(X, groups)
        decision = self._decision_function(X, series)
        names = series_names(groups, series)
        return self._events(X, series, names, decision, min_length, merge_gap)

    def _judge(
        self, X: ArrayLike, groups: ArrayLike | None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], list[Event]]:
        """Return scores, decisions and events, with no more work than they take."""
        X, series = self._validate(X, groups)
        decision = self._decision_function(X, series)
        if self.settings_.follows_levels:
            score = self._score_samples(X, series)
        else:
            score = decision + self.offset_
        names, gap = series_names(groups, series), self.window_size_ // 2
        return score, decision, self._events(X, series, names, decision, 1, gap)

    def _events(
        self,
        X: NDArray,
        series: SeriesBounds,
        names: list,
        decision: NDArray[np.float64],
        min_length: int,
        merge_gap: int,
    ) -> list[Event]:
        runs = find_runs(
            decision,
            series,
            min_length=min_length,
            merge_gap=merge_gap,
            hysteresis=HYSTERESIS if self.settings_.is_calibrated else 0.0,
        )
        peaks = [
            run.start + int(decision[run.start : run.stop].argmin()) for run in runs
        ]
        blamed = self._blame(X, series, runs)
        return [
            Event(
                run.start,
                run.stop,
                peak,
                float(decision[peak] + self.offset_),
                channels,
                names[run.series],
            )
            for run, peak, channels in zip(runs, peaks, blamed, strict=True)
        ]

    def _blame(
        self, X: NDArray, series: SeriesBounds, runs: list[FlaggedRun]
    ) -> list[tuple]:
        """Return the channels to blame for each run, by name where they have one."""
        if not runs:
            return []
        bounds = surroundings(runs, series, reach=self.window_size_)
        deviations = self._reconstructor().deviations(X, bounds)
        means = mean_deviations(deviations, runs, X.shape[1])
        stuck_rows = {}
        if self.settings_.is_calibrated:
            stuck_rows = self.normal_.motion.stuck(X, series)
        names = self._names()
        blamed = []
        for run, mean in zip(runs, means, strict=True):
            stuck = [
                channel
                for channel, rows in stuck_rows.items()
                if ((rows >= run.start) & (rows < run.stop)).any()
            ]
            channels = channels_to_blame(mean, stuck)
            blamed.append(
                tuple(c if names is None else str(names[c]) for c in channels)
            )
        return blamed
