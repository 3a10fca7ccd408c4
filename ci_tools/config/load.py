"""Finds the project and reads its ``[tool.ci-tools]`` table."""

import shlex
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ci_tools.config.schema import Config, parse_config
from ci_tools.errors import ConfigError

_TABLE = "ci-tools"


def find_root(start: Path) -> Path:
    """The nearest folder at or above ``start`` whose pyproject.toml has a ``[tool.ci-tools]`` table; else ``start`` itself."""
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / "pyproject.toml").is_file() and _read_table(folder / "pyproject.toml") is not None:
            return folder
    return start


def load(root: Path) -> Config:
    """The configuration of the project in ``root``; all defaults where there is no table. ConfigError lists every mistake."""
    path = root / "pyproject.toml"
    table = _read_table(path) if path.is_file() else None
    return parse_config(table or {}, source=str(path))


def load_addopts(root: Path) -> tuple[str, ...]:
    """The ``addopts`` of pytest in pyproject.toml; a worker's command must not contradict what the user chose there."""
    path = root / "pyproject.toml"
    tool = _read(path).get("tool", {}) if path.is_file() else {}
    options = tool.get("pytest", {}).get("ini_options", {}) if isinstance(tool, dict) else {}
    addopts = options.get("addopts", "")
    return tuple(shlex.split(addopts)) if isinstance(addopts, str) else tuple(map(str, addopts))


def _read_table(path: Path) -> Mapping[str, object] | None:
    data = _read(path)
    tool = data.get("tool", {})
    table = tool.get(_TABLE) if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        raise ConfigError(f"{path}: tool.{_TABLE} is {table!r}, expected a table", hint=f"write [tool.{_TABLE}]")
    return table


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}", hint="mend the file at that line") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", hint="check the file's permissions") from error
