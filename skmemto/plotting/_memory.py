"""Pictures of a memory: which item each row reads, and what the items stand for."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils.validation import check_is_fitted

from skmemto.plotting._axes import check_index, heat_map, names_of


class MemoryDisplay:
    """What is read of a memory, and what its items stand for.

    Above, a band for each memory item: the weight that each row gives it (rows that
    share a column of the picture show their mean). Below, what the decoder makes of
    each item, by channel, in deviations from the channel's mean over all items: a map
    of the states that the model holds to be normal.

    Create it with :meth:`from_estimator`. All parameters are stored as attributes.

    Parameters
    ----------
    attention : ndarray of shape (n_samples, n_memory_items)
        Weights of the items in each row.
    prototypes : ndarray of shape (n_memory_items, n_features)
        The items, decoded.
    feature_names : list of str of shape (n_features,), default=None
        Names of the channels. By default "x0", "x1", ...
    index : ndarray of shape (n_samples,), default=None
        Positions on the horizontal axis, numbers or times; by default row numbers.

    Attributes
    ----------
    figure_, axes_ : matplotlib Figure, ndarray of matplotlib Axes
        What is drawn on: the axes of the weights, and those of the prototypes.
    mesh_, image_ : matplotlib QuadMesh, AxesImage
        The weights; the prototypes.

    See Also
    --------
    MEMTODetector.memory_attention : The weights.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from skmemto import MEMTODetector
    >>> from skmemto.datasets import make_anomalous_series
    >>> from skmemto.plotting import MemoryDisplay
    >>> data = make_anomalous_series(n_test=300, n_features=2, n_events=2,
    ...                              random_state=0)
    >>> detector = MEMTODetector(max_iter=1, random_state=0).fit(data.X_train)
    >>> display = MemoryDisplay.from_estimator(
    ...     detector, data.X_test, axes=Figure().subplots(2))
    >>> display.prototypes.shape
    (10, 2)
    """

    def __init__(
        self,
        *,
        attention: np.ndarray,
        prototypes: np.ndarray,
        feature_names: list[str] | None = None,
        index: np.ndarray | None = None,
    ) -> None:
        self.attention = attention
        self.prototypes = prototypes
        self.feature_names = feature_names
        self.index = index

    def plot(self, *, axes: ArrayLike | None = None) -> Self:
        """Plot the weights and the prototypes.

        Parameters
        ----------
        axes : array-like of two matplotlib Axes, default=None
            Axes to draw on. If `None`, a new figure is created.

        Returns
        -------
        display : MemoryDisplay
            The display itself.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        n_items = len(self.prototypes)
        if axes is None:
            import matplotlib.pyplot as plt

            size = (11, 2 + 0.5 * n_items)
            _, axes = plt.subplots(2, figsize=size, layout="constrained")
        self.axes_ = np.ravel(np.asarray(axes, dtype=object))
        if len(self.axes_) != 2:
            raise ValueError(
                f"The 'axes' parameter of {type(self).__name__} must hold 2 axes. Got "
                f"{len(self.axes_)} instead."
            )
        top, bottom = self.axes_
        self.figure_ = top.get_figure()
        items = [str(i) for i in range(n_items)]
        self.mesh_ = heat_map(
            *(top, self.index, self.attention, items, _mean_between),
            vmin=0.0,
            vmax=1.0,
        )
        top.set_ylabel("memory item")
        kw = {"pad": 0.01, "ax": top}
        self.figure_.colorbar(self.mesh_, label="weight", **kw)
        self._draw_prototypes(bottom, items)
        return self

    def _draw_prototypes(self, ax: Any, items: list[str]) -> None:
        n_features = self.prototypes.shape[1]
        spread = self.prototypes.std(axis=0)
        states = (self.prototypes - self.prototypes.mean(axis=0)) / np.where(
            spread > 0, spread, 1.0
        )
        limit = max(float(np.abs(states).max(initial=0.0)), 1e-9)
        self.image_ = ax.imshow(
            *(states,),
            aspect="auto",
            cmap="PuOr",
            vmin=-limit,
            vmax=limit,
        )
        names = self.feature_names or [f"x{i}" for i in range(n_features)]
        every = -(-n_features // 30)  # more names would overlap
        turn = {"rotation": 30, "ha": "right"} if n_features > 8 else {}
        ax.set_xticks(range(0, n_features, every), names[::every], **turn)
        ax.set_yticks(range(len(items)), items)
        ax.set_ylabel("memory item")
        label = "decoded, in deviations\nfrom the mean of the items"
        self.figure_.colorbar(self.image_, ax=ax, label=label, pad=0.01)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        *,
        groups: ArrayLike | None = None,
        feature_names: ArrayLike | None = None,
        index: ArrayLike | None = None,
        axes: ArrayLike | None = None,
    ) -> Self:
        """Plot what a fitted detector reads of its memory.

        Parameters
        ----------
        estimator : MEMTODetector
            Fitted.
        X : array-like of shape (n_samples, n_features)
            Rows in time order, as the estimator takes them.
        groups : array-like of shape (n_samples,), default=None
            Passed to `memory_attention`, if given.
        feature_names, index : array-like
            See :class:`MemoryDisplay`. The names default to the columns of `X`, or to
            those that the estimator was fitted with.
        axes : array-like of two matplotlib Axes, default=None
            See :meth:`plot`.

        Returns
        -------
        display : MemoryDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If the estimator has no memory.
        ValueError
            If shapes do not match, or `index` holds strings.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        if not hasattr(estimator, "memory_attention"):
            raise TypeError(
                f"{cls.__name__} shows the memory of a MEMTODetector. Got "
                f"{type(estimator).__name__} instead, which has none."
            )
        check_is_fitted(estimator)
        attention = estimator.memory_attention(X, groups=groups)
        prototypes, owner = estimator.memory_prototypes_, cls.__name__
        display = cls(
            attention=attention,
            prototypes=prototypes,
            feature_names=names_of(
                feature_names, X, prototypes.shape[1], owner, estimator
            ),
            index=check_index(index, attention.shape[:1], owner),
        )
        return display.plot(axes=axes)


def _mean_between(values: np.ndarray, starts: np.ndarray, axis: int = 0) -> np.ndarray:
    sums = np.add.reduceat(values, starts, axis=axis)
    return sums / np.diff(np.append(starts, len(values)))[:, np.newaxis]
