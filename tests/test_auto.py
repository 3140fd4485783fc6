"""What "auto" means."""

import numpy as np
import pytest

from skmemto import _auto


@pytest.mark.parametrize(
    "n_samples, expected", [(2, 1), (20, 1), (40, 2), (400, 20), (10**6, "longest")]
)
def test_window_size(n_samples, expected):
    series = np.array([[0, n_samples]])
    longest = _auto.window_size("auto", np.array([[0, 10**7]]))
    expected = longest if expected == "longest" else expected
    assert _auto.window_size("auto", series) == expected


def test_window_size_of_many_short_series():
    starts = np.arange(0, 10_000, 5)
    assert _auto.window_size("auto", np.column_stack([starts, starts + 5])) == 5


def test_training_stride():
    def stride(n_samples):
        return _auto.training_stride("auto", np.array([[0, n_samples]]), 50)

    assert stride(100) == 1
    assert 1 < stride(20_000) < 50
    assert stride(10**7) == 50
    assert _auto.training_stride(7, np.array([[0, 100]]), 50) == 7


def test_batch_size():
    assert _auto.batch_size("auto", 20) == 4
    assert _auto.batch_size("auto", 381) == 11
    assert _auto.batch_size("auto", 10**6) == 32
    assert _auto.batch_size(7, 20) == 7


def test_score_stride():
    assert _auto.score_stride("auto", "softmax", 40) == 40
    assert 1 <= _auto.score_stride("auto", "calibrated", 40) < 40
    assert _auto.score_stride("auto", "calibrated", 1) == 1
    assert _auto.score_stride(3, "softmax", 40) == 3
    assert _auto.score_stride(99, "isd", 40) == 40


def test_smoothing():
    assert _auto.smoothing("auto", "calibrated", 1) == 1
    assert _auto.smoothing("auto", "calibrated", 2) == 1
    assert _auto.smoothing("auto", "calibrated", 50) == 20
    for criterion in ("softmax", "isd", "lsd"):
        assert _auto.smoothing("auto", criterion, 40) == 1
    assert _auto.smoothing(3, "isd", 40) == 3
