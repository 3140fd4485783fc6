"""Curves of the losses of a fit."""

from collections.abc import Sequence
from typing import Any, Self

from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils.validation import check_is_fitted

from skmemto.plotting._axes import BLUE, RED, single_axes


class LossCurveDisplay:
    """Loss of the training rows by epoch, and of those held out if there are any.

    Create it with :meth:`from_estimator`. All parameters are stored as attributes.

    Parameters
    ----------
    loss_curve : list of float
        Mean loss of the training windows in each epoch.
    validation_loss_curve : list of float, default=None
        The same of the windows held out for early stopping.

    Attributes
    ----------
    figure_, ax_ : matplotlib Figure, Axes
        What is drawn on.
    line_, validation_line_ : matplotlib Line2D
        The curves; None if no rows were held out.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from skmemto import MEMTODetector
    >>> from skmemto.datasets import make_anomalous_series
    >>> from skmemto.plotting import LossCurveDisplay
    >>> data = make_anomalous_series(n_test=300, n_features=2, n_events=2,
    ...                              random_state=0)
    >>> detector = MEMTODetector(max_iter=2, random_state=0).fit(data.X_train)
    >>> display = LossCurveDisplay.from_estimator(detector, ax=Figure().subplots())
    >>> len(display.line_.get_ydata()) == len(detector.loss_curve_)
    True
    """

    def __init__(
        self,
        *,
        loss_curve: Sequence[float],
        validation_loss_curve: Sequence[float] | None = None,
    ) -> None:
        self.loss_curve = loss_curve
        self.validation_loss_curve = validation_loss_curve

    def plot(self, *, ax: Any = None) -> Self:
        """Plot the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. If `None`, a new figure is created.

        Returns
        -------
        display : LossCurveDisplay
            The display itself.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        self.ax_ = single_axes(ax, (6, 4))
        self.figure_ = self.ax_.get_figure()
        epochs = range(1, len(self.loss_curve) + 1)
        kw = {"marker": "o", "ms": 4}
        (self.line_,) = self.ax_.plot(
            epochs, self.loss_curve, color=BLUE, label="training", **kw
        )
        self.validation_line_ = None
        if self.validation_loss_curve is not None:
            epochs = range(1, len(self.validation_loss_curve) + 1)
            (self.validation_line_,) = self.ax_.plot(
                *(epochs, self.validation_loss_curve),
                color=RED,
                ls="--",
                label="held out",
                **kw,
            )
        self.ax_.set(xlabel="epoch, of all phases", ylabel="loss")
        self.ax_.xaxis.get_major_locator().set_params(integer=True)
        self.ax_.legend(frameon=False)
        return self

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> Self:
        """Plot the losses of a fitted detector.

        Parameters
        ----------
        estimator : MEMTODetector or AnomalyTransformerDetector
            Fitted.
        ax : matplotlib Axes, default=None
            See :meth:`plot`.

        Returns
        -------
        display : LossCurveDisplay
            The display, drawn.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        check_is_fitted(estimator)
        return cls(
            loss_curve=estimator.loss_curve_,
            validation_loss_curve=estimator.validation_loss_curve_,
        ).plot(ax=ax)
