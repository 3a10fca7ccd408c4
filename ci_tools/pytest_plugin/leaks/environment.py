"""The process's own state: a test leaves variables, folder, paths, signal handlers, hooks and root logger as it found them.

Variables, folder, handlers, umask and locale change through functions that are noted: what each is about to change is
remembered, and only that is looked at again. The rest is a handful of attributes, compared each time.
"""

import contextlib
import itertools
import locale
import os
import random
import signal
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from ci_tools.model.case import Leak, Phase
from ci_tools.pytest_plugin.failures import Project
from ci_tools.pytest_plugin.guard import Guard
from ci_tools.pytest_plugin.imports import is_library_importing
from ci_tools.pytest_plugin.leaks.finding import Findings
from ci_tools.pytest_plugin.leaks.loggers import ROOT_LEVEL
from ci_tools.pytest_plugin.leaks.settings import WARNINGS, SettingPatches
from ci_tools.pytest_plugin.leaks.state import (
    FOLDER,
    LOCALE,
    OWN_MODULES,
    OWN_VARIABLE,
    RANDOM,
    UMASK,
    State,
    attributes_now,
    differing,
    lasting_reaction,
    note_variable,
    put_back,
    show,
    signal_aspect,
    value_of,
    variable_aspect,
)
from ci_tools.pytest_plugin.leaks.texts import likely_site
from ci_tools.pytest_plugin.owners import Site, frames_of_site, label_of_fixture
from ci_tools.pytest_plugin.ownership import Ownership, is_unowned
from ci_tools.pytest_plugin.position import test_id_of

KIND, SEED = "environment", "seed"

_OWN_VARIABLE_NAME = os.fsencode(OWN_VARIABLE.removeprefix("variable "))
_HINT = "change it with pytest's monkeypatch, which puts it back"


@dataclass(slots=True)
class _Point:
    """A moment to compare with: the attributes as they were, and of all else what has been changed since, as it was."""

    attributes: State = field(default_factory=attributes_now)
    modules: int = field(default_factory=lambda: len(sys.modules))
    """How many were loaded: those that came since stand behind them."""
    changed: State = field(default_factory=dict)
    seen: State = field(default_factory=dict)
    """What a library, or a program that sets itself up, has changed, as it was: who puts that back leaves nothing behind."""

    def difference(self) -> tuple[State, State]:
        """What was and is now, of the aspects that differ."""
        attributes = attributes_now()
        changed = {
            name: now
            for name, was in self.changed.items()
            if (now := value_of(name)) is not was and now != was and now != self.seen.get(name, was)
        }
        if not changed and attributes == self.attributes:  # nearly always, and the only cost then
            return {}, {}
        was, now = differing(self.attributes, attributes, frozenset(itertools.islice(sys.modules, self.modules, None)))
        for name in self.changed:  # what has been accepted since, or looked at one by one, is told by itself
            was.pop(name, None)
        was.update((name, self.changed[name]) for name in changed)
        return dict(sorted(was.items())), {**now, **changed}

    def accept(self, changes: State) -> None:
        """Take these values for granted."""
        for name, value in changes.items():
            (self.attributes if name in self.attributes else self.changed)[name] = value
            self.seen.pop(name, None)


