"""A module of the standard library is thrown out of sys.modules: whoever imports it next has a second one.

kind: patch
outcome: error
says: sys.modules.json was
"""

import json
import sys


def test_offender() -> None:
    """Passes."""
    del sys.modules["json"]  # made here


def test_innocent() -> None:
    """Has the same one as ever."""
    assert sys.modules["json"] is json
