"""A module of the project is taken out of sys.modules: whoever imports it next gets another one.

kind: environment
outcome: error
says: module test_environment_module was <module
"""

import sys


def test_offender() -> None:
    """Passes."""
    del sys.modules[__name__]  # made here


def test_innocent() -> None:
    """Finds itself."""
    assert __name__ in sys.modules
