"""scikit-learn's own checks."""

import pytest
from conftest import DETECTORS
from sklearn.ensemble import IsolationForest
from sklearn.utils.estimator_checks import parametrize_with_checks

from skmemto import PerGroupDetector

ORDER_MATTERS = {
    "check_methods_sample_order_invariance": (
        "a window holds neighbouring rows, so a score depends on their order"
    ),
    "check_methods_subset_invariance": (
        "a row scored alone stands in another window than among its neighbours"
    ),
}


@parametrize_with_checks([detector() for detector in DETECTORS])
def test_default(estimator, check):
    check(estimator)


@parametrize_with_checks([detector(lookahead=0, max_iter=1) for detector in DETECTORS])
def test_looking_back_only(estimator, check):
    check(estimator)


# Strict: that the two checks fail proves that the windows are real. Fewer epochs,
# since the default above has shown that training passes.
@parametrize_with_checks(
    [detector(window_size=8, max_iter=1) for detector in DETECTORS],
    expected_failed_checks=lambda estimator: ORDER_MATTERS,
    xfail_strict=True,
)
# The checks fit on as few as 1 to 6 rows, where a window of 8 is clipped.
@pytest.mark.filterwarnings("ignore:window_size:UserWarning")
def test_windowed(estimator, check):
    check(estimator)


# What the checks see is the wrapper; a cheap estimator in it will do.
@parametrize_with_checks(
    [PerGroupDetector(IsolationForest(n_estimators=5, random_state=0))]
)
def test_per_group(estimator, check):
    check(estimator)


@pytest.mark.parametrize("parameters", [{}, {"window_size": 8}])
@pytest.mark.parametrize("detector", DETECTORS)
def test_no_misleading_tags(detector, parameters):
    tags = detector(**parameters).__sklearn_tags__()
    assert not tags.non_deterministic
    assert not tags.no_validation
    assert not tags._skip_test
    assert tags.estimator_type == "outlier_detector"
