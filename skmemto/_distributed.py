"""One model on several processes: what the ranks of a process group share.

A fit is distributed when the caller has initialised the default process group of
torch.distributed. Without one, or alone in it, every function here returns what it
was given. All but `rank` and `shard` are collective: every rank must call them, in
the same order.
"""

from collections.abc import Iterable
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed, nn

T = TypeVar("T")


def world_size() -> int:
    """Return the number of processes; 1 without a process group."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_world_size()
    return 1


def rank() -> int:
    """Return which of the processes this is; 0 without a process group."""
    return distributed.get_rank() if world_size() > 1 else 0


def shard(batch: NDArray[np.int64]) -> tuple[NDArray[np.int64], float]:
    """Return this rank's part of a batch, and the weight of its mean in the whole.

    A batch with less than one window for each rank goes whole to all of them: the
    mean is the same, and no rank is left with the mean of nothing.
    """
    n_ranks = world_size()
    if len(batch) < n_ranks:
        return batch, 1 / n_ranks
    part = batch[rank() :: n_ranks]
    return part, len(part) / len(batch)


def sum_over_ranks(x: Tensor) -> Tensor:
    """Sum a tensor over the ranks, in place."""
    if world_size() > 1:
        distributed.all_reduce(x)
    return x


def any_rank(flag: bool) -> bool:
    """Say whether the flag is set on any rank."""
    return any(_gather(flag))


def sum_gradients(parameters: Iterable[nn.Parameter], weight: float) -> None:
    """Replace the gradients by their weighted sum over the ranks, in one go.

    Every parameter has one, if only of zeros, on every rank.
    """
    if world_size() == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = weight * torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    parts = flat.split([gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view_as(gradient))


def softmax_average(logits: Tensor, values: Tensor) -> Tensor:
    """Average values (T, D) by the softmax of logits (M, T): (M, D).

    The softmax runs over the tokens of all ranks. Tokens that all ranks hold, those
    of a small batch, leave the average as it is. Passes no gradient to other ranks.
    """
    if world_size() == 1:
        return logits.softmax(dim=1) @ values
    largest = logits.float().amax(dim=1, keepdim=True)  # (M, 1)
    distributed.all_reduce(largest, distributed.ReduceOp.MAX)
    weights = torch.exp(logits.float() - largest)  # (M, T)
    with torch.autocast(values.device.type, enabled=False):
        # Sums over many ranks are too coarse in bfloat16.
        totals = weights @ values.float()  # (M, D)
    sums = torch.cat([totals, weights.sum(dim=1, keepdim=True)], dim=1)
    distributed.all_reduce(sums)  # (M, D + 1)
    return sums[:, :-1] / sums[:, -1:]


def broadcast(tensors: Iterable[Tensor]) -> None:
    """Fill the tensors with those of the first rank."""
    if world_size() > 1:
        for tensor in tensors:
            distributed.broadcast(tensor, src=0)


def from_first_rank(thing: T) -> T:
    """Return what the first rank gives: itself there, a copy on the others."""
    if world_size() == 1:
        return thing
    things = [thing]
    distributed.broadcast_object_list(things, src=0)
    return things[0]


def agree(
    X: NDArray, series: NDArray[np.int64], rng: np.random.RandomState
) -> np.random.RandomState:
    """Return the generator of the first rank, if all ranks were given the same rows.

    Compares shape, first and last row, and series: a shard for each rank, which other
    libraries ask for, is noticed without reading the data, and an error on all ranks.
    """
    if world_size() == 1:
        return rng
    seen = _gather((X.shape, X[[0, -1]].tobytes(), series.tobytes()))
    if len(set(seen)) > 1:
        raise ValueError(
            "Every process must be given the same X and groups; fit itself shares the "
            f"windows out. Got X of shapes {[shape for shape, *_ in seen]} instead."
        )
    return from_first_rank(rng)


def _gather(thing: T) -> list[T]:
    """Return what all ranks give, in their order."""
    things = [thing] * world_size()
    if len(things) > 1:
        distributed.all_gather_object(things, thing)
    return things
