"""The scaffold: what a repository needs to run its integration tests with ci-tools. Never overwrites anything."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from ci_tools import __version__
from ci_tools.errors import ConfigError, UsageError
from ci_tools.host.files import write_text

NOXFILE = '''# /// script
# dependencies = ["nox>=2025.2.9", "ci-tools>={version}"]
# ///
"""The one door to the checks of this project: `nox -s integration`."""

import nox

from ci_tools import nox_sessions

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"


@nox.session
def integration(session: nox.Session) -> None:
    """Real services, every integration test, one verdict. Arguments go to `ci-tools run`."""
    nox_sessions.integration(session{packages})


if __name__ == "__main__":
    nox.main()
'''

TABLES = """
[tool.ci-tools]
tests = ["tests/integration"]

[tool.ci-tools.services.redis]
port = 6381
"""

PYTEST_TABLE = """
[tool.pytest.ini_options]
testpaths = ["tests"]
addopts = ["-ra", "--strict-markers"]
"""

TEST = '''"""The first integration test: a real Redis, which `ci-tools run` starts and stops."""

from collections.abc import Iterator

import pytest
import redis


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    """A client of this worker's own Redis."""
    client = redis.Redis.from_url(redis_url)
    yield client
    client.close()


@pytest.mark.service("redis")
def test_a_value_is_stored(client: redis.Redis) -> None:
    """What was written is read back."""
    client.set("greeting", "hello")
    assert client.get("greeting") == b"hello"
'''

WORKFLOW = """name: Integration
on:
  pull_request:
  merge_group:
  push:
    branches: [main]
permissions: {}
concurrency:
  # A newer push to a pull request ends its older run; each commit on main has a group of its own and is never cancelled.
  group: integration-${{ github.event.pull_request.number || github.sha }}
  cancel-in-progress: ${{ github.event_name == 'pull_request' }}
jobs:
  integration:
    # Put the owner of your copy of ci-tools in, and for the zeros the commit of its tag: a tag can be moved, a commit cannot.
    uses: OWNER/ci-tools/.github/workflows/integration.yml@{commit} # v{version}
    permissions:
      contents: read # the called workflow checks out the code
    with:
      shards: "2"
"""

_NO_COMMIT = "0" * 40
"""Stands where a commit belongs: the linters want one, and only its owner knows which."""

_IGNORED = "ci-artifacts/"


def scaffold(root: Path, *, with_github: bool = False) -> tuple[str, ...]:
    """Write noxfile, configuration and a first test into ``root``; the names written, in order.

    UsageError names everything that is there already, before anything is written; ConfigError when pyproject.toml is no TOML.
    """
    if not root.is_dir():
        raise UsageError(f"project {str(root)!r} is no folder", hint="give --project an existing folder")
    pyproject = root / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8") if pyproject.is_file() else ""
    table = _parse(pyproject, text)
    is_package = "project" in table and "build-system" in table
    files = {"noxfile.py": _noxfile(is_package=is_package), "tests/integration/test_store.py": TEST}
    if with_github:
        files[".github/workflows/integration.yml"] = _workflow(is_package=is_package)
    _refuse_what_is_there(root, table, files)
    added = TABLES if _has_pytest(root, table) else TABLES + PYTEST_TABLE
    write_text(pyproject, f"{text.rstrip()}\n{added}" if text.strip() else added.lstrip())
    for name, content in files.items():
        write_text(root / name, content)
    return ("pyproject.toml", *files, *_ignore(root))


def _parse(path: Path, text: str) -> Mapping[str, object]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}", hint="mend the file at that line, then init again") from error


def _refuse_what_is_there(root: Path, table: Mapping[str, object], files: Mapping[str, str]) -> None:
    tool = table.get("tool", {})
    there = [f"{name} exists" for name in files if (root / name).exists()]
    if isinstance(tool, dict) and "ci-tools" in tool:
        there.insert(0, "pyproject.toml has a [tool.ci-tools] table")
    if there:
        hint = "move it away, or write the rest by hand: docs/guide/start.md shows each file"
        raise UsageError("init would overwrite what is there, and nothing was written", details=there, hint=hint)


def _has_pytest(root: Path, table: Mapping[str, object]) -> bool:
    """Whether pytest is configured anywhere: a second place would silently lose against the first."""
    tool = table.get("tool", {})
    if isinstance(tool, dict) and "pytest" in tool:
        return True
    if any((root / name).is_file() for name in ("pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml")):
        return True
    sections = {"tox.ini": r"^\[pytest\]", "setup.cfg": r"^\[tool:pytest\]"}
    return any(
        (root / name).is_file() and re.search(section, (root / name).read_text(encoding="utf-8"), re.MULTILINE)
        for name, section in sections.items()
    )


def _noxfile(*, is_package: bool) -> str:
    packages = "" if is_package else ", packages=()"
    return NOXFILE.replace("{version}", __version__).replace("{packages}", packages)


def _workflow(*, is_package: bool) -> str:
    install = '      install: "--editable=."\n' if is_package else ""
    return WORKFLOW.replace("{version}", __version__).replace("{commit}", _NO_COMMIT) + install


def _ignore(root: Path) -> tuple[str, ...]:
    """Keep the folders of runs out of version control."""
    path = root / ".gitignore"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    if _IGNORED in text.split():
        return ()
    write_text(path, f"{text.rstrip()}\n{_IGNORED}\n".lstrip())
    return (".gitignore",)
