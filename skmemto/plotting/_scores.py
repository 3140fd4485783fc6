"""Readings and anomaly scores over time."""

from collections.abc import Sequence
from numbers import Integral
from textwrap import fill
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array, check_scalar
from sklearn.utils._optional_dependencies import check_matplotlib_support

from skmemto._events import Event
from skmemto.plotting._axes import (
    BLUE,
    GREEN,
    ORANGE,
    RED,
    check_index,
    check_shape,
)


class AnomalyScoreDisplay:
    r"""Multivariate time series with their anomaly scores.

    One axis per channel shows the readings (solid blue) and the reconstruction (dashed
    red), if there is one. The lowest axis shows the anomaly score, high = anomalous,
    with its threshold. Known anomalies are orange bands across all axes, events that a
    detector found black bars on top of the channels to blame and of the score.

    Create it with :meth:`from_estimator` or :meth:`from_predictions`, which check the
    data. All parameters are stored as attributes.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        The readings, rows in time order. NaN leaves a gap.
    score : ndarray of shape (n_samples,)
        Scores as `score_samples` returns them: the higher, the more normal.
    reconstruction : ndarray of shape (n_samples, n_features), default=None
        What a detector made of `X`, in the units of `X`.
    y : ndarray of shape (n_samples,), default=None
        True labels: 1 for anomalous rows, 0 for normal ones.
    threshold : float or ndarray of shape (n_samples,), default=None
        Rows with a score below it are flagged: `offset_` of a detector.
    events : list of Event, default=None
        What a detector's `events` returned.
    feature_names : array-like of str of shape (n_features,), default=None
        Names of the channels. By default "x0", "x1", ...
    index : ndarray of shape (n_samples,), default=None
        Positions on the horizontal axis, numbers or times; by default row numbers.

    Attributes
    ----------
    figure_, axes_ : matplotlib Figure, ndarray of matplotlib Axes
        The figure; the axes of the channels, and last the one of the score.
    lines_, reconstruction_lines_ : list of matplotlib Artists
        The readings and the reconstruction (or `None`), a line per channel drawn.
    score_line_, threshold_line_ : matplotlib Artist
        The anomaly score and its threshold (or `None`).
    bands_, event_bars_ : list of matplotlib Artists
        The known anomalies and the events found (or `None`), a collection per axis.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from sklearn.ensemble import IsolationForest
    >>> from skmemto.datasets import make_anomalous_series
    >>> from skmemto.plotting import AnomalyScoreDisplay
    >>> data = make_anomalous_series(n_test=300, n_features=2, n_events=2,
    ...                              random_state=0)
    >>> detector = IsolationForest(random_state=0).fit(data.X_train)
    >>> display = AnomalyScoreDisplay.from_estimator(
    ...     detector, data.X_test, data.y_test, axes=Figure().subplots(3, sharex=True))
    >>> [ax.get_ylabel() for ax in display.axes_]
    ['x0', 'x1', 'anomaly\nscore']
    """

    def __init__(
        self,
        *,
        X: np.ndarray,
        score: np.ndarray,
        reconstruction: np.ndarray | None = None,
        y: np.ndarray | None = None,
        threshold: float | np.ndarray | None = None,
        events: Sequence[Event] | None = None,
        feature_names: Sequence[str] | None = None,
        index: np.ndarray | None = None,
    ) -> None:
        self.X = X
        self.score = score
        self.reconstruction = reconstruction
        self.y = y
        self.threshold = threshold
        self.events = events
        self.feature_names = feature_names
        self.index = index

    def plot(self, *, axes: ArrayLike | None = None, max_channels: int = 8) -> Self:
        """Plot the channels and the anomaly score.

        Parameters
        ----------
        axes : array-like of matplotlib Axes, default=None
            Axes to draw on, one for each channel drawn and one for the score, best
            sharing their x axis. If `None`, a new figure is created.
        max_channels : int, default=8
            Of more channels those most to blame for events are drawn, or the first
            ones, and the figure says so.

        Returns
        -------
        display : AnomalyScoreDisplay
            The display itself.

        Raises
        ------
        ValueError
            If `max_channels` is not positive, or the number of `axes` does not fit.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        check_scalar(max_channels, "max_channels", Integral, min_val=1)
        n_channels = min(max_channels, self.X.shape[1])
        self.axes_ = _check_axes(axes, n_channels + 1)
        self.figure_ = self.axes_[0].get_figure()

        index = np.arange(len(self.X)) if self.index is None else self.index
        *tops, bottom = self.axes_
        shown = self._most_to_blame(n_channels)
        kw = {"color": BLUE, "label": "original"}
        self.lines_ = _lines(tops, index, self.X[:, shown], **kw)
        self.reconstruction_lines_ = self.bands_ = self.threshold_line_ = None
        self.event_bars_ = None
        if self.reconstruction is not None:
            kw = {"color": RED, "ls": "--", "label": "reconstruction"}
            self.reconstruction_lines_ = _lines(
                tops, index, self.reconstruction[:, shown], **kw
            )
        if self.y is not None:
            self.bands_ = _bands(self.axes_, index, self.y)
        if self.events is not None:
            flags = [self._blamed(channel) for channel in shown]
            flags.append(self._flags(self.events))
            self.event_bars_ = _bars(self.axes_, index, flags)
        self.score_line_ = bottom.plot(index, -self.score, color="black", lw=1)[0]
        if self.threshold is not None:
            threshold = np.broadcast_to(np.negative(self.threshold), len(index))
            (self.threshold_line_,) = bottom.plot(
                index, threshold, color=GREEN, lw=1.5, label="threshold"
            )
        self._annotate(shown)
        return self

    def _most_to_blame(self, n_channels: int) -> list[int]:
        """Return the channels to draw, in their order: the first if none is to blame.

        A channel counts by the rows it is to blame for, the less the more others are
        worse there.
        """
        names = [{channel, self._name(channel)} for channel in range(self.X.shape[1])]
        weights = np.zeros(len(names))
        for event in self.events or ():
            for rank, blamed in enumerate(event.channels, start=1):
                of = [blamed in known for known in names]
                weights[of] += (event.stop - event.start) / rank
        return sorted(np.argsort(-weights, kind="stable")[:n_channels].tolist())

    def _blamed(self, channel: int) -> np.ndarray:
        """Tell in which rows (n,) an event blames the channel."""
        names = {channel, self._name(channel)}
        blaming = [e for e in self.events or () if names & set(e.channels)]
        return self._flags(blaming)

    def _flags(self, events: Sequence[Event]) -> np.ndarray:
        flags = np.zeros(len(self.X), dtype=bool)
        for event in events:
            flags[event.start : event.stop] = True
        return flags

    def _name(self, channel: int) -> str:
        names = self.feature_names
        return f"x{channel}" if names is None else str(names[channel])

    def _annotate(self, shown: list[int]) -> None:
        labels = [fill(self._name(channel), 20) for channel in shown]
        labels.append("anomaly\nscore")
        for ax, label in zip(self.axes_, labels, strict=True):
            ax.set_ylabel(label, rotation=0, ha="right", va="center")
            ax.margins(x=0)
        self.figure_.align_ylabels(self.axes_)
        self.axes_[-1].set_xlabel("row" if self.index is None else "time")
        n_channels, n_features = len(shown), self.X.shape[1]
        if n_channels < n_features:
            which = "first" if shown == list(range(n_channels)) else "most to blame:"
            note = f"{which} {n_channels} of {n_features} channels"
            self.axes_[0].set_title(note, loc="left", fontsize="medium")

        artists = (
            self.lines_,
            self.reconstruction_lines_,
            self.bands_,
            self.event_bars_,
        )
        handles = [per_axis[0] for per_axis in artists if per_axis is not None]
        handles += [] if self.threshold is None else [self.threshold_line_]
        place = {"loc": "lower right", "bbox_to_anchor": (1, 1), "borderaxespad": 0.2}
        self.axes_[0].legend(handles=handles, ncols=5, frameon=False, **place)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        groups: ArrayLike | None = None,
        **options: Any,
    ) -> Self:
        """Plot the scores that a fitted detector gives, by :meth:`from_predictions`.

        Parameters
        ----------
        estimator : estimator instance
            Fitted detector with `score_samples`, or a Pipeline that ends in one. Its
            `offset_` is the threshold; where it has none, as a search has, or one for
            each group, the threshold comes from `decision_function`. The reconstruction
            is drawn if there is a method `reconstruct`: a Pipeline has none, as not all
            transformers can be undone. Events are marked if the detector has `events`.
        X : array-like of shape (n_samples, n_features)
            The readings, rows in time order, as the estimator takes them.
        y : array-like of shape (n_samples,), default=None
            True labels: 1 for anomalous rows, 0 for normal ones.
        groups : array-like of shape (n_samples,), default=None
            Passed to the methods of the estimator, if given.
        **options : dict
            `events`, `feature_names`, `index`, `axes`, `max_channels`: as there.

        Returns
        -------
        display : AnomalyScoreDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If `groups` is given and the estimator takes none.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        routed = {} if groups is None else {"groups": groups}
        score = estimator.score_samples(X, **routed)
        detector = estimator[-1] if isinstance(estimator, Pipeline) else estimator
        threshold = getattr(detector, "offset_", None)
        one_for_all = threshold is not None and np.ndim(threshold) == 0
        if not one_for_all and hasattr(estimator, "decision_function"):
            threshold = score - estimator.decision_function(X, **routed)
        if hasattr(estimator, "reconstruct"):
            options["reconstruction"] = estimator.reconstruct(X, **routed)
        if hasattr(detector, "events") and "events" not in options:
            options["events"] = _find_events(estimator, X, routed)
            if "feature_names" in options:
                options["events"] = _by_number(options["events"], detector)
        if not hasattr(X, "columns"):
            names = getattr(estimator, "feature_names_in_", None)
            options.setdefault("feature_names", names)
        return cls.from_predictions(X, score, y=y, threshold=threshold, **options)

    @classmethod
    def from_predictions(
        cls,
        X: ArrayLike,
        score: ArrayLike,
        *,
        reconstruction: ArrayLike | None = None,
        y: ArrayLike | None = None,
        threshold: float | ArrayLike | None = None,
        events: Sequence[Event] | None = None,
        feature_names: Sequence[str] | None = None,
        index: ArrayLike | None = None,
        axes: ArrayLike | None = None,
        max_channels: int = 8,
    ) -> Self:
        """Plot scores that were computed before.

        Parameters
        ----------
        X, score, reconstruction, y, threshold : array-like
            See :class:`AnomalyScoreDisplay`.
        events, feature_names, index : list, array-like, array-like
            See :class:`AnomalyScoreDisplay`. The names default to the columns of `X`.
        axes, max_channels : array-like of matplotlib Axes, int
            See :meth:`plot`.

        Returns
        -------
        display : AnomalyScoreDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If shapes do not match, `y` holds anything but 0 and 1, or `index` strings.
        """
        names = getattr(X, "columns", None) if feature_names is None else feature_names
        values: np.ndarray = check_array(
            X, ensure_all_finite="allow-nan", input_name="X"
        )
        rows, columns = values.shape[:1], values.shape[1:]
        labels = check_shape(y, "y", rows, cls.__name__)
        if labels is not None and not np.isin(labels, [0, 1]).all():
            raise ValueError(
                f"The 'y' parameter of {cls.__name__} must hold 1 for anomalous and 0 "
                f"for normal rows. Got the values {np.unique(labels)[:5]} instead."
            )
        positions = check_index(index, rows, cls.__name__)
        line: Any = threshold
        if line is not None and np.size(line) > 1:
            line = check_shape(line, "threshold", rows, cls.__name__)
        display = cls(
            X=values,
            score=check_shape(score, "score", rows, cls.__name__),
            reconstruction=check_shape(
                reconstruction, "reconstruction", values.shape, cls.__name__
            ),
            y=labels,
            threshold=line,
            events=events,
            feature_names=check_shape(names, "feature_names", columns, cls.__name__),
            index=positions,
        )
        return display.plot(axes=axes, max_channels=max_channels)


