"""The project a stage works on: its configuration, environment and artifacts folder as one value."""

import os
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ci_tools.config.load import find_root, load, load_addopts
from ci_tools.config.schema import Config, Configuration, parse_config
from ci_tools.errors import ConfigError, UsageError
from ci_tools.model.journal import Event
from ci_tools.model.policy import DEFAULT_PROFILE, Policy
from ci_tools.sharding.environment import attempt_from_environment

REPEAT_VARIABLE = "CI_TOOLS_REPEAT"
"""Set by ``ci_tools.nox_sessions``: ``nox -s integration --``."""

_GIT_TIMEOUT_S = 10.0
_MOST_ENV_BYTES = 1 << 20


class Console(Protocol):
    """Where a person watches: the command line's terminal, or nothing."""

    def say(self, text: str) -> None:
        """One or more lines of plain text."""

    def stage(self, name: str, *, expected: int = 0, workers: int = 1) -> None:
        """A stage begins; ``expected`` tests are to come from ``workers`` workers."""

    def event(self, event: Event) -> None:
        """Something happened in a worker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """One checkout with everything that is decided once for it.

    ``environ`` holds the env file's lines too; ``addopts`` are what pytest adds by itself, from pyproject.toml.
    """

    root: Path
    config: Config
    environ: Mapping[str, str]
    artifacts: Path
    commit: str
    run_attempt: int
    is_ci: bool
    addopts: tuple[str, ...] = ()

    @property
    def timings_path(self) -> Path:
        """Where timings are kept from run to run."""
        return self.root / self.config.timings if self.config.timings else self.artifacts / "timings.json"

    @property
    def processors(self) -> int:
        """How many processors this process may use."""
        if hasattr(os, "sched_getaffinity"):
            return len(os.sched_getaffinity(0))
        return os.cpu_count() or 1

    @property
    def repeat(self) -> str:
        """The command by which the person came here: what stands before the arguments of ``ci-tools run``."""
        return self.environ.get(REPEAT_VARIABLE, "") or "ci-tools run"

    def suffix_of(self, configuration: str) -> str:
        """What tells files of this configuration from those of the first one: ``-<name>``, empty for the first."""
        return "" if configuration == self.config.configurations[0].name else f"-{configuration}"

    def configuration(self, name: str) -> Configuration:
        """The configuration of this name; UsageError names those that there are."""
        for configuration in self.config.configurations:
            if configuration.name == name:
                return configuration
        known = ", ".join(configuration.name for configuration in self.config.configurations)
        raise UsageError(f"configuration {name!r} is not declared", hint=f"declared: {known}")

    def policy(self, profile: str) -> Policy:
        """The gate's policy of this profile (empty: the default one); UsageError names those that there are."""
        try:
            return self.config.profiles[profile or DEFAULT_PROFILE]
        except KeyError:
            known = ", ".join(sorted(self.config.profiles))
            raise UsageError(f"profile {profile!r} is not there", hint=f"known: {known}") from None


def find_project(start: Path) -> Path:
    """The nearest folder at or above ``start`` that configures ci-tools; ``start`` itself where none does."""
    return find_root(start)


def open_project(root: Path, environ: Mapping[str, str], *, artifacts: Path | None = None) -> Project:
    """The project in ``root``; ConfigError when its table or its env file is wrong."""
    root = root.resolve()
    if not root.is_dir():
        raise UsageError(f"project {str(root)!r} is no folder", hint="give --project the folder that holds pyproject.toml")
    config = load(root)
    merged = {**_env_file(root, config.env_file), **environ}
    return Project(
        root=root,
        config=config,
        environ=merged,
        artifacts=(artifacts or root / config.artifacts).absolute(),
        commit=_commit(root, environ),
        run_attempt=attempt_from_environment(environ),
        addopts=load_addopts(root),
        is_ci=environ.get("CI", "").lower() in {"1", "true", "yes"},
    )


def unconfigured_project(root: Path, environ: Mapping[str, str]) -> Project:
    """The project in ``root`` as if it configured nothing: where a verdict goes that says why its configuration is wrong."""
    root = root.resolve()
    return Project(
        root=root,
        config=parse_config({}, source=str(root)),
        environ=environ,
        artifacts=root / Config().artifacts,
        commit=_commit(root, environ),
        run_attempt=1,
        is_ci=environ.get("CI", "").lower() in {"1", "true", "yes"},
    )


def placed(paths: Iterable[str], root: Path, here: Path) -> tuple[str, ...]:
    """Files, folders and test IDs as seen from ``root``: that is where pytest runs, and a person may stand elsewhere.

    One that is there below ``root`` is taken so; else it is looked for from ``here``. UsageError when it is nowhere.
    """
    return tuple(_placed(path, root, here) for path in paths)


def _placed(path: str, root: Path, here: Path) -> str:
    name, mark, rest = path.partition("::")
    if (root / name).exists():
        return f"{Path(name).as_posix()}{mark}{rest}"
    if (here / name).exists():
        return f"{Path(os.path.relpath((here / name).resolve(), root)).as_posix()}{mark}{rest}"
    raise UsageError(f"{name!r} is not there", hint=f"name files, folders or test IDs below {root}, or none for all tests")


def _env_file(root: Path, name: str) -> dict[str, str]:
    if not name:
        return {}
    path = root / name
    if not path.is_file():
        raise ConfigError(f"env-file {str(path)!r} is not there", hint="make it, or take env-file out of [tool.ci-tools]")
    if path.stat().st_size > _MOST_ENV_BYTES:
        what = f"env-file {str(path)!r} is {path.stat().st_size} bytes, at most {_MOST_ENV_BYTES} are read"
        raise ConfigError(what, hint="it holds NAME=value lines; name another file in [tool.ci-tools]")
    from dotenv import dotenv_values  # noqa: PLC0415 - most projects have no env file

    try:
        return {key: value for key, value in dotenv_values(path, interpolate=False).items() if value is not None}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"env-file {str(path)!r} cannot be read: {error}", hint="check its permissions; it is UTF-8") from error


def _commit(root: Path, environ: Mapping[str, str]) -> str:
    """The commit that is checked out; GitHub's word where there is no git; empty outside a repository."""
    command = ["git", "-C", str(root), "rev-parse", "--verify", "HEAD"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_GIT_TIMEOUT_S, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return environ.get("GITHUB_SHA", "")
    return done.stdout.strip() if done.returncode == 0 else environ.get("GITHUB_SHA", "")
