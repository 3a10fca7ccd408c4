"""The garbage collector is switched off.

kind: environment
outcome: error
"""

import gc


def test_offender() -> None:
    """Passes."""
    gc.disable()  # made here


def test_innocent() -> None:
    """An innocent neighbour."""
    assert gc.isenabled()
