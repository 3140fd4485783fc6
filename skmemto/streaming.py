"""A fitted detector on a feed: rows as they come, from one source or many."""

from collections.abc import Hashable
from numbers import Integral
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from skmemto._base import BaseWindowDetector
from skmemto._deviations import RowDeviations
from skmemto._explaining import HYSTERESIS
from skmemto._levels import LevelFollower
from skmemto._running import ENDLESS, RunningSeries
from skmemto._running_events import EventFollower, OpenEvent
from skmemto._scoring import as_score_samples
from skmemto._series import as_objects, check_groups


class Update(NamedTuple):
    """What is said of the rows of one update."""

    scores: NDArray[np.float64]
    decisions: NDArray[np.float64]
    labels: NDArray[np.int64]


class StreamEvent(NamedTuple):
    """An event as it stands; its rows are numbered from the first of its stream."""

    start: int
    stop: int
    peak: int  # row of the lowest score
    score: float  # the lowest, as `score_samples` gives them
    channels: tuple[Any, ...]  # to blame, worst first: names, or numbers
    group: Any  # None without groups
    is_new: bool  # began in this update
    is_over: bool  # no later row can belong to it


class StreamingDetector:
    """Score rows as they come, as a detector would score all of them at once.

    Parameters
    ----------
    detector : MEMTODetector or AnomalyTransformerDetector
        Fitted, with ``lookahead=0``. It is used and not changed; many streams may share
        it.
    merge_gap : int or "auto", default="auto"
        Flagged rows are one event if at most so many others lie between them. "auto" is
        half a window.

    Attributes
    ----------
    events : list of StreamEvent
        Those that rows of the last update belong to, and those still open of its
        groups, in order of groups and time. ``pandas.DataFrame(stream.events)`` is a
        table of them.

    See Also
    --------
    MEMTODetector : Its ``lookahead`` and ``events``.

    Notes
    -----
    For each stream a window of rows is kept, and the state of the averages: its size
    does not grow with the rows. Scores equal those of ``detector.score_samples`` on all
    rows of the stream but for rounding, however the rows are cut into updates.

    A stream pickles with all its state, the detector included.

    Examples
    --------
    >>> from skmemto import MEMTODetector, StreamingDetector
    >>> from skmemto.datasets import make_anomalous_series
    >>> data = make_anomalous_series(n_train=600, n_test=1200, random_state=0)
    >>> detector = MEMTODetector(
    ...     lookahead=0, contamination=0.01, max_iter=1, random_state=0
    ... ).fit(data.X_train)
    >>> stream = StreamingDetector(detector)
    >>> for i in range(0, 1200, 10):
    ...     update = stream.update(data.X_test[i : i + 10])
    ...     if stream.events:
    ...         break
    >>> stream.events[0].is_new, int(update.labels.min())
    (True, -1)
    """

    def __init__(
        self, detector: BaseWindowDetector, *, merge_gap: int | Literal["auto"] = "auto"
    ):
        check_is_fitted(detector)
        lookahead = getattr(detector, "lookahead", None)
        if lookahead != 0:
            raise ValueError(
                "A stream has no later rows: it takes a detector fitted with "
                f"lookahead=0. Got {type(detector).__name__} with {lookahead=} instead."
            )
        if merge_gap == "auto":
            merge_gap = detector.window_size_ // 2
        check_scalar(merge_gap, "merge_gap", Integral, min_val=0)
        self.detector = detector
        self.merge_gap = merge_gap
        self._as_it_is = _without_later_changes(detector)
        self.events: list[StreamEvent] = []
        self._streams: dict[Hashable, tuple[RunningSeries, EventFollower]] = {}

    @property
    def groups(self) -> list[Any]:
        """Return the groups that rows have come from, None being that without one."""
        return list(self._streams)

    def forget(self, group: Any = None) -> None:
        """Forget a group: its next row will be the first of a new stream.

        Parameters
        ----------
        group : object, default=None
            One of `groups`.

        Raises
        ------
        KeyError
            If no row has come from it.
        """
        del self._streams[group]

    def update(self, X: ArrayLike, *, groups: ArrayLike | None = None) -> Update:
        """Take in the next rows, and say what they are.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            One row or several, those of each group in time order. NaN is a missing
            value.
        groups : array-like of shape (n_samples,), default=None
            Names of the streams that the rows belong to, in any order. A name that has
            not been there yet begins a stream.

        Returns
        -------
        update : Update
            Named tuple of arrays (n_samples,): ``scores``, ``decisions`` and
            ``labels``, as `score_samples`, `decision_function` and `predict` of the
            detector give them.

        Raises
        ------
        ValueError
            If `X` or `groups` is malformed. The streams are as they were, then.
        """
        X, _ = self._as_it_is._validate(X, None)
        rows_of = _rows_of_groups(groups, len(X))
        streams = {name: self._copied(name) for name in rows_of}
        parts = self._deviations(X, rows_of, streams)
        scores, decisions = np.empty((2, len(X)))
        events = []
        for (name, rows), deviations in zip(rows_of.items(), parts, strict=True):
            series, follower = streams[name]
            first = series.n_rows
            found = series.next(X[rows], deviations)
            offset = self._as_it_is.offset_
            scores[rows] = as_score_samples(found.scores, found.unknown, offset)
            rebased = as_score_samples(found.rebased, found.unknown, offset)
            decisions[rows] = rebased - offset
            follower, told = follower.next(
                first, decisions[rows], deviations.input, found.stuck
            )
            streams[name] = series, follower
            events += [self._event(event, name) for event in told]
        self._streams.update(streams)
        self.events = events
        return Update(scores, decisions, np.where(decisions < 0, -1, 1))

    def _copied(self, name: Hashable) -> tuple[RunningSeries, EventFollower]:
        """Return the stream to go on with; what goes wrong leaves the old one."""
        if name in self._streams:
            series, follower = self._streams[name]
            return series.copy(), follower
        detector = self._as_it_is
        is_calibrated = detector.criterion == "calibrated"
        criterion = following = detector._criterion()
        if detector._follows_levels():
            levels = LevelFollower(detector.normal_.levels, ENDLESS)
            following = detector._criterion(levels)
        series = RunningSeries(
            criterion,
            following,
            detector.normal_.motion if is_calibrated else None,
            detector.n_features_in_,
            detector.window_size_,
        )
        hysteresis = HYSTERESIS if is_calibrated else 0.0
        return series, EventFollower(self.merge_gap, hysteresis)

    def _deviations(
        self,
        X: NDArray,
        rows_of: dict[Hashable, NDArray[np.int64]],
        streams: dict[Hashable, tuple[RunningSeries, EventFollower]],
    ) -> list[RowDeviations]:
        """Run all new rows through the network together; return those of each group."""
        blocks, bounds, stop = [], [], 0
        for name, rows in rows_of.items():
            recent = streams[name][0].recent
            blocks += [recent, X[rows]]
            bounds.append((stop, stop + len(recent), stop + len(recent) + len(rows)))
            stop = bounds[-1][-1]
        begins, firsts, stops = np.array(bounds).T
        new = np.concatenate(
            [np.arange(a, b) for a, b in zip(firsts, stops, strict=True)]
        )
        found = self._as_it_is._reconstructor().deviations(
            np.concatenate(blocks), np.column_stack([begins, stops]), rows=new
        )
        _, squares, latent = (np.concatenate(part) for part in zip(*found, strict=True))
        cuts = np.cumsum(stops - firsts)[:-1]
        return [
            RowDeviations(np.arange(len(of)), of, of_latent)
            for of, of_latent in zip(
                np.split(squares, cuts), np.split(latent, cuts), strict=True
            )
        ]

    def _event(self, event: OpenEvent, group: Hashable) -> StreamEvent:
        names = self._as_it_is._names()
        channels = event.channels()
        return StreamEvent(
            event.start,
            event.stop,
            event.peak,
            event.decision + self._as_it_is.offset_,
            tuple(c if names is None else str(names[c]) for c in channels),
            group,
            event.is_new,
            event.is_over,
        )


def _without_later_changes(detector: BaseWindowDetector) -> BaseWindowDetector:
    """Return one with the same network and parts, that learning on leaves as it is."""
    same = object.__new__(type(detector))
    same.__dict__.update(detector.__dict__)
    return same


def _rows_of_groups(
    groups: ArrayLike | None, n_samples: int
) -> dict[Hashable, NDArray[np.int64]]:
    """Return the rows of each group, by its name."""
    if groups is None:
        return {None: np.arange(n_samples)}
    rows_of: dict[Hashable, list[int]] = {}
    for row, name in enumerate(as_objects(check_groups(groups, n_samples))):
        rows_of.setdefault(name, []).append(row)
    return {name: np.array(rows) for name, rows in rows_of.items()}
