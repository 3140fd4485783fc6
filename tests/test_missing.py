"""Missing readings (NaN), all along the path of the data."""

import numpy as np
import pytest
import torch
from conftest import make_waves
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.preprocessing import StandardScaler

from skmemto import _scaling
from skmemto._criteria import (
    CalibratedCriterion,
    InputDeviation,
    SoftmaxCriterion,
    calibrate,
    exponential_average,
)
from skmemto._device import autocast
from skmemto._nn.anomaly_transformer import (
    AnomalyTransformerConfig,
    AnomalyTransformerNetwork,
)
from skmemto._nn.layers import build_empty, fill_missing, reconstruction_error
from skmemto._nn.memto import MEMTOConfig, MEMTONetwork

SIZES = {
    "n_features": 3, "d_model": 8, "n_heads": 2, "n_layers": 1, "dim_feedforward": 8,
    "dropout": 0.0, "noise": 0.5,
}  # fmt: skip
MEMTO = MEMTOConfig(**SIZES, n_memory_items=4, temperature=0.1, entropy_weight=0.01)
NETWORKS = {
    "memto": lambda: MEMTONetwork(MEMTO),
    "anomaly transformer": lambda: AnomalyTransformerNetwork(
        AnomalyTransformerConfig(**SIZES, discrepancy_weight=3.0)
    ),
}


def punch_holes(X, share=0.3, seed=0):
    return np.where(
        np.random.RandomState(seed).uniform(size=X.shape) < share, np.nan, X
    )


# ---------------------------------------------------------------- networks


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_filling_is_linear_interpolation(share):
    windows = punch_holes(np.random.RandomState(1).standard_normal((4, 9, 3)), share)
    expected = np.zeros(windows.shape)
    steps = np.arange(9)
    for b, f in np.ndindex(4, 3):
        known = ~np.isnan(windows[b, :, f])
        if known.any():
            expected[b, :, f] = np.interp(steps, steps[known], windows[b, known, f])
    x = torch.from_numpy(windows)
    assert_allclose(fill_missing(x, x.isnan()), expected, rtol=1e-12, atol=1e-12)


def test_error_is_the_mean_over_what_is_observed():
    windows = punch_holes(np.random.RandomState(1).standard_normal((4, 9, 3)))
    guess = torch.zeros(windows.shape, dtype=torch.float64, requires_grad=True)
    error = reconstruction_error(guess, torch.from_numpy(windows))
    assert error.item() == pytest.approx(np.nanmean(windows**2), rel=1e-12)
    error.backward()
    n_observed = np.count_nonzero(~np.isnan(windows))
    assert_allclose(guess.grad, np.nan_to_num(-2 * windows / n_observed), rtol=1e-12)


def test_error_of_nothing_is_zero():
    guess = torch.ones(2, 3, 1, requires_grad=True)
    error = reconstruction_error(guess, torch.full((2, 3, 1), torch.nan))
    error.backward()
    assert error.item() == 0
    assert (guess.grad == 0).all()


@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)
def test_complete_windows_take_the_plain_path_bit_by_bit(make):
    network = build_empty(make)
    network.initialize(torch.Generator().manual_seed(0))
    network.train()
    windows = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(1))
    outputs = []
    for vectors in (0.0, 7.0):
        network.encoder.embedding.missing.data.fill_(vectors)
        state = {k: v.clone() for k, v in network.state_dict().items()}
        loss = network.loss(windows, torch.Generator().manual_seed(2))
        outputs.append([loss, *network(windows)])
        network.load_state_dict(state)
    for one, other in zip(*outputs, strict=True):
        assert torch.equal(one, other)
    assert torch.equal(
        reconstruction_error(windows, windows.flip(0)),
        torch.nn.functional.mse_loss(windows, windows.flip(0)),
    )


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)
def test_a_complete_window_does_not_mind_a_neighbour_with_gaps(make, precision):
    network = build_empty(make)
    network.initialize(torch.Generator().manual_seed(0))
    network.encoder.embedding.missing.data.fill_(7.0)
    network.eval()
    windows = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode(), autocast("cpu", precision):
        complete = network(windows)
        windows[0, 2:4, 1] = torch.nan
        beside_gaps = network(windows)
    for one, other in zip(complete, beside_gaps, strict=True):
        assert torch.equal(one[1], other[1])
        assert not torch.equal(one[0], other[0])


