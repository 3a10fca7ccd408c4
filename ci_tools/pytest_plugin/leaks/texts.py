"""Texts: what the code of a test says, with that of the fixtures and functions of test files that it uses.

Some changes tell nobody: an assignment, a list that grows. Then the text is asked which line it was. Read for a report, or once
for each function.
"""

import dis
from collections.abc import Iterator, Sequence
from types import CodeType, FunctionType
from typing import Any

from ci_tools.pytest_plugin.failures import Project, is_test_code
from ci_tools.pytest_plugin.owners import NO_SITE, Site

_AROUND = ("setup_method", "teardown_method", "setUp", "tearDown", "asyncSetUp", "asyncTearDown")
_DEEPEST = 3
SILENT = frozenset({"CACHE", "PUSH_NULL", "EXTENDED_ARG", "NOP", "PRECALL", "COPY_FREE_VARS", "RESUME"})

Words = tuple[str, ...]
"""Names that follow each other in a text: ``("sys", "path")`` for ``sys.path``."""

_SAYINGS: dict[str, tuple[Words, ...]] = {
    "sys.path": (("sys", "path"), ("path", "append"), ("path", "insert")),
    "sys.meta_path": (("sys", "meta_path"), ("meta_path", "append"), ("meta_path", "insert")),
    "sys.excepthook": (("sys", "excepthook"),),
    "threading.excepthook": (("threading", "excepthook"),),
    "root logger's handlers": (
        ("addHandler",),
        ("basicConfig",),
        ("dictConfig",),
        ("fileConfig",),
        ("removeHandler",),
        ("handlers",),
    ),
    "root logger's level": (("setLevel",), ("basicConfig",), ("dictConfig",), ("fileConfig",)),
    "decimal's context": (("prec",), ("rounding",), ("setcontext",)),
}
"""Of the aspects that nobody notes: by which words a text changes them."""


def likely_site(aspect: str, functions: Sequence[Any], kind: type | None, project: Project) -> Site:
    """Where the text of these functions changes this aspect; of several places the one that names what it changes."""
    group, _, subject = aspect.partition(" ")
    if group == "module":
        sayings: tuple[Words, ...] = (("sys", "modules"), ("modules",), ("import_module",), ("reload",))
    elif aspect.startswith("context variable "):
        sayings = ((aspect.rpartition(".")[2], "set"),)
    else:
        sayings = _SAYINGS.get(aspect, ())
    if not sayings:
        return NO_SITE
    codes = [code for function in functions for code, _ in codes_of(function, kind, project)]
    for saying in sayings:
        found = [(code, step) for code in codes for step in _said(code, saying)]
        if found:
            code, step = next((one for one in found if subject in _constants_of_line(*one)), found[0])
            return ((code, step.offset),)
    return NO_SITE


def codes_of(function: Any, kind: type | None, project: Project) -> Iterator[tuple[CodeType, dict[str, Any]]]:  # noqa: ANN401 - anything that can be called
    """The code of a test's or fixture's function, of what is defined in it, and of the test files' functions that it uses."""
    plain = plain_function(function)
    if plain is not None:
        yield from _read(plain, kind, project, set(), 0)


def plain_function(function: Any) -> FunctionType | None:  # noqa: ANN401 - as above
    """What stands behind methods and decorators; None where it is no function of Python's."""
    function = getattr(function, "__func__", function)
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return function if isinstance(function, FunctionType) else None


def steps_of(code: CodeType) -> list[dis.Instruction]:
    """The instructions that stand for something in the text."""
    return [one for one in dis.get_instructions(code) if one.opname not in SILENT]


def _read(
    function: FunctionType, kind: type | None, project: Project, seen: set[int], depth: int
) -> Iterator[tuple[CodeType, dict[str, Any]]]:
    code = function.__code__
    if id(code) in seen or not project.holds(code.co_filename) or not is_test_code(code.co_filename):
        return
    seen.add(id(code))
    for one in _with_inner(code):
        yield one, function.__globals__
    if depth == _DEEPEST:
        return
    used = [function.__globals__.get(name) for name in _names(code)]
    if kind is not None:
        used += [vars(kind).get(name) for name in (*_names(code), *(_AROUND if depth == 0 else ()))]
    for other in used:
        if type(other) is FunctionType:
            yield from _read(other, kind, project, seen, depth + 1)


def _with_inner(code: CodeType) -> Iterator[CodeType]:
    yield code
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield from _with_inner(one)


def _names(code: CodeType) -> Sequence[str]:
    inner = [one for one in code.co_consts if isinstance(one, CodeType)]
    return code.co_names if not inner else [*code.co_names, *(name for one in inner for name in _names(one))]


def _said(code: CodeType, words: Words) -> Iterator[dis.Instruction]:
    if not set(words).issubset({*code.co_names, *code.co_varnames, *code.co_freevars}):
        return
    steps = steps_of(code)
    for index in range(len(steps) - len(words) + 1):
        if all(step.argval == word for step, word in zip(steps[index:], words, strict=False)):
            yield steps[index + len(words) - 1]


def _constants_of_line(code: CodeType, step: dis.Instruction) -> list[object]:
    """What stands written in the line of this instruction."""
    lines = [(start, end) for start, end, line in code.co_lines() if line is not None and line == _line_at(code, step.offset)]
    return [one.argval for one in steps_of(code) if any(start <= one.offset < end for start, end in lines)]


def _line_at(code: CodeType, offset: int) -> int | None:
    return next((line for start, end, line in code.co_lines() if start <= offset < end), None)
