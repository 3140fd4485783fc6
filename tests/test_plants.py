"""The normal processes of made-up series: what each of them is like."""

import inspect

import numpy as np
import pytest
from scipy.ndimage import median_filter
from sklearn.cluster import KMeans

from skmemto._plants import PLANTS
from skmemto.datasets import KINDS, make_anomalous_series

PERIOD = 50
each_plant = pytest.mark.parametrize("plant", PLANTS)


def draw(plant, n=3500, n_features=6, *, noise=0.0, seed=0):
    return PLANTS[plant](np.random.RandomState(seed), n, n_features, PERIOD, noise)


def scaled(X):
    return (X - X.mean(axis=0)) / X.std(axis=0)


def within(X, rows):
    """Standard deviation of each stretch of so many rows: (n_stretches, F)."""
    return X[: len(X) // rows * rows].reshape(-1, rows, X.shape[1]).std(axis=1)


def test_all_plants_are_named_where_they_are_chosen():
    doc = inspect.getdoc(make_anomalous_series)
    names = ", ".join(f'"{name}"' for name in PLANTS)
    assert f'plant : {{{names}}}, default="process"' in doc


@each_plant
def test_shapes_and_seeds(plant):
    X = draw(plant, 300, 4)
    assert X.shape == (300, 4)
    assert np.isfinite(X).all()
    np.testing.assert_array_equal(X, draw(plant, 300, 4))
    assert not np.array_equal(X, draw(plant, 300, 4, seed=1))


@each_plant
@pytest.mark.parametrize(("n", "n_features"), [(2, 1), (2, 6), (60, 1), (60, 40)])
def test_any_number_of_rows_and_channels(plant, n, n_features):
    assert np.isfinite(draw(plant, n, n_features)).all()


@each_plant
def test_channels_have_units_of_their_own(plant):
    X = draw(plant, n_features=12, noise=0.1)
    units = X.std(axis=0)
    assert units.max() / units.min() > 30
    assert units.min() > 0
    offsets = np.abs(X.mean(axis=0) / units)
    assert offsets.max() > 1


@each_plant
def test_channels_have_to_do_with_one_another(plant):
    correlation = np.abs(np.corrcoef(draw(plant, n_features=8).T) - np.eye(8))
    assert correlation.max(axis=0).min() > 0.2


@each_plant
def test_noise_is_added_to_what_is_the_same_without(plant):
    clean, noisy = scaled(draw(plant)), scaled(draw(plant, noise=0.3))
    assert all(
        np.corrcoef(a, b)[0, 1] > 0.93 for a, b in zip(clean.T, noisy.T, strict=True)
    )
    assert 0.15 < (noisy - clean).std() < 0.45


@each_plant
def test_nothing_drifts(plant):
    """In the long run: a week of the plant, or its load, may be unlike the next."""
    first, second = np.split(scaled(draw(plant, 160 * 7 * PERIOD)), 2)
    assert np.abs(first.mean(axis=0) - second.mean(axis=0)).max() < 0.25
    assert np.abs(first.std(axis=0) - second.std(axis=0)).max() < 0.25


def test_waves_have_three_fixed_periods():
    Z = scaled(draw("waves", 50 * PERIOD))
    n = len(Z)
    power = np.abs(np.fft.rfft(Z * np.hanning(n)[:, np.newaxis], axis=0)) ** 2
    frequency = np.fft.rfftfreq(n)
    near = [
        np.abs(frequency - 1 / (PERIOD * times)) < 3 / n for times in (1.0, 2.7, 0.37)
    ]
    shares = [power[rows].sum(axis=0) / power.sum(axis=0) for rows in near]
    assert np.sum(shares, axis=0).min() > 0.98
    assert all(share.max() > 0.05 for share in shares)


def test_of_seven_days_two_are_quiet():
    activity = within(draw("daily", 21 * PERIOD, 3), PERIOD)
    busy = np.median(activity, axis=0)
    quiet = activity < 0.65 * busy
    # A delay lets some of a day reach into the next one.
    assert (quiet.reshape(3, 7, 3).sum(axis=1) == 2).all()
    assert not quiet[:4].any()


def test_a_day_is_like_the_other_but_not_the_same():
    Z = scaled(draw("daily", 7 * 20 * PERIOD))
    week = 7 * PERIOD
    differences = (Z[week:] - Z[:-week]).std(axis=0)
    assert (differences > 0.01).all() and (differences < 0.4).all()


def test_a_machine_switches_between_three_states():
    X = median_filter(scaled(draw("switching", 6000, 4)), size=(PERIOD // 2, 1))
    shares = [
        1
        - KMeans(k, n_init=3, random_state=0).fit(X).inertia_
        / (len(X) * X.var(0).sum())
        for k in (2, 3, 4)
    ]
    assert shares[1] > 0.75
    assert shares[1] - shares[0] > 2 * (shares[2] - shares[1])


@each_plant
def test_every_kind_happens_in_every_plant(plant):
    data = make_anomalous_series(
        plant=plant, kinds=KINDS, n_events=11, n_train=500, n_test=2700, random_state=0
    )
    assert sorted(event.kind for event in data.events) == sorted(KINDS)
    expected = np.zeros(data.channels.shape, dtype=bool)
    for event in data.events:
        expected[event.start : event.stop, event.channels] = True
    np.testing.assert_array_equal(data.channels, expected)
    np.testing.assert_array_equal(data.y_test, expected.any(axis=1))
    assert np.isfinite(data.X_test).all()


@each_plant
def test_the_series_underneath_does_not_depend_on_the_anomalies(plant):
    options = {"plant": plant, "n_train": 400, "n_test": 2700, "random_state": 3}
    clean = make_anomalous_series(**options, n_events=0)
    spoilt = make_anomalous_series(**options, n_events=11, kinds=KINDS)
    np.testing.assert_array_equal(clean.X_train, spoilt.X_train)
    same = ~spoilt.channels
    np.testing.assert_array_equal(clean.X_test[same], spoilt.X_test[same])
