"""A patch of unittest.mock is entered through a stack of contexts that nobody leaves.

kind: patch
outcome: error
says: patch of 'get_terminal_size' on shutil is still in place
"""

import contextlib
import shutil
from unittest import mock

KEPT = []


def test_offender():
    stack = contextlib.ExitStack()
    KEPT.append(stack)
    stack.enter_context(mock.patch("shutil.get_terminal_size"))  # made here


def test_innocent():
    """The function is the module's own again."""
    assert not isinstance(shutil.get_terminal_size, mock.Mock)
