"""A child has ended and nobody has waited for it.

kind: process
outcome: error
says: ended, and nobody has waited for it
"""

import os
import subprocess
import sys

KEPT = []


def test_offender() -> None:
    """Passes."""
    child = subprocess.Popen([sys.executable, "-c", ""])  # made here
    KEPT.append(child)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)


def test_innocent() -> None:
    """An innocent neighbour."""
