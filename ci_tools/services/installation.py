"""Installation: the PostgreSQL to start, with the reason why it was chosen, where its account may run it."""

import dataclasses
import hashlib
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import Timeout

from ci_tools.errors import ServiceError
from ci_tools.model.service import Provider, ServiceSpec
from ci_tools.services import copies, download
from ci_tools.services.account import Account
from ci_tools.services.binaries import places_of
from ci_tools.services.discovery import DEFAULT_CHAIN, contained, wheel_package, wheel_program
from ci_tools.services.launch import cannot_start, sha256_of
from ci_tools.services.places import Places
from ci_tools.services.versions import fits, program_version

_SUFFIX = ".exe" if sys.platform == "win32" else ""
_READABLE_CACHE = Path("/var/tmp")  # noqa: S108 - the folder in it is root's and nobody else's to write


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """A folder with ``postgres`` and ``initdb`` in it. ``pieces`` are the folders that must be copied to move it elsewhere.

    ``engine`` is the program that runs both out of an image; the folder is its own then.
    """

    folder: Path
    pieces: tuple[Path, ...]
    provider: Provider
    version: str
    reason: str
    engine: Path | None = None

    @property
    def postgres(self) -> Path:
        """The server's program."""
        return self.folder / f"postgres{_SUFFIX}"


def discover_postgres(
    spec: ServiceSpec, *, environ: Mapping[str, str], tried: list[str], places: Places | None = None
) -> Installation:
    """The first installation that fits; what was passed over is appended to ``tried``. ServiceError when there is none."""
    places = places or places_of()
    for provider in spec.providers or DEFAULT_CHAIN:
        match provider:
            case Provider.NATIVE:
                found = _first_fitting(_native(spec, environ, places), spec, tried)
            case Provider.EMBEDDED:
                found = _first_fitting(_embedded(places), spec, tried)
            case Provider.DOWNLOADED:
                found = _first_fitting(_downloaded(spec, environ, places, tried), spec, tried)
            case Provider.CONTAINER:
                found = _contained(spec, environ, tried)
            case Provider.ADOPTED:
                continue  # decided before anything is looked for
        if found is not None:
            return found
        if provider is not Provider.CONTAINER:
            tried.append(f"{provider}: no postgres beside an initdb that fits")
    raise ServiceError(
        "no PostgreSQL to start: neither an installation nor a wheel fits",
        details=[f"tried: {line}" for line in tried],
        hint=f"{places.postgres_remedy}; or set CI_TOOLS_POSTGRES_URL to a server that is yours to use",
    )


def runnable(installation: Installation, account: Account | None) -> Installation:
    """The installation, or a copy of it in a folder that the account can enter; permissions of others' folders stay."""
    if account is None or installation.engine is not None or account.may_run(installation.postgres):
        return installation
    base = installation.pieces[0].parent
    # The same program may lie in trees of other names: a copy serves only its own.
    inside = installation.folder.relative_to(base)
    key = hashlib.sha256(f"{sha256_of(installation.postgres)} {inside.as_posix()}".encode()).hexdigest()[:32]
    folder = _READABLE_CACHE / f"ci-tools-{os.geteuid()}"
    try:
        root = copies.copy(installation.pieces, name=key, folder=folder)
    except Timeout as error:
        raise ServiceError(f"another process has held {error.lock_file} for too long", hint="end it, then try again") from error
    except OSError as error:
        raise cannot_start("postgres", error, str(installation.postgres)) from error
    return dataclasses.replace(
        installation,
        folder=root / inside,
        pieces=(root,),
        reason=f"{installation.reason}, copied to where an unprivileged account may run it",
    )


def _native(spec: ServiceSpec, environ: Mapping[str, str], places: Places) -> Iterator[Installation]:
    if spec.path:
        yield _configured(Path(spec.path).expanduser())
        return
    if environ.get("PGBIN"):
        yield _at(Path(environ["PGBIN"]), "PGBIN is set")
    on_path = shutil.which("postgres", path=environ.get("PATH", ""))
    if on_path is not None:
        yield _at(Path(on_path).resolve().parent, "postgres on PATH")
    for pattern in places.postgres_folders:
        found = Path(Path(pattern).anchor).glob(str(Path(pattern).relative_to(Path(pattern).anchor)))
        for folder in sorted(found, key=_by_version, reverse=True):
            yield _at(folder, f"installed in {folder}")


def _configured(path: Path) -> Installation:
    folders = [path, path / "bin"] if path.is_dir() else [path.resolve().parent]
    for folder in folders:
        if _is_complete(folder):
            return _at(folder, f"{path}, as configured")
    raise ServiceError(
        f"{path} holds no PostgreSQL",
        details=["expected: a folder with postgres and initdb in it, or in its bin, or the path of that postgres"],
        hint="correct `path` of the service in the configuration, or remove it",
    )


def _embedded(places: Places) -> Iterator[Installation]:
    for wheel in places.postgres_wheels:
        found = wheel_program(wheel, f"postgres{_SUFFIX}")
        if found is not None:
            program, release = found
            package = wheel_package(wheel, program)
            pieces = tuple(piece for piece in (package, package.with_name(f"{package.name}.libs")) if piece.is_dir())
            yield Installation(
                folder=program.parent, pieces=pieces, provider=Provider.EMBEDDED, version="", reason=f"wheel {wheel} {release}"
            )


def _downloaded(spec: ServiceSpec, environ: Mapping[str, str], places: Places, tried: list[str]) -> Iterator[Installation]:
    found = download.obtain(spec, (f"postgres{places.program_suffix}",), environ=environ, tried=tried, places=places)
    if found is not None:
        yield Installation(
            folder=found.program.parent,
            pieces=(found.folder,),
            provider=Provider.DOWNLOADED,
            version="",
            reason=found.entry.explain(),
        )


def _contained(spec: ServiceSpec, environ: Mapping[str, str], tried: list[str]) -> Installation | None:
    found = contained(spec, environ, tried)
    if found is None:
        return None
    return Installation(
        folder=found.path.parent, pieces=(), provider=found.provider, version="", reason=found.reason, engine=found.path
    )


def _at(folder: Path, reason: str) -> Installation:
    return Installation(folder=folder, pieces=(folder.parent,), provider=Provider.NATIVE, version="", reason=reason)


def _first_fitting(candidates: Iterator[Installation], spec: ServiceSpec, tried: list[str]) -> Installation | None:
    for one in candidates:
        if not _is_complete(one.folder):
            tried.append(f"{one.provider}: {one.reason}, without an initdb beside it")
            continue
        if not spec.version:
            return one
        version = program_version(one.postgres)
        if version and fits(version, spec.version):
            return dataclasses.replace(one, version=version)
        tried.append(f"{one.provider}: {one.reason} is {version or 'of unknown version'}, wanted {spec.version}")
    return None


def _is_complete(folder: Path) -> bool:
    return all((folder / f"{name}{_SUFFIX}").is_file() for name in ("postgres", "initdb"))


def _by_version(folder: Path) -> tuple[int, ...]:
    return tuple(int(digits) for digits in re.findall(r"\d+", str(folder)))
