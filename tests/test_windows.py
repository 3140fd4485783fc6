"""Series -> windows, and windows -> series."""

from itertools import pairwise

import naive
import numpy as np
import pytest
import torch
from conftest import make_waves, punch_holes
from hypothesis import given, settings
from hypothesis import strategies as st

from skmemto._scaling import ChannelScaler
from skmemto._series import rows_of
from skmemto._windows import (
    WindowReader,
    merge_overlaps,
    row_windows,
    take_windows,
    window_blocks,
)

quick = settings(deadline=None, derandomize=True, max_examples=100)


@st.composite
def several_series(draw):
    """Series in order, some with rows between them that belong to none."""
    lengths = draw(st.lists(st.integers(1, 25), min_size=1, max_size=5))
    gaps = draw(
        st.lists(st.integers(0, 3), min_size=len(lengths), max_size=len(lengths))
    )
    series, row = [], 0
    for length, gap in zip(lengths, gaps, strict=True):
        series.append((row + gap, row + gap + length))
        row += gap + length
    return np.array(series, dtype=np.int64)


@st.composite
def windowed_series(draw):
    """Series, and a window size and a stride that leave no row out."""
    window_size = draw(st.integers(1, 12))
    return draw(several_series()), window_size, draw(st.integers(1, window_size))


def listed(blocks):
    return [(int(start), block.length) for block in blocks for start in block.starts]


@quick
@given(several_series(), st.integers(1, 12), st.integers(1, 30))
def test_windows_equal_naive(series, window_size, stride):
    blocks = window_blocks(series, window_size, stride)
    expected = naive.windows(series.tolist(), window_size, stride)
    assert sorted(listed(blocks)) == sorted(expected)
    for block in blocks:
        assert type(block.length) is int
        assert block.starts.dtype == np.int64
        assert (np.diff(block.starts) > 0).all()
    block_lengths = [block.length for block in blocks]
    assert block_lengths == sorted(set(block_lengths), reverse=True)


@quick
@given(several_series(), st.integers(1, 12), st.integers(1, 30))
def test_windows_never_cross_a_border(series, window_size, stride):
    for start, length in listed(window_blocks(series, window_size, stride)):
        inside = (series[:, 0] <= start) & (start + length <= series[:, 1])
        assert inside.sum() == 1
        stop = series[inside, 1] - series[inside, 0]
        assert length == min(window_size, stop[0])


@quick
@given(windowed_series())
def test_every_row_is_in_some_window(drawn):
    series, window_size, stride = drawn
    covered = np.zeros(series[-1, 1], dtype=bool)
    for start, length in listed(window_blocks(series, window_size, stride)):
        covered[start : start + length] = True
    expected = np.zeros_like(covered)
    for start, stop in series:
        expected[start:stop] = True
    np.testing.assert_array_equal(covered, expected)


@quick
@given(several_series(), st.integers(1, 12), st.integers(1, 30))
def test_first_and_last_row_of_a_series_are_in_a_window(series, window_size, stride):
    windows = listed(window_blocks(series, window_size, stride))
    assert {start for start, _ in windows} >= set(series[:, 0])
    assert {start + length for start, length in windows} >= set(series[:, 1])


def test_windows_by_hand():
    # One series of 10 rows, one too short for the window, one of just its size.
    series = np.array([[0, 10], [10, 12], [12, 16]])
    long, short = window_blocks(series, 4, 3)
    assert (long.length, long.starts.tolist()) == (4, [0, 3, 6, 12])
    assert (short.length, short.starts.tolist()) == (2, [10])
    long, _ = window_blocks(series, 4, 4)
    assert long.starts.tolist() == [0, 4, 6, 12]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("length", [1, 3])
def test_take_windows(length, dtype):
    X = np.arange(20, dtype=dtype).reshape(10, 2)
    windows = take_windows(X, np.array([0, 5, 10 - length, 5]), length)
    assert windows.shape == (4, length, 2)
    assert windows.dtype == dtype
    for start, window in zip([0, 5, 10 - length, 5], windows, strict=True):
        np.testing.assert_array_equal(window, X[start : start + length])


