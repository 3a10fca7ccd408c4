"""Finds the project and reads its ``[tool.ci-tools]`` table."""

import os
import shlex
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ci_tools.config.schema import Config, parse_config
from ci_tools.errors import ConfigError

_TABLE = "ci-tools"
_MOST_BYTES = 1 << 24
"""More than anybody configures by hand."""


def find_root(start: Path) -> Path:
    """The nearest folder at or above ``start`` whose pyproject.toml has a ``[tool.ci-tools]`` table; else ``start`` itself.

    A file that cannot be read may have one: its folder is taken, and who loads it is told what is wrong.
    """
    start = start.resolve()
    for folder in (start, *start.parents):
        try:
            if _is_there(folder / "pyproject.toml") and _read_table(folder / "pyproject.toml") is not None:
                return folder
        except ConfigError:
            return folder
    return start


def load(root: Path) -> Config:
    """The configuration of the project in ``root``; all defaults where there is no table. ConfigError lists every mistake."""
    path = root / "pyproject.toml"
    table = _read_table(path) if _is_there(path) else None
    return parse_config(table or {}, source=str(path))


def load_addopts(root: Path) -> tuple[str, ...]:
    """The ``addopts`` of pytest in pyproject.toml; a worker's command must not contradict what the user chose there."""
    path = root / "pyproject.toml"
    table: object = _read(path) if _is_there(path) else {}
    for name in ("tool", "pytest", "ini_options", "addopts"):
        table = table.get(name, {}) if isinstance(table, dict) else {}
    if isinstance(table, list):
        return tuple(map(str, table))
    try:
        return tuple(shlex.split(table)) if isinstance(table, str) else ()
    except ValueError as error:
        raise ConfigError(f"{path}: addopts is {table!r}: {error}", hint="close every quotation mark") from error


def _read_table(path: Path) -> Mapping[str, object] | None:
    data = _read(path)
    tool = data.get("tool", {})
    table = tool.get(_TABLE) if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        raise ConfigError(f"{path}: tool.{_TABLE} is {table!r}, expected a table", hint=f"write [tool.{_TABLE}]")
    return table


def _is_there(path: Path) -> bool:
    """Also what is no file, or leads nowhere: a policy that cannot be read must not be taken for none."""
    return os.path.lexists(path)


def _read(path: Path) -> dict[str, Any]:
    try:
        if not path.is_file() or path.stat().st_size > _MOST_BYTES:
            raise ConfigError(
                f"{path} is no file of at most {_MOST_BYTES >> 20} MiB", hint="restore it, or remove what stands there"
            )
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}", hint="mend the file at that line") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", hint="check the file's permissions") from error
