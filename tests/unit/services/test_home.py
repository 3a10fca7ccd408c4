import os
import sys
import tempfile
from pathlib import Path

import pytest

from ci_tools.services.home import LONGEST_SOCKET_PATH, new_home

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="modes and unix sockets are POSIX")


def test_a_home_is_closed_to_everybody_else() -> None:
    """Only this account may enter, whatever the umask says."""
    before = os.umask(0)
    try:
        home = new_home()
    finally:
        os.umask(before)
    assert home.stat().st_mode & 0o777 == 0o700
    home.rmdir()


def test_a_long_folder_for_temporary_files_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MacOS' own is so long that a unix socket in it cannot be bound: the home lies in /tmp then."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("long" * 20)))
    home = new_home()
    home.rmdir()
    assert len(str(home / ".s.PGSQL.65535")) < LONGEST_SOCKET_PATH
    assert home.parent == Path("/tmp")  # noqa: S108 - the place itself is the fact


def test_memory_without_room_is_passed_over() -> None:
    """A home that should have more memory than there is lies on the disk."""
    home = new_home(in_memory_with_bytes=1 << 60)
    home.rmdir()
    assert Path(tempfile.gettempdir()) == home.parent


@pytest.mark.skipif(sys.platform != "linux", reason="a memory file system that everybody may write is Linux' own")
def test_memory_with_room_is_taken() -> None:
    """A home that fits into memory lies there: no disk is waited for."""
    home = new_home(in_memory_with_bytes=1)
    home.rmdir()
    assert Path("/dev/shm") == home.parent  # noqa: S108 - the place itself is the fact
