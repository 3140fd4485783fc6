"""Fitted detectors -> files and back, by skops: opening one runs no code of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from skmemto._base import BaseWindowDetector
from skmemto._per_group import PerGroupDetector

SUFFIX = ".skops"
_OWN = "skmemto."


def check_model_path(path: str) -> None:
    """Raise unless a path has the suffix of a model, and models can be kept."""
    import skops  # noqa: F401

    if Path(path).suffix != SUFFIX:
        raise ValueError(f"{path}: a model's file ends in {SUFFIX}")


def save_model(path: str, detector: Any) -> None:
    """Write a fitted detector, whole or not at all."""
    from skops.io import dump

    part = f"{path}.part"
    dump(detector, part)
    Path(part).replace(path)


def load_model(path: str) -> Any:
    """Read a fitted detector.

    Raises
    ------
    OSError
        If the file can't be read.
    ValueError
        If it holds no detector of skmemto, or types of other packages.
    """
    from skops.io import get_untrusted_types, load

    check_model_path(path)
    with open(path, "rb"):
        pass  # what is wrong with the file itself is said by Python
    types = _or_refuse(path, lambda: get_untrusted_types(file=path))
    foreign = [name for name in types if not name.startswith(_OWN)]
    if foreign:
        raise ValueError(f"{path}: not opened, since it holds {', '.join(foreign)}")
    detector = _or_refuse(path, lambda: load(path, trusted=types))
    if not isinstance(detector, BaseWindowDetector | PerGroupDetector):
        raise ValueError(
            f"{path}: holds a {type(detector).__name__}, no detector of skmemto"
        )
    return detector


def _or_refuse(path: str, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except Exception as error:  # skops raises whatever a damaged file leads to
        raise ValueError(f"{path}: holds no model that can be read: {error}") from error
