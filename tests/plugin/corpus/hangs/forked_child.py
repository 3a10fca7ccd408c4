"""A forked child never ends, and the test waits for it.

outcome: timed_out
ends: no
"""

import os
import time

import pytest


@pytest.mark.timeout(1)
def test_before() -> None:
    """An innocent neighbour."""


@pytest.mark.timeout(1)
def test_offender() -> None:
    """Waits for a child of its own."""
    child = os.fork()
    if child == 0:
        time.sleep(3600)
        os._exit(0)
    os.waitpid(child, 0)


@pytest.mark.timeout(1)
def test_after() -> None:
    """An innocent neighbour."""
