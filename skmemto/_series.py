"""Groups of rows -> series, and checks on them.

A table of samples holds one or several series (a machine, a channel, a
recording). Everywhere in the package they are an int64 array ``series`` of
shape (n_series, 2) whose rows are the half-open row ranges ``[start, stop)``.
"""

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import column_or_1d

SeriesBounds = NDArray[np.int64]


def split_series(groups: ArrayLike | None, n_samples: int) -> SeriesBounds:
    """Return the row range of each series; one series when `groups` is None."""
    if groups is None:
        return np.array([[0, n_samples]], dtype=np.int64)
    names = check_groups(groups, n_samples)
    borders = np.flatnonzero(names[1:] != names[:-1]) + 1
    starts = np.concatenate([[0], borders])
    ((name, n_runs),) = Counter(names[starts].tolist()).most_common(1)
    if n_runs > 1:
        raise ValueError(
            "The rows of a group must be contiguous, since they are one series in "
            f"time order. Group {name} comes in {n_runs} separate runs; sort the rows "
            "by group, keeping the time order within each."
        )
    return np.column_stack([starts, np.append(borders, n_samples)]).astype(np.int64)


def check_groups(groups: ArrayLike, n_samples: int) -> NDArray:
    """Return the name of the series of each row, (n_samples,)."""
    shape = np.shape(groups)
    if len(shape) != 1 and (len(shape) != 2 or shape[1] != 1):
        raise ValueError(
            "groups must be one-dimensional, the name of its series for each row of X. "
            f"Got shape {shape} instead."
        )
    names: NDArray = column_or_1d(groups)
    if names.shape[0] != n_samples:
        raise ValueError(
            "groups must have one entry for each row of X, that is "
            f"{n_samples}. Got {names.shape[0]} instead."
        )
    if _any_nameless(names):
        raise ValueError(
            "groups contains NaN or None. Give every row the name of its series."
        )
    unhashable = (
        [g for g in names if g.__hash__ is None] if names.dtype == object else []
    )
    if unhashable:
        raise TypeError(
            "groups must hold names: strings, numbers or other hashable values. Got "
            f"{unhashable[0]!r} instead."
        )
    return names


def _any_nameless(groups: NDArray) -> bool:
    try:
        unnamed = bool((groups != groups).any())
    except TypeError:  # pandas.NA is neither equal to itself nor not
        return True
    return unnamed or (groups.dtype == object and any(g is None for g in groups))


def rows_of(series: SeriesBounds) -> NDArray[np.int64]:
    """Return the rows (n,) of all series, one after the other."""
    return np.concatenate([np.arange(start, stop) for start, stop in series])


def series_names(groups: ArrayLike | None, series: SeriesBounds) -> list[Any]:
    """Return the name of each series; None is that of the only one without groups."""
    if groups is None:
        return [None]
    return as_objects(column_or_1d(groups)[series[:, 0]])


def as_objects(names: NDArray) -> list[Any]:
    """Return names (n,) as objects of Python."""
    if names.dtype.kind == "M":
        # A date is the same name in any unit, where `tolist` would make an int of ns.
        names = names.astype("datetime64[us]")
    return names.tolist()


def hold_out_tails(
    series: SeriesBounds, fraction: float
) -> tuple[SeriesBounds, SeriesBounds]:
    """Cut the last `fraction` of each series off: (kept, held out).

    Each held-out part is one contiguous block at the end of its series, so that
    it shares no time step with any window of the part that is kept. A part without
    rows is left out.
    """
    lengths = series[:, 1] - series[:, 0]
    cuts = series[:, 1] - np.ceil(fraction * lengths).astype(np.int64)
    kept = np.column_stack([series[:, 0], cuts])
    held_out = np.column_stack([cuts, series[:, 1]])
    kept, held_out = kept[cuts > series[:, 0]], held_out[cuts < series[:, 1]]
    if len(kept) == 0:
        raise ValueError(
            f"validation_fraction={fraction} of series of at most {lengths.max()} rows "
            "leaves nothing to train on. Lower it, or give longer series."
        )
    return kept, held_out


def with_values(X: NDArray, series: SeriesBounds) -> SeriesBounds:
    """Leave out series in which all values are missing."""
    kept = [not np.isnan(X[start:stop]).all() for start, stop in series]
    return series[np.array(kept, dtype=bool)]
