"""A property."""

from hypothesis import given, settings
from hypothesis import strategies as st


@settings(max_examples=20, deadline=None, database=None)
@given(st.integers(), st.integers())
def test_it(one, two):
    assert one + two == two + one
