"""Frames: columns that are no readings."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from conftest import DETECTORS, QUICK, make_waves
from numpy.testing import assert_array_equal

from skmemto import PerGroupDetector

TIMES = pd.date_range("2024-01-01", periods=400, freq="1min")
KINDS = {
    "times": TIMES,
    "zone": TIMES.tz_localize("Europe/Berlin"),
    "spans": TIMES - TIMES[0],
    "periods": TIMES.to_period("min"),
}
POLARS = {
    "times": pl.Series(TIMES.to_numpy()),
    "dates": pl.Series(TIMES.to_numpy()).cast(pl.Date),
    "spans": pl.Series((TIMES - TIMES[0]).to_numpy()),
    "clock": pl.Series(TIMES.to_numpy()).cast(pl.Time),
}


@pytest.fixture(params=DETECTORS, ids=lambda kind: kind.__name__)
def detector(request):
    return request.param(**QUICK, random_state=0)


def frame():
    return pd.DataFrame(make_waves(), columns=["a", "b", "c"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_column_of_times_is_named(detector, kind):
    X = frame().assign(when=KINDS[kind])
    with pytest.raises(TypeError, match=r"holds times in its column 'when' \(\w+.*\)"):
        detector.fit(X)
    detector.fit(frame())
    with pytest.raises(TypeError, match="leave the column out"):
        detector.predict(X)


@pytest.mark.parametrize("kind", POLARS)
def test_of_polars_as_well(detector, kind):
    X = pl.from_pandas(frame()).with_columns(POLARS[kind].alias("when"))
    with pytest.raises(TypeError, match="holds times in its column 'when'"):
        detector.fit(X)


def test_arrays_of_times(detector):
    with pytest.raises(TypeError, match=r"X holds times \(datetime64\[\w+\]\)"):
        detector.fit(np.column_stack([TIMES, TIMES]))


def test_each_model_of_a_fleet_says_so(detector):
    X = frame().assign(when=TIMES)
    with pytest.raises(TypeError, match="its column 'when'"):
        PerGroupDetector(detector).fit(X, groups=np.arange(400) // 200)


def test_times_as_index_or_in_names_are_no_matter(detector):
    X = frame().set_index(TIMES).rename(columns={"a": "time", "b": "datetime64"})
    found = detector.fit(X).score_samples(X)
    assert_array_equal(detector.feature_names_in_, ["time", "datetime64", "c"])
    np.testing.assert_allclose(
        found, detector.fit(X.to_numpy()).score_samples(X.to_numpy())
    )


def test_readings_of_other_types_are_taken(detector):
    X = frame().assign(
        on=True, count=pd.array([1, None] * 200, dtype="Int64"), low=np.float16(1)
    )
    assert np.isfinite(detector.fit(X).score_samples(X)).all()


def test_a_tensor_with_gradients_is_refused(detector):
    X = torch.tensor(make_waves())
    assert detector.fit(X).n_features_in_ == 3
    with pytest.raises(TypeError, match=r"requires grad: give X\.detach\(\)"):
        detector.fit(X.requires_grad_())
