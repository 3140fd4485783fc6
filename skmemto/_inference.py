"""Windows -> what the network says of each row.

The counterpart of the epoch loop: it, too, knows no network by name.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import gen_batches
from torch import Tensor

from skmemto._device import autocast
from skmemto._nn.network import WindowNetwork
from skmemto._windows import WindowBlock, merge_overlaps

# Steps that go through the network at once. The number is fixed, so that a score
# does not depend on how many rows came with it, and small, so that scoring a
# single window stays cheap.
_STEPS_PER_BATCH = 2048


class RowOutputs(NamedTuple):
    """What the network says of some rows, averaged over the windows holding them."""

    rows: NDArray[np.int64]  # (n,)
    reconstruction: NDArray[np.float64]  # (n, F), in scaled units
    latent: NDArray[np.float64]  # (n,)


def iter_row_outputs(
    network: WindowNetwork,
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
            yield RowOutputs(rows, means[:, :-1], means[:, -1])


def _batch_outputs(
    network: WindowNetwork,
    get_windows: Callable[[NDArray[np.int64], int], Tensor],
    block: WindowBlock,
    device: str,
    precision: str,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Yield starts (B,) and outputs (B, L, F + 1), the latent deviation last.

    Every batch that the network sees has the same shape; the last one is padded
    with copies of its last window.
    """
    batch_size = max(1, _STEPS_PER_BATCH // block.length)
    for batch in gen_batches(len(block.starts), batch_size):
        starts = block.starts[batch]
        padded = np.pad(starts, (0, batch_size - len(starts)), mode="edge")
        with torch.inference_mode(), autocast(device, precision):
            reconstruction, latent = network(get_windows(padded, block.length))
        outputs = torch.cat([reconstruction, latent.unsqueeze(-1)], dim=-1)
        yield starts, outputs[: len(starts)].float().cpu().numpy()
