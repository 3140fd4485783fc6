"""How far a training has come, as plain data, and going on from there."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class TrainingState:
    """All that a training needs to go on as if it had never stopped.

    Attributes
    ----------
    phase, epoch : int
        Which phase, from 1 on, and how many of its epochs have been.
    network, best : dict of ndarray
        Parameters and buffers, and those of the best epoch of the phase (or None).
    moments : list of dict of ndarray
        Those of Adam, of each parameter.
    best_loss, n_without_improvement : float, int
        What early stopping remembers.
    losses : list
        Of each epoch so far: that of training, and that of validation or None.
    first_loss : float
        That before the first step.
    rng : list
        State of NumPy's random numbers: keys, position, Gaussian.
    generator : ndarray
        State of torch's.
    """

    phase: int
    epoch: int
    network: Arrays
    best: Arrays | None
    moments: list[Arrays]
    best_loss: float
    n_without_improvement: int
    losses: list[tuple[float, float | None]]
    first_loss: float
    rng: list[Any]
    generator: np.ndarray


def to_arrays(tensors: dict[str, Tensor]) -> Arrays:
    """Copy tensors."""
    return {name: t.detach().cpu().numpy().copy() for name, t in tensors.items()}


def to_tensors(arrays: Arrays) -> dict[str, Tensor]:
    """Copy arrays."""
    return {name: torch.tensor(array) for name, array in arrays.items()}


def moments_of(optimizer: torch.optim.Optimizer) -> list[Arrays]:
    """Return what an optimizer remembers of each parameter, in their order."""
    state = optimizer.state_dict()["state"]
    return [to_arrays(state[i]) for i in sorted(state)]


def set_moments(optimizer: torch.optim.Optimizer, moments: list[Arrays]) -> None:
    """Make an optimizer remember that."""
    state = optimizer.state_dict()
    state["state"] = {i: to_tensors(arrays) for i, arrays in enumerate(moments)}
    optimizer.load_state_dict(state)


def rng_state(rng: np.random.RandomState) -> list[Any]:
    """Return the state of random numbers, without tuples."""
    state = rng.get_state(legacy=False)
    keys = np.asarray(state["state"]["key"], dtype=np.int64)
    gauss = (state["has_gauss"], state["gauss"])
    return [keys, *map(float, (state["state"]["pos"], *gauss))]


def set_rng(rng: np.random.RandomState, state: list[Any]) -> None:
    """Set the state of random numbers, in place."""
    keys, position, has_gauss, gauss = state
    keys = keys.astype(np.uint32)
    rng.set_state(("MT19937", keys, int(position), int(has_gauss), gauss))


def set_network(network: nn.Module, arrays: Arrays) -> None:
    """Set parameters and buffers, in place and on their device."""
    network.load_state_dict(to_tensors(arrays))
