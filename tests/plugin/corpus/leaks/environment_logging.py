"""A handler is put on the root logger and stays.

kind: environment
outcome: error
says: root logger
"""

import logging


class Forgotten(logging.Handler):
    """Takes everything and does nothing."""

    def emit(self, record: logging.LogRecord) -> None:
        """Do nothing."""


def test_offender() -> None:
    """Passes."""
    logging.getLogger().addHandler(Forgotten())  # made here


def test_innocent() -> None:
    """Finds the root logger as it was."""
    assert not any(isinstance(one, Forgotten) for one in logging.getLogger().handlers)
