"""A handler is put on the root logger and stays.

kind: environment
place: unknown
outcome: error
says: root logger
"""

import logging


def test_offender() -> None:
    """Passes."""
    logging.getLogger().addHandler(logging.NullHandler())  # made here


def test_innocent() -> None:
    """Finds the root logger as it was."""
    assert not any(isinstance(one, logging.NullHandler) for one in logging.getLogger().handlers)
