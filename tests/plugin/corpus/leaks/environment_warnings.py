"""Warnings are silenced for the rest of the test run.

kind: environment
outcome: error
says: warnings filters
"""

import warnings


def test_offender() -> None:
    """Passes."""
    warnings.simplefilter("ignore", ResourceWarning)  # made here


def test_innocent() -> None:
    """An innocent neighbour."""
    assert ("ignore", None, ResourceWarning, None, 0) not in warnings.filters
