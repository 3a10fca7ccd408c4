"""The chance of a drop is that of counting all ways, and nothing in it is out of reach for large runs."""

from fractions import Fraction
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_tools.policy.chance import chance_of_drop


@given(st.integers(1, 30), st.integers(1, 30), st.data())
def test_it_is_what_counting_all_ways_gives(total: int, before: int, data: st.DataObject) -> None:
    """For small runs every way of spreading the passes over both runs can be counted exactly."""
    passed, passed_before = data.draw(st.integers(0, total)), data.draw(st.integers(0, before))
    everything, all_passed = total + before, passed + passed_before
    ways = sum(comb(total, count) * comb(before, all_passed - count) for count in range(passed + 1) if count <= all_passed)
    exact = Fraction(ways, comb(everything, all_passed))
    assert chance_of_drop(passed, total, passed_before, before) == pytest.approx(float(exact), rel=1e-9)


def test_it_holds_for_a_million_tests() -> None:
    """Two runs of 500,000 tests: 200 more failures are no chance, one more is."""
    chances = [chance_of_drop(500_000 - failed, 500_000, 500_000, 500_000) for failed in (200, 1)]
    assert (chances[0] < 1e-9, chances[1] == pytest.approx(0.5)) == (True, True)
