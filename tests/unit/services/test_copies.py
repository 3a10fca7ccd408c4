"""Copies of programs do not pile up, none goes under a server that runs, and none is half made."""

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ci_tools.errors import ServiceError
from ci_tools.services import copies

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="root, whose programs are copied, is POSIX'")

HOUR_S, DAY_S = 3600.0, 86_400.0


@pytest.fixture
def piece(tmp_path: Path) -> Path:
    """A folder with a program and a file in it, closed to others."""
    folder = tmp_path / "piece"
    folder.mkdir()
    shutil.copy2(shutil.which("sleep") or pytest.fail("no sleep"), folder / "program")
    (folder / "program").chmod(0o700)
    (folder / "file").touch(mode=0o600)
    return folder


def put(folder: Path, name: str, *, unused_s: float) -> Path:
    """A copy that was last used so long ago."""
    path = folder / name
    path.mkdir(parents=True)
    then = time.time() - unused_s
    os.utime(path, (then, then))
    return path


def names(folder: Path) -> list[str]:
    """What is kept, by its first letter; a part's with a dot."""
    return sorted(path.name[0] + ("." if path.suffix else "") for path in folder.iterdir() if path.is_dir())


def test_everybody_may_run_a_copy_and_its_source_stays_as_it_was(piece: Path, tmp_path: Path) -> None:
    """Readable and, where it was a program, one for all."""
    made = copies.copy((piece,), name="a" * 32, folder=tmp_path / "copies")
    assert [(made / "piece" / name).stat().st_mode & 0o777 for name in ("program", "file")] == [0o755, 0o644]
    assert [(piece / name).stat().st_mode & 0o777 for name in ("program", "file")] == [0o700, 0o600]


def test_a_new_copy_clears_away_the_old_ones(piece: Path, tmp_path: Path) -> None:
    """A month unused, or beyond the last four and an hour unused, or left half done by a killed call."""
    folder = tmp_path / "copies"
    for letter, unused_s in zip("abcdef", (1, 2, 31 * DAY_S, 4 * HOUR_S, 3 * HOUR_S, 5 * HOUR_S), strict=True):
        put(folder, letter * 32, unused_s=unused_s)
    put(folder, f"{'g' * 32}.1234", unused_s=1)
    copies.copy((piece,), name="n" * 32, folder=folder)
    assert names(folder) == ["a", "b", "d", "e", "n"]


def test_a_copy_that_is_there_is_marked_as_used_and_nothing_is_cleared(piece: Path, tmp_path: Path) -> None:
    """The usual start costs a look."""
    folder = tmp_path / "copies"
    used = put(folder, "a" * 32, unused_s=2 * DAY_S)
    put(folder, "b" * 32, unused_s=31 * DAY_S)
    copies.copy((piece,), name="a" * 32, folder=folder)
    assert (names(folder), time.time() - used.stat().st_mtime < HOUR_S) == (["a", "b"], True)


def test_a_program_that_runs_stays(piece: Path, tmp_path: Path) -> None:
    """A server that stands for weeks keeps its files."""
    folder = tmp_path / "copies"
    made = copies.copy((piece,), name="a" * 32, folder=folder)
    with subprocess.Popen([made / "piece" / "program", "60"]) as server:
        os.utime(made, (1, 1))
        copies.copy((piece,), name="b" * 32, folder=folder)
        kept = names(folder)
        server.kill()
    copies.copy((piece,), name="c" * 32, folder=folder)
    assert (kept, names(folder)) == (["a", "b"], ["b", "c"])


def test_eight_at_once_make_one(piece: Path, tmp_path: Path) -> None:
    """Workers that all start first: one copies, the others wait, none fails."""
    made: list[Path] = []
    threads = [
        threading.Thread(target=lambda: made.append(copies.copy((piece,), name="a" * 32, folder=tmp_path / "copies")))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (set(made), len(made), names(tmp_path / "copies")) == ({tmp_path / "copies" / ("a" * 32)}, 8, ["a"])


def test_a_copy_for_which_there_is_no_room_leaves_nothing(tmp_path: Path) -> None:
    """What cannot be copied whole is removed."""
    with pytest.raises(OSError, match="piece"):
        copies.copy((tmp_path / "no such piece",), name="a" * 32, folder=tmp_path / "copies")
    assert names(tmp_path / "copies") == []


def test_a_folder_that_is_a_link_is_not_ours(piece: Path, tmp_path: Path) -> None:
    """Anybody may make a link in a folder that all may write to: refused, with what to do."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "copies").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ServiceError, match="is not ours"):
        copies.copy((piece,), name="a" * 32, folder=tmp_path / "copies")
    assert list((tmp_path / "elsewhere").iterdir()) == []
