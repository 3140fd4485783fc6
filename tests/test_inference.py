"""Windows -> what the network says of each row."""

import naive
import numpy as np
import pytest
import torch
from conftest import TINY, make_network, random_tensor
from numpy.testing import assert_allclose, assert_array_equal

from skmemto._inference import (
    iter_outputs_of_rows,
    iter_row_outputs,
)
from skmemto._scaling import ChannelScaler
from skmemto._series import rows_of
from skmemto._windows import WindowBlock, WindowReader, window_blocks

SERIES = np.array([[0, 700], [700, 703], [703, 1400], [1400, 1409], [1409, 1412]])
X = random_tensor(1412, 2)


class Network:
    """Says of each step what its value and its place make of it; keeps what it saw."""

    def __init__(self, dtype=torch.float32):
        self.asked, self.dtype = [], dtype

    def __call__(self, windows):
        assert torch.is_inference_mode_enabled()
        self.asked.append(windows)
        steps = torch.arange(windows.shape[1])
        reconstruction = 0.5 * windows + 0.1 * steps[:, None]
        latent = windows.square().sum(dim=-1) + 0.01 * steps**2
        return reconstruction.to(self.dtype), latent.to(self.dtype)


def get_windows(starts, length):
    return torch.stack([X[start : start + length] for start in starts])


def run(network, blocks, precision="float32"):
    """Put what is yielded together: rows, reconstruction, latent."""
    outputs = iter_row_outputs(
        network, get_windows, blocks, device="cpu", precision=precision
    )
    return [np.concatenate(parts) for parts in zip(*outputs, strict=True)]


@pytest.mark.parametrize(("window_size", "stride"), [(9, 1), (9, 4), (9, 9), (1, 1)])
def test_it_is_a_loop_over_windows(window_size, stride):
    def one(window):
        outputs = Network()(torch.from_numpy(window)[None])
        return [output[0].numpy() for output in outputs]

    with torch.inference_mode():
        expected = naive.row_outputs(one, X.numpy(), SERIES, window_size, stride)
    rows, *found = run(Network(), window_blocks(SERIES, window_size, stride))
    assert_array_equal(np.sort(rows), np.arange(len(X)))  # each once
    for array, of_rows in zip(found, expected, strict=True):
        assert array.dtype == np.float64
        assert_allclose(array, of_rows[rows], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("length", "n_windows", "expected"),
    [
        (50, 1, [4]),  # 200 steps, the first multiple of 8 that is 100 or more
        (50, 5, [8]),
        (50, 9, [20]),
        (50, 21, [44]),
        (50, 44, [44]),
        (50, 45, [44, 44]),
        (10, 12, [12]),
        (10, 205, [208]),
        (10, 700, [208] * 4),
        (1, 1, [104]),
        (1, 105, [400]),
        (1, 401, [1000]),
        (1, 1001, [2048]),
        (257, 3, [7]),  # no multiple of 8 is that small
        (2048, 2, [1, 1]),
        (3000, 3, [1, 1, 1]),
    ],
)
def test_batches_have_one_of_few_shapes(length, n_windows, expected):
    network = Network()
    windows = torch.zeros(1, length, 2)

    def get_zeros(starts, length):
        assert (starts < n_windows).all()
        return windows.expand(len(starts), length, 2)

    blocks = [WindowBlock(length, np.arange(n_windows))]
    for _ in iter_row_outputs(
        network, get_zeros, blocks, device="cpu", precision="float32"
    ):
        pass
    assert [len(batch) for batch in network.asked] == expected


def test_the_last_batch_is_padded_with_its_last_window():
    network = Network()
    rows, _, _ = run(network, [WindowBlock(10, np.array([0, 10, 20]))])
    assert_array_equal(rows, np.arange(30))
    (batch,) = network.asked
    assert len(batch) > 3
    for i, window in enumerate(batch):
        start = 10 * min(i, 2)
        assert torch.equal(window, X[start : start + 10])