def test_take_windows_copies():
    X = np.zeros((5, 1))
    take_windows(X, np.array([0, 1]), 3)[:] = 1
    assert (X == 0).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_reader_gives_scaled_rows_and_windows(dtype):
    X = punch_holes(make_waves()).astype(dtype)
    scaler = ChannelScaler().fit(X)
    reader = WindowReader(X, scaler, "cpu")
    expected = scaler.transform(X)
    rows = reader.rows(np.array([3, 0, 399]))
    assert rows.dtype == np.float64
    np.testing.assert_array_equal(rows, expected[[3, 0, 399]])
    windows = reader.windows(np.array([20, 0, 395]), 5)
    assert (windows.dtype, windows.device.type) == (torch.float32, "cpu")
    for start, window in zip([20, 0, 395], windows.numpy(), strict=True):
        expected_window = expected[start : start + 5].astype(np.float32)
        np.testing.assert_array_equal(window, expected_window)


def even_scaler(standardize=True):
    """Mean 0, standard deviation 1; beyond 3 values are absurd."""
    return ChannelScaler(standardize).fit(np.tile([[-1.0], [1.0]], (10, 1)))


def seen(reader):
    """The first channel of all rows, as a network sees it in one window."""
    return reader.windows(np.array([0]), len(reader.X))[0, :, 0]


@pytest.mark.parametrize("standardize", [True, False])
def test_reader_clips_what_a_network_sees_of_standardized_values(standardize):
    scaler = even_scaler(standardize)
    scaler.lower_, scaler.upper_ = np.array([-np.inf]), np.array([np.inf])
    X = np.array([[29.0], [31.0], [-31.0], [1e9], [np.nan], [1e300]])
    reader = WindowReader(X, scaler, "cpu")
    cut_off = [29, 31, -31, 1e9, np.nan, 1e15]  # by the scaler
    np.testing.assert_array_equal(reader.rows(np.arange(6))[:, 0], cut_off)
    clipped = [29, 30, -30, 30, np.nan, 30] if standardize else np.float32(cut_off)
    np.testing.assert_array_equal(seen(reader), clipped)


@pytest.mark.parametrize("standardize", [True, False])
def test_a_network_never_sees_absurd_values(standardize):
    X = np.array([[0.5], [2.9], [-3.1], [1e300], [np.nan], [-0.5]])
    reader = WindowReader(X, even_scaler(standardize), "cpu")
    hidden = np.float32([0.5, 2.9, np.nan, np.nan, np.nan, -0.5])
    np.testing.assert_array_equal(seen(reader), hidden)
    # But they are there to be compared with what is expected.
    rows = reader.rows(np.arange(6))[:, 0]
    np.testing.assert_array_equal(rows, [0.5, 2.9, -3.1, 1e15, np.nan, -0.5])
    assert X[3, 0] == 1e300


def test_of_normal_rows_absurd_values_are_missing():
    X = np.array([[0.5], [4.0], [-4.0], [2.9]])
    reader = WindowReader(X, even_scaler(), "cpu", normal=True)
    rows = reader.rows(np.array([3, 2, 0]))[:, 0]
    np.testing.assert_array_equal(rows, [2.9, np.nan, 0.5])


def test_a_network_does_not_see_that_a_constant_channel_moves():
    train = np.column_stack([make_waves(), np.full(400, 3.0)])
    X = train.copy()
    X[10, 3], X[11, 3], X[12, 3] = 4.5, np.nextafter(3.0, 4), np.nan
    reader = WindowReader(X, ChannelScaler().fit(train), "cpu")
    assert (reader.windows(np.array([0]), 400)[..., 3] == 0).all()
    moved = reader.rows(np.arange(9, 14))[:, 3]
    np.testing.assert_allclose(moved, [0, 0.5, 0, np.nan, 0], rtol=1e-12)


def test_reader_leaves_the_data_alone():
    X = punch_holes(make_waves())
    X.flags.writeable = False
    reader = WindowReader(X, ChannelScaler().fit(X), "cpu")
    reader.windows(np.array([0]), 400).fill_(0.0)
    reader.rows(np.arange(400)).fill(0.0)
    assert np.nanstd(X) > 0


def test_reader_puts_windows_on_the_device():
    X = make_waves()
    reader = WindowReader(X, ChannelScaler().fit(X), "meta")
    assert reader.windows(np.array([0, 1]), 5).device.type == "meta"


def in_batches(starts, values, cuts):
    """Cut windows into batches, none of them empty."""
    borders = [*sorted({cut % len(starts) for cut in cuts} | {0}), len(starts)]
    for first, last in pairwise(borders):
        yield starts[first:last], values[first:last]


def merged(starts, values, cuts):
    """Merge, as one array of rows and one of their means."""
    parts = list(merge_overlaps(in_batches(starts, values, cuts)))
    rows, means = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return rows, means


cuts = st.lists(st.integers(0, 100), max_size=6)


