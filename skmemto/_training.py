"""The epoch loop. It knows no network by name, only what all of them offer."""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import gen_batches
from torch import Tensor, nn

from skmemto import _distributed
from skmemto._device import autocast
from skmemto._messages import warn_user
from skmemto._nn.network import WindowNetwork
from skmemto._training_state import (
    TrainingState,
    moments_of,
    rng_state,
    set_moments,
    set_network,
    set_rng,
    to_arrays,
    to_tensors,
)
from skmemto._windows import WindowBlock

# A loss so many times that before the first step tells that training went astray.
_FAR_ABOVE = 100.0


class EpochLosses(NamedTuple):
    """Mean losses of one epoch; `validation` is None when nothing is held out."""

    train: float
    validation: float | None

    @property
    def monitored(self) -> float:
        """The loss that early stopping watches."""
        return self.train if self.validation is None else self.validation


class EpochReporter(Protocol):
    """Who is told of the epochs."""

    def begin_epoch(self, epoch: int) -> None:
        """Take note that an epoch begins, the first being 1."""

    def end_epoch(
        self, losses: EpochLosses, state: Callable[[], TrainingState]
    ) -> bool:
        """Take the losses of an epoch; return whether to stop the phase.

        `state` says how far the training has come.
        """


@dataclass
class StoppingMonitor:
    """Says when the loss has stopped improving, as scikit-learn's MLP does.

    Parameters
    ----------
    tol : float
        An epoch improves when its loss is below the best one by more than `tol`.
    n_iter_no_change : int
        Number of epochs in a row without improvement after which to stop.
    """

    tol: float
    n_iter_no_change: int
    best_loss: float = math.inf
    n_without_improvement: int = 0

    def update(self, loss: float) -> bool:
        """Take the loss of an epoch; say whether it is the best so far."""
        if loss > self.best_loss - self.tol:
            self.n_without_improvement += 1
        else:
            self.n_without_improvement = 0
        is_best = loss < self.best_loss
        self.best_loss = min(loss, self.best_loss)
        return is_best

    @property
    def should_stop(self) -> bool:
        """Whether patience is at its end."""
        return self.n_without_improvement >= self.n_iter_no_change


