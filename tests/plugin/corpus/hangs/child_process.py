"""A test waits for a child that never ends: the child ends with it.

outcome: timed_out
ends: yes
"""

import subprocess
import sys

import pytest


def test_before() -> None:
    """An innocent neighbour."""


@pytest.mark.timeout(1)
def test_offender() -> None:
    """Out of time while a child runs; deaf to it, so that the process must end."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)  # ci-tools corpus child"])
    while True:
        try:
            child.wait()
        except BaseException:  # noqa: BLE001 - the misbehaviour
            continue


def test_after() -> None:
    """An innocent neighbour."""
