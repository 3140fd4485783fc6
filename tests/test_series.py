"""Groups -> series."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from skmemto._series import (
    hold_out_tails,
    rows_of,
    series_names,
    split_series,
    with_values,
)


def test_one_series_without_groups():
    assert_array_equal(split_series(None, 7), [[0, 7]])


@pytest.mark.parametrize(
    "groups", [[2, 2, 1, 1, 1, 5], list("bbaaac"), [True, True, False, False, False, 3]]
)
def test_one_series_for_each_run(groups):
    assert_array_equal(split_series(groups, 6), [[0, 2], [2, 5], [5, 6]])


def test_a_group_in_two_runs():
    with pytest.raises(ValueError, match="Group b comes in 2 separate runs; sort"):
        split_series(list("abcb"), 4)


def test_rows_of_series():
    assert_array_equal(rows_of(np.array([[2, 5], [9, 10]])), [2, 3, 4, 9])


def test_hold_out_tails():
    series = np.array([[0, 10], [10, 30], [30, 31]])
    kept, held_out = hold_out_tails(series, 0.25)
    assert_array_equal(kept, [[0, 7], [10, 25]])  # a lone row is held out
    assert_array_equal(held_out, [[7, 10], [25, 30], [30, 31]])


def test_hold_out_nothing():
    kept, held_out = hold_out_tails(np.array([[0, 10]]), 0)
    assert_array_equal(kept, [[0, 10]])
    assert held_out.shape == (0, 2)


def test_hold_out_too_much():
    with pytest.raises(ValueError, match=r"=0\.5 of series of at most 1 rows"):
        hold_out_tails(np.array([[0, 1], [1, 2]]), 0.5)


@pytest.mark.parametrize(
    "groups", [[1.0, np.nan], ["a", None], pd.array(["a", pd.NA], dtype="string")]
)
def test_every_row_needs_a_name(groups):
    with pytest.raises(ValueError, match="contains NaN or None"):
        split_series(groups, 2)


def test_a_date_is_the_same_name_in_any_unit():
    names = [
        series_names(
            np.array(["2020-01-01"], f"datetime64[{unit}]"), np.array([[0, 1]])
        )
        for unit in ("s", "us", "ns")
    ]
    assert names[0] == names[1] == names[2]


def test_series_without_values_are_left_out():
    X = np.full((9, 2), np.nan)
    X[4, 1] = X[8, 0] = 1.0
    series = np.array([[0, 3], [3, 6], [6, 8], [8, 9]])
    assert_array_equal(with_values(X, series), [[3, 6], [8, 9]])
    assert with_values(X[:3], series[:1]).shape == (0, 2)


def test_names_must_be_hashable():
    names = np.empty(3, dtype=object)
    names[:] = [[1], [1], [2]]
    with pytest.raises(
        TypeError, match=r"groups must hold names: .* Got \[1\] instead"
    ):
        split_series(names, 3)
