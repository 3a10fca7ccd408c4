"""Which functions of the project a failed line may have come through: those that its names refer to, and what theirs do.

Looked up only when a test failed, and without running any code of the project: names in code objects, plain dictionaries.
"""

import inspect
import weakref
from collections import deque
from collections.abc import Iterator, Mapping
from types import CellType, CodeType, FrameType, FunctionType, MethodType, ModuleType
from typing import Any
from weakref import WeakKeyDictionary

from ci_tools.pytest_plugin.failures import Project, links_of

MOST_FUNCTIONS = 60
"""Functions of which the calls are kept: a line that reaches more says nothing of any."""
MOST_FAILURES = 1000
"""Failures of one process with which calls are kept: of a suite that fails everywhere, these know what there is to know."""


class Calls:
    """What the functions of a project refer to, as far as failed tests have led to them; each is looked at once."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._callees: WeakKeyDictionary[FunctionType, tuple[weakref.ref[FunctionType], ...]] = WeakKeyDictionary()
        self._left = MOST_FAILURES

    def of(self, error: BaseException) -> tuple[str, ...]:
        """``caller callee callee …`` for each function of the project that the code of the failed test refers to, and so on.

        Functions are named ``package.module.Class.function``. A method of whatever an argument is may be that of any class of the
        project that the module knows; and a name that is referred to need not have been called.
        """
        if self._left <= 0:
            return ()
        self._left -= 1
        try:
            return self._of(error)
        except Exception:  # noqa: BLE001 - whatever a project keeps in its names: the report must not die of it
            return ()

    def _of(self, error: BaseException) -> tuple[str, ...]:
        *_, root = links_of(error)
        waiting: deque[FunctionType] = deque()
        traceback = root.__traceback__
        while traceback is not None:
            if self._project.holds(traceback.tb_frame.f_code.co_filename):
                waiting.extend(_referred(_Names.of_frame(traceback.tb_frame), self._project))
            traceback = traceback.tb_next
        calls: dict[str, str] = {}
        while waiting and len(calls) < MOST_FUNCTIONS:
            function = waiting.popleft()
            name = _name_of(function)
            if name not in calls:
                callees = self._callees_of(function)
                calls[name] = " ".join((name, *dict.fromkeys(_name_of(callee) for callee in callees if callee is not function)))
                waiting.extend(callees)
        return tuple(calls.values())

    def _callees_of(self, function: FunctionType) -> list[FunctionType]:
        known = self._callees.get(function)
        if known is None:
            found = _referred(_Names.of_function(function), self._project)
            known = self._callees[function] = tuple(weakref.ref(callee) for callee in found)
        return [callee for reference in known if (callee := reference()) is not None]


def _name_of(function: FunctionType) -> str:
    return f"{function.__module__}.{function.__qualname__}"


class _Names:
    """What the names in a piece of code refer to."""

    def __init__(self, code: CodeType, known: Mapping[str, object], owner: type | None) -> None:
        self.names = {*_names_in(code)}
        self.known = known
        self.owner = owner
        self.classes = [value for value in known.values() if issubclass(type(value), type)]

    @classmethod
    def of_frame(cls, frame: FrameType) -> "_Names":
        return cls(frame.f_code, {**frame.f_globals, **frame.f_locals}, None)

    @classmethod
    def of_function(cls, function: FunctionType) -> "_Names":
        known = function.__globals__
        if function.__closure__:
            cells = zip(function.__code__.co_freevars, function.__closure__, strict=True)
            known = {**known, **{name: cell.cell_contents for name, cell in cells if _is_filled(cell)}}
        owner = known.get(function.__qualname__.partition(".")[0]) if "." in function.__qualname__ else None
        return cls(function.__code__, known, owner if isinstance(owner, type) else None)


def _is_filled(cell: CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - asks
    except ValueError:
        return False
    return True


def _names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    yield from code.co_varnames
    yield from code.co_freevars
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)


def _referred(names: _Names, project: Project) -> Iterator[FunctionType]:
    """The functions of the project among what the names refer to, and those that they are attributes of."""
    for name in sorted(names.names):
        if (value := names.known.get(name)) is not None:
            yield from _functions_of(value, names.names, project)
    unknown = names.names - names.known.keys()
    for value in names.classes if unknown else ():  # whatever an argument is: one of the classes that the module knows, maybe
        yield from _functions_of(value, unknown, project, is_made=False)
    if names.owner is not None:
        yield from _functions_of(names.owner, names.names, project, is_made=False)


def _functions_of(
    value: Any,  # noqa: ANN401 - whatever a project's name refers to
    names: set[str],
    project: Project,
    *,
    is_made: bool = True,
) -> Iterator[FunctionType]:
    kind = type(value)
    if issubclass(kind, ModuleType):
        attributes = vars(value)
        for name in sorted(names & attributes.keys()):
            if not issubclass(type(attributes[name]), ModuleType):
                yield from _functions_of(attributes[name], names, project)
    elif issubclass(kind, type):
        for base in value.__mro__:
            for name in sorted((names | {"__init__"} if is_made else names) & vars(base).keys()):
                yield from _plain(vars(base)[name], project)
    elif found := [*_plain(value, project)]:
        yield from found
    elif _is_of_project(kind, project):
        yield from _functions_of(kind, names, project, is_made=False)


def _is_of_project(kind: type, project: Project) -> bool:
    return any(project.holds(item.__code__.co_filename) for item in vars(kind).values() if type(item) is FunctionType)


def _plain(value: Any, project: Project) -> Iterator[FunctionType]:  # noqa: ANN401 - whatever a project's name refers to
    """The function behind decorators, methods and properties, where it is the project's."""
    kind = type(value)  # never isinstance: a proxy's __class__ is code of the project's
    if kind in {staticmethod, classmethod}:
        value = value.__func__
    elif kind is property:
        value = value.fget
    elif kind is MethodType:
        value = value.__func__
    elif kind is not FunctionType:  # a command of click's, a cached function
        value = inspect.getattr_static(value, "callback", None) or inspect.getattr_static(value, "__wrapped__", None)
    if type(value) is FunctionType:
        function = inspect.unwrap(value)
        if type(function) is FunctionType and project.holds(function.__code__.co_filename):
            yield function
