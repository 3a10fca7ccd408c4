"""Which program is chosen on which system, decided from given facts: folders that look like that system's."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ci_tools.errors import ServiceError
from ci_tools.model.service import Provider, ServiceKind, ServiceSpec
from ci_tools.services.binaries import places_of
from ci_tools.services.discovery import discover_redis
from ci_tools.services.installation import discover_postgres
from ci_tools.services.places import Places

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the given programs are shell scripts")

REDIS = ServiceSpec(kind=ServiceKind.REDIS, providers=(Provider.NATIVE,))
POSTGRES = ServiceSpec(kind=ServiceKind.POSTGRES, providers=(Provider.NATIVE,))


def program(path: Path, says: str = "") -> Path:
    """A program that says its version."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


def installation(folder: Path, version: str) -> Path:
    """A folder with a PostgreSQL of that version."""
    for name in ("postgres", "initdb"):
        program(folder / name, f"{name} (PostgreSQL) {version}")
    return folder


def below(places: Places, root: Path) -> Places:
    """The same places, below a folder of the test's."""
    return replace(
        places,
        program_suffix="",
        redis_folders=tuple(str(root) + folder for folder in places.redis_folders),
        postgres_folders=tuple(str(root) + folder for folder in places.postgres_folders),
    )


def redis_on(platform: str, root: Path, *, path: str = "", spec: ServiceSpec = REDIS) -> tuple[str, list[str]]:
    """The program that is chosen there, relative to the root, and what was passed over."""
    tried: list[str] = []
    found = discover_redis(spec, environ={"PATH": path}, tried=tried, places=below(places_of(platform), root))
    return str(found.path.relative_to(root)), tried


@pytest.mark.parametrize(
    ("platform", "remedy"),
    [
        ("linux", "`pip install ci-tools[redis]`"),
        ("freebsd14", "`pip install ci-tools[redis]`"),
        ("darwin", "`pip install ci-tools[redis]`"),
        ("win32", "`pip install ci-tools[download]`"),
    ],
)
def test_where_there_is_no_redis_the_remedy_is_the_systems_own(tmp_path: Path, platform: str, remedy: str) -> None:
    """Everything that was tried is named in order, and one command that helps on that system."""
    with pytest.raises(ServiceError) as caught:
        redis_on(platform, tmp_path)
    assert "native: no " in str(caught.value)
    assert remedy in (caught.value.hint or "")
    assert "CI_TOOLS_REDIS_URL" in (caught.value.hint or "")


def test_path_comes_before_a_systems_folders(tmp_path: Path) -> None:
    """On macOS what is on PATH wins over Homebrew's folder."""
    program(tmp_path / "opt/homebrew/bin/redis-server")
    program(tmp_path / "mine/redis-server")
    assert redis_on("darwin", tmp_path, path=str(tmp_path / "mine"))[0] == "mine/redis-server"


def test_homebrew_is_found_without_path(tmp_path: Path) -> None:
    """A runner whose PATH lacks Homebrew has its servers all the same."""
    program(tmp_path / "opt/homebrew/bin/valkey-server")
    assert redis_on("darwin", tmp_path)[0] == "opt/homebrew/bin/valkey-server"


def test_valkey_comes_before_redis(tmp_path: Path) -> None:
    """Where both are there, the one with the free licence is taken."""
    program(tmp_path / "bin/redis-server")
    program(tmp_path / "bin/valkey-server")
    assert redis_on("linux", tmp_path, path=str(tmp_path / "bin"))[0] == "bin/valkey-server"


def test_memurai_is_a_redis_on_windows_only(tmp_path: Path) -> None:
    """Windows' own server is taken there, and is no program of Linux'."""
    program(tmp_path / "bin/memurai")
    assert redis_on("win32", tmp_path, path=str(tmp_path / "bin"))[0] == "bin/memurai"
    with pytest.raises(ServiceError):
        redis_on("linux", tmp_path, path=str(tmp_path / "bin"))


