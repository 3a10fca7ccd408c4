"""A patch is started and never stopped.

kind: patch
outcome: error
says: patch of 'sep' on
"""

import os
from unittest import mock


def test_offender() -> None:
    """Passes."""
    mock.patch("os.sep", "!").start()  # made here


def test_innocent() -> None:
    """Finds the module as it was."""
    assert os.sep != "!"