@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)
def test_network_knows_what_was_missing(make):
    network = build_empty(make)
    network.initialize(torch.Generator().manual_seed(0))
    network.encoder.embedding.missing.data.fill_(1.0)
    constant = torch.ones(1, 6, 3)
    holes = constant.clone()
    holes[0, 2, 1] = torch.nan  # interpolated, it is the same window
    (plain, _), (told, _) = network(constant), network(holes)
    assert torch.isfinite(told).all()
    assert not torch.equal(plain, told)


@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize("missing", [(0, 1), (0, slice(None)), (slice(None),)])
def test_loss_and_gradient_stay_finite(make, missing):
    network = build_empty(make)
    network.initialize(torch.Generator().manual_seed(0))
    windows = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(1))
    windows[missing] = torch.nan
    loss = network.train().loss(windows, torch.Generator().manual_seed(2))
    loss.backward()
    assert torch.isfinite(loss)
    for name, parameter in network.named_parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad).all(), name


# ---------------------------------------------------------------- scaling, criteria


@pytest.mark.parametrize("n_rows_missing", [0, 70, 200])
def test_moments_are_those_of_the_observed_values(monkeypatch, n_rows_missing):
    # A whole block without a reading must not spoil what comes after it.
    monkeypatch.setattr(_scaling, "_VALUES_PER_BLOCK", 192)
    X = punch_holes(make_waves())
    X[:n_rows_missing, 1] = np.nan
    scaler = _scaling.fit_scaler(X, np.array([[0, 400]]), True)
    assert_allclose(scaler.mean_, np.nanmean(X, axis=0))
    assert_allclose(scaler.scale_, np.nanstd(X, axis=0))
    assert_array_equal(np.isnan(_scaling.scale(scaler, X)), np.isnan(X))


def test_channel_never_seen_stays_unknown():
    X = make_waves()
    X[:, 1] = np.nan
    scaler = _scaling.fit_scaler(X, np.array([[0, 400]]), True)
    scaled = _scaling.scale(scaler, make_waves())
    assert np.isnan(scaled[:, 1]).all()
    assert np.isfinite(scaled[:, [0, 2]]).all()


def test_calibration_ignores_missing_readings():
    deviations = punch_holes(np.random.RandomState(0).uniform(size=(90, 3)))
    deviations[:40, 2] = np.nan
    calibration = calibrate([deviations[:30], deviations[30:]])
    channels = [channel[~np.isnan(channel)] for channel in deviations.T]
    scale = [channel.mean() + channel.std() for channel in channels]
    limit = [max(c.max(), s) for c, s in zip(channels, scale, strict=True)]
    assert_allclose(calibration.scale, scale)
    assert_allclose(calibration.limit, limit)


def test_criteria_look_at_observed_channels_only():
    complete = np.random.RandomState(0).uniform(size=(20, 3))
    calibration = calibrate([complete])
    holes = complete.copy()
    holes[:, 2] = np.nan
    two = [part[:2] for part in calibration]
    for full, small in [
        (
            CalibratedCriterion(calibration),
            CalibratedCriterion(type(calibration)(*two)),
        ),
        (InputDeviation(), InputDeviation()),
    ]:
        assert_array_equal(full.reduce(holes), small.reduce(complete[:, :2]))
    holes[4] = np.nan
    for criterion in (CalibratedCriterion(calibration), InputDeviation()):
        assert_array_equal(np.isnan(criterion.reduce(holes)), np.arange(20) == 4)
    parts = CalibratedCriterion(calibration).contributions(holes)
    expected = CalibratedCriterion(calibration).reduce(holes)
    assert_allclose(parts.sum(axis=1), expected, rtol=1e-12)


