import os
import stat
from pathlib import Path

import pytest

from ci_tools.host.files import write_bytes, write_text


def test_newlines_stay_as_they_are(tmp_path: Path) -> None:
    """No newline is translated on any platform."""
    path = tmp_path / "summary.md"
    write_text(path, "a\nb\r\nc\rd")
    assert path.read_bytes() == b"a\nb\r\nc\rd"


def test_folders_are_made(tmp_path: Path) -> None:
    """A path in a folder that does not exist yet is written."""
    path = tmp_path / "run" / "shard" / "report.json"
    write_bytes(path, b"{}")
    assert path.read_bytes() == b"{}"


def test_a_lone_surrogate_leaves_the_file_utf8(tmp_path: Path) -> None:
    """Text from the outside may hold what UTF-8 cannot: it is escaped, the rest kept."""
    path = tmp_path / "x"
    write_text(path, "ä\udc80z")
    assert path.read_text(encoding="utf-8") == "ä\\udc80z"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no permission bits")
def test_others_may_read_it(tmp_path: Path) -> None:
    """The file has mode 0644, not the 0600 of a temporary file."""
    path = tmp_path / "x"
    write_bytes(path, b"")
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    """Where the new content cannot take the name, the folder is as it was before."""
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "inside").write_bytes(b"kept")
    with pytest.raises(OSError, match="taken"):
        write_bytes(taken, b"new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["taken"]
    assert (taken / "inside").read_bytes() == b"kept"


def test_a_reader_never_sees_a_half(tmp_path: Path) -> None:
    """A reader that opened the old file keeps reading the old content while the name already has the new one."""
    path = tmp_path / "verdict.json"
    write_bytes(path, b"old" * 1000)
    if os.name == "nt":
        pytest.skip("Windows does not rename over an open file")
    with path.open("rb") as reader:
        write_bytes(path, b"new")
        assert reader.read() == b"old" * 1000
    assert path.read_bytes() == b"new"
