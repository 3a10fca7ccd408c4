"""The precision of decimal numbers is changed.

kind: environment
outcome: error
says: decimal's context
"""

import decimal


def test_offender() -> None:
    """Passes."""
    decimal.getcontext().prec = 5  # made here


def test_innocent() -> None:
    """An innocent neighbour."""
    assert decimal.getcontext().prec == 28
