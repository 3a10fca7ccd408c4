"""sys.excepthook is replaced and stays.

kind: patch
outcome: error
says: sys.excepthook
"""

import sys


def test_offender() -> None:
    """Passes."""
    sys.excepthook = print  # made here


def test_innocent() -> None:
    """Finds the hook as it was."""
    assert sys.excepthook is not print
