"""make_anomalous_series: its conventions, and what each kind of anomaly promises."""

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from skmemto.datasets import KINDS, make_anomalous_series


def one_kind(kind, *, seed=0, **options):
    """Return the data, and what the test series would be without anomalies."""
    options = {"n_train": 2000, "n_test": 1500, "n_features": 4, **options}
    data = make_anomalous_series(kinds=[kind], random_state=seed, **options)
    clean = make_anomalous_series(random_state=seed, **options | {"n_events": 0})
    return data, clean.X_test


def blocks(data):
    """Yield the rows and channels of each event, for indexing."""
    for event in data.events:
        yield event, np.ix_(range(event.start, event.stop), event.channels)


def test_shapes_types_and_labels():
    data = make_anomalous_series(
        n_train=300, n_test=700, n_features=5, n_events=5, random_state=0
    )
    assert data.X_train.shape == (300, 5)
    assert data.X_test.shape == data.channels.shape == (700, 5)
    assert data.X_train.dtype == data.X_test.dtype == np.float64
    assert data.channels.dtype == bool
    assert np.isfinite(data.X_train).all() and np.isfinite(data.X_test).all()
    assert data.y_test.shape == (700,)
    assert np.issubdtype(data.y_test.dtype, np.integer)
    assert set(data.y_test) == {0, 1}
    np.testing.assert_array_equal(data.y_test == 1, data.channels.any(axis=1))

    expected = np.zeros_like(data.channels)
    for _, block in blocks(data):
        expected[block] = True
    np.testing.assert_array_equal(data.channels, expected)


@pytest.mark.parametrize("seed", range(5))
def test_events_take_turns_in_order_of_time_and_keep_apart(seed):
    """Also in the shortest series that holds them."""
    period = 30
    data = make_anomalous_series(
        n_test=990, n_features=6, n_events=15, period=period, random_state=seed
    )
    kinds = [event.kind for event in data.events]
    assert {kind: kinds.count(kind) for kind in KINDS} == dict.fromkeys(KINDS, 3)
    assert kinds != list(KINDS) * 3, "the order should be random"
    starts = np.array([event.start for event in data.events])
    stops = np.array([event.stop for event in data.events])
    assert starts[0] > 0 and stops[-1] < 990
    assert (starts[1:] - stops[:-1] >= 0.5 * period).all()
    for event, length in zip(data.events, stops - starts, strict=True):
        if event.kind == "point":
            assert length == 1
        else:
            assert 0.5 * period - 1 <= length <= 1.5 * period + 1
        assert 1 <= len(event.channels) <= 3


def test_random_state_decides():
    first, again, other = (
        make_anomalous_series(random_state=seed) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first.X_train, again.X_train)
    np.testing.assert_array_equal(first.X_test, again.X_test)
    assert first.events == again.events
    assert not np.array_equal(first.X_train, other.X_train)


def test_global_random_state_is_left_alone():
    before = np.random.get_state()[1].copy()
    make_anomalous_series(random_state=0)
    np.testing.assert_array_equal(before, np.random.get_state()[1])


@pytest.mark.parametrize("kind", KINDS)
def test_only_labelled_values_differ(kind):
    data, clean = one_kind(kind)
    np.testing.assert_array_equal(data.X_test != clean, data.channels)


def test_training_and_test_series_are_one_realisation():
    """The step at the cut is as small as elsewhere; the distribution is the same."""
    for seed in range(5):
        data = make_anomalous_series(n_events=0, random_state=seed)
        steps = np.abs(np.diff(data.X_train, axis=0))
        assert (np.abs(data.X_test[0] - data.X_train[-1]) <= steps.max(axis=0)).all()
        scaler = StandardScaler().fit(data.X_train)
        Z = scaler.transform(data.X_test)
        assert (np.abs(Z.mean(axis=0)) < 0.6).all()
        assert ((Z.std(axis=0) > 0.6) & (Z.std(axis=0) < 1.6)).all()


def test_no_drift():
    data = make_anomalous_series(n_train=40_000, n_events=0, random_state=0)
    Z = StandardScaler().fit_transform(data.X_train)
    quarters = Z.reshape(4, 10_000, -1)
    assert np.abs(quarters.mean(axis=1)).max() < 0.25


def test_channels_are_correlated_periodic_and_noisy():
    data = make_anomalous_series(n_features=8, period=40, n_events=0, random_state=0)
    Z = StandardScaler().fit_transform(data.X_train)
    correlation = np.abs(np.corrcoef(Z.T) - np.eye(8))
    assert correlation.max(axis=0).min() > 0.2
    spectrum = np.abs(np.fft.rfft(Z, axis=0)) ** 2
    frequency = np.fft.rfftfreq(len(Z))
    near = np.abs(frequency * 40 - 1) < 0.25
    assert (spectrum[near].sum(axis=0) / spectrum.sum(axis=0)).mean() > 0.15

    rough = make_anomalous_series(n_events=0, noise=0.5, random_state=0).X_train
    smooth = make_anomalous_series(n_events=0, noise=0.0, random_state=0).X_train
    roughness = [(np.diff(X, axis=0).std(0) / X.std(0)).mean() for X in (smooth, rough)]
    assert roughness[1] > 1.2 * roughness[0]


