"""Modules and classes that a test patches by hand: `time.time = fake`, `setattr(Client, "get", fake)`, `del module.name`.

Nobody can be told of an assignment, and comparing all modules after each test is dear. But the text of a test says what it
assigns: its code is read once, with that of the fixtures and functions of test files that it uses, and only these names are
looked at before and after. A text that assigns nothing, as nearly all do, costs one look.
"""

import contextlib
import dis
import itertools
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from types import CodeType, ModuleType
from typing import Any

import pytest

from ci_tools.model.case import Leak, Phase
from ci_tools.pytest_plugin.failures import Project, is_test_code
from ci_tools.pytest_plugin.guard import Guard
from ci_tools.pytest_plugin.leaks.finding import Findings
from ci_tools.pytest_plugin.leaks.state import ABSENT, show
from ci_tools.pytest_plugin.leaks.texts import SILENT, codes_of, steps_of
from ci_tools.pytest_plugin.owners import frames_of_site, label_of_fixture
from ci_tools.pytest_plugin.ownership import Ownership
from ci_tools.pytest_plugin.position import test_id_of

KIND = "patch"

_HINT = "patch it with pytest's monkeypatch.setattr, or unittest.mock's patch with `with`: both put it back"
_ASSIGNING = tuple(dis.opmap[name] for name in ("STORE_ATTR", "DELETE_ATTR"))
_PASSED_BY = frozenset(dis.opmap[name] for name in (*SILENT, "LOAD_ATTR") if name in dis.opmap)
"""What stands between such an instruction and the one that loads the first name of its way."""
_GLOBALS = frozenset({"LOAD_GLOBAL", "LOAD_NAME"})
_LOCALS = ("LOAD_FAST", "LOAD_DEREF")
_IMPORT = dis.opmap["IMPORT_NAME"]
_WORDS = frozenset({"setattr", "delattr"})
_METHODS = frozenset({"LOAD_METHOD", "LOAD_ATTR"})  # the one until Python 3.11, the other since
_GROWING = frozenset({"argv", "callbacks", "path_hooks", "types_map", "dispatch_table"})
"""Lists and tables of the interpreter that are changed in place: of sys, gc, mimetypes and copyreg."""
_DEEPEST = 3
_MODULES = "modules"
_CONTAINERS = (dict, list, set)


class _Loaded:
    """``sys.modules`` as an object whose attributes its modules are: what is put there or taken away is patched, too."""

    __name__ = "sys.modules"

    def __init__(self) -> None:
        self.__dict__ = sys.modules


_LOADED = _Loaded()


@dataclass(frozen=True, slots=True)
class _Assignment:
    """One place in a code that assigns: the names that lead to the object, and the attribute."""

    code: CodeType
    offset: int
    names: dict[str, Any]
    """The globals that the first step is looked up in; empty where it is a module's name."""
    way: tuple[str, ...]
    attribute: str

    def target(self) -> Any:  # noqa: ANN401 - a module or a class, else None
        """The module or class that it changes; None for anything else, and for what belongs to the tests themselves."""
        if self.way == ("sys", _MODULES):  # the project's own modules and its libraries are the environment's
            is_pythons = self.attribute.partition(".")[0] in sys.stdlib_module_names
            return _LOADED if is_pythons and self.attribute in sys.modules else None
        first = self.names.get(self.way[0]) if self.names else sys.modules.get(self.way[0])
        for step in self.way[1:]:
            if not isinstance(first, (ModuleType, type)):
                return None
            first = vars(first).get(step)
        if not isinstance(first, (ModuleType, type)):
            return None
        home = sys.modules.get(first.__module__) if isinstance(first, type) else first
        file = getattr(home, "__file__", None) or ""
        return None if is_test_code(file) else first


@dataclass(frozen=True, slots=True)
class _Seen:
    """What an attribute was before."""

    assignment: _Assignment
    target: Any
    value: object
    copied: object
    """The value with its containers copied: whoever puts a copy back may have changed the value itself."""

    @property
    def now(self) -> object:
        return vars(self.target).get(self.assignment.attribute, ABSENT)

    @property
    def is_changed(self) -> bool:
        if self.now is self.value:  # changed in place is no change but of what the text was read for
            return self.assignment.attribute in _GROWING and not _is_equal(self.now, self.copied)
        return not _is_equal(self.now, self.copied)


