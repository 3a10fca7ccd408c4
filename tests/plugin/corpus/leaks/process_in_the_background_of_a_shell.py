"""A shell starts something in the background and ends.

kind: process
outcome: error
says: sleep 3600
"""

import subprocess


def test_offender() -> None:
    """Passes."""
    subprocess.run("sleep 3600 >/dev/null 2>&1 &", shell=True, check=True)  # made here


def test_innocent() -> None:
    """An innocent neighbour."""
    assert True
