"""How many later rows may count."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skmemto._lookahead import Lookahead


def test_auto_is_without_a_limit():
    every = Lookahead.of("auto", 50)
    assert every.window is every.smoothing is every.total is None


@given(requested=st.integers(0, 500), window_size=st.integers(1, 200))
def test_all_that_is_asked_for_is_used_and_no_more(requested, window_size):
    lookahead = Lookahead.of(requested, window_size)
    assert lookahead.total == requested
    assert 0 <= lookahead.window <= lookahead.smoothing
    # A row is in the first half of its window at the most.
    assert lookahead.window <= window_size // 2


@pytest.mark.parametrize(
    ("requested", "window_size", "expected"),
    [(0, 50, (0, 0)), (1, 50, (0, 1)), (5, 50, (2, 3)), (99, 50, (25, 74))],
)
def test_it_is_divided_evenly(requested, window_size, expected):
    assert Lookahead.of(requested, window_size) == expected
