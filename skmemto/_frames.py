"""Frames: columns that are no readings."""

from collections.abc import Iterator
from typing import Any

import numpy as np

# What the types of times are called in pandas and polars, from their beginning.
_TIMES = ("datetime", "date", "timedelta", "duration", "period", "time")


def refuse_times(X: Any) -> None:
    """Raise where a column holds times: as numbers they would be a channel that grows.

    A tensor with gradients is refused as well: NumPy can't read it.

    Raises
    ------
    TypeError
        Names the first such column, its type, and what to do.
    """
    if getattr(X, "requires_grad", False) is True:
        raise TypeError("X is a tensor that requires grad: give X.detach().")
    if getattr(getattr(X, "dtype", None), "kind", "") in ("m", "M"):
        raise TypeError(f"X holds times ({X.dtype}), which are no readings.")
    for name, dtype in _column_types(X):
        if str(dtype).lower().startswith(_TIMES):
            raise TypeError(
                f"X holds times in its column {name!r} ({dtype}), which are no "
                "readings: leave the column out, or make it the index of the frame. "
                "Rows are taken to be in time order, one step apart."
            )


def _column_types(X: Any) -> Iterator[tuple[Any, Any]]:
    names, types = getattr(X, "columns", None), getattr(X, "dtypes", None)
    if names is None or types is None or np.ndim(types) != 1:
        return iter(())
    return zip(names, types, strict=True)