def test_step_without_reading_takes_no_weight_in_the_window():
    error, latent = np.ones(8), np.arange(8.0)
    error[2] = latent[2] = np.nan
    error[4:] = latent[4:] = np.nan
    scores = SoftmaxCriterion(4, 1.0).score(error, latent)
    known = np.exp(np.array([0.0, 1.0, 3.0]))
    assert_allclose(scores[[0, 1, 3]], known / known.sum())
    assert np.isnan(scores[[2, 4, 5, 6, 7]]).all()


def test_unknown_scores_take_the_average_of_their_neighbours():
    scores = np.array([1.0, np.nan, 3.0, np.nan, np.nan])
    decay = 0.5  # of a span of 3
    expected = [
        (1 + 3 * decay**2) / (1 + decay**2),
        (1 + 3) / 2,
        (3 + decay**2) / (1 + decay**2),
        np.nan,  # all that is known weighs 0.5 + 0.125 here
        np.nan,
    ]
    assert_allclose(exponential_average(scores, 3), expected)
    assert np.isnan(exponential_average(np.full(4, np.nan), 3)).all()


def test_far_from_what_is_known_there_is_no_average():
    scores = np.full(1000, np.nan)
    scores[:200] = scores[800:] = 1.0
    unknown = np.isnan(exponential_average(scores, 25))
    assert unknown[260:740].all()
    assert not unknown[:210].any() and not unknown[790:].any()


# ---------------------------------------------------------------- detectors


def test_readings_may_be_missing(make_detector):
    X, new = punch_holes(make_waves()), punch_holes(make_waves(seed=1), seed=1)
    detector = make_detector().fit(X)
    assert detector.__sklearn_tags__().input_tags.allow_nan
    assert np.isfinite(detector.score_samples(new)).all()
    assert np.isfinite(detector.reconstruct(new)).all()
    deviations = detector.deviations(new)
    assert_array_equal(np.isnan(deviations.input), np.isnan(new))
    error = (new - detector.reconstruct(new)) / detector.scaler_.scale_
    assert_allclose(deviations.input, error**2, rtol=1e-5, atol=1e-7)
    assert detector.score(new) == pytest.approx(-np.nanmean(error**2), rel=1e-5)
    parts = detector.deviations(new, calibrated=True).input
    known = ~np.isnan(new).all(axis=1)
    expected = -detector.score_samples(new)[known]
    assert_allclose(parts.sum(axis=1)[known], expected, rtol=1e-10)


def test_missing_frame_values(make_detector):
    pd = pytest.importorskip("pandas")
    X = punch_holes(make_waves())
    frame = pd.DataFrame(X).convert_dtypes()  # NaN becomes pd.NA
    assert frame.isna().to_numpy().any()
    assert_allclose(
        make_detector().fit(frame).score_samples(frame),
        make_detector().fit(X).score_samples(X),
        rtol=1e-4,
    )


def test_anomaly_is_found_beside_holes(make_detector):
    detector = make_detector(max_iter=5).fit(punch_holes(make_waves()))
    new = make_waves(seed=1)
    new[200:204] += 10 * new.std(axis=0)
    new = punch_holes(new, seed=1)
    assert 198 <= np.argmin(detector.score_samples(new)) <= 205


@pytest.mark.parametrize("criterion", ["calibrated", "softmax", "isd", "lsd"])
def test_row_without_reading_is_never_a_silent_inlier(make_detector, criterion):
    detector = make_detector(criterion=criterion).fit(punch_holes(make_waves()))
    new = make_waves(seed=1)
    new[50:53] = np.nan
    decision = detector.decision_function(new)
    assert (decision[50:53] < 0).all()
    assert (detector.predict(new)[50:53] == -1).all()
    # Not ahead of what is known to be anomalous.
    new[200:204] += 1000 * new[0].std()
    assert detector.score_samples(new)[50:53].min() > detector.score_samples(new).min()


