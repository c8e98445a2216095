"""Wilson's interval: published values, values by hand, and what any interval must keep to."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from c3dhub.learning.intervals import wilson_interval


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [
        # Newcombe, Statistics in Medicine 17 (1998), table I.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        # By hand from the formula.
        (8, 10, 0.4902, 0.9433),
        (10, 10, 0.7225, 1.0),
    ],
)
def test_known_values(right: int, n: int, low: float, high: float) -> None:
    assert wilson_interval(right, n) == pytest.approx((low, high), abs=5e-5)


@settings(deadline=None)
@given(st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_it_holds_the_share_and_narrows(numbers: tuple[int, int]) -> None:
    right, n = numbers
    low, high = wilson_interval(right, n)
    assert 0 <= low <= right / n <= high <= 1
    narrower = wilson_interval(4 * right, 4 * n)
    assert narrower[1] - narrower[0] < high - low


@pytest.mark.parametrize(("right", "n"), [(1, 0), (0, 0), (3, 2), (-1, 2)])
def test_impossible_counts_are_refused(right: int, n: int) -> None:
    with pytest.raises(ValueError, match=f"n_right is {right} and n {n}"):
        wilson_interval(right, n)
