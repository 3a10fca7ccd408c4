"""The installation: Python, the packages that ci-tools needs, and whether its pytest plugin is active."""

import importlib.metadata
import platform
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from ci_tools import __version__
from ci_tools.doctor.facts import Configured
from ci_tools.doctor.findings import Examined, Finding, Link

_PACKAGE = "ci-tools"


def examine_versions(root: Path, configured: Configured | None) -> Examined:
    """Whether this Python suits the project, and every package is there in a version that works."""
    findings = [*_python(root), *_packages()]
    if configured is not None and not configured.is_active:
        findings.append(
            Finding(
                what="the pytest plugin of ci-tools is switched off or not installed in this environment",
                details=(f"plugins: {', '.join(configured.plugins) or 'none'}",),
                remedy="install ci-tools beside pytest, take `-p no:ci_tools` out of addopts, unset what disables autoload",
            )
        )
    pytest_version = configured.version if configured is not None else importlib.metadata.version("pytest")
    active = ", its plugin is active" if configured is not None else ""
    note = f"Python {platform.python_version()}, pytest {pytest_version}, ci-tools {__version__}{active}"
    return Examined(link=Link.VERSIONS, findings=tuple(findings), note=note)


def _python(root: Path) -> list[Finding]:
    path = root / "pyproject.toml"
    try:
        project = tomllib.loads(path.read_text(encoding="utf-8")).get("project", {})
        wanted = str(project.get("requires-python", ""))
        is_suitable = SpecifierSet(wanted).contains(platform.python_version(), prereleases=True)
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError, InvalidSpecifier, AttributeError):
        return []  # the next link says what is wrong with the file
    if is_suitable:
        return []
    what = f"Python is {platform.python_version()}, the project wants {wanted!r}"
    return [
        Finding(what=what, where="pyproject.toml", remedy="make the environment with another Python, or widen requires-python")
    ]


def _packages() -> list[Finding]:
    try:
        lines = importlib.metadata.requires(_PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        return [Finding(what="ci-tools is imported from a folder, but not installed", remedy="pip install ci-tools")]
    findings = []
    for requirement in map(Requirement, lines):
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            findings.append(Finding(what=f"{requirement.name} is not installed", remedy=f"pip install '{requirement}'"))
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            what = f"{requirement.name} is {version}, ci-tools needs {requirement.specifier}"
            findings.append(Finding(what=what, remedy=f"pip install '{requirement}'"))
    return findings