@dataclass
class Trainer:
    """Trains a network on windows; one `run` is one phase.

    Parameters
    ----------
    network : WindowNetwork
        Offers ``loss(windows, generator) -> scalar``.
    get_windows : callable
        ``get_windows(starts, length)`` gives windows (B, L, F) on the device.
    train_blocks, validation_blocks : list of WindowBlock
        Where the windows are; nothing is held out when the latter is empty.
    """

    network: WindowNetwork
    get_windows: Callable[[np.ndarray, int], Tensor]
    train_blocks: list[WindowBlock]
    validation_blocks: list[WindowBlock]
    batch_size: int
    max_iter: int
    tol: float
    n_iter_no_change: int
    device: str
    precision: str
    rng: np.random.RandomState
    generator: torch.Generator
    losses: list[EpochLosses] = field(default_factory=list)
    first_loss: Tensor | None = None  # of the first batch, before any step
    resume: TrainingState | None = None  # to go on from
    phase: int = 0

    def run(self, learning_rate: float, reporter: EpochReporter) -> None:
        """Train until `max_iter` epochs, no improvement, or `reporter` says stop.

        With held-out windows the network ends in the state of its best epoch, all
        parameters and buffers together. In a distributed fit all ranks begin with the
        state of the first, and end with it. A phase that was over before the state to
        `resume` from is passed over.
        """
        self.phase += 1
        if self.is_ahead:
            return
        # What the first rank did alone, between two phases, is not known to the others.
        _distributed.broadcast(self.network.state_dict().values())
        self.rng = _distributed.from_first_rank(self.rng)
        fused = torch.device(self.device).type in ("cpu", "cuda")
        optimizer = torch.optim.Adam(
            self.network.parameters(), lr=learning_rate, fused=fused
        )
        monitor = StoppingMonitor(self.tol, self.n_iter_no_change)
        best_state, epoch = self._resumed(optimizer, monitor)
        while epoch < self.max_iter and not (epoch and monitor.should_stop):
            epoch += 1
            reporter.begin_epoch(epoch)
            losses = self._epoch(optimizer)
            self.losses.append(losses)
            if monitor.update(losses.monitored) and self.validation_blocks:
                best_state = copy.deepcopy(self.network.state_dict())
            state = partial(self._state, epoch, optimizer, monitor, best_state)
            # A callback of one rank stops all: none may wait for the others forever.
            if _distributed.any_rank(reporter.end_epoch(losses, state)):
                break
        if best_state is not None:
            self.network.load_state_dict(best_state)
        # On several threads rounding is not the same.
        _distributed.broadcast(self.network.state_dict().values())
        self.network.eval()
        self._check_last_step()

    @property
    def is_ahead(self) -> bool:
        """Tell whether the state to resume from is of a later phase."""
        return self.resume is not None and self.resume.phase > self.phase

    def _state(
        self,
        epoch: int,
        optimizer: torch.optim.Optimizer,
        monitor: StoppingMonitor,
        best_state: dict[str, Tensor] | None,
    ) -> TrainingState:
        assert self.first_loss is not None
        return TrainingState(
            phase=self.phase,
            epoch=epoch,
            network=to_arrays(self.network.state_dict()),
            best=None if best_state is None else to_arrays(best_state),
            moments=moments_of(optimizer),
            best_loss=monitor.best_loss,
            n_without_improvement=monitor.n_without_improvement,
            losses=[(losses.train, losses.validation) for losses in self.losses],
            first_loss=float(self.first_loss),
            rng=rng_state(self.rng),
            generator=self.generator.get_state().numpy().copy(),
        )

    def _resumed(
        self, optimizer: torch.optim.Optimizer, monitor: StoppingMonitor
    ) -> tuple[dict[str, Tensor] | None, int]:
        """Go back to the state to resume from: (best state, number of epochs)."""
        state, self.resume = self.resume, None
        if state is None:
            return None, 0
        set_network(self.network, state.network)
        set_moments(optimizer, state.moments)
        set_rng(self.rng, state.rng)
        self.generator.set_state(torch.tensor(state.generator))
        monitor.best_loss = state.best_loss
        monitor.n_without_improvement = state.n_without_improvement
        self.losses = [EpochLosses(*losses) for losses in state.losses]
        self.first_loss = torch.tensor(state.first_loss)
        return None if state.best is None else to_tensors(state.best), state.epoch

    def _check_last_step(self) -> None:
        """Judge the network as it is left: the losses are those before each step."""
        starts, length = next(self._batches(self.train_blocks))
        with torch.inference_mode(), autocast(self.device, self.precision):
            loss = float(self.network.loss(self.get_windows(starts, length), None))
        if not math.isfinite(loss):
            raise ValueError(
                f"Training diverged: after the last step of epoch {len(self.losses)} "
                f"the loss is {loss}. Lower learning_rate, or look for extreme values "
                "in X."
            )
        first = 0.0 if self.first_loss is None else float(self.first_loss)
        if first > 0 and loss > _FAR_ABOVE * first:
            warn_user(
                f"Training did not converge: the loss is {loss:.3g}, and was "
                f"{first:.3g} before the first step. Lower learning_rate.",
                ConvergenceWarning,
            )

    def _epoch(self, optimizer: torch.optim.Optimizer) -> EpochLosses:
        self.network.train()
        with torch.enable_grad():
            train = self._mean_loss(self._shuffled_batches(), optimizer)
        self.network.eval()
        validation = None
        if self.validation_blocks:
            with torch.inference_mode():
                batches = self._batches(self.validation_blocks)
                validation = self._mean_loss(batches)
        losses = EpochLosses(train, validation)
        if not math.isfinite(losses.monitored):
            raise ValueError(
                f"Training diverged: the loss of epoch {len(self.losses) + 1} is "
                f"{losses.monitored}. Lower learning_rate, or look for extreme values "
                "in X."
            )
        return losses

    def _mean_loss(
        self,
        batches: Iterator[tuple[np.ndarray, int]],
        optimizer: torch.optim.Optimizer | None = None,
    ) -> float:
        """Mean loss over the windows; with an optimizer, a step after each batch.

        In a distributed fit each rank computes its part of every batch.
        """
        total = torch.zeros((), dtype=torch.float32, device=self.device)
        n_windows = 0
        for starts, length in batches:
            part, weight = _distributed.shard(starts)
            windows = self.get_windows(part, length)
            with autocast(self.device, self.precision):
                loss = self.network.loss(
                    windows, None if optimizer is None else self.generator
                )
            if self.first_loss is None:
                self.first_loss = loss.detach().clone()
            if optimizer is not None:
                optimizer.zero_grad()
                loss.backward()
                _fill_gradients(self.network)
                _distributed.sum_gradients(self.network.parameters(), weight)
                optimizer.step()
            total += loss.detach() * (weight * len(starts))
            n_windows += len(starts)
        return float(_distributed.sum_over_ranks(total)) / n_windows

    def _shuffled_batches(self) -> Iterator[tuple[np.ndarray, int]]:
        shuffled = [
            WindowBlock(block.length, self.rng.permutation(block.starts))
            for block in self.train_blocks
        ]
        batches = list(self._batches(shuffled))
        for i in self.rng.permutation(len(batches)):
            yield batches[i]

    def _batches(self, blocks: list[WindowBlock]) -> Iterator[tuple[np.ndarray, int]]:
        for length, starts in blocks:
            for batch in gen_batches(len(starts), self.batch_size):
                yield starts[batch], length


def _fill_gradients(network: nn.Module) -> None:
    """Give what a batch had no use for the gradient zero.

    Adam passes over a parameter without one, its momentum too, and the ranks would add
    up gradients of different parameters.
    """
    for parameter in network.parameters():
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
