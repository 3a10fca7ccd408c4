"""Account: who a server runs as when we are root and it refuses to be."""

import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

_ANYBODY = "nobody"
"""An account that owns nothing; ``postgres``, where it exists, may own a cluster that is not ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user and its group (POSIX), by number."""

    user: int
    group: int

    def may_run(self, program: Path) -> bool:
        """Whether this account may enter every folder above a program, and run it."""
        return self.may_enter(program.parent) and _allows(program, self, stat.S_IXOTH | stat.S_IROTH)

    def may_enter(self, folder: Path) -> bool:
        """Whether this account may pass through a folder and every one above it."""
        return all(_allows(one, self, stat.S_IXOTH) for one in (folder, *folder.parents))


def unprivileged() -> Account | None:
    """The account for a server that refuses to run as root; None when we are not root."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return None
    import pwd  # noqa: PLC0415 - POSIX only

    entry = pwd.getpwnam(_ANYBODY)
    return Account(user=entry.pw_uid, group=entry.pw_gid)


def _allows(path: Path, account: Account, wanted: int) -> bool:
    found = path.stat()
    if found.st_uid == account.user:
        wanted <<= 6
    elif found.st_gid == account.group:
        wanted <<= 3
    return found.st_mode & wanted == wanted
