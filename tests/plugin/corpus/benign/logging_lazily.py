"""A logger is made and used in a test."""

import logging


def test_it(caplog) -> None:  # noqa: ANN001 - pytest's
    """Logs."""
    logging.getLogger("corpus.lazily").warning("hello")
    assert "hello" in caplog.text