def _find_events(estimator: Any, X: ArrayLike, routed: dict[str, Any]) -> list[Event]:
    """Find events; through transformers that change channels none is to blame."""
    if not isinstance(estimator, Pipeline):
        return estimator.events(X, **routed)
    transformer, detector = estimator[:-1], estimator[-1]
    events = detector.events(transformer.transform(X), **routed)
    names = getattr(X, "columns", [f"x{i}" for i in range(np.shape(X)[1])])
    try:
        same = list(transformer.get_feature_names_out(names)) == list(names)
    except AttributeError:
        same = False
    return events if same else [event._replace(channels=()) for event in events]


def _by_number(events: list[Event], detector: Any) -> list[Event]:
    """Blame channels by number, as the detector may know them by other names."""
    names = getattr(detector, "feature_names_in_", ())
    number = {str(name): i for i, name in enumerate(names)}
    return [
        event._replace(channels=tuple(number.get(c, c) for c in event.channels))
        for event in events
    ]


def _check_axes(axes: ArrayLike | None, n_axes: int) -> np.ndarray:
    if axes is None:
        import matplotlib.pyplot as plt

        size = (11, 1 + 1.1 * n_axes)
        _, axes = plt.subplots(n_axes, sharex=True, figsize=size, layout="constrained")
    axes = np.ravel(np.asarray(axes, dtype=object))
    if len(axes) != n_axes:
        raise ValueError(
            f"The 'axes' parameter of AnomalyScoreDisplay must hold {n_axes} axes, one "
            f"per channel drawn and one for the score. Got {len(axes)} instead."
        )
    return axes


def _lines(axes: list, index: np.ndarray, values: np.ndarray, **style: Any) -> list:
    columns = zip(axes, values.T, strict=False)
    return [ax.plot(index, column, lw=1, **style)[0] for ax, column in columns]


def _bands(axes: np.ndarray, index: np.ndarray, y: np.ndarray) -> list:
    # The outline keeps a single row visible in a long series.
    kw = {"color": (ORANGE, 0.35), "lw": 1, "label": "anomaly", "where": y == 1}
    return [
        ax.fill_between(index, 0, 1, transform=ax.get_xaxis_transform(), **kw)
        for ax in axes
    ]


def _bars(axes: np.ndarray, index: np.ndarray, flags: list[np.ndarray]) -> list:
    kw = {"color": "black", "lw": 1, "label": "event"}
    return [
        ax.fill_between(
            index, 0.95, 1, where=where, transform=ax.get_xaxis_transform(), **kw
        )
        for ax, where in zip(axes, flags, strict=True)
    ]
