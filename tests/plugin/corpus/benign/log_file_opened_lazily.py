"""A log file is opened with the first line of log that anybody writes, and stays open."""

import logging
import tempfile
from pathlib import Path

LOG = logging.getLogger("corpus.lazy")
LOG.addHandler(logging.FileHandler(Path(tempfile.gettempdir()) / "corpus-lazy.log", delay=True, encoding="utf-8"))


def test_it() -> None:
    """Writes the first line."""
    LOG.warning("first")
