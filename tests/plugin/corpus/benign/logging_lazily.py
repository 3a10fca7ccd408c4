"""A logger is made and used in a test."""

import logging


def test_it(caplog) -> None:
    """Logs."""
    logging.getLogger("corpus.lazily").warning("hello")
    assert "hello" in caplog.text
