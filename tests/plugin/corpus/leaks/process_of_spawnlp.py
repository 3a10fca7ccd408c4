"""A child of os.spawnlp runs on: the standard library forks for it.

kind: process
outcome: error
"""

import os


def test_offender() -> None:
    """Neither ends it nor waits for it."""
    os.spawnlp(os.P_NOWAIT, "sleep", "sleep", "600")  # made here


def test_innocent() -> None:
    """Nothing is wrong here."""
