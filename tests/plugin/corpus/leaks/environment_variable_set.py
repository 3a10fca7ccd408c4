"""A variable is set and stays.

kind: environment
outcome: error
says: CORPUS_LEFT_BEHIND
"""

import os


def test_offender() -> None:
    """Passes."""
    os.environ["CORPUS_LEFT_BEHIND"] = "1"  # made here


def test_innocent() -> None:
    """Finds the environment as it was."""
    assert "CORPUS_LEFT_BEHIND" not in os.environ
