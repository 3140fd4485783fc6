"""Missing values (NaN), all along the path of the data."""

import numpy as np
import pytest
from conftest import make_waves, punch_holes
from numpy.testing import assert_allclose, assert_array_equal


def test_values_may_be_missing(make_detector):
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
def test_row_without_value_is_never_a_silent_inlier(make_detector, criterion):
    detector = make_detector(criterion=criterion).fit(punch_holes(make_waves()))
    new = make_waves(seed=1)
    new[50:53] = np.nan
    assert (detector.decision_function(new)[50:53] < 0).all()
    assert (detector.predict(new)[50:53] == -1).all()
    # Not ahead of any row that is known to be anomalous.
    just_beyond = np.nextafter(detector.offset_, -np.inf)
    assert_array_equal(detector.score_samples(new)[50:53], just_beyond)
    if criterion in ("calibrated", "isd"):  # of the others absurd values are hidden
        new[200:204] += 1000 * new[0].std()
        scores = detector.score_samples(new)
        assert scores[50:53].min() > scores[200:204].max()


def test_row_without_value_gives_nothing_to_its_neighbours(make_detector, waves):
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


def test_rows_without_value_do_not_set_the_threshold(make_detector, waves):
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


def test_one_value_is_too_few_to_know_a_channel(make_detector, waves):
    X = waves.copy()
    X[1:, 1] = np.nan
    detector = make_detector(contamination=0.01).fit(X)
    assert np.isnan(detector.reconstruct(waves)[:, 1]).all()
    assert (detector.predict(waves) == -1).mean() < 0.05


def test_long_gap_keeps_pieces_equal_to_the_whole(make_detector, waves):
    detector = make_detector(smoothing=3).fit(waves)
    new = make_waves(n_samples=4000, seed=1)
    new[395:400] += 100
    new[400:2400] = np.nan
    whole = detector.score_samples(new)
    overlap = 800
    for start in range(0, 4000, 160):
        first = max(0, start - overlap)
        piece = detector.score_samples(new[first : start + 160 + overlap])
        piece = piece[start - first :][:160]
        assert_allclose(piece, whole[start : start + 160], rtol=1e-6)
    assert np.argmin(whole) < 402


def test_held_out_rows_without_value(make_detector, waves):
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
    with pytest.raises(ValueError, match="contains no values to learn from"):
        make_detector().fit(nothing)
    detector = make_detector().fit(waves)
    with pytest.raises(ValueError, match="contains no value"):
        detector.score(nothing)
    assert (detector.predict(nothing) == -1).all()
