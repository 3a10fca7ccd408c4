"""Code under test ends the process with code 0.

outcome: crashed
ends: yes
"""

import os


def test_before() -> None:
    """An innocent neighbour."""


def test_offender() -> None:
    """Would end the run green."""
    os._exit(0)


def test_after() -> None:
    """An innocent neighbour."""
