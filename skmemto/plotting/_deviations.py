"""Heat map of what each channel adds to the score over time."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_array
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils.validation import check_is_fitted

from skmemto.plotting._axes import check_index, heat_map, names_of, single_axes

_CHANNELS_PER_INCH = 5


class DeviationDisplay:
    """Heat map of deviations: which channel, and when.

    A band for each channel, time from left to right; missing values are grey. Rows that
    share a column of the picture show the largest of theirs.

    Create it with :meth:`from_estimator` or :meth:`from_predictions`. All parameters
    are stored as attributes.

    Parameters
    ----------
    deviations : ndarray of shape (n_samples, n_features)
        What each channel adds to the score, NaN where it is missing.
    threshold : float, default=None
        Where the colours end: a channel that alone makes a row an anomaly.
    feature_names : list of str of shape (n_features,), default=None
        Names of the channels. By default "x0", "x1", ...
    index : ndarray of shape (n_samples,), default=None
        Positions on the horizontal axis, numbers or times; by default row numbers.

    Attributes
    ----------
    figure_, ax_ : matplotlib Figure, Axes
        What is drawn on.
    mesh_ : matplotlib QuadMesh
        The heat map.
    colorbar_ : matplotlib Colorbar
        Its scale.

    See Also
    --------
    AnomalyScoreDisplay : The readings and the score.
    MEMTODetector.deviations : What is shown.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from skmemto import MEMTODetector
    >>> from skmemto.datasets import make_anomalous_series
    >>> from skmemto.plotting import DeviationDisplay
    >>> data = make_anomalous_series(n_test=300, n_features=2, n_events=2,
    ...                              random_state=0)
    >>> detector = MEMTODetector(max_iter=1, random_state=0).fit(data.X_train)
    >>> display = DeviationDisplay.from_estimator(
    ...     detector, data.X_test, ax=Figure().subplots())
    >>> [label.get_text() for label in display.ax_.get_yticklabels()]
    ['x0', 'x1']
    """

    def __init__(
        self,
        *,
        deviations: np.ndarray,
        threshold: float | None = None,
        feature_names: list[str] | None = None,
        index: np.ndarray | None = None,
    ) -> None:
        self.deviations = deviations
        self.threshold = threshold
        self.feature_names = feature_names
        self.index = index

    def plot(self, *, ax: Any = None) -> Self:
        """Plot the heat map.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. If `None`, a new figure is created.

        Returns
        -------
        display : DeviationDisplay
            The display itself.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        n_features = self.deviations.shape[1]
        names = self.feature_names or [f"x{i}" for i in range(n_features)]
        self.ax_ = single_axes(ax, (11, 1.5 + n_features / _CHANNELS_PER_INCH))
        self.figure_ = self.ax_.get_figure()
        highest = self.threshold
        if highest is None:
            known = self.deviations[np.isfinite(self.deviations)]
            highest = float(np.quantile(known, 0.999)) if len(known) else 1.0
        self.mesh_ = heat_map(
            *(self.ax_, self.index, self.deviations, names, np.fmax.reduceat),
            vmin=0.0,
            vmax=max(highest, np.finfo(float).tiny),
        )
        label = "part of the score" if self.threshold is not None else "deviation"
        self.colorbar_ = self.figure_.colorbar(
            self.mesh_, ax=self.ax_, label=label, extend="max", pad=0.01
        )
        return self

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        *,
        groups: ArrayLike | None = None,
        calibrated: bool = True,
        **options: Any,
    ) -> Self:
        """Plot the deviations that a fitted detector gives.

        Parameters
        ----------
        estimator : MEMTODetector, AnomalyTransformerDetector or PerGroupDetector
            Fitted.
        X : array-like of shape (n_samples, n_features)
            Rows in time order, as the estimator takes them.
        groups : array-like of shape (n_samples,), default=None
            Passed to `deviations`, if given.
        calibrated : bool, default=True
            Whether to show each channel's part of the score, in decades of rarity,
            rather than squared errors.
        **options : dict
            `feature_names`, `index`, `ax`, `threshold`: see :meth:`from_predictions`.

        Returns
        -------
        display : DeviationDisplay
            The display, drawn.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        check_is_fitted(estimator)
        routed = {} if groups is None else {"groups": groups}
        found = estimator.deviations(X, calibrated=calibrated, **routed).input
        offset = getattr(estimator, "offset_", np.empty(0))
        is_rarity = getattr(estimator, "criterion", None) == "calibrated"
        if calibrated and np.ndim(offset) == 0 and is_rarity:
            options.setdefault("threshold", -float(offset))
        if options.get("feature_names") is None:
            n_features, owner = found.shape[1], cls.__name__
            options["feature_names"] = names_of(None, X, n_features, owner, estimator)
        return cls.from_predictions(found, **options)

    @classmethod
    def from_predictions(
        cls,
        deviations: ArrayLike,
        *,
        threshold: float | None = None,
        feature_names: ArrayLike | None = None,
        index: ArrayLike | None = None,
        ax: Any = None,
    ) -> Self:
        """Plot deviations that were computed before.

        Parameters
        ----------
        deviations : array-like of shape (n_samples, n_features)
            NaN where a value is missing.
        threshold, feature_names, index : float, array-like, array-like
            See :class:`DeviationDisplay`.
        ax : matplotlib Axes, default=None
            See :meth:`plot`.

        Returns
        -------
        display : DeviationDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If shapes do not match, or `index` holds strings.
        """
        values = check_array(
            deviations, ensure_all_finite="allow-nan", input_name="deviations"
        )
        owner = cls.__name__
        display = cls(
            deviations=values,
            threshold=threshold,
            feature_names=names_of(feature_names, deviations, values.shape[1], owner),
            index=check_index(index, values.shape[:1], owner),
        )
        return display.plot(ax=ax)
