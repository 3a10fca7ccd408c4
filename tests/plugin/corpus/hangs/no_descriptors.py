"""The process may open nothing any more, not even what lists its children, and the test sleeps.

outcome: timed_out
ends: no
"""

import resource
import time

import pytest


def test_before() -> None:
    """An innocent neighbour."""


@pytest.mark.timeout(1)
def test_offender() -> None:
    """Out of descriptors, and out of time."""
    usual, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, most))
    try:
        time.sleep(3600)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (usual, most))


def test_after() -> None:
    """An innocent neighbour."""
