"""A dictionary is patched with unittest.mock and stays so.

kind: patch
outcome: error
"""

from unittest import mock

SETTINGS = {"debug": False}


def test_offender() -> None:
    """Passes."""
    mock.patch.dict(SETTINGS, debug=True).start()  # made here


def test_innocent() -> None:
    """An innocent neighbour."""
    assert SETTINGS == {"debug": False}
