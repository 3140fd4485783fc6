"""Windows -> what the network says of each row.

The counterpart of the epoch loop: it, too, knows no network by name.
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from skmemto._blockwise import batches
from skmemto._device import autocast
from skmemto._series import SeriesBounds
from skmemto._windows import WindowBlock, WindowReader, merge_overlaps, row_windows

# Steps that go through the network at once. The number is fixed, so that a score
# does not depend on how many rows came with it, and small, so that scoring a
# single window stays cheap.
_STEPS_PER_BATCH = 2048
# Of few rows, such as live ones: a batch of so many steps, where that is enough for
# them. With fewer than a hundred the last bits of a product change.
_STEPS_OF_FEW = (100, 400, 1000)
# Windows that come together have a multiple of so many steps: what is left over by the
# vectors that a processor works in would be computed otherwise.
_STEPS_TOGETHER = 8


class RowOutputs(NamedTuple):
    """What the network says of some rows, averaged over the windows holding them."""

    rows: NDArray[np.int64]  # (n,)
    reconstruction: NDArray[np.float64]  # (n, F), in scaled units
    latent: NDArray[np.float64]  # (n,)


def iter_row_outputs(
    network: nn.Module,
    get_windows: Callable[[NDArray[np.int64], int], Tensor],
    blocks: list[WindowBlock],
    *,
    device: str,
    precision: str,
) -> Iterator[RowOutputs]:
    """Run all windows through the network; yield each row once."""
    for block in blocks:
        batches = _batch_outputs(network, get_windows, block, device, precision)
        for rows, means in merge_overlaps(batches):
            yield _row_outputs(rows, means)


def _batch_outputs(
    network: nn.Module,
    get_windows: Callable[[NDArray[np.int64], int], Tensor],
    block: WindowBlock,
    device: str,
    precision: str,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Yield starts (B,) and outputs (B, L, F + 1), the latent deviation last.

    Every batch that the network sees has the same shape, or is one of two smaller
    ones that change no bit; the last one is padded with copies of its last window.
    """
    batch_size = _batch_size(block.length, len(block.starts))
    for batch in batches(len(block.starts), batch_size):
        starts = block.starts[batch]
        windows = get_windows(_padded(starts, batch_size), block.length)
        outputs = _outputs(network, windows, device, precision)
        yield starts, outputs[: len(starts)].float().cpu().numpy()


def iter_outputs_of_rows(
    network: nn.Module,
    reader: WindowReader,
    rows: NDArray[np.int64],
    series: SeriesBounds,
    *,
    window_size: int,
    lookahead: int,
    precision: str,
) -> Iterator[RowOutputs]:
    """Yield what the network says of each of some rows, by a window of its own.

    That window ends at most `lookahead` rows after it, so that nothing later counts.
    """
    batch_size = max(1, _STEPS_PER_BATCH // window_size)
    for n_steps in reversed(_STEPS_OF_FEW):
        if len(rows) * window_size <= n_steps:
            batch_size = -(-n_steps // window_size)
    for batch in batches(len(rows), batch_size):
        padded = _padded(rows[batch], batch_size)
        starts, begins = row_windows(padded, series, window_size, lookahead)
        windows = reader.windows(starts, window_size, begins)
        outputs = _outputs(network, windows, reader.device, precision)
        steps = torch.from_numpy(padded - starts).to(outputs.device)
        own = outputs[torch.arange(batch_size, device=outputs.device), steps]
        array = own.float().cpu().numpy().astype(np.float64)[: len(rows[batch])]
        yield _row_outputs(rows[batch], array)


def _row_outputs(rows: NDArray[np.int64], values: NDArray[np.float64]) -> RowOutputs:
    """Take apart what the network says (n, F + 1).

    It has an answer where values are missing as well: NaN from it would pass for one.
    """
    if not np.isfinite(values).all():
        odd = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
        raise ValueError(
            f"The network gives {values[odd][~np.isfinite(values[odd])][0]} for row "
            f"{rows[odd]}, where it should give a number: its weights have gone "
            "astray. Fit anew, with a lower learning_rate."
        )
    return RowOutputs(rows, values[:, :-1], values[:, -1])


def _batch_size(length: int, n_windows: int) -> int:
    """Return how many windows of a length go through the network at once."""
    together = _STEPS_TOGETHER // math.gcd(_STEPS_TOGETHER, length)
    if together * length > _STEPS_PER_BATCH:
        return max(1, _STEPS_PER_BATCH // length)
    sizes = [
        -(-n_steps // (together * length)) * together
        for n_steps in (*_STEPS_OF_FEW, _STEPS_PER_BATCH)
    ]
    return next((size for size in sizes if n_windows <= size), sizes[-1])


def _padded(rows: NDArray[np.int64], batch_size: int) -> NDArray[np.int64]:
    return np.append(rows, np.repeat(rows[-1:], batch_size - len(rows)))


def _outputs(
    network: nn.Module, windows: Tensor, device: str, precision: str
) -> Tensor:
    """Return what the network says of windows: (B, L, F + 1), the latent part last."""
    with torch.inference_mode(), autocast(device, precision):
        reconstruction, latent = network(windows)
    return torch.cat([reconstruction, latent.unsqueeze(-1)], dim=-1)
