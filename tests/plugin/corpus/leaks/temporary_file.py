"""A named temporary file is made to stay and does.

kind: temporary
outcome: error
says: corpus-kept
"""

import tempfile


def test_offender() -> None:
    """Passes."""
    with tempfile.NamedTemporaryFile(prefix="corpus-kept", delete=False) as file:  # made here
        file.write(b"1")


def test_innocent() -> None:
    """An innocent neighbour."""
