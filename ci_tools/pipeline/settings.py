"""By which settings a shard ran, as short digests: shards of one run that ran by different ones are no run.

One digest each of ci-tools' own table, of pytest's configuration files, and of the arguments, so that a difference can be named.
What only shows or stores results, and where, is no setting: each shard names its own files.
"""

import configparser
import hashlib
import re
import shlex
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ci_tools.config.schema import Configuration
from ci_tools.model.codec import dumps
from ci_tools.pipeline.project import Project

_WHOLE_FILES = ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini")
_SECTIONS = {"tox.ini": "pytest", "setup.cfg": "tool:pytest"}
_VARIABLES = ("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTEST_DISABLE_PLUGIN_AUTOLOAD", "PYTHONWARNINGS")

_SHOWING = re.compile(
    r"-[vqlsr]+|-r\w+|--verbose|--quiet|--verbosity|--tb|--color|--code-highlight|--show-capture|--capture|--showlocals|--no-showlocals"
    r"|--full-trace|--no-header|--no-summary|--no-fold-skipped|--force-short-summary|--durations|--durations-min|--console-output-style"
    r"|--junit-?xml|--junit-?prefix|--html|--self-contained-html|--css|--report-log|--json|--json-report.*|--csv|--md|--md-report.*"
    r"|--ctrf|--alluredir|--clean-alluredir|--log-file.*|--log-cli.*|--basetemp|--cov-report|--cov-append|--pastebin|--debug"
)
"""Options that change nothing about a result."""
_FLAGS = re.compile(
    r"-[vqls]+|-r\w+|--verbose|--quiet|--showlocals|--no-showlocals|--full-trace|--no-header|--no-summary|--no-fold-skipped"
    r"|--force-short-summary|--self-contained-html|--clean-alluredir|--cov-append|--log-cli|--json-report(-omit.*|-summary)?|--debug"
)
"""Those of them that take no value of their own word."""


def settings_of(project: Project, configuration: Configuration, pytest_args: Sequence[str]) -> str:
    """``arguments=… ci-tools=… pytest=…``: twelve hexadecimal digits of sha256 each. The same settings give the same text.

    The gate's policies, folders, the number of workers and the time a run may take are left out: they decide no result.
    """
    own = replace(project.config, artifacts="", keep_runs=0, timings="", workers=0, run_timeout_s=0.0, profiles={})
    environ = {**project.environ, **configuration.environment}
    words = {name: _telling(_split(environ.get(name, ""))) for name in _VARIABLES}
    arguments = [*_telling(pytest_args), *(f"{name}={shlex.join(told)}" for name, told in words.items() if told)]
    digests = {
        "arguments": _digest(arguments),
        "ci-tools": _digest([dumps(replace(own, configurations=(configuration,), pytest_args=_telling(own.pytest_args)))]),
        "pytest": _digest(_pytest_files(project.root)),
    }
    return " ".join(f"{name}={digest}" for name, digest in digests.items())


def _split(value: str) -> list[str]:
    try:
        return shlex.split(value)
    except ValueError:  # starting the worker says so
        return [value]


def _telling(arguments: Iterable[str]) -> tuple[str, ...]:
    """The arguments that can change a result, in their order."""
    found: list[str] = []
    words = iter(arguments)
    for word in words:
        option, has_value, _ = word.partition("=")
        if not _SHOWING.fullmatch(option):
            found.append(word)
        elif not has_value and not _FLAGS.fullmatch(option):
            next(words, None)
    return tuple(found)


def _pytest_files(root: Path) -> Iterator[str]:
    """What pytest may take for its configuration in the project's folder, without comments where that is easily told."""
    for name in _WHOLE_FILES:
        path = root / name
        if path.is_file():
            yield f"{name}:{path.read_text(encoding='utf-8', errors='replace')}"
    pyproject = root / "pyproject.toml"
    if pyproject.is_file():
        tool = tomllib.loads(pyproject.read_text(encoding="utf-8")).get("tool", {})
        yield f"pyproject.toml:{dumps(_plain(tool.get('pytest', {})))}"
    for name, section in _SECTIONS.items():
        path = root / name
        told = _section(path.read_text(encoding="utf-8", errors="replace"), section) if path.is_file() else ""
        if told:
            yield f"{name}:{told}"


def _plain(value: object) -> object:
    """TOML's dates as text."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value if isinstance(value, (str, int, float, bool)) else str(value)


def _section(text: str, section: str) -> str:
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        return text
    return dumps(dict(parser[section])) if parser.has_section(section) else ""


def _digest(parts: Iterable[str]) -> str:
    hasher = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "backslashreplace")
        hasher.update(b"%d:" % len(data))
        hasher.update(data)
    return hasher.hexdigest()[:12]
