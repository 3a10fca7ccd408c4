"""A child is started and forgotten.

kind: process
outcome: error
"""

import subprocess
import sys

KEPT = []


def test_offender() -> None:
    """Passes."""
    KEPT.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"]))  # made here


def test_innocent() -> None:
    """An innocent neighbour."""
