"""Callbacks for the fits of detectors, after scikit-learn's protocol."""

import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from numbers import Integral
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_scalar
from torch import Tensor

from skmemto._distributed import world_size
from skmemto._saved import marked, unmarked
from skmemto._training_state import TrainingState

__all__ = ["Checkpoint"]


class Checkpoint:
    """Keeps how far a fit has come, so that one that was killed can go on.

    A fit with the same parameters and rows that finds the file goes on from there, and
    ends with the weights, bit for bit, of a fit that was never stopped (on the same
    machine, with as many threads). When a fit has ended the file is removed.

    Parameters
    ----------
    path : str or path-like
        The file, one for each fit at a time. It is written aside and then put in place
        in one step, so that whenever the process is killed a whole one is there.
    every : int, default=1
        Write it after so many epochs, those of all phases counted.

    Notes
    -----
    What is kept: weights, what Adam and early stopping remember, and all random
    numbers, a few times the size of the model. Scaling is done again, and so is
    calibration where the fit was killed in the midst of it. Other callbacks are not
    told again of epochs that are passed over. The file holds arrays and numbers only,
    read by ``torch.load(..., weights_only=True)``: opening one runs no code of it.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from skmemto import MEMTODetector
    >>> from skmemto.callbacks import Checkpoint
    >>> X = np.random.RandomState(0).normal(size=(1000, 2))
    >>> detector = MEMTODetector(max_iter=1, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     callback = Checkpoint(f"{folder}/fit.checkpoint")
    ...     detector.set_callbacks(callback).fit(X)
    MEMTODetector(max_iter=1, random_state=0)
    """

    def __init__(self, path: str | PathLike[str], every: int = 1):
        self.path = os.fspath(path)
        self.every = every

    def setup(self, estimator: Any, context: Any) -> None:
        """Check, before anything is learned, that the file can be written.

        Parameters
        ----------
        estimator : estimator
            The one being fitted.
        context : CallbackContext
            Of the task.

        Raises
        ------
        ValueError
            If a parameter is out of range, or the fit is one of several processes.
        FileNotFoundError
            If there is no such folder.
        """
        check_scalar(self.every, "every", Integral, min_val=1)
        if world_size() > 1:
            raise ValueError(
                "A Checkpoint keeps the fit of one process, and there is a process "
                f"group of {world_size()}. Fit without it."
            )
        folder = Path(self.path).absolute().parent
        if not folder.is_dir():
            raise FileNotFoundError(f"There is no folder {folder} for a checkpoint.")
        self._n_epochs = 0

    def teardown(self, estimator: Any, context: Any) -> None:
        """Leave the file to the fit that goes on, where this one has failed.

        Parameters
        ----------
        estimator : estimator
            The one being fitted.
        context : CallbackContext
            Of the task.
        """

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Let a fit go on from the file, if there is one.

        Parameters
        ----------
        estimator : estimator
            The one being fitted.
        context : CallbackContext
            Of the task.

        Raises
        ------
        ValueError
            If the file is no checkpoint, damaged, or of another fit.
        """
        reporter = getattr(context, "fit_reporter", None)
        if reporter is None:
            return
        self._fit = reporter.fingerprint()
        if os.path.exists(self.path):
            reporter.resume = read(self.path, self._fit)

    def on_fit_task_end(self, estimator: Any, context: Any) -> None:
        """Write the file after an epoch, and remove it after the fit.

        Parameters
        ----------
        estimator : estimator
            The one being fitted.
        context : CallbackContext
            Of the task.
        """
        if hasattr(context, "training_state"):
            self._n_epochs += 1
            if self._n_epochs % self.every == 0:
                write(self.path, context.training_state(), self._fit)
        elif hasattr(context, "fit_reporter"):
            Path(self.path).unlink(missing_ok=True)


def write(path: str, state: TrainingState, fingerprint: str) -> None:
    """Write how far a fit has come, whole or not at all, and so that it stays."""
    plain = marked({"fit": fingerprint, "training": asdict(state)})
    folder, name = os.path.split(os.path.abspath(path))
    file, part = tempfile.mkstemp(prefix=f".{name}.", dir=folder)
    try:
        with os.fdopen(file, "wb") as stream:
            torch.save(_mapped(plain, np.ndarray, torch.from_numpy), stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
    _sync_folder(folder)


def read(path: str, fingerprint: str) -> TrainingState:
    """Read how far that fit has come.

    Raises
    ------
    ValueError
        If the file is damaged, of another fit, or no checkpoint.
    """
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
        plain = _mapped(loaded, Tensor, Tensor.numpy)
        found = unmarked(plain, "checkpoint")
        state = TrainingState(**found["training"])
    except Exception as error:  # torch raises whatever a damaged file leads to
        raise ValueError(
            f"{path} holds no checkpoint that can be read ({error}). Remove it to fit "
            "from the beginning."
        ) from error
    if found["fit"] != fingerprint:
        raise ValueError(
            f"{path} is of another fit: of other rows, or with other parameters. "
            "Remove it, or choose another path."
        )
    return state


def _sync_folder(folder: str) -> None:
    """Make sure that a file put in place is there after a loss of power."""
    if os.name != "posix":
        return  # folders can't be opened elsewhere
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _mapped(value: Any, kind: type, function: Callable[[Any], Any]) -> Any:
    """Replace all values of a kind, within dicts and lists."""
    if isinstance(value, dict):
        return {key: _mapped(part, kind, function) for key, part in value.items()}
    if isinstance(value, list):
        return [_mapped(part, kind, function) for part in value]
    return function(value) if isinstance(value, kind) else value
