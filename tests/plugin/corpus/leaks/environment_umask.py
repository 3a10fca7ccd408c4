"""The umask is changed and stays.

kind: environment
outcome: error
says: umask was
"""

import os


def test_offender() -> None:
    """Passes."""
    os.umask(0o077)  # made here


def test_innocent() -> None:
    """Finds it as it was."""
    mask = os.umask(0o022)
    os.umask(mask)
    assert mask != 0o077