def test_row_without_reading_gives_nothing_to_its_neighbours(make_detector, waves):
    detector = make_detector(score_stride=16).fit(waves)
    whole = make_waves(n_samples=64, seed=1)
    gap = whole.copy()
    gap[16:32] = np.nan  # one window
    groups = np.repeat([0, 1, 2, 3], 16)
    kept = np.delete(np.arange(64), np.s_[16:32])
    assert_allclose(
        detector.score_samples(gap, groups=groups)[kept],
        detector.score_samples(whole, groups=groups)[kept],
        rtol=1e-12,
    )
    assert np.isnan(detector.deviations(gap).latent[16:32]).all()


def test_rows_without_reading_do_not_set_the_threshold(make_detector, waves):
    gap = np.vstack([waves, np.full((400, 3), np.nan)])
    groups = np.repeat([0, 1], 400)
    detector = make_detector(contamination=0.1).fit(gap, groups=groups)
    labels = detector.predict(gap, groups=groups)
    assert (labels[400:] == -1).all()
    assert (labels[:400] == -1).mean() == pytest.approx(0.1, abs=0.01)


def test_channel_without_training_data_does_not_count(make_detector, waves):
    X = waves.copy()
    X[:, 1] = np.nan
    detector = make_detector().fit(X)
    new = make_waves(seed=1)
    moved = new.copy()
    moved[:, 1] += 1e6
    assert_array_equal(detector.score_samples(new), detector.score_samples(moved))
    assert np.isnan(detector.deviations(new).input[:, 1]).all()


def test_channel_without_training_data_does_not_count_unscaled(make_detector, waves):
    X = waves.copy()
    X[:, 1] = np.nan
    detector = make_detector(standardize=False).fit(X)
    moved = waves + np.array([0, 1000, 0])
    assert_array_equal(detector.score_samples(waves), detector.score_samples(moved))


def test_one_reading_is_too_few_to_know_a_channel(make_detector, waves):
    X = waves.copy()
    X[1:, 1] = np.nan
    detector = make_detector(contamination=0.01).fit(X)
    assert np.isnan(detector.reconstruct(waves)[:, 1]).all()
    assert (detector.predict(waves) == -1).mean() < 0.05


def test_long_gap_keeps_pieces_equal_to_the_whole(make_detector, waves):
    detector = make_detector(smoothing=3).fit(waves)
    new = make_waves(n_samples=1600, seed=1)
    new[395:400] += 100
    new[400:1200] = np.nan
    whole = detector.score_samples(new)
    overlap = 200
    for start in range(0, 1600, 160):
        first = max(0, start - overlap)
        piece = detector.score_samples(new[first : start + 160 + overlap])
        piece = piece[start - first :][:160]
        assert_allclose(piece, whole[start : start + 160], rtol=1e-6)
    assert np.argmin(whole) < 402


def test_held_out_rows_without_reading(make_detector, waves):
    settings = {"early_stopping": True, "validation_fraction": 0.2}
    X = waves.copy()
    X[-80:] = np.nan
    with pytest.raises(ValueError, match="held out for early stopping contain no"):
        make_detector(**settings).fit(X)
    # A series of two may lack them.
    X = np.vstack([waves, X])
    detector = make_detector(**settings).fit(X, groups=np.repeat([0, 1], 400))
    assert min(detector.validation_loss_curve_) > 0


def test_nothing_at_all_is_an_error(make_detector, waves):
    nothing = np.full((30, 3), np.nan)
    with pytest.raises(ValueError, match="contains no readings to learn from"):
        make_detector().fit(nothing)
    detector = make_detector().fit(waves)
    with pytest.raises(ValueError, match="contains no reading"):
        detector.score(nothing)
    assert (detector.predict(nothing) == -1).all()


def test_scaler_stays_a_scaler():
    X = make_waves()
    ours = _scaling.fit_scaler(X, np.array([[0, 400]]), True)
    assert_array_equal(ours.mean_, StandardScaler().fit(X).mean_)
