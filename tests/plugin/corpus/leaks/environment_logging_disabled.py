"""Logging is switched off for everybody.

kind: environment
outcome: error
"""

import logging


def test_offender() -> None:
    """Passes."""
    logging.disable(logging.CRITICAL)  # made here


def test_innocent() -> None:
    """An innocent neighbour."""
    assert __import__("logging").root.manager.disable == 0
