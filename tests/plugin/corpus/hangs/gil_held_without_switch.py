"""A test takes faulthandler's timer away, as pytest's own plugin does after each test, and a C call keeps the interpreter lock.

outcome: timed_out
ends: yes
stacks: file
"""

import ctypes
import faulthandler

import pytest


def test_before() -> None:
    """An innocent neighbour."""


@pytest.mark.timeout(1)
def test_offender() -> None:
    """Nobody is left who could set the timer again."""
    faulthandler.cancel_dump_traceback_later()
    faulthandler.disable()
    ctypes.PyDLL(None).sleep(3600)


def test_after() -> None:
    """An innocent neighbour."""
