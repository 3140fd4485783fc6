"""LossCurveDisplay."""

from conftest import PICTURED
from matplotlib.figure import Figure
from numpy.testing import assert_array_equal

from skmemto import MEMTODetector
from skmemto.plotting import LossCurveDisplay


def test_losses_by_epoch(pyplot, memto):
    display = LossCurveDisplay.from_estimator(memto)
    display.figure_.canvas.draw()
    assert_array_equal(display.line_.get_ydata(), memto.loss_curve_)
    assert display.line_.get_xdata()[0] == 1
    assert display.validation_line_ is None


def test_those_held_out(data):
    settings = PICTURED | {"early_stopping": True, "max_iter": 2}
    detector = MEMTODetector(**settings, random_state=0).fit(data.X_train)
    display = LossCurveDisplay.from_estimator(detector, ax=Figure().subplots())
    assert_array_equal(
        display.validation_line_.get_ydata(), detector.validation_loss_curve_
    )
    assert len(display.ax_.get_legend().get_texts()) == 2
