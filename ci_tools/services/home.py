"""A server's home: a private folder with a short path, removed when the server ends."""

import os
import secrets
import tempfile
from pathlib import Path

LONGEST_SOCKET_PATH = 103
"""macOS allows 104 bytes for the path of a unix socket, the closing zero included; Linux 108."""

_ROOM_FOR_NAMES = 40


def new_home() -> Path:
    """A new folder that only this account may enter.

    Made with ``os.mkdir`` and not ``tempfile.mkdtemp``: on Windows the latter's folders belong to Administrators
    only, and PostgreSQL, which gives that right up, cannot enter them.
    """
    home = _parent() / f"ci-tools-{secrets.token_hex(4)}"
    home.mkdir(mode=0o700)
    return home


def _parent() -> Path:
    usual = Path(os.environ.get("RUNNER_TEMP", "")) if os.name == "nt" else Path(tempfile.gettempdir())
    if os.name == "nt":
        return usual if usual.is_dir() and str(usual) != "." else Path(tempfile.gettempdir())
    is_short = len(os.fsencode(usual)) + _ROOM_FOR_NAMES <= LONGEST_SOCKET_PATH
    return usual if is_short else Path("/tmp")  # noqa: S108 - the folder made in it is private and its name is random
