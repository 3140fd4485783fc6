"""A long series scored in pieces that overlap: the README's recipe and formula."""

import numpy as np
import pytest
from conftest import QUICK, make_waves
from numpy.testing import assert_array_equal

from skmemto import MEMTODetector

X = make_waves(6001)
X[700:710] *= 3


def fitted(**parameters):
    return MEMTODetector(**{**QUICK, **parameters}, random_state=0).fit(X[:400])


def score_in_pieces(detector, overlap, piece):
    def piece_scores(start):
        first = max(0, start - overlap)
        scores = detector.score_samples(X[first : start + piece + overlap])
        return scores[start - first :][:piece]

    return np.concatenate([piece_scores(i) for i in range(0, len(X), piece)])


@pytest.mark.parametrize("window_size", [1, 3, 4, 6, 9, 16])
def test_default_criterion(window_size):
    detector = fitted(window_size=window_size)
    half = max(1, window_size // 2)
    whole = detector.score_samples(X)
    in_pieces = score_in_pieces(detector, 200 * half, 40 * half)
    assert_close(in_pieces, whole)
    # It takes the overlap.
    if window_size > 1:
        assert_far(score_in_pieces(detector, 0, 40 * half), whole)
    if window_size > 4:  # or nothing is smoothed
        assert_far(score_in_pieces(detector, 3 * half, 40 * half), whole)


@pytest.mark.parametrize("stride, span", [(5, 7), (16, 1), (1, 3)])
def test_other_strides_and_spans(stride, span):
    detector = fitted(score_stride=stride, smoothing=span)
    overlap = stride * -(-(16 + 240 * span) // stride)
    assert_close(
        score_in_pieces(detector, overlap, 20 * stride), detector.score_samples(X)
    )


@pytest.mark.parametrize("criterion", ["isd", "lsd", "softmax"])
def test_without_smoothing_a_window_is_enough_for_equal_scores(criterion):
    detector = fitted(criterion=criterion)
    assert_array_equal(score_in_pieces(detector, 16, 96), detector.score_samples(X))


def test_dask_array():
    da = pytest.importorskip("dask.array")
    detector = fitted()
    half = detector.window_size_ // 2
    overlap, piece = 200 * half, 200 * half
    n_pieces = len(X) // piece
    lengths = (piece,) * (n_pieces - 1) + (len(X) - piece * (n_pieces - 1),)
    scores = da.from_array(X, chunks=(lengths, -1)).map_overlap(
        detector.score_samples,
        depth={0: overlap, 1: 0},
        boundary="none",
        drop_axis=1,
        meta=np.empty(0),
    )
    assert scores.shape == (len(X),)
    assert_close(scores.compute(), detector.score_samples(X))


def assert_close(scores, whole):
    """Within what the README promises."""
    assert difference(scores, whole) < 1e-8


def assert_far(scores, whole):
    assert difference(scores, whole) > 1e-4


def difference(scores, whole):
    return np.abs(scores - whole).max() / np.abs(whole).max()
