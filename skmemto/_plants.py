"""Plants that are well: the normal processes of `skmemto.datasets`.

Each draws ``n`` rows of ``n_features`` channels, in units of their own.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

Rng = np.random.RandomState


def process(
    rng: Rng, n: int, n_features: int, period: float, noise: float
) -> NDArray[np.float64]:
    """Let oscillations wander in frequency, and in amplitude with a load."""
    # Channels follow with delays, as in a plant where heat and matter take their
    # time: so the channels of one row do not determine one another.
    delays = _draw_delays(rng, n_features, period)
    # tanh keeps the load between two levels, where it dwells: it never drifts off.
    n_latent = n + int(delays.max())
    load = np.tanh(1.5 * _filtered_noise(rng, n_latent, 1, np.hanning(6 * period)))
    waves = _oscillations(rng, n_latent, period) * (1 + 0.3 * load)
    weights = _draw_weights(rng, n_features, 4)
    weights /= np.sqrt((weights**2).sum(axis=1, keepdims=True))
    return _measured(rng, _mixed(np.hstack([waves, load]), n, delays, weights), noise)


def waves(
    rng: Rng, n: int, n_features: int, period: float, noise: float
) -> NDArray[np.float64]:
    """Draw smooth waves of fixed periods."""
    delays = _draw_delays(rng, n_features, period)
    steps = np.arange(n + int(delays.max()))[:, np.newaxis]
    periods = period * np.array([1.0, 2.7, 0.37])
    phase = 2 * np.pi * steps / periods + rng.uniform(0, 2 * np.pi, len(periods))
    mixed = _mixed(np.sin(phase), n, delays, _draw_weights(rng, n_features, 3))
    return _measured(rng, mixed, noise)


def daily(
    rng: Rng, n: int, n_features: int, period: float, noise: float
) -> NDArray[np.float64]:
    """Draw days of one period each: five busy ones, then two quiet ones."""
    delays = _draw_delays(rng, n_features, period)
    steps = np.arange(n + int(delays.max()))
    day = (steps // round(period)).astype(np.int64)
    hour = steps / round(period) % 1
    strength = np.where(day % 7 < 5, 1.0, 0.35)
    strength *= (1 + 0.06 * rng.normal(size=day[-1] + 1))[day]
    open_hours = np.clip((hour - 0.25) / 0.6, 0, 1)
    load = np.sin(np.pi * open_hours).clip(0) ** 1.5 * strength
    heat = lfilter([0.1], [1, -0.9], load)
    noon = np.exp(-0.5 * ((hour - 0.5) / 0.05) ** 2) * strength
    latent = np.column_stack([load, heat, noon])
    mixed = _mixed(latent, n, delays, _draw_weights(rng, n_features, 3))
    return _measured(rng, mixed, noise)


def switching(
    rng: Rng, n: int, n_features: int, period: float, noise: float
) -> NDArray[np.float64]:
    """Switch between three states, each with a ripple of its own."""
    delays = _draw_delays(rng, n_features, period)
    total = n + int(delays.max())
    states, state = [np.empty(0, dtype=np.int64)], 0
    while sum(map(len, states)) < total:
        state = (state + rng.randint(1, 3)) % 3
        states.append(np.full(round(period * rng.uniform(0.8, 3)), state))
    of_row = np.concatenate(states)[:total]
    levels = lfilter([0.3], [1, -0.7], 1.5 * rng.normal(size=(3, 2))[of_row], axis=0)
    speed = np.array([7.5, 15.0, 25.0])[of_row] / period
    ripple = np.sin(np.cumsum(speed)) * np.array([0.3, 0.6, 0.4])[of_row]
    latent = np.column_stack([levels, ripple])
    mixed = _mixed(latent, n, delays, _draw_weights(rng, n_features, 3))
    return _measured(rng, mixed, noise)


PLANTS: dict[str, Callable[[Rng, int, int, float, float], NDArray[np.float64]]] = {
    "process": process,
    "waves": waves,
    "daily": daily,
    "switching": switching,
}


def _draw_delays(rng: Rng, n_features: int, period: float) -> NDArray[np.int64]:
    return rng.randint(0, round(period / 3) + 1, n_features)


def _draw_weights(rng: Rng, n_features: int, n_latent: int) -> NDArray[np.float64]:
    """How much each channel takes of each latent series; of the first always much."""
    weights = rng.normal(size=(n_features, n_latent))
    weights[:, 0] = rng.choice([-1, 1], n_features) * rng.uniform(0.8, 1.4, n_features)
    return weights


def _mixed(
    latent: NDArray[np.float64],
    n: int,
    delays: NDArray[np.int64],
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Mix latent series (n + delay, K) to channels (n, n_features), each delayed."""
    return np.stack(
        [latent[d : d + n] @ w for d, w in zip(delays, weights, strict=True)], axis=1
    )


def _measured(
    rng: Rng, signal: NDArray[np.float64], noise: float
) -> NDArray[np.float64]:
    """Add what a sensor adds, in a unit of its own: a detector has to scale."""
    n, n_features = signal.shape
    error = _filtered_noise(rng, n, n_features, 0.8 ** np.arange(40))
    X = signal / signal.std(axis=0) + noise * error
    unit = 10 ** rng.uniform(-1, 2, n_features)
    return unit * (X + rng.normal(scale=3, size=n_features))


def _oscillations(rng: Rng, n: int, period: float) -> NDArray[np.float64]:
    """Draw oscillations of wandering frequency, of shape (n, 3)."""
    periods = period * np.array([1.0, 2.7, 0.37])
    wander = 0.6 * _filtered_noise(rng, n, len(periods), np.hanning(4 * period))
    start = rng.uniform(0, 2 * np.pi, len(periods))
    phase = 2 * np.pi * np.arange(n)[:, None] / periods + wander + start
    # The second harmonic makes rise and fall differ: time has a direction.
    return np.sin(phase) + 0.35 * np.sin(2 * phase + 0.8)


def _filtered_noise(
    rng: Rng, n: int, n_columns: int, kernel: NDArray
) -> NDArray[np.float64]:
    """Draw stationary noise of unit variance, of shape (n, n_columns)."""
    size = n + len(kernel) - 1
    white = rng.normal(size=(n_columns, size))
    kernel = kernel / np.sqrt((kernel**2).sum())
    n_fft = 1 << (size - 1).bit_length()
    spectrum = np.fft.rfft(white, n_fft) * np.fft.rfft(kernel, n_fft)
    # Circular convolution: the first values, which wrap around, are dropped.
    return np.fft.irfft(spectrum, n_fft)[:, len(kernel) - 1 : size].T
