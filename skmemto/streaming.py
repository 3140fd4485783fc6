"""A fitted detector on a feed: rows as they come, from one source or many."""

from collections.abc import Hashable
from numbers import Integral
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from skmemto import _auto
from skmemto._base import BaseWindowDetector
from skmemto._explaining import HYSTERESIS
from skmemto._following import DUE, USUAL, follow, risen
from skmemto._levels import MovedChannel
from skmemto._messages import warn_of_drift_in_streams, warn_of_risen_thresholds
from skmemto._running import Running, RunningScores, Scored
from skmemto._running_events import EventFollower, OpenEvent
from skmemto._saved import SavedState
from skmemto._scoring import as_score_samples
from skmemto._series import as_objects, check_groups
from skmemto._series import rows_of as rows_of_series


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


class Stream(NamedTuple):
    """What is remembered of one group."""

    running: Running
    recent: NDArray  # rows that the next windows begin with (k, F)
    follower: EventFollower
    mean: float  # running, of the rarities of rows that are not flagged


class StreamingDetector(SavedState):
    """Score rows as they come, as a detector would score all of them at once.

    Parameters
    ----------
    detector : MEMTODetector or AnomalyTransformerDetector
        Fitted, with ``lookahead=0``. It is used and not changed; many streams may share
        it.
    adapt : bool, default=False
        Whether the threshold of each stream follows slow drift: it rises by half of
        what the running mean of the scores, over 30 windows of rows that are not
        flagged, is above what normal data reach, by a decade at most, and comes back
        down with it. Flagged rows teach nothing. It spares false alarms where
        ``rebase=None``, and costs events of a row or few; beside ``rebase``, which
        follows each channel, it earns nothing. Needs ``criterion="calibrated"``.
    merge_gap : int or "auto", default="auto"
        Flagged rows are one event if at most so many others lie between them. "auto" is
        half a window.

    Attributes
    ----------
    detector : MEMTODetector or AnomalyTransformerDetector
        As it was when the stream began: what it learns later does not count here.
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
        self,
        detector: BaseWindowDetector,
        adapt: bool = False,
        *,
        merge_gap: int | Literal["auto"] = "auto",
    ):
        check_is_fitted(detector)
        check_scalar(adapt, "adapt", (bool, np.bool_))
        settings = getattr(detector, "settings_", None)
        lookahead = None if settings is None else settings.lookahead.total
        if lookahead != 0:
            fitted_with = "'auto'" if lookahead is None else lookahead
            raise ValueError(
                "A stream has no later rows: it takes a detector fitted with "
                f"lookahead=0. Got {type(detector).__name__} with "
                f"lookahead={fitted_with} instead."
            )
        if merge_gap == "auto":
            merge_gap = detector.window_size_ // 2
        check_scalar(merge_gap, "merge_gap", Integral, min_val=0)
        if adapt and not detector.settings_.is_calibrated:
            raise ValueError(
                "A threshold follows scores that are rarities: adapt=True takes a "
                'detector with criterion="calibrated". Got '
                f"criterion={detector.settings_.criterion!r} instead."
            )
        self.detector = _without_later_changes(detector)
        self.adapt = adapt
        self.merge_gap = merge_gap
        self.events: list[StreamEvent] = []
        self._streams: dict[Hashable, Stream] = {}
        self._scores = _running_scores(self.detector)

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

        Warns
        -----
        DataDriftWarning
            Once where a channel has moved on for good, so that alarms for it have
            ended, or where a threshold that follows has risen by a quarter of a decade:
            a `partial_fit` with rows from then on, or a new fit, is due.
        """
        X, _ = self.detector._validate(X, None)
        rows_of = _rows_of_groups(groups, len(X))
        streams = {name: self._streams.get(name) or self._new() for name in rows_of}
        squares, latent = self._deviations(X, rows_of, streams)
        scores, decisions = np.empty((2, len(X)))
        told: dict[Hashable, list[StreamEvent]] = {}
        for names in _as_long(rows_of):
            rows = np.stack([rows_of[name] for name in names])  # (S, n)
            found, after = self._scores.next(
                Running.joined([streams[name].running for name in names]),
                *(X[rows], squares[rows], latent[rows]),
            )
            means = np.array([streams[name].mean for name in names])
            scores[rows], decisions[rows], means = self._decide(found, means)
            for i, (name, running) in enumerate(zip(names, after.each(), strict=True)):
                of, before = rows[i], streams[name]
                follower, events = before.follower.next(
                    int(before.running.n_rows[0]),
                    *(decisions[of], squares[of], found.stuck[i]),
                )
                told[name] = [self._event(event, name) for event in events]
                recent = self._recent(before.recent, X[of])
                streams[name] = Stream(running, recent, follower, float(means[i]))
        moved, due = self._moved(streams), self._risen(streams)
        self._streams.update(streams)
        self.events = [event for name in rows_of for event in told[name]]
        warn_of_drift_in_streams(moved, self.detector._names())
        warn_of_risen_thresholds(due)
        return Update(scores, decisions, np.where(decisions < 0, -1, 1))

    def _decide(
        self, found: Scored, means: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return scores and decisions (S, n), and the mean of each stream (S,)."""
        offset, unknown = self.detector.offset_, found.unknown
        rise = np.zeros(unknown.shape)
        if self.adapt:
            counts = ~(unknown | found.stuck.any(axis=2))
            span = _auto.level_span("auto", self.detector.window_size_)
            followed, means = follow(found.rebased, counts, means, -offset, span)
            rise[counts] = followed[counts]
        scores = as_score_samples(found.scores, unknown, offset)
        rebased = as_score_samples(found.rebased, unknown, offset)
        return scores, rebased - offset + rise, means

    def _risen(self, streams: dict[Hashable, Stream]) -> list[Hashable]:
        """Return the streams whose threshold has risen so far that it is news."""
        return [
            name
            for name, stream in streams.items()
            if _is_due(stream) and not _is_due(self._streams.get(name))
        ]

    def _moved(
        self, streams: dict[Hashable, Stream]
    ) -> dict[Hashable, list[MovedChannel]]:
        """Return the channels that have moved on for good, where it is news."""
        if self._scores.levels is None:
            return {}
        span, moved = self._scores.levels.span, {}
        for name, stream in streams.items():
            channels = stream.running.moved(span)
            before = self._streams.get(name)
            if before is not None:
                known = {m[:2] for m in before.running.moved(span)}
                channels = [m for m in channels if m[:2] not in known]
            if channels:
                moved[name] = channels
        return moved

    def _new(self) -> Stream:
        detector = self.detector
        n_features = detector.n_features_in_
        hysteresis = HYSTERESIS if detector.settings_.is_calibrated else 0.0
        return Stream(
            self._scores.start(),
            np.empty((0, n_features)),
            EventFollower(self.merge_gap, hysteresis),
            USUAL,
        )

    def _recent(self, recent: NDArray, X: NDArray) -> NDArray:
        """Keep the rows that the next windows begin with."""
        n_kept = self.detector.window_size_ - 1
        rows = np.concatenate([recent, X])
        return rows[max(0, len(rows) - n_kept) :].copy()

    def _deviations(
        self,
        X: NDArray,
        rows_of: dict[Hashable, NDArray[np.int64]],
        streams: dict[Hashable, Stream],
    ) -> tuple[NDArray, NDArray]:
        """Run all new rows through the network together: squares (n, F), latent (n,).

        Of the rows of each stream, those kept come before the new ones.
        """
        blocks, n_kept, n_new = [], [], []
        for name, rows in rows_of.items():
            recent = streams[name].recent
            blocks += [recent, X[rows]]
            n_kept.append(len(recent))
            n_new.append(len(rows))
        stops = np.cumsum(np.add(n_kept, n_new))
        firsts = stops - n_new
        new = rows_of_series(np.column_stack([firsts, stops]))
        found = self.detector._reconstructor().deviations(
            np.concatenate(blocks), np.column_stack([firsts - n_kept, stops]), rows=new
        )
        order = np.concatenate(list(rows_of.values()))
        squares, latent = np.empty(X.shape), np.empty(len(X))
        done = 0
        for part in found:
            rows = order[done : done + len(part.rows)]
            squares[rows], latent[rows] = part.input, part.latent
            done += len(rows)
        return squares, latent

    def _event(self, event: OpenEvent, group: Hashable) -> StreamEvent:
        names = self.detector._names()
        channels = event.channels()
        return StreamEvent(
            event.start,
            event.stop,
            event.peak,
            event.decision + self.detector.offset_,
            tuple(c if names is None else str(names[c]) for c in channels),
            group,
            event.is_new,
            event.is_over,
        )


def _is_due(stream: Stream | None) -> bool:
    """Tell whether the threshold has risen so far that a new fit is due."""
    return stream is not None and bool(risen(np.array(stream.mean)) >= DUE)


def _without_later_changes(detector: BaseWindowDetector) -> BaseWindowDetector:
    """Return one with the same network and parts, that learning on leaves as it is."""
    same = object.__new__(type(detector))
    same.__dict__.update(detector.__dict__)
    return same


def _running_scores(detector: BaseWindowDetector) -> RunningScores:
    settings = detector.settings_
    return RunningScores(
        detector._criterion(),
        detector.normal_.levels if settings.follows_levels else None,
        detector.normal_.motion if settings.is_calibrated else None,
        detector.n_features_in_,
    )


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


def _as_long(rows_of: dict[Hashable, NDArray[np.int64]]) -> list[list[Hashable]]:
    """Put groups with as many rows together."""
    together: dict[int, list[Hashable]] = {}
    for name, rows in rows_of.items():
        together.setdefault(len(rows), []).append(name)
    return list(together.values())
