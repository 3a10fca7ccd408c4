"""What a noxfile calls: an environment that is installed once, and one ``ci-tools run`` in it.

Imports nox and the standard library only: a noxfile must load before anything else is installed anywhere.
"""

import hashlib
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import nox

from ci_tools import __version__

STARTED_AT_VARIABLE = "CI_TOOLS_STARTED_AT"
"""Tells ``ci-tools run`` when nox began, so that it can say what everything around pytest cost."""

PARENT_VARIABLE = "CI_TOOLS_PARENT"
"""Tells ``ci-tools run`` the process ID of nox: when that process is gone, the run stops."""

REPEAT_VARIABLE = "CI_TOOLS_REPEAT"
"""Tells ``ci-tools run`` how the person came here, so that it prints the command that repeats a failing test."""

REQUIREMENT_VARIABLE = "CI_TOOLS_REQUIREMENT"
"""What is installed instead of the released toolkit: ``ci-tools[redis] @ file:///…`` tries a checkout of it."""

_STARTED_AT = time.time()
_SOURCES = (".py", ".typed", ".json", ".toml", ".html", ".sh")
_STAMP = "ci-tools.stamp"
_INTERRUPT_S = 0.5
"""After this nox sends SIGTERM: whoever interrupts nox alone is not made to wait, and after Ctrl-C, which reached
``ci-tools run`` too, a second signal changes nothing."""

_TERMINATE_S = 8.0
"""How long nox then waits: ``ci-tools run`` needs up to 5 s to stop everything and write its summary."""


def integration(
    session: nox.Session,
    *,
    project: str = ".",
    requirements: str | Path | None = None,
    packages: Sequence[str] = ("-e", "."),
    toolkit: str = f"ci-tools[redis]=={__version__}",
    arguments: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
) -> None:
    """Install what the suite needs, unless nothing changed since the last time, and run ``ci-tools run`` on it.

    ``requirements`` is a lock file with hashes; without one ``packages`` (pip arguments) and ``toolkit`` are installed.
    ``session.posargs`` reach ``ci-tools run``: ``nox -s integration -- --shard 2/4``. The session fails unless the
    verdict is passed; the summary is written in any case.
    """
    if requirements is not None:
        install_locked(session, requirements)
    else:
        toolkit = os.environ.get(REQUIREMENT_VARIABLE) or toolkit
        install_once(session, [toolkit, *packages], inputs=[Path("pyproject.toml")])
    run_toolkit(session, "run", "--project", project, *arguments, *session.posargs, env=env)


def run_toolkit(session: nox.Session, *arguments: str, env: Mapping[str, str] | None = None) -> None:
    """Run ``ci-tools`` in the session's environment, with time to stop everything when it is interrupted."""
    session.run(
        "ci-tools",
        *arguments,
        env={
            STARTED_AT_VARIABLE: repr(_STARTED_AT),
            PARENT_VARIABLE: str(os.getpid()),
            REPEAT_VARIABLE: f"nox -s {session.name} --",
            **bytecode(session),
            **(env or {}),
        },
        interrupt_timeout=_INTERRUPT_S,
        terminate_timeout=_TERMINATE_S,
    )


def bytecode(session: nox.Session) -> dict[str, str | None]:
    """Where no bytecode may be written beside sources it goes into the environment: compiling anew doubles each start."""
    location = getattr(session.virtualenv, "location", None)
    if location is None or not os.environ.get("PYTHONDONTWRITEBYTECODE"):
        return {}
    return {"PYTHONDONTWRITEBYTECODE": None, "PYTHONPYCACHEPREFIX": str(Path(location, "pycache"))}


def install_locked(session: nox.Session, requirements: str | Path, *, project: str | None = None) -> None:
    """Install a lock file with hashes, then the project in ``project`` from its sources; each only when it changed."""
    install_once(session, ["--require-hashes", "-r", str(requirements)], inputs=[Path(requirements)], stamp="lock")
    if project is not None:
        sources = _sources(Path(project))
        # Not built in isolation: the build backend comes from the lock too. Not editable: tests see what a user installs.
        arguments = ["--no-deps", "--no-build-isolation", "--force-reinstall", project]
        install_once(session, arguments, inputs=[Path(project, "pyproject.toml"), *sources], stamp="project")


def install_once(session: nox.Session, arguments: Sequence[str], *, inputs: Iterable[Path], stamp: str = "packages") -> None:
    """``pip install`` with these arguments, unless the digest of them and of the ``inputs`` is the one of the last time."""
    digest = _digest(arguments, inputs)
    path = Path(session.virtualenv.location, f"{_STAMP}-{stamp}")
    if path.is_file() and path.read_text(encoding="utf-8") == digest:
        session.log(f"installed already: {' '.join(arguments)}")
        return
    path.unlink(missing_ok=True)
    session.install(*arguments)
    path.write_text(digest, encoding="utf-8")


def _digest(arguments: Iterable[str], inputs: Iterable[Path]) -> str:
    hasher = hashlib.sha256("\0".join([sys.version, *arguments]).encode())
    for path in sorted(inputs):
        hasher.update(str(path).encode() + b"\0" + path.read_bytes())
    return hasher.hexdigest()


def _sources(project: Path) -> list[Path]:
    """What the built project may hold; environments and caches, which begin with a dot, are not even walked."""
    found: list[Path] = []
    for folder, below, names in os.walk(project):
        below[:] = [name for name in below if not name.startswith((".", "__pycache__", "ci-artifacts"))]
        found += [Path(folder, name) for name in names if name.endswith(_SOURCES)]
    return found
