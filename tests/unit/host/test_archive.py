import io
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ci_tools.errors import DecodeError
from ci_tools.host.archive import Limits, extract


def packed(*entries: tuple[str, bytes], mode: int = 0o100644, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of these names and contents, written with names as they are."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in entries:
            info = zipfile.ZipInfo("x")
            info.filename = name
            info.external_attr = mode << 16
            info.compress_type = method
            archive.writestr(info, content)
    return stream.getvalue()


def test_a_decent_archive_is_unpacked(tmp_path: Path) -> None:
    """Files in folders arrive with their content, and are named in the answer."""
    data = packed(("run/report.json", b"{}"), ("run/", b""), ("plan.json", b"x" * 100_000))
    files = extract(data, tmp_path / "new")
    assert files == (tmp_path / "new/run/report.json", tmp_path / "new/plan.json")
    assert [file.read_bytes() for file in files] == [b"{}", b"x" * 100_000]


NAMES = (
    "../x",
    "a/../../x",
    "/etc/x",
    "C:/x",
    "a\\..\\x",
    "a//x",
    "./x",
    "a\x00b",
    "a\nb",
    "a\u202eb",
    "/",
    "d/" * 9 + "x",
    "n" * 201,
)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    """Nothing is written, inside or outside of the folder, not even what stands before it."""
    folder = tmp_path / "deep" / "new"
    with pytest.raises(DecodeError, match=r"which|holds"):
        extract(packed(("fine.json", b"{}"), (name, b"x")), folder)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK])
def test_links_and_devices_are_refused(tmp_path: Path, kind: int) -> None:
    """A link could point at a file of the runner."""
    with pytest.raises(DecodeError, match="link or a device"):
        extract(packed(("link", b"/etc/passwd"), mode=kind | 0o777), tmp_path / "new")


def test_a_name_twice_is_refused(tmp_path: Path) -> None:
    """Also where only the case differs: which one would be judged depends on the system."""
    with pytest.raises(DecodeError, match="a name twice"):
        extract(packed(("Report.json", b"1"), ("report.json", b"2")), tmp_path / "new")


def test_a_bomb_stops_at_the_limit(tmp_path: Path) -> None:
    """Bytes are counted while unpacking: an archive that lies about its sizes writes no more than the limit."""
    data = bytearray(packed(("bomb", b"\0" * 5_000_000)))
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<L", data, data.find(signature) + offset, 10)
    with pytest.raises(DecodeError):
        extract(bytes(data), tmp_path / "lying", limits=Limits(file_bytes=1_000_000))
    with pytest.raises(DecodeError, match="too large"):
        extract(packed(("bomb", b"\0" * 5_000_000)), tmp_path / "honest", limits=Limits(file_bytes=1_000_000))
    with pytest.raises(DecodeError, match="unpacks to more"):
        extract(packed(("a", b"\0" * 900_000), ("b", b"\0" * 900_000)), tmp_path / "two", limits=Limits(total_bytes=1_000_000))
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) <= 2_000_000


def test_a_crowd_of_files_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """Too many entries, and a directory too large to be held in memory, are refused."""
    data = packed(*((f"{number}", b"") for number in range(300)))
    with pytest.raises(DecodeError, match="300 entries"):
        extract(data, tmp_path / "new", limits=Limits(entries=200))
    with pytest.raises(DecodeError, match="directory of"):
        extract(data, tmp_path / "other", limits=Limits(directory_bytes=1_000))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: b"",
        lambda _: b"no zip at all",
        lambda data: data[: len(data) // 2],
        lambda data: data[:40] + b"\xff" * 20 + data[60:],
    ],
    ids=["empty", "text", "half", "scrambled"],
)
def test_what_is_no_archive_is_said(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    """Anything else than a whole zip is refused with a reason, not with a traceback."""
    with pytest.raises(DecodeError):
        extract(spoil(packed(("a.json", b"content that is long enough to be scrambled" * 10))), tmp_path / "new")


def test_encrypted_and_odd_methods_are_refused(tmp_path: Path) -> None:
    """What needs a password or a rare decompressor is not from us."""
    data = bytearray(packed(("a", b"x")))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        struct.pack_into("<H", data, data.find(signature) + offset, 1)
    with pytest.raises(DecodeError, match="encrypted"):
        extract(bytes(data), tmp_path / "new")
    with pytest.raises(DecodeError, match="unusual"):
        extract(packed(("a", b"x"), method=zipfile.ZIP_LZMA), tmp_path / "other")


def test_only_an_empty_folder_is_filled(tmp_path: Path) -> None:
    """Files of two archives never mix."""
    (tmp_path / "old").write_text("x", encoding="utf-8")
    with pytest.raises(DecodeError, match="not empty"):
        extract(packed(("a", b"x")), tmp_path)
