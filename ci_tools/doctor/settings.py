"""The settings: the table of ci-tools, and those of pytest that make a suite say less than it seems to."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dotenv import dotenv_values

from ci_tools.config.load import load
from ci_tools.config.schema import Config
from ci_tools.doctor.facts import Configured
from ci_tools.doctor.findings import Examined, Finding, Link
from ci_tools.errors import ConfigError

_SCOPES = ("asyncio_default_fixture_loop_scope", "asyncio_default_test_loop_scope")
_NEVER_AWAITED = "coroutine 'test' was never awaited"
_COVERING = frozenset({"", "Warning", "RuntimeWarning", "builtins.RuntimeWarning", "builtins.Warning"})
_REPORTERS = ("no:warnings", "no:unraisableexception")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the configuration says; all defaults where it is broken."""

    examined: Examined
    config: Config = field(default_factory=Config)
    environ: Mapping[str, str] = field(default_factory=dict)


def read_settings(root: Path, environ: Mapping[str, str]) -> Settings:
    """Read the project's table and its env file; mistakes become findings."""
    try:
        config = load(root)
    except ConfigError as error:
        finding = Finding(what=error.what, details=error.details, remedy=error.hint or "")
        return Settings(examined=Examined(link=Link.CONFIGURATION, findings=(finding,)), environ=environ)
    findings = [
        Finding(
            what=f"tests names {path!r}, which is not there",
            where="pyproject.toml",
            remedy="correct `tests` in [tool.ci-tools], or make the folder",
        )
        for path in config.tests
        if not (root / path.partition("::")[0]).exists()
    ]
    merged = dict(environ)
    if config.env_file:
        path = root / config.env_file
        if path.is_file():
            lines = dotenv_values(path, interpolate=False)
            merged = {**{name: value for name, value in lines.items() if value is not None}, **environ}
        else:
            what = f"env-file {config.env_file!r} is not there"
            findings.append(Finding(what=what, where="pyproject.toml", remedy="make it, or take env-file out of [tool.ci-tools]"))
    services = ", ".join(spec.kind for spec in config.services) or "none"
    note = f"tests: {', '.join(config.tests) or 'pytest decides'}; services: {services}"
    return Settings(
        examined=Examined(link=Link.CONFIGURATION, findings=tuple(findings), note=note), config=config, environ=merged
    )


def examine_pytest(
    configured: Configured | None, environ: Mapping[str, str], *, has_coroutines: bool, tail: tuple[str, ...] = ()
) -> Examined:
    """Whether pytest can be configured at all, and says everything; ``tail`` is what it wrote when it could not."""
    if configured is None:
        finding = Finding(
            what="pytest ends before it collects anything",
            details=tail,
            remedy="mend what its message names; `pytest --co` shows it too",
        )
        return Examined(link=Link.PYTEST, findings=(finding,))
    findings = [*_optimised(environ), *_silenced(configured)]
    if has_coroutines:
        findings += _scopes(configured)
    note = f"read from {Path(configured.inipath).name}" if configured.inipath else "no configuration file: all defaults"
    return Examined(link=Link.PYTEST, findings=tuple(findings), note=note)


def _optimised(environ: Mapping[str, str]) -> list[Finding]:
    level = environ.get("PYTHONOPTIMIZE", "")
    if not level:
        return []
    what = f"PYTHONOPTIMIZE is {level!r}: Python removes asserts, and a test without them passes"
    return [Finding(what=what, remedy="unset PYTHONOPTIMIZE")]


def _scopes(configured: Configured) -> list[Finding]:
    if not all(key in configured.ini for key in _SCOPES):
        return []  # pytest-asyncio is not there: somebody else runs the coroutines
    scopes = [(configured.ini[key] or ("",))[0] for key in _SCOPES]
    if scopes[0] and scopes[0] == scopes[1]:
        return []
    said = " and ".join(
        f"{key} is {scope!r}" if scope else f"{key} is not set" for key, scope in zip(_SCOPES, scopes, strict=True)
    )
    return [
        Finding(
            what=f"{said}: fixtures and tests may run on different event loops",
            where=Path(configured.inipath).name if configured.inipath else "",
            remedy=f'set both to the same scope, for example {_SCOPES[0]} = "function" and {_SCOPES[1]} = "function"',
        )
    ]


def _silenced(configured: Configured) -> list[Finding]:
    hiding = ""
    for line in configured.ini.get("filterwarnings", ()):  # the last one that matches wins, as in Python
        action, message, category = (*(part.strip() for part in line.split(":")), "", "")[:3]
        if _covers(message, category):
            hiding = line if action == "ignore" else ""
    remedy = "narrow the filter to the warning that is meant: a coroutine that nobody awaits is a test that never ran"
    findings = [Finding(what=f"filterwarnings has {hiding!r}, which hides 'was never awaited'", remedy=remedy)] if hiding else []
    joined = " ".join(configured.addopts).replace("-pno:", "-p no:")
    findings += [
        Finding(what=f"addopts has '-p {name}', which hides 'was never awaited'", remedy=f"take '-p {name}' out of addopts")
        for name in _REPORTERS
        if f"-p {name}" in joined
    ]
    return findings


def _covers(message: str, category: str) -> bool:
    if category not in _COVERING and not category.endswith(("PytestUnraisableExceptionWarning", "PytestWarning")):
        return False
    try:
        return re.match(message, _NEVER_AWAITED, re.IGNORECASE) is not None
    except re.error:
        return False  # pytest refuses it by itself
