"""A C call keeps the interpreter lock: no thread of Python runs any more.

outcome: timed_out
ends: yes
stacks: file
"""

import ctypes

import pytest


def test_before() -> None:
    """An innocent neighbour."""


@pytest.mark.timeout(1)
def test_offender() -> None:
    """Out of time with the interpreter's lock held."""
    ctypes.PyDLL(None).sleep(3600)


def test_after() -> None:
    """An innocent neighbour."""