@pytest.mark.parametrize("length", [1, 2, 3, 5, 6, 7, 12, 25, 30, 50])
@pytest.mark.parametrize("n_features", [1, 3, 25])
@pytest.mark.parametrize("network_class", TINY)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_results_do_not_depend_on_how_many_rows_came(
    network_class, precision, n_features, length
):
    # Bitwise: products of matrices of other shapes may be rounded otherwise.
    network = make_network(
        network_class, n_features=n_features, d_model=64, n_heads=4, n_layers=1
    )
    values = random_tensor(8000, n_features)

    def get_windows(starts, length):
        return torch.stack([values[start : start + length] for start in starts])

    def run(starts):
        outputs = iter_row_outputs(
            network,
            get_windows,
            [WindowBlock(length, starts)],
            device="cpu",
            precision=precision,
        )
        return [np.concatenate(parts) for parts in zip(*outputs, strict=True)]

    starts = np.arange(0, 8000 - length, max(length, 4))[: 4500 // length]
    all_rows, *of_all = run(starts)
    n_all = len(starts)
    for first, stop in [(0, 1), (3, 5), (4, 4 + 300 // length), (n_all // 3, n_all)]:
        rows, *some = run(starts[first:stop])
        same = np.searchsorted(all_rows, rows)
        for array, expected in zip(some, of_all, strict=True):
            assert_array_equal(array, expected[same])


@pytest.mark.parametrize("network_class", TINY)
def test_precision_is_that_of_products(network_class):
    network = make_network(network_class)
    blocks = window_blocks(SERIES, 9, 4)
    full, half = (run(network, blocks, p)[1] for p in ("float32", "bfloat16"))
    assert full.dtype == half.dtype == np.float64
    assert (full != half).any()
    assert_allclose(half, full, rtol=0.1, atol=0.1)


def test_what_a_network_says_in_bfloat16_is_averaged_in_float64():
    blocks = window_blocks(SERIES[:1], 8, 1)
    rows, found, _ = run(Network(torch.bfloat16), blocks)
    with torch.inference_mode():
        said = Network(torch.bfloat16)(get_windows(blocks[0].starts, 8))[0]
    expected = naive.merge_overlaps(blocks[0].starts.tolist(), said.double().numpy())
    assert_allclose(found, [expected[row] for row in rows], rtol=1e-12)


def test_of_no_windows_nothing_is_said():
    assert not list(
        iter_row_outputs(Network(), get_windows, [], device="cpu", precision="float32")
    )


# ---------------------------------------------------------------- a window for each row


def of_rows(network, rows, series=SERIES, window_size=9, lookahead=0):
    scaler = ChannelScaler(standardize=False).fit(X.numpy())
    reader = WindowReader(X.numpy(), scaler, "cpu")
    outputs = iter_outputs_of_rows(
        network,
        reader,
        rows,
        series,
        window_size=window_size,
        lookahead=lookahead,
        precision="float32",
    )
    return [np.concatenate(parts) for parts in zip(*outputs, strict=True)]


@pytest.mark.parametrize(("window_size", "lookahead"), [(9, 0), (9, 4), (1, 0)])
def test_each_row_has_a_window_of_its_own(window_size, lookahead):
    def one(window):
        outputs = Network()(torch.from_numpy(window)[None])
        return [output[0].numpy() for output in outputs]

    with torch.inference_mode():
        expected = naive.outputs_of_rows(one, X.numpy(), SERIES, window_size, lookahead)
    all_rows = rows_of(SERIES)
    rows, *found = of_rows(
        Network(), all_rows, window_size=window_size, lookahead=lookahead
    )
    assert_array_equal(rows, all_rows)
    for array, of_naive in zip(found, expected, strict=True):
        assert array.dtype == np.float64
        assert_allclose(array, of_naive, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("n_rows", "window_size", "expected"),
    [
        (1, 50, [2]),
        (2, 50, [2]),
        (3, 50, [8]),
        (9, 50, [20]),
        (21, 50, [40]),
        (41, 50, [40, 40]),
        (1, 1, [100]),
        (3, 2000, [1, 1, 1]),
    ],
)
def test_a_few_rows_make_a_small_batch(n_rows, window_size, expected):
    network = Network()
    of_rows(network, np.arange(n_rows), window_size=window_size)
    assert [len(batch) for batch in network.asked] == expected


@pytest.mark.parametrize("window_size", [2, 10, 50])
@pytest.mark.parametrize("network_class", TINY)
def test_bits_do_not_hang_on_how_many_rows_are_asked_for(network_class, window_size):
    network = make_network(
        network_class, n_features=2, d_model=64, n_heads=4, n_layers=2
    )
    rows = np.arange(90)
    _, *whole = of_rows(network, rows, window_size=window_size)
    for n in (1, 3, 8, 40):
        parts = [
            of_rows(network, part, window_size=window_size)[1:]
            for part in np.split(rows, range(n, 90, n))
        ]
        for of_parts, of_all in zip(zip(*parts, strict=True), whole, strict=True):
            assert_array_equal(np.concatenate(of_parts), of_all)
