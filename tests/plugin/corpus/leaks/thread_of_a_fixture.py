"""A fixture starts a thread that its tear-down does not stop.

kind: thread
outcome: error
owner: fixture server (function)
"""

import threading

import pytest


@pytest.fixture
def server() -> None:
    """Starts what it does not stop."""
    threading.Thread(target=threading.Event().wait, daemon=True).start()  # made here


def test_offender(server: None) -> None:
    """Passes."""


def test_innocent() -> None:
    """An innocent neighbour."""
