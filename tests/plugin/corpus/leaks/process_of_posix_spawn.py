"""A child of os.posix_spawn runs on.

kind: process
outcome: error
says: os.posix_spawn
"""

import os


def test_offender() -> None:
    """Neither ends it nor waits for it."""
    os.posix_spawn("/bin/sleep", ["sleep", "600"], os.environ)  # made here


def test_innocent() -> None:
    """Nothing is wrong here."""
