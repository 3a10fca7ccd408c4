"""A server's home: a private folder with a short path, removed when the server ends."""

import os
import re
import secrets
import shutil
import tempfile
from pathlib import Path

from ci_tools.services.account import Account

LONGEST_SOCKET_PATH = 103
"""macOS allows 104 bytes for the path of a unix socket, the closing zero included; Linux 108."""

_NAME = re.compile(r"ci-tools-[0-9a-f]{8}")
_ROOM_FOR_NAMES = 40
_SHORT_AND_OPEN = Path("/tmp")  # noqa: S108 - the folder made in it is private and its name is random
_MEMORY = Path("/dev/shm")  # noqa: S108 - as for /tmp


def new_home(*, in_memory_with_bytes: int | None = None, account: Account | None = None) -> Path:
    """A new folder that only this account may enter, or only ``account`` where that one is given.

    With ``in_memory_with_bytes`` it lies on the memory file system when at least that much is free there. A folder for
    temporary files that ``account`` may not enter is passed over for /tmp: root's own are often closed.
    Made with ``os.mkdir`` and not ``tempfile.mkdtemp``: on Windows the latter's folders belong to Administrators
    only, and PostgreSQL, which gives that right up, cannot enter them.
    """
    parent = _parent()
    if account is not None and not account.may_enter(parent.resolve()):
        parent = _SHORT_AND_OPEN
    if in_memory_with_bytes is not None and _has_room(_MEMORY, in_memory_with_bytes):
        parent = _MEMORY
    home = parent / f"ci-tools-{secrets.token_hex(4)}"
    home.mkdir(mode=0o700)
    if account is not None:
        os.chown(home, account.user, account.group)
    return home


def parents() -> tuple[Path, ...]:
    """Every folder in which homes are made, for whichever account."""
    return tuple(one for one in dict.fromkeys((_parent(), _SHORT_AND_OPEN, _MEMORY)) if one.is_dir())


def is_name(name: str) -> bool:
    """Whether a folder is named as homes are."""
    return _NAME.fullmatch(name) is not None


def _has_room(folder: Path, size: int) -> bool:
    return folder.is_dir() and os.access(folder, os.W_OK) and shutil.disk_usage(folder).free >= size


def _parent() -> Path:
    usual = Path(os.environ.get("RUNNER_TEMP", "")) if os.name == "nt" else Path(tempfile.gettempdir())
    if os.name == "nt":
        return usual if usual.is_dir() and str(usual) != "." else Path(tempfile.gettempdir())
    is_short = len(os.fsencode(usual)) + _ROOM_FOR_NAMES <= LONGEST_SOCKET_PATH
    return usual if is_short else _SHORT_AND_OPEN
