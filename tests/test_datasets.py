"""make_anomalous_series: its conventions, and what each kind of anomaly promises."""

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from skmemto.datasets import KINDS, USUAL_KINDS, make_anomalous_series


def one_kind(kind, *, seed=0, **options):
    """Return the data, and what the test series would be without anomalies."""
    options = {"n_train": 2000, "n_test": 2400, "n_features": 4, **options}
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


# The shortest and the longest that each kind may be, in periods; or its rows.
LENGTHS = {"drift": (2.0, 4.0), "missing_cycle": (1.0, 1.0)}
ROWS = {"point": 1, "dip": 3}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kinds", [USUAL_KINDS, KINDS])
def test_events_take_turns_in_order_of_time_and_keep_apart(kinds, seed):
    """Also in the shortest series that holds them."""
    period, n_events = 30, 3 * len(kinds)
    n_test = n_events * (66 if kinds == USUAL_KINDS else 141)  # 2.2 or 4.7 periods
    data = make_anomalous_series(
        n_test=n_test,
        n_events=n_events,
        kinds=kinds,
        period=period,
        random_state=seed,
    )
    found = [event.kind for event in data.events]
    assert {kind: found.count(kind) for kind in kinds} == dict.fromkeys(kinds, 3)
    assert found != list(kinds) * 3, "the order should be random"
    starts = np.array([event.start for event in data.events])
    stops = np.array([event.stop for event in data.events])
    assert starts[0] > 0 and stops[-1] < n_test
    assert (starts[1:] - stops[:-1] >= 0.6 * period - 1).all()
    for event, length in zip(data.events, stops - starts, strict=True):
        if event.kind in ROWS:
            assert length == ROWS[event.kind]
        else:
            shortest, longest = LENGTHS.get(event.kind, (0.5, 1.5))
            assert shortest * period - 1 <= length <= longest * period + 1
        assert 1 <= len(event.channels) <= (1 if event.kind == "decoupled" else 3)


def test_by_default_it_is_what_it_was_before_there_were_plants():
    data = make_anomalous_series(n_train=100, n_test=600, n_events=5, random_state=0)
    np.testing.assert_allclose(
        data.X_train[0],
        [3.401136, 1.649666, -0.617194, 16.595606, 137.328566, -3.008628],
        atol=1e-6,
    )
    np.testing.assert_allclose(
        data.X_test.sum(axis=0),
        [556.41769, 507.20893, -83.37579, 1021.23623, -89415.35525, 567.67725],
        atol=1e-4,
    )
    assert data.events == [
        ("noise_burst", 48, 102, (4, 5)),
        ("point", 151, 152, (3, 4)),
        ("frozen", 284, 337, (0,)),
        ("contextual", 387, 462, (0, 5)),
        ("level_shift", 511, 582, (0, 2, 4)),
    ]
    assert {kind for kind, *_ in data.events} == set(USUAL_KINDS)


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


def moved(data, clean):
    """Yield how far the values of each event are from what was due, in deviations."""
    for event, block in blocks(data):
        yield event, (data.X_test[block] - clean[block]) / clean.std(axis=0)[block[1]]


def test_dip_falls_for_three_rows():
    for event, fall in moved(*one_kind("dip")):
        assert event.stop - event.start == 3
        np.testing.assert_allclose(fall, fall[:1].repeat(3, 0))
        assert ((fall < -1.2) & (fall > -4)).all()


def test_drift_moves_away_slowly():
    for _, away in moved(*one_kind("drift")):
        steps = np.diff(np.abs(away), axis=0, prepend=0)
        np.testing.assert_allclose(steps, steps[:1].repeat(len(steps), 0))
        assert ((np.abs(away[-1]) > 1.2) & (np.abs(away[-1]) < 3.2)).all()


def test_amplitude_is_less_around_the_same_mean():
    data, clean = one_kind("amplitude")
    for event, block in blocks(data):
        due, got = clean[block], data.X_test[block]
        shrunk = np.ptp(got, axis=0) / np.ptp(due, axis=0)
        assert ((shrunk > 0.19) & (shrunk < 0.41)).all()
        around = data.X_test[event.start - 50 : event.stop + 50, list(event.channels)]
        assert (got.min(axis=0) > around.min(axis=0)).all()
        assert (got.max(axis=0) < around.max(axis=0)).all()


def test_frequency_runs_through_what_is_due_too_fast():
    data, clean = one_kind("frequency", noise=0, period=100, n_events=8)
    rows = np.arange(len(clean))
    for event, block in blocks(data):
        steps = np.arange(event.stop - event.start)
        got, errors = data.X_test[block], []
        for speed in np.linspace(1.7, 2.3, 301):
            at = np.minimum(event.start - 1 + speed * (1 + steps), rows[-1])
            faster = [np.interp(at, rows, clean[:, c]) for c in event.channels]
            errors.append(
                np.abs(got - np.transpose(faster)) / clean.std(axis=0)[block[1]]
            )
        assert min(error.max() for error in errors) < 0.05


def test_decoupled_goes_on_from_where_it_was_as_at_another_time():
    data, clean = one_kind("decoupled")
    usual, jumps = np.vstack([data.X_train, clean]), []
    for event, block in blocks(data):
        (channel,) = event.channels
        got = data.X_test[block][:, 0]
        windows = np.lib.stride_tricks.sliding_window_view(usual[:, channel], len(got))
        assert (windows == got).all(axis=1).any()
        jump = got[0] - data.X_test[event.start - 1, channel]
        jumps.append(abs(jump) / clean[:, channel].std())
        assert np.sqrt(np.mean((got - clean[block][:, 0]) ** 2)) > 0.5 * got.std()
    assert np.median(jumps) < 0.25


def test_missing_cycle_stays_low_for_one_period():
    data, clean = one_kind("missing_cycle")
    for event, block in blocks(data):
        assert event.stop - event.start == 50
        around = clean[event.start - 50 : event.stop + 50, list(event.channels)]
        got = data.X_test[block]
        # But for the noise, which goes on.
        assert (got.mean(axis=0) < np.quantile(around, 0.15, axis=0)).all()
        assert (got.std(axis=0) > 0).all()
        assert (got.std(axis=0) < 0.5 * around.std(axis=0)).all()


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
        ({"plant": "garden"}, r"'plant' parameter of .* Got 'garden'"),
        ({"kinds": []}, "'kinds' parameter of make_anomalous_series must be a non-e"),
        (
            {"n_test": 100, "n_events": 5},
            "'n_test' .* at least 550 for n_events=5 and period=50.0. Got 100 instead",
        ),
        (
            {"n_test": 1174, "n_events": 5, "kinds": ["point", "drift"]},
            "'n_test' .* at least 1175 for n_events=5",
        ),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        make_anomalous_series(**options)


def test_options_are_keyword_only():
    with pytest.raises(TypeError):
        make_anomalous_series(100)