def test_delays_keep_a_row_from_determining_its_channels():
    """Without them, four components would make up any number of channels."""
    data = make_anomalous_series(n_features=8, n_events=0, noise=0, random_state=0)
    Z = StandardScaler().fit_transform(data.X_train)
    singular_values = np.linalg.svd(Z, compute_uv=False)
    assert (singular_values > 0.02 * singular_values[0]).sum() > 5


def test_point():
    data, clean = one_kind("point")
    jump = np.abs(data.X_test - clean) / clean.std(axis=0)
    jump = jump[data.channels]
    assert (jump > 1.5).all() and (jump < 4.5).all()


def test_contextual_stays_within_the_usual_range():
    data, clean = one_kind("contextual", n_events=6)
    usual = np.vstack([data.X_train, clean])
    low, high = usual.min(axis=0), usual.max(axis=0)
    assert ((data.X_test >= low) & (data.X_test <= high)).all()
    for _, block in blocks(data):
        # ... and yet it is another thing than what was due.
        gap = (data.X_test[block] - clean[block]) / clean.std(axis=0)[block[1]]
        assert np.sqrt((gap**2).mean()) > 0.8


def test_level_shift_moves_by_a_moderate_constant():
    data, clean = one_kind("level_shift")
    for _, block in blocks(data):
        shift = (data.X_test[block] - clean[block]) / clean.std(axis=0)[block[1]]
        np.testing.assert_allclose(shift, shift[:1].repeat(len(shift), 0))
        assert ((np.abs(shift) > 0.8) & (np.abs(shift) < 2.5)).all()


def test_noise_burst_adds_noise_without_shift():
    data, clean = one_kind("noise_burst")
    for _, block in blocks(data):
        extra = (data.X_test[block] - clean[block]) / clean.std(axis=0)[block[1]]
        assert ((extra.std(axis=0) > 0.3) & (extra.std(axis=0) < 1.3)).all()
        # White noise: the next value does not follow from the last.
        assert np.abs((extra[1:] * extra[:-1]).mean() / extra.var()) < 0.5


def test_frozen_holds_the_last_value():
    data, _ = one_kind("frozen")
    for event, block in blocks(data):
        last = data.X_test[event.start - 1, list(event.channels)]
        np.testing.assert_array_equal(
            data.X_test[block], last[None].repeat(len(block[0]), 0)
        )


def test_rows_alone_do_not_give_it_away_but_their_past_does():
    """A detector of single rows finds little; nearest windows find nearly all."""
    width, alone, in_context = 16, [], []
    for seed in range(3):
        data = make_anomalous_series(
            n_train=4000, n_test=2000, n_events=8, random_state=seed
        )
        scaler = StandardScaler().fit(data.X_train)
        train, test = scaler.transform(data.X_train), scaler.transform(data.X_test)
        forest = IsolationForest(random_state=0).fit(train)
        alone.append(roc_auc_score(data.y_test, -forest.score_samples(test)))

        def windows(X):
            view = np.lib.stride_tricks.sliding_window_view(X, width, axis=0)
            return view.reshape(len(view), -1)

        near = NearestNeighbors(n_neighbors=1).fit(windows(train)[::2])
        distance = near.kneighbors(windows(test))[0][:, 0]
        half = width // 2
        labels = data.y_test[half : half + len(distance)]
        in_context.append(roc_auc_score(labels, distance))
    assert 0.5 < np.mean(alone) < 0.8
    assert np.mean(in_context) > 0.93


@pytest.mark.parametrize("n_features", [1, 2, 40])
def test_any_number_of_channels(n_features):
    data = make_anomalous_series(
        n_train=100, n_test=600, n_features=n_features, n_events=5, random_state=0
    )
    assert data.X_test.shape == (600, n_features)
    assert all(len(event.channels) <= max(1, n_features // 2) for event in data.events)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"n_train": 0}, "'n_train' parameter of make_anomalous_series must be an int"),
        ({"n_features": 2.5}, "'n_features' parameter of make_anomalous_series"),
        ({"noise": -1.0}, "'noise' parameter of make_anomalous_series"),
        ({"period": 2}, "'period' parameter of make_anomalous_series"),
        ({"random_state": "0"}, "'random_state' parameter of make_anomalous_series"),
        ({"kinds": ["point", "odd"]}, r"'kinds' .* Got \['point', 'odd'\] instead"),
        ({"kinds": []}, "'kinds' parameter of make_anomalous_series must be a non-e"),
        (
            {"n_test": 100, "n_events": 5},
            "'n_test' .* at least 550 for n_events=5 and period=50.0. Got 100 instead",
        ),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        make_anomalous_series(**options)


def test_options_are_keyword_only():
    with pytest.raises(TypeError):
        make_anomalous_series(100)
