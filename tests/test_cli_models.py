"""Fitted detectors -> files and back."""

import numpy as np
import pytest
from conftest import DETECTORS, QUICK, make_waves
from numpy.testing import assert_array_equal
from sklearn.ensemble import IsolationForest
from sklearn.preprocessing import StandardScaler
from skops.io import dump

from skmemto import PerGroupDetector
from skmemto._cli.models import load_model, save_model


@pytest.mark.parametrize("kind", DETECTORS)
@pytest.mark.parametrize("per_group", [False, True])
def test_a_model_comes_back_bit_for_bit(tmp_path, kind, per_group):
    path, X = str(tmp_path / "m.skops"), make_waves()
    detector, groups = kind(**QUICK, random_state=0), None
    if per_group:
        detector, groups = PerGroupDetector(detector), np.arange(len(X)) // 150
    detector.fit(X, groups=groups)
    save_model(path, detector)
    again = load_model(path)
    assert_array_equal(
        again.score_samples(X, groups=groups), detector.score_samples(X, groups=groups)
    )
    assert [p.name for p in tmp_path.iterdir()] == ["m.skops"]


def test_only_detectors_are_loaded(tmp_path):
    path = str(tmp_path / "m.skops")
    dump(StandardScaler().fit(make_waves()), path)
    with pytest.raises(ValueError, match="holds a StandardScaler, no detector"):
        load_model(path)
    dump(IsolationForest(n_estimators=2).fit(make_waves()), path)
    with pytest.raises(ValueError, match=r"holds sklearn|holds a IsolationForest"):
        load_model(path)