class AssignmentGuard(Guard):
    """Looks before and after at what the text of a test, or of a fixture, assigns."""

    begins_in = (Phase.SETUP,)
    ends_in = (Phase.TEARDOWN,)

    def __init__(self, ownership: Ownership, findings: Findings, project: Project) -> None:
        self._ownership = ownership
        self._findings = findings
        self._project = project
        self._known: dict[int, tuple[object, tuple[_Assignment, ...]]] = {}
        self._test: list[_Seen] = []
        self._fixtures: dict[int, tuple[str, list[_Seen]]] = {}
        self._ended: list[tuple[str, list[_Seen]]] = []

    def begin_phase(self, item: pytest.Item, phase: Phase) -> None:
        """Look at what this test is going to assign."""
        if phase is Phase.SETUP:
            function = getattr(item, "function", None)
            assignments = self._of(function, item) if function is not None else ()
            self._test = _look(assignments) if assignments else []

    def begin_fixture(self, fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest) -> None:
        """The same for a fixture."""
        assignments = self._of(fixturedef.func)
        if assignments:
            self._fixtures[id(fixturedef)] = (label_of_fixture(fixturedef.argname, fixturedef.scope), _look(assignments))

    def end_fixture(self, fixturedef: pytest.FixtureDef[object], value: object, *, is_up: bool) -> None:
        """What a fixture has changed is no change of the test that asked for it."""
        if self._test and id(fixturedef) in self._fixtures:
            self._test = _look([seen.assignment for seen in self._test])

    def finish_fixture(self, fixturedef: pytest.FixtureDef[object]) -> None:
        """Now it must be as it was."""
        seen = self._fixtures.pop(id(fixturedef), None)
        if seen is not None:
            self._ended.append(seen)

    def end_phase(self, item: pytest.Item, phase: Phase, error: BaseException | None) -> BaseException | None:
        """After the tear-down all is as it was."""
        if phase is Phase.TEARDOWN and (self._test or self._ended):
            said: set[tuple[int, str]] = set()
            for owner, looked_at in (*self._ended, (test_id_of(item), self._test)):
                for seen in looked_at:
                    key = (id(seen.target), seen.assignment.attribute)
                    if seen.is_changed and key not in said:
                        said.add(key)
                        self._report(seen, owner)
            self._test, self._ended = [], []
        return error

    def _report(self, seen: _Seen, owner: str) -> None:
        assignment = seen.assignment
        created, stack = frames_of_site(((assignment.code, assignment.offset),), self._project)
        name = f"{seen.target.__name__}.{assignment.attribute}"
        if seen.now is seen.value:
            what = f"{name} was changed in place and not put back: new in it {show(_new_in(seen.now, seen.copied))}"
        else:
            what = f"{name} was {show(seen.value)} and is now {show(seen.now)}: patched by hand and not put back"
        leak = Leak(kind=KIND, what=what, created=created, created_stack=stack, owner=owner, hint=_HINT)
        self._findings.add(leak, partial(_put_back, seen))

    def _of(self, function: Any, item: pytest.Item | None = None) -> tuple[_Assignment, ...]:  # noqa: ANN401 - anything that can be called
        key = id(function if item is None else getattr(function, "__func__", function))
        known = self._known.get(key)
        if known is None:
            codes = codes_of(function, getattr(item, "cls", None), self._project)
            found = tuple(one for code, names in codes for one in _assignments(code, names))
            known = self._known[key] = (function, found)  # held: a number may come again
        return known[1]


def _assignments(code: CodeType, names: dict[str, Any]) -> Iterator[_Assignment]:
    if (
        _may_assign(code)
        or not _WORDS.isdisjoint(code.co_names)
        or not _GROWING.isdisjoint(code.co_names)
        or _MODULES in code.co_names
    ):
        yield from _parse(code, names)


def _may_assign(code: CodeType) -> bool:
    """Whether something is assigned to what a name leads to that is not just an argument or a local: to `self`, nearly always."""
    opcodes = code.co_code[::2]
    for assigning in _ASSIGNING:
        at = opcodes.find(assigning)
        while at >= 0:
            first = at - 1
            while first > 0 and opcodes[first] in _PASSED_BY:
                first -= 1
            name = dis.opname[opcodes[first]]
            if name in _GLOBALS or (name.startswith(_LOCALS) and _IMPORT in opcodes):
                return True
            at = opcodes.find(assigning, at + 1)
    return False