@quick
@given(windowed_series(), cuts, st.integers(0, 1000))
def test_merge_overlaps_equals_naive(drawn, cuts, seed):
    series, window_size, stride = drawn
    rng = np.random.RandomState(seed)
    for block in window_blocks(series, window_size, stride):
        values = rng.standard_normal((len(block.starts), block.length, 2))
        expected = naive.merge_overlaps(block.starts.tolist(), values)
        rows, means = merged(block.starts, values, cuts)
        assert rows.tolist() == list(expected)
        np.testing.assert_allclose(
            means, list(expected.values()), rtol=1e-10, atol=1e-14
        )


@quick
@given(windowed_series(), cuts, st.integers(0, 1000))
def test_merge_overlaps_returns_what_all_windows_agree_on(drawn, cuts, seed):
    series, window_size, stride = drawn
    # Whole numbers, so that their sums are exact.
    X = np.random.RandomState(seed).randint(-1000, 1000, (series[-1, 1], 3))
    X = X.astype(np.float64)
    times_seen = np.zeros(len(X), dtype=int)
    for block in window_blocks(series, window_size, stride):
        values = take_windows(X, block.starts, block.length)
        rows, means = merged(block.starts, values, cuts)
        np.testing.assert_array_equal(means, X[rows])
        assert (np.diff(rows) > 0).all()
        times_seen[rows] += 1
    for start, stop in series:
        assert (times_seen[start:stop] == 1).all()
        times_seen[start:stop] = 0
    assert (times_seen == 0).all()


@quick
@given(windowed_series(), cuts, cuts)
def test_batches_do_not_change_the_merge(drawn, cuts, other_cuts):
    series, window_size, stride = drawn
    rng = np.random.RandomState(0)
    for block in window_blocks(series, window_size, stride):
        shape = (len(block.starts), block.length, 2)
        values = rng.standard_normal(shape).astype(np.float32)
        rows, means = merged(block.starts, values, cuts)
        other_rows, other_means = merged(block.starts, values, other_cuts)
        np.testing.assert_array_equal(rows, other_rows)
        np.testing.assert_array_equal(means, other_means)


def test_merge_overlaps_keeps_only_the_rows_that_may_still_change():
    # Each batch lets go of all rows before its first window.
    starts = np.arange(0, 100, 2)
    values = np.ones((50, 4, 1))
    batches = ((starts[i : i + 1], values[i : i + 1]) for i in range(50))
    sizes = [len(rows) for rows, _ in merge_overlaps(batches)]
    assert sizes == [2] * 49 + [4]


def test_merge_overlaps_averages_in_double_precision():
    # In float32 the sum of 100 such windows is off by more than 1e-5.
    values = np.full((100, 100, 1), 1000.1, dtype=np.float32)
    _, means = merged(np.arange(100), values, [])
    assert means.dtype == np.float64
    np.testing.assert_allclose(means, float(np.float32(1000.1)), rtol=1e-12)


def test_merge_overlaps_of_nothing_is_nothing():
    assert list(merge_overlaps([])) == []


# ---------------------------------------------------------------- one for each row


@quick
@given(several_series(), st.integers(1, 12), st.integers(0, 5), st.integers(0, 99))
def test_windows_of_rows_hold_them_and_nothing_later(series, length, ahead, seed):
    ahead = min(ahead, length - 1)
    all_rows = rows_of(series)
    rows = np.random.default_rng(seed).choice(all_rows, 7)
    X = np.arange(all_rows[-1] + 1.0)[:, np.newaxis]
    starts, begins = row_windows(rows, series, length, ahead)
    windows = take_windows(X, starts, length, begins)[:, :, 0]
    for row, start, window in zip(rows, starts, windows, strict=True):
        ((first, stop),) = series[(series[:, 0] <= row) & (row < series[:, 1])]
        assert window[row - start] == row
        assert window[-1] == min(row + ahead, stop - 1)
        # In steps of one row, but for what is filled with the first.
        assert set(np.diff(window)) <= {0, 1}
        assert window[0] == max(start, first)
        assert (np.diff(window) == 0).sum() == max(0, first - start)


def test_a_reader_fills_what_is_before_a_series():
    X = make_waves(60)
    reader = WindowReader(X, ChannelScaler().fit(X), "cpu")
    starts, begins = np.array([-3, 16]), np.array([0, 18])
    filled = reader.windows(starts, 5, begins)
    whole = reader.windows(np.array([0]), 60)[0]
    assert torch.equal(filled[0], whole[[0, 0, 0, 0, 1]])
    assert torch.equal(filled[1], whole[[18, 18, 18, 19, 20]])
