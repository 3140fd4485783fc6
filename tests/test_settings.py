"""Settings: every "auto" resolved, and the criterion that goes with them."""

import pytest
from conftest import DETECTORS, make_calibrated

from skmemto import MEMTODetector
from skmemto._criteria import (
    CalibratedCriterion,
    Calibration,
    InputDeviation,
    LatentDeviation,
    SoftmaxCriterion,
)
from skmemto._lookahead import Lookahead
from skmemto._settings import Settings


@pytest.mark.parametrize("cls", DETECTORS, ids=lambda cls: cls.__name__)
def test_each_auto_is_resolved(cls):
    settings = Settings.of(cls(), 50, 0.5)
    expected = ("calibrated", 0.5, 20, 25, Lookahead(None, None), 1500, True, "float32")
    assert settings == expected
    assert settings.is_calibrated


def test_what_is_asked_for_is_taken():
    detector = MEMTODetector(
        criterion="isd", smoothing=3, score_stride=99, lookahead=5, rebase=None
    )
    settings = Settings.of(detector, 10, 1)
    assert settings == ("isd", 1.0, 3, 10, Lookahead(2, 3), 300, False, "float32")
    assert not settings.is_calibrated


def test_channels_are_followed_by_rarities_alone():
    assert Settings.of(MEMTODetector(rebase=60), 10, 1).follows_levels
    assert not Settings.of(MEMTODetector(rebase=60, criterion="lsd"), 10, 1)[6]


def test_each_criterion():
    calibrated = make_calibrated(Calibration([1.0], [2.0]), span=3)
    settings = Settings.of(MEMTODetector(smoothing=3, lookahead=5), 10, 0.7)

    def made(criterion, follower=None):
        return settings._replace(criterion=criterion).to_criterion(
            calibrated, 10, follower
        )

    assert made("isd") == InputDeviation(3, 3)
    assert made("lsd") == LatentDeviation(3, 3)
    assert made("softmax") == SoftmaxCriterion(3, 10, 0.7)
    followed = made("calibrated", follower="one")
    assert isinstance(followed, CalibratedCriterion) and followed.follower == "one"
