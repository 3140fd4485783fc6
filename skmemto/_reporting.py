"""What a fit tells the outside: scikit-learn callbacks and `verbose` lines."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Self

from sklearn.callback import CallbackContext

from skmemto import _distributed
from skmemto._saved import checksum
from skmemto._series import SeriesBounds
from skmemto._training import EpochLosses
from skmemto._training_state import TrainingState


@dataclass
class FitReporter:
    """Reports the tasks of one fit: phases, and the epochs within them.

    Parameters
    ----------
    estimator : estimator
        The one being fitted, handed to the callbacks.
    context : CallbackContext
        The root of the tree of tasks.
    data : dict
        ``X`` and ``y``, handed to the callbacks.
    fitted_attributes : callable
        Gives the attributes that make a usable estimator out of the present
        state; called only when a callback asks.
    series : ndarray of shape (n_series, 2)
        That `X` consists of.
    resume : TrainingState or None
        What a callback wants the training to go on from.
    """

    estimator: Any
    context: CallbackContext
    data: dict[str, Any]
    fitted_attributes: Callable[[], dict[str, Any]]
    series: SeriesBounds
    resume: TrainingState | None = None

    @classmethod
    def begin(
        cls,
        estimator: Any,
        data: dict[str, Any],
        n_tasks: int,
        fitted_attributes: Callable[[], dict[str, Any]],
        series: SeriesBounds,
    ) -> Self:
        """Report that the fit begins, which has `n_tasks` phases and steps."""
        # The documented, if underscored, way into scikit-learn's callbacks.
        context = estimator._init_callback_context(max_subtasks=n_tasks)
        reporter = cls(estimator, context, data, fitted_attributes, series)
        # Two attributes more of contexts, for a callback that lets fits go on: of the
        # first one who reports, of epochs how far the training has come.
        context.fit_reporter = reporter
        context.call_on_fit_task_begin(estimator=estimator, **data)
        return reporter

    def fingerprint(self) -> str:
        """Sum up what makes a fit the same fit."""
        parameters = self.estimator.get_params(deep=False)
        del parameters["verbose"]
        name = type(self.estimator).__name__
        return checksum([name, parameters, self.data["X"], self.series])

    def end(self) -> None:
        """Report that the fit has ended, and the estimator is fitted."""
        self.context.call_on_fit_task_end(
            estimator=self.estimator, reconstruction_attributes=dict, **self.data
        )

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Report a task that has no epochs."""
        task = self._begin(self.context, name)
        yield
        task.call_on_fit_task_end(estimator=self.estimator, **self.data)

    @contextmanager
    def phase(self, name: str) -> Iterator["PhaseReporter"]:
        """Report a task that consists of epochs."""
        task = self._begin(self.context, name, max_subtasks=self.estimator.max_iter)
        yield PhaseReporter(self, name, task)
        task.call_on_fit_task_end(estimator=self.estimator, **self.data)

    def _begin(
        self, parent: CallbackContext, name: str, max_subtasks: int = 0
    ) -> CallbackContext:
        task = parent.subcontext(task_name=name, max_subtasks=max_subtasks)
        return task.call_on_fit_task_begin(estimator=self.estimator, **self.data)


@dataclass
class PhaseReporter:
    """Reports the epochs of one phase."""

    fit: FitReporter
    name: str
    task: CallbackContext
    epoch: int = 0

    def begin_epoch(self, epoch: int) -> None:
        """Report that an epoch begins."""
        self.epoch = epoch
        self._epoch_task = self.fit._begin(self.task, f"epoch {self.epoch}")

    def end_epoch(
        self, losses: EpochLosses, state: Callable[[], TrainingState]
    ) -> bool:
        """Report that the epoch has ended; say whether a callback wants to stop."""
        if self.fit.estimator.verbose and _distributed.rank() == 0:
            print(self._line(losses))  # noqa: T201
        self._epoch_task.training_state = state
        return self._epoch_task.call_on_fit_task_end(
            estimator=self.fit.estimator,
            reconstruction_attributes=lambda: deepcopy(self.fit.fitted_attributes()),
            **self.fit.data,
        )

    def _line(self, losses: EpochLosses) -> str:
        line = (
            f"[{type(self.fit.estimator).__name__}] {self.name}, epoch "
            f"{self.epoch}/{self.fit.estimator.max_iter}: loss {losses.train:.6f}"
        )
        if losses.validation is not None:
            line += f", validation loss {losses.validation:.6f}"
        return line


@dataclass
class UpdateReporter:
    """Reports the pass of a `partial_fit`, which scikit-learn's callbacks know not."""

    estimator: Any

    def begin_epoch(self, epoch: int) -> None:
        """Take note that the pass begins."""

    def end_epoch(
        self, losses: EpochLosses, state: Callable[[], TrainingState]
    ) -> bool:
        """Report that it has ended."""
        if self.estimator.verbose and _distributed.rank() == 0:
            name = type(self.estimator).__name__
            print(f"[{name}] partial_fit: loss {losses.train:.6f}")  # noqa: T201
        return False