def _parse(code: CodeType, names: dict[str, Any]) -> Iterator[_Assignment]:
    steps = steps_of(code)
    imported: dict[str, tuple[str, ...]] = {
        str(after.argval): (str(one.argval),)
        for one, after in itertools.pairwise(steps)
        if one.opname == "IMPORT_NAME" and after.opname in {"STORE_FAST", "STORE_DEREF"} and "." not in str(one.argval)
    }
    for index, step in enumerate(steps):
        if step.opname in {"STORE_ATTR", "DELETE_ATTR"}:
            way = _way(steps[:index], imported)
            attribute = step.argval
        elif step.opname in _GLOBALS and step.argval in _WORDS:
            end = next((at for at in range(index + 1, len(steps)) if steps[at].opname == "LOAD_CONST"), None)
            way = _way(steps[index + 1 : end], imported) if end is not None else None
            attribute = steps[end].argval if end is not None else None
        elif step.opname == "LOAD_ATTR" and step.argval in _GROWING:
            way = _way(steps[:index], imported)
            attribute = step.argval
        elif step.opname in {"DELETE_SUBSCR", "STORE_SUBSCR"} or (step.opname in _METHODS and step.argval == "pop"):
            at = index + 1 if step.opname in _METHODS else index - 1
            way = _way(steps[: index if step.opname in _METHODS else at], imported)
            way = (False, ("sys", _MODULES)) if way is not None and way[1] == ("sys", _MODULES) else None
            attribute = steps[at].argval if at < len(steps) else None
        else:
            continue
        if way is not None and isinstance(attribute, str):
            is_global, path = way
            yield _Assignment(code, step.offset, names if is_global else {}, path, attribute)


def _way(steps: Sequence[dis.Instruction], imported: dict[str, tuple[str, ...]]) -> tuple[bool, tuple[str, ...]] | None:
    """The names that lead to the object which the last of these steps has loaded, and whether the first is a global."""
    path: list[str] = []
    for step in reversed(steps):
        if step.opname == "LOAD_ATTR":
            path.append(str(step.argval))
        elif step.opname in _GLOBALS:
            return True, (str(step.argval), *reversed(path))
        elif step.opname.startswith(_LOCALS):
            name = step.argval[-1] if isinstance(step.argval, tuple) else step.argval
            return (False, (*imported[name], *reversed(path))) if name in imported else None
        else:
            return None
    return None


def _look(assignments: Sequence[_Assignment]) -> list[_Seen]:
    found = [(one, one.target()) for one in assignments]
    seen = [(one, target, vars(target).get(one.attribute, ABSENT)) for one, target in found if target is not None]
    return [_Seen(one, target, value, _copied(value)) for one, target, value in seen]


def _copied(value: Any, depth: int = _DEEPEST) -> object:  # noqa: ANN401 - whatever a module or class has
    """The value, its containers copied, and theirs."""
    if type(value) not in _CONTAINERS or depth == 0:
        return value
    if type(value) is dict:
        return {key: _copied(one, depth - 1) for key, one in value.items()}
    return type(value)(_copied(one, depth - 1) if type(value) is list else one for one in value)


def _is_equal(now: object, before: object) -> bool:
    """Whether an equal value was put back; a comparison that fails, or that gives no truth, is no equality."""
    with contextlib.suppress(Exception):  # it is somebody else's
        return type(now) is type(before) and (now == before) is True
    return False


def _new_in(now: Any, before: Any) -> list[object]:  # noqa: ANN401 - a list or a table
    return [one for one in now if one not in before]


def _refill(value: Any, before: Any) -> None:  # noqa: ANN401 - a list or a table
    if isinstance(value, list):
        value[:] = before
    else:
        value.clear()
        value.update(before)


def _put_back(seen: _Seen) -> str:
    try:
        if seen.now is seen.value:
            _refill(seen.value, seen.copied)
        elif seen.value is ABSENT:
            delattr(seen.target, seen.assignment.attribute)
        else:
            setattr(seen.target, seen.assignment.attribute, seen.value)
    except (AttributeError, TypeError) as error:
        return f"it could not be put back: {error}"
    return ""
