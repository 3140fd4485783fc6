"""Synthetic multivariate time series with labelled anomalies."""

from collections.abc import Sequence
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import Interval, validate_params

__all__ = ["make_anomalous_series"]

KINDS = ("point", "contextual", "level_shift", "noise_burst", "frozen")


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
    kinds: Sequence[str] = KINDS,
    period: float = 50.0,
    noise: float = 0.1,
    random_state: int | np.random.RandomState | None = None,
) -> Bunch:
    """Generate a clean training series and a test series with labelled anomalies.

    The channels are noisy mixtures of a few oscillations whose frequency wanders
    slowly and whose amplitude follows a slowly varying load, each with a delay of
    its own: much like the sensors of one machine. Training and test series are one
    realisation of that process, cut in two. Into the test series go `n_events`
    anomalies, each on at most half of the channels (never less than one), half a
    period or more apart:

    - "point": one row jumps by 2 to 3.5 standard deviations of the channel;
    - "contextual": an excerpt from elsewhere in the series replaces what was due;
    - "level_shift": the channel is moved by 1 to 1.8 standard deviations;
    - "noise_burst": noise of 0.5 to 0.9 standard deviations is added;
    - "frozen": the channel stays at its last value.

    All but "point" last between half a period and one and a half. Most stay in the
    usual range of their channels and show only in the context of the rows around.

    Parameters
    ----------
    n_train : int, default=6000
        Number of rows of the clean training series.
    n_test : int, default=3000
        Number of rows of the test series; at least ``2.2 * period`` for each event.
    n_features : int, default=6
        Number of channels.
    n_events : int, default=10
        Number of anomalies in the test series.
    kinds : sequence of str, default=("point", "contextual", "level_shift", \
"noise_burst", "frozen")
        Kinds of anomalies. They take turns, in random order of time.
    period : float, default=50.0
        Mean period of the main oscillation, in rows.
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
    clean = _normal_series(rng, n_train + n_test, n_features, period, noise)
    events = _draw_events(rng, (n_test, n_features), n_events, kinds, period)

    X_test = clean[n_train:].copy()
    channels = np.zeros(X_test.shape, dtype=bool)
    for event in events:
        block = np.ix_(range(event.start, event.stop), event.channels)
        X_test[block] = _anomaly(rng, event, clean, n_train)
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
    needed = int(np.ceil(n_events * 2.2 * period))
    if n_test < needed:
        raise ValueError(
            f"The 'n_test' parameter of make_anomalous_series must be at least {needed}"
            f" for n_events={n_events} and period={period}. Got {n_test} instead."
        )


def _normal_series(
    rng: np.random.RandomState, n: int, n_features: int, period: float, noise: float
) -> np.ndarray:
    """Draw the process without anomalies, of shape (n, n_features)."""
    # Channels follow with delays, as in a plant where heat and matter take their
    # time: so the channels of one row do not determine one another.
    delays = rng.randint(0, round(period / 3) + 1, n_features)
    # tanh keeps the load between two levels, where it dwells: it never drifts off.
    n_latent = n + int(delays.max())
    load = np.tanh(1.5 * _filtered_noise(rng, n_latent, 1, np.hanning(6 * period)))
    waves = _oscillations(rng, n_latent, period) * (1 + 0.3 * load)
    latent = np.hstack([waves, load])

    weights = rng.normal(size=(n_features, latent.shape[1]))
    weights[:, 0] = rng.choice([-1, 1], n_features) * rng.uniform(0.8, 1.4, n_features)
    weights /= np.sqrt((weights**2).sum(axis=1, keepdims=True))
    signal = np.stack(
        [latent[d : d + n] @ w for d, w in zip(delays, weights, strict=True)], axis=1
    )
    error = _filtered_noise(rng, n, n_features, 0.8 ** np.arange(40))
    X = signal / signal.std(axis=0) + noise * error
    # Each channel in a unit of its own: a detector has to scale.
    unit = 10 ** rng.uniform(-1, 2, n_features)
    return unit * (X + rng.normal(scale=3, size=n_features))


def _oscillations(rng: np.random.RandomState, n: int, period: float) -> np.ndarray:
    """Draw oscillations of wandering frequency, of shape (n, 3)."""
    periods = period * np.array([1.0, 2.7, 0.37])
    wander = 0.6 * _filtered_noise(rng, n, len(periods), np.hanning(4 * period))
    start = rng.uniform(0, 2 * np.pi, len(periods))
    phase = 2 * np.pi * np.arange(n)[:, None] / periods + wander + start
    # The second harmonic makes rise and fall differ: time has a direction.
    return np.sin(phase) + 0.35 * np.sin(2 * phase + 0.8)


def _filtered_noise(
    rng: np.random.RandomState, n: int, n_columns: int, kernel: np.ndarray
) -> np.ndarray:
    """Draw stationary noise of unit variance, of shape (n, n_columns)."""
    size = n + len(kernel) - 1
    white = rng.normal(size=(n_columns, size))
    kernel = kernel / np.sqrt((kernel**2).sum())
    n_fft = 1 << (size - 1).bit_length()
    spectrum = np.fft.rfft(white, n_fft) * np.fft.rfft(kernel, n_fft)
    # Circular convolution: the first values, which wrap around, are dropped.
    return np.fft.irfft(spectrum, n_fft)[:, len(kernel) - 1 : size].T


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
        length = 1 if kind == "point" else round(period * rng.uniform(0.5, 1.5))
        start = int(rng.uniform(first + gap, last - gap - length))
        n_affected = rng.randint(1, max(1, n_features // 2) + 1)
        affected = rng.choice(n_features, n_affected, replace=False).tolist()
        channels = tuple(sorted(affected))
        events.append(AnomalousEvent(str(kind), start, start + length, channels))
    return events


def _anomaly(
    rng: np.random.RandomState, event: AnomalousEvent, clean: np.ndarray, n_train: int
) -> np.ndarray:
    """Draw what takes the place of the event's rows and channels."""
    kind, start, stop, channels = event
    series = clean[:, channels]
    scale = series.std(axis=0)
    due = series[n_train + start : n_train + stop]
    sign = rng.choice([-1.0, 1.0], len(channels))
    if kind == "point":
        return due + sign * scale * rng.uniform(2, 3.5, len(channels))
    if kind == "level_shift":
        return due + sign * scale * rng.uniform(1, 1.8, len(channels))
    if kind == "noise_burst":
        return due + rng.normal(size=due.shape) * scale * rng.uniform(0.5, 0.9)
    if kind == "frozen":
        return np.broadcast_to(series[n_train + start - 1], due.shape)
    # "contextual": of some excerpts the one that differs most from what was due;
    # any one of them might be in phase with it, and so no anomaly.
    starts = rng.randint(0, len(series) - len(due) + 1, size=32)
    excerpts = series[starts[:, None] + np.arange(len(due))]
    distance = ((excerpts - due) ** 2 / scale**2).sum(axis=(1, 2))
    return excerpts[distance.argmax()]
