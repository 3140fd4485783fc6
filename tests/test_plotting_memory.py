"""MemoryDisplay."""

import numpy as np
import pytest
from conftest import PICTURED
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

from skmemto import AnomalyTransformerDetector
from skmemto.plotting import MemoryDisplay


def test_what_is_read_and_what_it_stands_for(pyplot, memto, data):
    names = ["a", "b", "c"]
    display = MemoryDisplay.from_estimator(memto, data.X_test, feature_names=names)
    display.figure_.canvas.draw()
    attention = memto.memory_attention(data.X_test)
    assert_allclose(display.mesh_.get_array().reshape(attention.T.shape), attention.T)
    made = memto.memory_prototypes_
    states = np.asarray(display.image_.get_array())
    assert_allclose(states, (made - made.mean(axis=0)) / made.std(axis=0))
    top, bottom = display.axes_
    assert [text.get_text() for text in bottom.get_xticklabels()] == names
    assert len(top.get_yticks()) == len(bottom.get_yticks()) == 10


def test_of_many_rows_the_mean_is_seen():
    attention = np.tile([[1.0, 0.0], [0.0, 1.0]], (30_000, 1))
    display = MemoryDisplay(attention=attention, prototypes=np.ones((2, 3)))
    display.plot(axes=Figure().subplots(2))
    assert_allclose(np.asarray(display.mesh_.get_array()).ravel(), 0.5)
    assert_allclose(np.asarray(display.image_.get_array()), 0)


def test_errors(memto, data):
    detector = AnomalyTransformerDetector(**PICTURED).fit(data.X_train)
    with pytest.raises(TypeError, match="Got AnomalyTransformerDetector instead"):
        MemoryDisplay.from_estimator(detector, data.X_test)
    with pytest.raises(ValueError, match=r"must hold 2 axes\. Got 3 instead"):
        MemoryDisplay.from_estimator(memto, data.X_test, axes=Figure().subplots(3))
    with pytest.raises(ValueError, match="'index' parameter of MemoryDisplay"):
        MemoryDisplay.from_estimator(memto, data.X_test, index=[1])
