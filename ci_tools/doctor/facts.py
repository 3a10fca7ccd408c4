"""Facts: what the doctor's child process saw, one JSON line each, flushed; the last one says what it died of."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import TypeVar, get_args

from ci_tools.errors import DecodeError
from ci_tools.model.codec import from_json, to_json

QUESTION_VARIABLE = "CI_TOOLS_DOCTOR_QUESTION"
"""Path of the JSON file that tells the child what to look at and where its facts go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What the child is to look at. ``modules`` (absolute paths) are imported alone and nothing is collected."""

    answers: str
    root: str
    modules: tuple[str, ...] = ()
    collects: bool = True
    most_setups: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """pytest has read its configuration. Keys of plugins that are not there are left out of ``ini``."""

    version: str
    plugins: tuple[str, ...] = ()
    ini: dict[str, tuple[str, ...]]
    addopts: tuple[str, ...] = ()
    inipath: str = ""
    is_active: bool = False

    @property
    def quiet(self) -> tuple[str, ...]:
        """Arguments that keep pytest in one process and ci-tools from writing a journal, where these plugins are there."""
        has_xdist = any(plugin.startswith("pytest-xdist ") for plugin in self.plugins)
        return (*(("-n0",) if has_xdist else ()), *(("--ci-tools-journal=off",) if self.is_active else ()))


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportStarted:
    """A module is about to be imported; the last of these is the culprit when the child is gone."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportFailed:
    """A module cannot be imported. ``chain`` is ``path:line: source``, importer first; ``missing`` the name, if known."""

    path: str
    kind: str
    message: str
    chain: tuple[str, ...] = ()
    missing: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportHidden:
    """An import of the project's own code failed, and somebody swallowed the error."""

    path: str
    line: int
    name: str
    message: str
    is_star: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FixtureUndefined:
    """A test needs a fixture that nobody defines. ``asked_by`` is the fixture that asks for it, empty for the test itself."""

    test_id: str
    name: str
    asked_by: str = ""
    near: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FixtureFailed:
    """A fixture raised while it was set up."""

    test_id: str
    name: str
    where: str
    message: str
    chain: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """pytest has collected; ``services`` are those that marks ask for."""

    tests: int
    services: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SetUp:
    """The end of a set-up run: how many tests' fixtures were set up."""

    tests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """The child's pytest came to its own end."""


Fact = Configured | ImportStarted | ImportFailed | ImportHidden | FixtureUndefined | FixtureFailed | Collected | SetUp | Closed
_KINDS: dict[str, type] = {kind.__name__: kind for kind in get_args(Fact)}

T = TypeVar("T")


def render_fact(fact: Fact) -> str:
    """One line without its newline."""
    return json.dumps({"fact": type(fact).__name__, **{one.name: to_json(getattr(fact, one.name)) for one in fields(fact)}})


def parse_facts(text: str) -> tuple[Fact, ...]:
    """Every fact of the child's file; a last line that was cut is left out, DecodeError for a foreign one."""
    facts: list[Fact] = []
    for line in text.split("\n")[:-1]:
        data = json.loads(line)
        kind = _KINDS.get(data.get("fact", ""))
        if kind is None:
            raise DecodeError(f"the doctor's child wrote {line[:80]!r}", hint="is another version of ci-tools on its path?")
        facts.append(from_json(kind, data, where="fact"))
    return tuple(facts)


def of_kind(kind: type[T], facts: Iterable[object]) -> tuple[T, ...]:
    """Those facts that are of this kind, in order."""
    return tuple(fact for fact in facts if isinstance(fact, kind))
