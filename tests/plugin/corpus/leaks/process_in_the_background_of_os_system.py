"""os.system() leaves a process in the background of its shell.

kind: process
outcome: error
says: sleep 600
"""

import os


def test_offender() -> None:
    """The shell has ended, what it started has not."""
    assert os.system("nohup sleep 600 > /dev/null 2>&1 &") == 0  # made here


def test_innocent() -> None:
    """Nothing is wrong here."""
