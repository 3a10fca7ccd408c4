"""The process's own state: a test leaves variables, folder, paths, signal handlers, hooks and root logger as it found them."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from ci_tools.model.case import Leak, Phase
from ci_tools.pytest_plugin.failures import Project
from ci_tools.pytest_plugin.guard import Guard
from ci_tools.pytest_plugin.leaks.finding import Findings
from ci_tools.pytest_plugin.ownership import NO_SITE, Ownership, Site, frames_of_site

KIND = "environment"

_HINT = "change it with pytest's monkeypatch, which puts it back"
_OWN_VARIABLE = "PYTEST_CURRENT_TEST"
_LONGEST_VALUE = 80

ABSENT = object()
"""The value of what is not there."""

State = dict[str, object]
"""One value for each aspect: ``variable PATH`` is kept inside ``variables``, all others by their name."""


class EnvironmentGuard(Guard):
    """Compares the state before a test's set-up with the state after its tear-down."""

    def __init__(self, ownership: Ownership, findings: Findings, project: Project) -> None:
        self._ownership = ownership
        self._findings = findings
        self._project = project
        self._before: State = {}
        self._wide: dict[int, tuple[str, State, dict[str, Site]]] = {}
        self._ended: list[tuple[str, State, dict[str, Site]]] = []
        self._fixture_before: list[State | None] = []
        self._sites: dict[str, Site] = {}
        self._restore: list[Callable[[], None]] = []

    def install(self) -> None:
        """Note where variables, folder and handlers are changed."""
        self._patch(os, "putenv", lambda name, *_: f"variable {os.fsdecode(name)}")
        self._patch(os, "unsetenv", lambda name, *_: f"variable {os.fsdecode(name)}")
        self._patch(os, "chdir", lambda *_: "working folder")
        self._patch(signal, "signal", lambda number, *_: f"handler of {_signal_name(number)}")

    def remove(self) -> None:
        """Put the patched functions back."""
        while self._restore:
            self._restore.pop()()

    def begin_phase(self, item: pytest.Item, phase: Phase) -> None:
        """Look before anything of the test runs."""
        if phase is Phase.SETUP:
            self._before = _state()
            self._sites.clear()

    def begin_fixture(self, fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest) -> None:
        """A wider fixture's changes outlive the test by right."""
        self._fixture_before.append(_state() if fixturedef.scope != "function" else None)

    def end_fixture(self, fixturedef: pytest.FixtureDef[object], value: object, *, is_up: bool) -> None:
        """They are part of what the next test finds."""
        before = self._fixture_before.pop()
        if before is None:
            return
        changed = _difference(before, after := _state())
        if not changed:
            return
        old, new = ({name: state.get(name, ABSENT) for name in changed} for state in (before, after))
        sites = {name: self._sites[name] for name in changed if name in self._sites}
        self._wide[id(fixturedef)] = (f"fixture {fixturedef.argname} ({fixturedef.scope})", old, sites)
        _change(self._before, new)
        for outer in self._fixture_before:  # a fixture that asked for this one did not make its changes
            if outer is not None:
                _change(outer, new)

    def finish_fixture(self, fixturedef: pytest.FixtureDef[object]) -> None:
        """Now they must be taken back."""
        change = self._wide.pop(id(fixturedef), None)
        if change is not None:
            self._ended.append(change)

    def end_phase(self, item: pytest.Item, phase: Phase, error: BaseException | None) -> BaseException | None:
        """After the tear-down the state is what it was; what is not is named and put back."""
        if phase is not Phase.TEARDOWN:
            return error
        owners: dict[str, str] = {}
        expected = self._before
        sites = dict(self._sites)
        for label, old, made in self._ended:
            _change(expected, old)
            sites.update(made)
            owners.update(dict.fromkeys(old, label))
        self._ended.clear()
        after = _state()
        if after == expected:  # nearly always, and the only cost then
            return error
        test = self._ownership.test
        for name in _difference(expected, after):
            was, now = expected.get(name, ABSENT), after.get(name, ABSENT)
            owner = owners.get(name) or (test.label if test else item.nodeid)
            created, stack = frames_of_site(sites.get(name, NO_SITE), self._project)
            what = f"{name} was {_shown(was)} and is now {_shown(now)}"
            leak = Leak(kind=KIND, what=what, created=created, created_stack=stack, owner=owner, hint=_HINT)
            self._findings.add(leak, _put_back(name, was))
        return error

    def _patch(self, module: Any, name: str, aspect: Callable[..., str]) -> None:  # noqa: ANN401 - a module
        original = getattr(module, name)
        sites, site = self._sites, self._ownership.site

        def noting(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - the original's own signature
            result = original(*arguments, **options)
            key = aspect(*arguments)
            if not key.endswith(_OWN_VARIABLE) and threading.current_thread() is threading.main_thread():
                sites[key] = site(2)
            return result

        setattr(module, name, noting)
        self._restore.append(lambda: setattr(module, name, original))


_SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGCHLD", "SIGPIPE", "SIGWINCH")
    if hasattr(signal, name)
)


def _state() -> State:
    """Everything that is compared; values are immutable or copies."""
    root = logging.getLogger()
    state: State = {f"variable {name}": value for name, value in os.environ.items()}
    state.pop(f"variable {_OWN_VARIABLE}", None)
    for number in _SIGNALS:
        state[f"handler of {_signal_name(number)}"] = signal.getsignal(number)
    state["working folder"] = _folder()
    state["sys.path"] = tuple(sys.path)
    state["sys.excepthook"] = sys.excepthook
    state["threading.excepthook"] = threading.excepthook
    state["root logger's handlers"] = tuple(root.handlers)
    state["root logger's level"] = root.level
    return state


def _folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - Path.cwd() costs ten times as much, and this runs twice for each test
    except OSError as error:
        return f"<gone: {error.strerror}>"


def _difference(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    return sorted(name for name in {*before, *after} if before.get(name, ABSENT) != after.get(name, ABSENT))


def _change(state: State, changes: State) -> None:
    for name, value in changes.items():
        if value is ABSENT:
            state.pop(name, None)
        else:
            state[name] = value


def _shown(value: object) -> str:
    if value is ABSENT:
        return "absent"
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


def _put_back(name: str, value: object) -> str:
    """The state as it was, so that the next test starts clean; what cannot be put back is said."""
    try:
        _restore(name, value)
    except (OSError, ValueError, TypeError) as error:
        return f"it could not be put back: {error}"
    return ""


def _restore(name: str, value: Any) -> None:  # noqa: ANN401 - the aspect's own value
    match name.split(" ", 1):
        case ["variable", variable]:
            if value is ABSENT:
                os.environ.pop(variable, None)
            else:
                os.environ[variable] = value
        case ["handler", _]:
            signal.signal(signal.Signals[name.removeprefix("handler of ")], value)
        case ["working", _]:
            os.chdir(value)
        case ["sys.path"]:
            sys.path[:] = value
        case ["sys.excepthook"]:
            sys.excepthook = value
        case ["threading.excepthook"]:
            threading.excepthook = value
        case ["root", "logger's handlers"]:
            logging.getLogger().handlers[:] = value
        case ["root", "logger's level"]:
            logging.getLogger().setLevel(value)


def _signal_name(number: int) -> str:
    return _NAMES.get(number) or str(number)


_NAMES = {int(one): one.name for one in signal.Signals}
