"""A variable is removed and stays away.

kind: environment
outcome: error
says: SUITE_MARK
"""

import os


def test_offender() -> None:
    """Passes."""
    del os.environ["SUITE_MARK"]  # made here


def test_innocent() -> None:
    """Finds the environment as it was."""
    assert os.environ["SUITE_MARK"]
