"""Saved models: complete, unchanged, and of a format that this version reads."""

import hashlib
from collections.abc import Callable, Mapping
from datetime import date, time, timedelta
from typing import Any

import numpy as np

from skmemto._blockwise import row_blocks
from skmemto._messages import warn_user
from skmemto._version import __version__
from skmemto.exceptions import ModelVersionWarning

# Raised by one whenever what a state holds, or what it means, changes; a state of an
# older format is then brought up to date on loading, or refused by its number.
# 2: of the latent deviation the average over wider surroundings is known.
FORMAT = 2
_OLDEST_READ = 2
_MARK = "_saved"


class SavedState:
    """What is pickled carries its format, the version that wrote it, and a checksum.

    A subclass says what is plain data of it (`_to_plain`), and makes itself anew of
    that, once it is known to be unchanged (`_from_plain`).
    """

    def __getstate__(self) -> dict[str, Any]:
        state = self._to_plain({**(super().__getstate__() or {})})  # type: ignore[dict-item]
        return marked(state)

    def __setstate__(self, state: dict[str, Any]) -> None:
        plain = unmarked(state, type(self).__name__)
        self.__dict__.update(self._from_plain(plain))

    def _to_plain(self, state: dict[str, Any]) -> dict[str, Any]:
        return state

    def _from_plain(self, plain: dict[str, Any]) -> dict[str, Any]:
        return plain


def marked(state: dict[str, Any]) -> dict[str, Any]:
    """Add the mark that `unmarked` asks for."""
    origin = {"format": FORMAT, "skmemto": __version__}
    return {**state, _MARK: {**origin, "checksum": checksum([state, origin])}}


def unmarked(state: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a state without its mark; `name` is that of the class.

    Raises
    ------
    ValueError
        If it is of another format, or not what was saved.

    Warns
    -----
    ModelVersionWarning
        If another version saved it.
    """
    state = dict(state)
    mark = state.pop(_MARK, None)
    if mark is None:
        raise ValueError(
            f"This {name} was saved before skmemto numbered the formats of its models, "
            "and is not read any more. Fit it anew, or use the version that saved it."
        )
    origin = {k: v for k, v in mark.items() if k != "checksum"}
    version = origin.get("skmemto")
    if isinstance(number := origin.get("format"), int) and number > FORMAT:
        raise ValueError(
            f"This {name} has format {number}, of skmemto {version}; skmemto "
            f"{__version__} reads formats up to {FORMAT}. Update skmemto."
        )
    if isinstance(number, int) and number < _OLDEST_READ:
        raise ValueError(
            f"This {name} has format {number}, of skmemto {version}, and is not read "
            f"any more: what scores are made of has changed since. skmemto "
            f"{__version__} reads formats from {_OLDEST_READ}. Fit it anew, or use the "
            "version that saved it."
        )
    if checksum([state, origin]) != mark.get("checksum"):
        raise ValueError(
            f"This saved {name} is damaged: its contents do not match their checksum. "
            "Take another copy of it, or fit it anew."
        )
    if version != __version__:
        warn_user(
            f"This {name} was saved by skmemto {version} and is read by {__version__}: "
            "scores may differ. Fit it anew to be sure.",
            ModelVersionWarning,
        )
    return state


def checksum(value: Any) -> str:
    """Sum up plain data: dicts, lists, arrays, numbers and texts.

    Of other objects those of skmemto count by their state, and all others by their
    type alone.
    """
    digest = hashlib.blake2b(digest_size=16)
    _feed(digest.update, value)
    return digest.hexdigest()


def _feed(update: Callable[[bytes], None], value: Any) -> None:
    if isinstance(value, np.generic):
        value = value.item()
    kind = type(value).__name__
    if value is None or isinstance(value, bool | int | float | complex | str | bytes):
        update(f"{kind} {value!a};".encode())
    elif isinstance(value, np.ndarray) and not value.dtype.hasobject:
        update(f"array {value.dtype.str} {value.shape};".encode())
        whole = np.atleast_1d(value)
        for rows in row_blocks(whole):  # it may be larger than memory
            update(whole[rows].tobytes())
    elif isinstance(value, Mapping):
        update(f"mapping {len(value)};".encode())
        for key in sorted(value, key=repr):
            _feed(update, key)
            _feed(update, value[key])
    elif isinstance(value, tuple | list | np.ndarray):
        update(f"sequence {len(value)};".encode())
        for item in value:
            _feed(update, item)
    elif isinstance(value, np.random.RandomState):
        _feed(update, value.get_state(legacy=False))
    elif isinstance(value, date | time | timedelta):
        update(f"{kind} {value!r};".encode())
    else:
        update(f"object {type(value).__module__}.{kind};".encode())
        if type(value).__module__.startswith("skmemto."):
            state = value.__getstate__()
            _feed(update, state.get(_MARK, state))
