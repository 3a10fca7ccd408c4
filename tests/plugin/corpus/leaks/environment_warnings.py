"""Warnings are silenced for the rest of the test run.

kind: environment
outcome: error
says: warnings filters
"""

import warnings


def test_offender() -> None:
    """Passes."""
    warnings.filterwarnings("ignore", "corpus noise")  # made here


def test_innocent() -> None:
    """An innocent neighbour."""
    assert not any(pattern and "corpus" in pattern.pattern for _, pattern, *_ in warnings.filters)
