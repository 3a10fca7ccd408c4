"""Values of the configuration table: each function takes what TOML gave and gives what is meant, or says what was expected."""

import re
from collections.abc import Mapping

from ci_tools.model.guard import LEAK_KINDS, GuardMode
from ci_tools.model.service import Isolation, Provider, ServiceKind

_VARIABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)?")


class MistakeError(Exception):
    """A value that does not fit; its text is what was expected."""


def parse_text(value: object) -> str:
    """A string."""
    if not isinstance(value, str):
        raise MistakeError("a string")
    return value


def parse_variable(value: object) -> str:
    """The name of an environment variable that every shell can write; empty for none."""
    if isinstance(value, str) and _VARIABLE.fullmatch(value):
        return value
    raise MistakeError("the name of an environment variable: letters, digits and _, no digit first")


def parse_texts(value: object) -> tuple[str, ...]:
    """A tuple of strings."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise MistakeError('an array of strings, like ["tests/integration"]')
    return tuple(value)


def parse_seconds(value: object) -> float:
    """Seconds, 0 or more."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < float("inf"):
        raise MistakeError("a number of seconds, 0 or more")
    return float(value)


def parse_whole(value: object) -> int:
    """A whole number, 0 or more."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise MistakeError("a whole number, 0 or more")
    return value


def parse_port(value: object) -> int:
    """A TCP port."""
    highest_port = 65535
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= highest_port:
        raise MistakeError("a port, 1 to 65535")
    return value


def parse_port_range(value: object) -> tuple[int, int]:
    """First and last port."""
    pair = 2
    if not isinstance(value, list) or len(value) != pair:
        raise MistakeError("two ports, like [6400, 6499]")
    first, last = (parse_port(item) for item in value)
    if first > last:
        raise MistakeError("two ports, the lower one first")
    return first, last


def parse_workers(value: object) -> int:
    """A number of workers; 0 for ``"auto"``."""
    if value == "auto":
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise MistakeError('"auto" or a whole number, 1 or more')
    return value


def parse_environment(value: object) -> dict[str, str]:
    """Environment variables."""
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise MistakeError('a table of strings, like { DATABASE_URL = "…" }')
    return dict(value)


def parse_options(value: object) -> dict[str, str]:
    """Server options, as text."""
    if not isinstance(value, dict) or not all(isinstance(item, (str, int, float)) for item in value.values()):
        raise MistakeError('a table of server options, like { maxmemory = "64mb" }')
    return {name: str(item) for name, item in value.items()}


def parse_mode(value: object) -> GuardMode:
    """What a guard's finding does."""
    try:
        return GuardMode(parse_text(value))
    except ValueError as error:
        raise MistakeError('"error", "warn" or "off"') from error


def parse_modes(value: object) -> dict[str, GuardMode]:
    """What a finding of each kind does."""
    if not isinstance(value, dict):
        raise MistakeError('a table of modes, like { task = "error", thread = "warn" }')
    _require_leak_kinds(value)
    return {kind: parse_mode(mode) for kind, mode in value.items()}


def parse_phases(value: object) -> dict[str, float]:
    """A budget for each phase of a test."""
    if not isinstance(value, dict) or not value.keys() <= {"setup", "call", "teardown"}:
        raise MistakeError("a table of seconds, like { setup = 20, call = 5, teardown = 10 }")
    return {phase: parse_seconds(seconds) for phase, seconds in value.items()}


def parse_folders(value: object) -> dict[str, tuple[str, ...]]:
    """The services that the tests of a folder declare."""
    if not isinstance(value, dict):
        raise MistakeError('a table of folders, like { "tests/integration" = ["redis"] }')
    return {folder.strip("/"): parse_texts(names) for folder, names in value.items()}


def parse_patterns(value: object) -> dict[str, tuple[str, ...]]:
    """Patterns over a finding's text, by kind of leak."""
    if not isinstance(value, dict):
        raise MistakeError('a table of patterns, like { thread = ["^leak .thread.: thread .grpc"] }')
    _require_leak_kinds(value)
    patterns = {kind: parse_texts(given) for kind, given in value.items()}
    for pattern in (each for given in patterns.values() for each in given):
        try:
            re.compile(pattern)
        except re.error as error:
            raise MistakeError(f"regular expressions, and {pattern!r} is none: {error}") from error
    return patterns


def _require_leak_kinds(table: Mapping[str, object]) -> None:
    unknown = sorted(set(table) - set(LEAK_KINDS))
    if unknown:
        raise MistakeError(f"kinds of leaks ({', '.join(LEAK_KINDS)}), and {', '.join(unknown)} is none")


def parse_isolation(value: object) -> Isolation:
    """What each worker gets of a service."""
    try:
        return Isolation(parse_text(value))
    except ValueError as error:
        raise MistakeError('"server", "database" or "shared"') from error


def parse_providers(value: object) -> tuple[Provider, ...]:
    """Which providers may be tried."""
    try:
        return tuple(Provider(item) for item in parse_texts(value))
    except ValueError as error:
        raise MistakeError(f"an array of {', '.join(Provider)}") from error


def parse_services(value: object) -> tuple[ServiceKind, ...]:
    """Which services are meant."""
    try:
        return tuple(ServiceKind(item) for item in parse_texts(value))
    except ValueError as error:
        raise MistakeError(f"an array of {', '.join(ServiceKind)}") from error


def parse_version(value: object) -> str:
    """A PEP 440 version range."""
    from packaging.specifiers import (  # noqa: PLC0415 - 25 ms in every pytest of a project with a table, and few name a version
        InvalidSpecifier,
        SpecifierSet,
    )

    try:
        return str(SpecifierSet(parse_text(value)))
    except InvalidSpecifier as error:
        raise MistakeError('a version range, like ">=7,<10"') from error
