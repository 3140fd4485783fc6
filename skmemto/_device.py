"""Where to compute and in which precision, and private random generators."""

from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch


def resolve_device(device: str) -> str:
    """Turn "auto" into the best device there is; check that another one exists."""
    if device == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.Generator(device)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, ImportError, NotImplementedError) as error:
        raise ValueError(
            f"The device {device!r} cannot be used on this machine: {error} "
            "Use device='auto' or 'cpu'."
        ) from error
    return device


def usable_device(device: str) -> str:
    """Return `device` where it exists, else "cpu": models move between machines."""
    try:
        return resolve_device(device)
    except ValueError:
        return "cpu"


def autocast(device: str, precision: str) -> AbstractContextManager:
    """Mixed precision in which matrix products run in bfloat16, or nothing."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(torch.device(device).type, dtype=torch.bfloat16)


def make_generator(
    rng: np.random.RandomState, device: str = "cpu", *, stream: int = 0
) -> torch.Generator:
    """Return a torch generator of its own, seeded from `rng`; one for each `stream`."""
    seed = int(rng.randint(np.iinfo(np.int32).max)) + stream
    return torch.Generator(device).manual_seed(seed)
