"""A variable is set past os.environ.

kind: environment
outcome: error
"""

import os
import subprocess
import sys


def test_offender() -> None:
    """Passes."""
    os.putenv("CORPUS_PUTENV", "1")  # made here


def test_innocent() -> None:
    """An innocent neighbour."""
    assert b"None" in subprocess.check_output([sys.executable, "-c", "import os; print(os.environ.get('CORPUS_PUTENV'))"])
