"""Synthetic multivariate time series with labelled anomalies."""

from collections.abc import Sequence
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from skmemto._plants import PLANTS

__all__ = ["make_anomalous_series"]

USUAL_KINDS = ("point", "contextual", "level_shift", "noise_burst", "frozen")
KINDS = (
    *USUAL_KINDS,
    "dip",
    "drift",
    "amplitude",
    "frequency",
    "decoupled",
    "missing_cycle",
)
# Rows of those that always have as many; of the others the shortest and longest, in
# periods.
_ROWS = {"point": 1, "dip": 3}
_PERIODS = {"drift": (2.0, 4.0), "missing_cycle": (1.0, 1.0)}
_USUAL_PERIODS = (0.5, 1.5)
_N_EXCERPTS = 32


class AnomalousEvent(NamedTuple):
    """One anomaly: rows ``start:stop`` of the test series, on some channels."""

    kind: str
    start: int
    stop: int
    channels: tuple[int, ...]


@validate_params(
    {
        "n_train": [Interval(Integral, 1, None, closed="left")],
        "n_test": [Interval(Integral, 1, None, closed="left")],
        "n_features": [Interval(Integral, 1, None, closed="left")],
        "n_events": [Interval(Integral, 0, None, closed="left")],
        "kinds": ["array-like"],
        "plant": [StrOptions(set(PLANTS))],
        "period": [Interval(Real, 8, None, closed="left")],
        "noise": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_anomalous_series(
    *,
    n_train: int = 6000,
    n_test: int = 3000,
    n_features: int = 6,
    n_events: int = 10,
    kinds: Sequence[str] = USUAL_KINDS,
    plant: str = "process",
    period: float = 50.0,
    noise: float = 0.1,
    random_state: int | np.random.RandomState | None = None,
) -> Bunch:
    """Generate a clean training series and a test series with labelled anomalies.

    The channels are noisy mixtures of what goes on in a plant, each with a delay of its
    own. Training and test series are one realisation of that process, cut in two. Into
    the test series go `n_events` anomalies, each on at most half of the channels (never
    less than one), 0.6 periods or more apart:

    - "point": one row jumps by 2 to 3.5 standard deviations of the channel;
    - "contextual": an excerpt from elsewhere in the series replaces what was due;
    - "level_shift": the channel is moved by 1 to 1.8 standard deviations;
    - "noise_burst": noise of 0.5 to 0.9 standard deviations is added;
    - "frozen": the channel stays at its last value;
    - "dip": three rows fall by 1.5 to 3 standard deviations;
    - "drift": the channel moves away slowly, by 1.5 to 2.5 standard deviations;
    - "amplitude": the channel moves 0.2 to 0.4 times as far around its mean;
    - "frequency": the channel runs 1.7 to 2.3 times as fast;
    - "decoupled": one channel goes on as it did at another time, regardless of the
      others;
    - "missing_cycle": the channel stays low for one period.

    A drift lasts 2 to 4 periods, the others without a length of their own half a
    period to one and a half. Most stay in the usual range of their channels and show
    only in the context of the rows around.

    Parameters
    ----------
    n_train : int, default=6000
        Number of rows of the clean training series.
    n_test : int, default=3000
        Number of rows of the test series; at least ``2.2 * period`` for each event, and
        ``4.7 * period`` where there are drifts.
    n_features : int, default=6
        Number of channels.
    n_events : int, default=10
        Number of anomalies in the test series.
    kinds : sequence of str, default=("point", "contextual", "level_shift", \
"noise_burst", "frozen")
        Kinds of anomalies. They take turns, in random order of time.
    plant : {"process", "waves", "daily", "switching"}, default="process"
        What goes on in the plant: oscillations whose frequency wanders slowly and whose
        amplitude follows a slowly varying load; smooth waves of fixed periods; days of
        one period each, two of seven of them quiet; or a machine that switches between
        three states.
    period : float, default=50.0
        Mean period of the main oscillation, in rows; the length of a day.
    noise : float, default=0.1
        Standard deviation of the measurement noise (autoregressive, of order one),
        where that of the noiseless channel is one.
    random_state : int, RandomState instance or None, default=None
        Pass an int for reproducible output across multiple function calls. The
        series underneath does not depend on the anomalies asked for.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        X_train : ndarray of shape (n_train, n_features)
            The training series, without anomalies.
        X_test : ndarray of shape (n_test, n_features)
            The test series, which follows the training series.
        y_test : ndarray of int of shape (n_test,)
            1 for rows of an anomaly, 0 for others (scikit-learn predicts -1 and +1).
        channels : ndarray of bool of shape (n_test, n_features)
            Which channels are affected, in which rows.
        events : list of AnomalousEvent
            NamedTuples ``(kind, start, stop, channels)`` in order of time.

    Raises
    ------
    ValueError
        If a parameter is out of range, `kinds` is empty or names an unknown kind, or
        `n_test` is too short for `n_events`.

    Examples
    --------
    >>> from skmemto.datasets import make_anomalous_series
    >>> data = make_anomalous_series(n_test=600, n_events=5, random_state=0)
    >>> data.X_train.shape, data.X_test.shape
    ((6000, 6), (600, 6))
    >>> sorted(event.kind for event in data.events)
    ['contextual', 'frozen', 'level_shift', 'noise_burst', 'point']
    """
    _check(n_test, n_events, kinds, period)
    rng = check_random_state(random_state)
    clean = PLANTS[plant](rng, n_train + n_test, n_features, period, noise)
    events = _draw_events(rng, (n_test, n_features), n_events, kinds, period)

    X_test = clean[n_train:].copy()
    channels = np.zeros(X_test.shape, dtype=bool)
    for event in events:
        block = np.ix_(range(event.start, event.stop), event.channels)
        X_test[block] = _anomaly(rng, event, clean, n_train, round(period))
        channels[block] = True
    return Bunch(
        X_train=clean[:n_train].copy(),
        X_test=X_test,
        y_test=channels.any(axis=1).astype(int),
        channels=channels,
        events=events,
    )


def _check(n_test: int, n_events: int, kinds: Sequence[str], period: float) -> None:
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or len(kinds) == 0:
        raise ValueError(
            "The 'kinds' parameter of make_anomalous_series must be a non-empty "
            f"sequence of names from {KINDS}. Got {kinds!r} instead."
        )
    longest = max(_PERIODS.get(kind, _USUAL_PERIODS)[1] for kind in kinds)
    needed = int(np.ceil(n_events * (longest + 0.7) * period))
    if n_test < needed:
        raise ValueError(
            f"The 'n_test' parameter of make_anomalous_series must be at least {needed}"
            f" for n_events={n_events} and period={period}. Got {n_test} instead."
        )


def _draw_events(
    rng: np.random.RandomState,
    shape: tuple[int, int],
    n_events: int,
    kinds: Sequence[str],
    period: float,
) -> list[AnomalousEvent]:
    """Draw one event at a random place in each of `n_events` equal slots of time."""
    n_test, n_features = shape
    gap = 0.3 * period
    order = rng.permutation(np.resize(np.asarray(kinds), n_events))
    borders = np.linspace(0, n_test, n_events + 1)
    events = []
    for kind, first, last in zip(order, borders[:-1], borders[1:], strict=True):
        shortest, longest = _PERIODS.get(str(kind), _USUAL_PERIODS)
        length = _ROWS.get(str(kind)) or round(period * rng.uniform(shortest, longest))
        start = int(rng.uniform(first + gap, last - gap - length))
        n_affected = rng.randint(1, max(1, n_features // 2) + 1)
        n_affected = 1 if kind == "decoupled" else n_affected
        affected = rng.choice(n_features, n_affected, replace=False).tolist()
        channels = tuple(sorted(affected))
        events.append(AnomalousEvent(str(kind), start, start + length, channels))
    return events


def _anomaly(
    rng: np.random.RandomState,
    event: AnomalousEvent,
    clean: NDArray[np.float64],
    n_train: int,
    period: int,
) -> NDArray[np.float64]:
    """Draw what takes the place of the event's rows and channels."""
    kind, start, stop, channels = event
    series = clean[:, channels]
    scale = series.std(axis=0)
    first, last = n_train + start, n_train + stop
    due = series[first:last]
    around = series[max(0, first - period) : last + period]
    sign = rng.choice([-1.0, 1.0], len(channels))
    if kind == "point":
        return due + sign * scale * rng.uniform(2, 3.5, len(channels))
    if kind == "level_shift":
        return due + sign * scale * rng.uniform(1, 1.8, len(channels))
    if kind == "noise_burst":
        return due + rng.normal(size=due.shape) * scale * rng.uniform(0.5, 0.9)
    if kind == "frozen":
        return np.broadcast_to(series[first - 1], due.shape)
    if kind == "dip":
        return due - scale * rng.uniform(1.5, 3, len(channels))
    if kind == "drift":
        ramp = np.linspace(0, 1, len(due) + 1)[1:, np.newaxis]
        return due + ramp * sign * scale * rng.uniform(1.5, 2.5, len(channels))
    if kind == "amplitude":
        mean = around.mean(axis=0)
        return mean + (due - mean) * rng.uniform(0.2, 0.4)
    if kind == "missing_cycle":
        rough = due - uniform_filter1d(due, max(3, period // 8), axis=0)
        return np.quantile(around, 0.1, axis=0) + rough
    if kind == "frequency":
        return _faster(series, first, len(due), rng.uniform(1.7, 2.3))
    before = series[first - 1] if kind == "decoupled" else None
    return _excerpt(rng, series, due, before)


def _faster(
    series: NDArray[np.float64], first: int, length: int, speed: float
) -> NDArray[np.float64]:
    """Run through the series at another speed, from the row before `first` on."""
    rows = np.arange(len(series))
    steps = first - 1 + speed * np.arange(1, length + 1)
    steps = np.minimum(steps, len(series) - 1)
    return np.stack([np.interp(steps, rows, channel) for channel in series.T], axis=1)


def _excerpt(
    rng: np.random.RandomState,
    series: NDArray[np.float64],
    due: NDArray[np.float64],
    before: NDArray[np.float64] | None,
) -> NDArray[np.float64]:
    """Take an excerpt unlike what was due; one that fits what was `before`, if given.

    Of some excerpts the one that differs most: any one of them might be in phase with
    what was due, and so no anomaly.
    """
    scale = series.std(axis=0)
    n = _N_EXCERPTS if before is None else 8 * _N_EXCERPTS
    starts = rng.randint(0, len(series) - len(due) + 1, size=n)
    if before is not None:
        jump = np.abs((series[starts] - before) / scale).max(axis=1)
        starts = starts[np.argsort(jump)[:_N_EXCERPTS]]
    excerpts = series[starts[:, None] + np.arange(len(due))]
    distance = ((excerpts - due) ** 2 / scale**2).sum(axis=(1, 2))
    return excerpts[distance.argmax()]
