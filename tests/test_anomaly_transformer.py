"""What only AnomalyTransformerDetector does."""

import pytest
from conftest import QUICK
from numpy.testing import assert_array_equal

from skmemto import AnomalyTransformerDetector


@pytest.fixture
def detector():
    return AnomalyTransformerDetector(**QUICK, random_state=0)


def test_one_phase_of_training(detector, waves):
    detector.set_params(max_iter=4).fit(waves)
    assert detector.n_iter_ == len(detector.loss_curve_) == 4
    assert detector.loss_curve_[-1] < detector.loss_curve_[0]
    detector.set_params(max_iter=30, n_iter_no_change=2, tol=0.5, early_stopping=True)
    detector.fit(waves)
    assert detector.n_iter_ == len(detector.validation_loss_curve_) < 30


def test_the_loss_curve_is_twice_the_error(detector, waves):
    # Windows side by side, no noise: the validation loss is what `score` averages.
    detector.set_params(noise=0.0, early_stopping=True, validation_fraction=0.5)
    detector.set_params(stride=16, score_stride=16).fit(waves[:384])
    assert detector.validation_loss_curve_[-1] == pytest.approx(
        -2 * detector.score(waves[192:384]), rel=1e-5
    )


def test_latent_deviation_is_minus_the_discrepancy(detector, waves):
    latent = detector.fit(waves).deviations(waves).latent
    assert (latent < 0).all()
    # Alone in its window a step has nothing to be associated with but itself.
    assert_array_equal(detector.deviations(waves[:1]).latent, 0)


def test_discrepancy_weight_counts_in_training(detector, waves):
    scores = {}
    for weight in (0.0, 3.0):
        detector.set_params(discrepancy_weight=weight).fit(waves)
        scores[weight] = detector.score_samples(waves)
    assert (scores[0.0] != scores[3.0]).any()
    with pytest.raises(ValueError, match="The 'discrepancy_weight' parameter of"):
        detector.set_params(discrepancy_weight=-1).fit(waves)


def test_temperature_has_no_part_in_training(detector, waves):
    scores = detector.fit(waves).score_samples(waves)
    detector.set_params(temperature=5.0).fit(waves)
    assert_array_equal(detector.score_samples(waves), scores)
