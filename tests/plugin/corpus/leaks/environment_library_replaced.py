"""A library is replaced in sys.modules by something else.

kind: environment
outcome: error
says: module iniconfig was <module
"""

import sys
import types

import iniconfig


def test_offender() -> None:
    """Passes."""
    sys.modules["iniconfig"] = types.ModuleType("iniconfig")  # made here


def test_innocent() -> None:
    """An innocent neighbour."""
    assert sys.modules["iniconfig"] is iniconfig
