"""Data larger than memory: a read-only memmap is read piece by piece."""

import tracemalloc

import numpy as np
import pytest
from conftest import QUICK, make_waves
from numpy.testing import assert_array_equal

from skmemto import MEMTODetector, _blockwise, _scoring

# As little work for a row as can be: what counts is what is allocated for it.
CHEAP = QUICK | {"d_model": 4, "n_heads": 1, "score_stride": 16, "stride": 1000}
MISSING_ROW = 100


def open_read_only(path, X):
    """Store X and open it again, as a user would who has no room for it."""
    np.save(path, X)
    return np.load(path, mmap_mode="r")


@pytest.mark.parametrize(
    ("dtype", "order"), [(np.float32, "C"), (np.float32, "F"), (np.float64, "C")]
)
def test_memmap_equals_memory(make_detector, tmp_path, dtype, order):
    X = np.asarray(make_waves(), dtype=dtype, order=order)
    X[7, 1], X[MISSING_ROW] = np.nan, np.nan
    groups = np.repeat(["a", "b"], [150, 250])
    X_mapped = open_read_only(tmp_path / "X.npy", X)
    expected = make_detector().fit(X, groups=groups)
    detector = make_detector().fit(X_mapped, groups=groups)
    assert detector.offset_ == expected.offset_
    for name in ("score_samples", "predict"):
        assert_array_equal(
            getattr(detector, name)(X_mapped, groups=groups),
            getattr(expected, name)(X, groups=groups),
        )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_validated_memmap_is_the_file_itself(make_detector, tmp_path, dtype):
    X_mapped = open_read_only(tmp_path / "X.npy", make_waves().astype(dtype))
    X, _ = make_detector()._validate(X_mapped, None, reset=True)
    assert np.shares_memory(X, X_mapped)
    assert X.dtype == dtype


def peak_bytes(function, X):
    tracemalloc.start()
    try:
        function(X)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("criterion", "n_arrays"), [("calibrated", 3), ("softmax", 3)])
def test_memory_is_that_of_few_numbers_a_row(
    tmp_path, monkeypatch, criterion, n_arrays
):
    monkeypatch.setattr(_blockwise, "_VALUES_PER_BLOCK", 4096)  # small beside the rows
    monkeypatch.setattr(_scoring, "_MOST_BYTES", 4096)
    long = np.tile(make_waves(n_features=4), (100, 2)).astype(np.float32)
    long[MISSING_ROW] = np.nan
    long = open_read_only(tmp_path / "X.npy", np.asfortranarray(long))  # 40,000 x 8
    short = long[: len(long) // 4]
    detector = MEMTODetector(**CHEAP, criterion=criterion, random_state=0)
    detector.fit(short[:1000])  # what torch imports on the way does not count
    for function in (detector.fit, detector.score_samples):
        short_peak, long_peak = (peak_bytes(function, X) for X in (short, long))
        a_row = (long_peak - short_peak) / (len(long) - len(short))
        # Arrays of float64, a mask, and a window's start every 16 rows; the values
        # of a row would be 32 bytes, or 64 in float64.
        assert a_row < 8 * n_arrays + 2
