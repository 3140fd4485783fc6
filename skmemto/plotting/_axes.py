"""What the displays share: colours, axes, checks, heat maps over time."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Okabe and Ito: told apart by the colour-blind.
BLUE, RED, ORANGE, GREEN = "#0072B2", "#D55E00", "#E69F00", "#009E73"
GREY = "#BBBBBB"
# A picture is not wider: of more rows several share a column of a heat map.
_MOST_COLUMNS = 2000


def check_shape(value: ArrayLike | None, name: str, shape: tuple, owner: str) -> Any:
    """Return an array of a shape, None for None.

    Raises
    ------
    ValueError
        If it has another shape; says of which parameter of which display.
    """
    if value is None:
        return None
    array = np.asarray(value)
    if array.shape != shape:
        raise ValueError(
            f"The {name!r} parameter of {owner} must be of shape {shape} "
            f"to match X. Got shape {array.shape} instead."
        )
    return array


def check_index(index: ArrayLike | None, shape: tuple, owner: str) -> Any:
    """Return positions on an axis, numbers or times; periods begin where they do."""
    positions = check_shape(index, "index", shape, owner)
    if positions is None or len(positions) == 0:
        return positions
    if isinstance(positions[0], str):
        raise ValueError(f"'index' must hold numbers or times. Got '{positions[0]}'.")
    if hasattr(positions[0], "to_timestamp"):
        times = [period.to_timestamp() for period in positions]
        return np.array(times, "datetime64[ns]")
    return positions


def names_of(
    names: ArrayLike | None, X: Any, n_features: int, owner: str, estimator: Any = None
) -> list[str]:
    """Return names of channels: those given, of a frame or an estimator, or x0, ..."""
    given = getattr(X, "columns", None) if names is None else names
    if given is None:
        given = getattr(estimator, "feature_names_in_", None)
    checked = check_shape(given, "feature_names", (n_features,), owner)
    if checked is None:
        return [f"x{i}" for i in range(n_features)]
    return [str(name) for name in checked]


def single_axes(ax: Any, size: tuple[float, float]) -> Any:
    """Return axes to draw on, those of a new figure if there are none."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=size, layout="constrained")[1]


def heat_map(
    ax: Any,
    index: NDArray | None,
    values: NDArray[np.float64],
    names: Sequence[str],
    reduce: Callable[..., NDArray[np.float64]],
    **style: Any,
) -> Any:
    """Draw values (n, K) as K bands over time, missing ones grey.

    Of more rows than a picture has columns, those that share one are reduced.
    """
    from matplotlib import colormaps

    n_rows, n_bands = values.shape
    positions = np.arange(n_rows) if index is None else index
    starts = np.unique(np.linspace(0, n_rows, _MOST_COLUMNS + 1).astype(int))[:-1]
    if len(starts) < n_rows:
        values = reduce(values, starts, axis=0)
    last = positions[-1:]
    if n_rows > 1:
        last = last + (positions[-1:] - positions[-2:-1])
    edges = np.append(positions[starts], last)
    colours = colormaps["cividis"].with_extremes(bad=GREY)
    mesh = ax.pcolormesh(
        edges,
        np.arange(n_bands + 1) - 0.5,
        np.ma.masked_invalid(values.T),
        cmap=colours,
        rasterized=True,
        **style,
    )
    every = -(-n_bands // 40)  # more names would overlap
    ax.set_yticks(range(0, n_bands, every), list(names)[::every])
    ax.set_ylim(n_bands - 0.5, -0.5)
    ax.set_xlabel("row" if index is None else "time")
    return mesh
