"""A whole configuration of logging is left behind.

kind: environment
outcome: error
"""

import logging.config


def test_offender() -> None:
    """Passes."""
    logging.config.dictConfig(  # made here
        {"version": 1, "disable_existing_loggers": False, "loggers": {"corpus.configured": {"level": "ERROR"}}},
    )


def test_innocent() -> None:
    """An innocent neighbour."""
    assert not __import__("logging").getLogger("corpus.configured").level