class EnvironmentGuard(Guard):
    """Compares the state before a test's set-up with the state after its tear-down."""

    begins_in = (Phase.SETUP,)
    ends_in = (Phase.TEARDOWN,)

    def __init__(self, ownership: Ownership, findings: Findings, project: Project) -> None:
        self._ownership = ownership
        self._findings = findings
        self._project = project
        self._points: list[_Point] = []
        """The test's point, then one for each wider fixture that is being set up."""
        self._wide: dict[int, tuple[str, State, dict[str, Site]]] = {}
        self._ended: list[tuple[str, State, dict[str, Site]]] = []
        self._functions: list[Any] = []
        """What has set this test up, beside its own function."""
        self._filters: object = None
        self._sites: dict[str, Site] = {}
        self._restore = contextlib.ExitStack()
        self._settings = SettingPatches(project.holds, self._note_setting, self._see_setting)
        OWN_MODULES.project = project

    def install(self) -> None:
        """Note where variables, folder and handlers are changed."""
        if self._findings.is_on(SEED):
            self._patch(random, "seed", lambda _: RANDOM)
        if not self._findings.is_on(KIND):
            return
        self._patch(os, "umask", lambda _: UMASK)
        self._patch(locale, "setlocale", lambda _: LOCALE)
        self._patch(os, "putenv", variable_aspect)
        self._patch(os, "unsetenv", variable_aspect)
        self._patch(os, "chdir", lambda _: FOLDER)
        if hasattr(os, "fchdir"):
            self._patch(os, "fchdir", lambda _: FOLDER)
        self._patch_signal()
        self._settings.install()

    def remove(self) -> None:
        """Put the patched functions back."""
        self._settings.remove()
        self._restore.close()

    def begin_phase(self, item: pytest.Item, phase: Phase) -> None:
        """Look before anything of the test runs."""
        if phase is Phase.SETUP:
            if not self._settings.is_complete and self._findings.is_on(KIND):
                self._settings.look()
            # A list of its own for each test is pytest's, which puts the filters back.
            self._filters = warnings.filters if item.config.pluginmanager.is_blocked("warnings") else None
            self._points = [_Point()]
            if self._settings.unnoted:
                self._points[0].seen.update(self._settings.unnoted)
            self._sites.clear()
            self._functions.clear()

    def begin_fixture(self, fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest) -> None:
        """A wider fixture's changes outlive the test by right."""
        if fixturedef.scope != "function":
            self._points.append(_Point())
        else:
            self._functions.append(fixturedef.func)

    def end_fixture(self, fixturedef: pytest.FixtureDef[object], value: object, *, is_up: bool) -> None:
        """They are part of what the next test finds, and no change of whoever asked for the fixture."""
        if fixturedef.scope == "function":
            return
        was, now = self._points.pop().difference()
        was.pop(WARNINGS, None)  # pytest puts them back after each test, whoever has changed them
        if was:
            sites = {name: self._sites.get(name) or likely_site(name, [fixturedef.func], None, self._project) for name in was}
            self._wide[id(fixturedef)] = (label_of_fixture(fixturedef.argname, fixturedef.scope), was, sites)
            for point in self._points:
                point.accept(now)

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
        sites = dict(self._sites)
        for label, before, made in self._ended:
            self._points[0].accept(before)
            sites.update(made)
            owners.update(dict.fromkeys(before, label))
        self._ended.clear()
        was, now = self._points[0].difference()
        if ROOT_LEVEL in was and _sets_level(item.config):
            del was[ROOT_LEVEL]
        for name, value in was.items():
            site = sites.get(name) or self._likely_site(name, item)
            created, stack = frames_of_site(site, self._project)
            leak = Leak(
                kind=SEED if name == RANDOM else KIND,
                what=_told(name, show(value), show(now[name])),
                created=created,
                created_stack=stack,
                owner=owners.get(name) or test_id_of(item),
                hint=_HINT,
            )
            self._findings.add(leak, partial(put_back, name, value))
        return error

    def _likely_site(self, aspect: str, item: pytest.Item) -> Site:
        functions = [one for one in (getattr(item, "function", None), *self._functions) if one is not None]
        return likely_site(aspect, functions, getattr(item, "cls", None), self._project)

    def _note_setting(self, key: str) -> None:
        """The project's own code is about to change it."""
        if is_unowned() or (key == WARNINGS and warnings.filters is not self._filters):  # inside somebody's catch_warnings()
            return
        for point in self._points:
            if key not in point.changed:
                point.changed[key] = value_of(key)
        if key not in self._sites:
            self._sites[key] = self._ownership.site(3)

    def _see_setting(self, key: str) -> None:
        """Somebody else is about to change it, who is not accused for it."""
        unknown = [point for point in self._points if key not in point.changed and key not in point.seen]
        if unknown and not is_unowned():
            value = value_of(key)
            for point in unknown:
                point.seen[key] = value

    def _patch(self, module: Any, name: str, aspect: Callable[[Any], str]) -> None:  # noqa: ANN401 - a module
        original = getattr(module, name)
        sites, site, project = self._sites, self._ownership.site, self._project

        def noting(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - the original's own signature
            if arguments and type(arguments[0]) is bytes and arguments[0] == _OWN_VARIABLE_NAME:  # the same as below, at once
                return original(*arguments, **options)
            subject = (*arguments, *options.values(), None)[0]
            key = aspect(subject)
            if key == OWN_VARIABLE:  # pytest itself sets it three times for each test
                return original(*arguments, **options)
            if is_unowned() or is_library_importing(project, 2):
                result = original(*arguments, **options)
                for point in self._points:
                    point.accept({key: value_of(key)} if key in point.changed else {})
                return result
            for point in self._points:
                if key not in point.changed:  # now is the last moment to look
                    point.changed[key] = value_of(key)
            result = original(*arguments, **options)
            if key not in sites:
                sites[key] = site(2)
            if name == "putenv":
                is_past = sys._getframe(1).f_globals is not vars(os)  # noqa: SLF001 - documented, and the only way to a frame
                note_variable(key, arguments[1] if is_past and len(arguments) > 1 else None)
            return result

        setattr(module, name, noting)
        self._restore.callback(setattr, module, name, original)

    def _patch_signal(self) -> None:
        """asyncio.Runner sets SIGINT and puts it back in each test: what is as it was need not be looked at again."""
        original: Any = signal.signal
        sites, site, project = self._sites, self._ownership.site, self._project
        get_frame = sys._getframe  # noqa: SLF001 - documented, and the only way to a frame

        def noting(signalnum: Any, handler: Any) -> Any:  # noqa: ANN401 - the original's own signature
            was = original(signalnum, handler)  # tells what asking for the handler before would
            key = signal_aspect(signalnum)
            is_same = was is handler
            if is_unowned() or (not is_same and is_library_importing(project, 2)):
                for point in self._points:
                    point.accept({key: handler} if key in point.changed else {})
                return was
            is_changed = False
            found = lasting_reaction(was) if type(was) is partial else was
            for point in self._points:
                if point.changed.setdefault(key, found) is handler:
                    del point.changed[key]
                else:
                    is_changed = True
            if not is_changed:
                sites.pop(key, None)
            elif key not in sites and get_frame(1).f_globals.get("__name__") != "asyncio.runners":  # it always puts it back
                sites[key] = site(2)
            return was

        signal.signal = noting
        self._restore.callback(setattr, signal, "signal", original)


def _sets_level(config: pytest.Config) -> bool:
    """Whether pytest sets the root logger's level for each phase, and puts back what it was, whoever has changed it meanwhile."""
    if not config.pluginmanager.hasplugin("logging"):
        return False
    return bool(config.getoption("log_level", None) or config.getini("log_level"))


def _told(name: str, was: str, now: str) -> str:
    return f"{name} was {was} and is now {now}" if was != now else f"{name} is not the same any more, though it looks so: {now}"
