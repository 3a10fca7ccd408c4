"""The process is killed from outside while a test runs.

outcome: none
ends: yes
"""

import os
import signal


def test_before() -> None:
    """An innocent neighbour."""


def test_offender() -> None:
    """Never ends."""
    os.kill(os.getpid(), signal.SIGKILL)


def test_after() -> None:
    """An innocent neighbour."""