def test_one_that_does_not_fit_is_passed_over_for_one_that_does(tmp_path: Path) -> None:
    """The first program of a fitting version is taken; the other one is named with its version."""
    program(tmp_path / "old/redis-server", "Redis server v=6.0.16 sha=00000000:0 malloc=jemalloc")
    program(tmp_path / "new/redis-server", "Valkey server v=8.1.4 sha=00000000:0 malloc=jemalloc")
    spec = replace(REDIS, version=">=7")
    tried: list[str] = []
    places = replace(below(places_of("darwin"), tmp_path), redis_folders=(str(tmp_path / "new"),))
    chosen = discover_redis(spec, environ={"PATH": str(tmp_path / "old")}, tried=tried, places=places)
    assert (chosen.path.parent.name, chosen.version) == ("new", "8.1.4")
    assert "is 6.0.16, wanted >=7" in tried[0]


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_the_newest_installation_is_taken(tmp_path: Path, platform: str) -> None:
    """9 is older than 15 and 18, whatever order their names have."""
    base = {"linux": "usr/lib/postgresql/{}/bin", "darwin": "opt/homebrew/opt/postgresql@{}/bin"}[platform]
    for version in ("9", "18", "15"):
        installation(tmp_path / base.format(version), f"{version}.1")
    found = discover_postgres(POSTGRES, environ={}, tried=[], places=below(places_of(platform), tmp_path))
    assert tmp_path / base.format("18") == found.folder


def test_the_newest_that_fits_is_taken(tmp_path: Path) -> None:
    """A range chooses among installations; the ones passed over are named."""
    for version in ("14", "15", "18"):
        installation(tmp_path / f"usr/lib/postgresql/{version}/bin", f"{version}.6 (Debian {version}.6-1)")
    tried: list[str] = []
    spec = replace(POSTGRES, version="<18")
    found = discover_postgres(spec, environ={}, tried=tried, places=below(places_of("linux"), tmp_path))
    assert (found.version, len(tried)) == ("15.6", 1)
    assert "18.6, wanted <18" in tried[0]


def test_pgbin_comes_before_path_and_path_before_folders(tmp_path: Path) -> None:
    """What a runner's image says comes first, and a program's link leads to the folder that it is in."""
    installation(tmp_path / "usr/lib/postgresql/18/bin", "18.1")
    installation(tmp_path / "real/bin", "17.1")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked/postgres").symlink_to(tmp_path / "real/bin/postgres")
    installation(tmp_path / "image/bin", "16.1")
    places = below(places_of("linux"), tmp_path)
    environ = {"PGBIN": str(tmp_path / "image/bin"), "PATH": str(tmp_path / "linked")}
    found = []
    for gone in ("PGBIN", "PATH", ""):
        found.append(discover_postgres(POSTGRES, environ=environ, tried=[], places=places).folder.relative_to(tmp_path))
        environ.pop(gone, None)
    assert [str(folder) for folder in found] == ["image/bin", "real/bin", "usr/lib/postgresql/18/bin"]


def test_a_postgres_without_initdb_is_no_installation(tmp_path: Path) -> None:
    """A client's package has no initdb: it is passed over by name."""
    program(tmp_path / "usr/lib/postgresql/18/bin/postgres")
    installation(tmp_path / "usr/lib/postgresql/15/bin", "15.1")
    tried: list[str] = []
    found = discover_postgres(POSTGRES, environ={}, tried=tried, places=below(places_of("linux"), tmp_path))
    assert found.folder.parent.name == "15"
    assert "without an initdb beside it" in tried[0]


@pytest.mark.parametrize("pointed_at", ["", "bin", "bin/postgres"])
def test_a_configured_path_is_a_root_a_bin_or_a_program(tmp_path: Path, pointed_at: str) -> None:
    """What a person writes as `path` leads to the same folder."""
    installation(tmp_path / "pg/bin", "18.1")
    spec = replace(POSTGRES, path=str(tmp_path / "pg" / pointed_at))
    found = discover_postgres(spec, environ={}, tried=[], places=places_of("linux"))
    assert tmp_path / "pg/bin" == found.folder


def test_a_configured_path_without_a_server_is_an_error_of_its_own(tmp_path: Path) -> None:
    """Nothing else is looked for where a person has pointed."""
    with pytest.raises(ServiceError, match="holds no PostgreSQL"):
        discover_postgres(replace(POSTGRES, path=str(tmp_path)), environ={}, tried=[], places=places_of("linux"))


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_every_system_has_a_wheel_for_postgres_and_a_remedy(platform: str) -> None:
    """The places of a system are complete."""
    places = places_of(platform)
    assert platform == places.platform
    assert places.postgres_wheels
    assert places.redis_programs
    assert "`" in places.redis_remedy
    assert "`" in places.postgres_remedy
