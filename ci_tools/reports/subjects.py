"""What a line of a test is about: the call of the project whose outcome it looks at, whatever else stands in it. Pure."""

import ast
import builtins
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Subject:
    """The called function, dotted as the line has it, and the keys and attributes of its outcome that the line looks at."""

    called: str
    keys: tuple[str, ...] = ()


def subject_of(source: str, given: Mapping[str, str]) -> Subject | None:
    """The subject of one statement or expression; ``given`` has the source that each local variable was taken from.

    Where ``given`` has any, it has all of them: a name that it lacks is no local variable.
    None where it calls nothing of the project's, and for what is no Python.
    """
    node = _parsed(source)
    return _subject(node, given, _DEEPEST) if node is not None else None


def words_of(source: str) -> tuple[str, ...]:
    """The texts without digits that an expression holds, as names of what it looks for; empty for what is no Python."""
    node = _parsed(source)
    texts = (
        {one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)} if node else set()
    )
    return tuple(sorted(text for text in texts if 0 < len(text) <= _LONGEST_WORD and not any(map(str.isdigit, text))))


def looked_at(source: str) -> frozenset[str]:
    """The attributes and keys of local variables that a line looks at; empty where it calls something or is no Python."""
    node = _parsed(source) if source else None
    if node is None or any(isinstance(one, ast.Call) and not _is_of_builtin(one) for one in ast.walk(node)):
        return frozenset()
    compared: ast.AST = node.value if isinstance(node, ast.Expr) else node
    if isinstance(compared, ast.Compare):
        sides = (compared.left, *compared.comparators)
        compared = next((side for side in sides if isinstance(side, ast.Attribute | ast.Subscript)), compared.left)
    found: set[str] = set()
    while isinstance(compared, ast.Attribute | ast.Subscript):
        if isinstance(compared, ast.Attribute):
            found.add(compared.attr)
        elif isinstance(compared.slice, ast.Constant) and isinstance(compared.slice.value, str):
            found.add(compared.slice.value)
        compared = compared.value
    return frozenset(found) if isinstance(compared, ast.Name) else frozenset()


def _is_of_builtin(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id in _WRAPPERS


_LONGEST_WORD = 40
_DEEPEST = 12
"""Variables and calls that are followed: a variable may have been taken from itself."""

_OF_VALUES = frozenset(name for kind in (str, bytes, dict, list, set, tuple, int, float, datetime) for name in dir(kind))
"""Methods of plain values: what they are called on is what matters."""

_PARTS_OF_VALUES = frozenset(name for kind in (datetime, timedelta, complex) for name in dir(kind)) | {"value", "values", "name"}
"""Attributes of plain values: which of them a line looks at says nothing of what is wrong."""

_READING = frozenset({"json", "get_json", "text", "read"})
"""Methods of a client's answer."""

_WRAPPERS = (
    frozenset(dir(builtins)) | {"approx", "loads", "dumps", "expect"} | {"date", "datetime", "timedelta", "Decimal", "UUID"}
)
"""Functions that only change the form of what they are given."""

_NOBODYS = frozenset(
    {"self", "cls", "client", "response", "resp", "res", "result", "r", "request", "caplog", "capsys", "monkeypatch"}
)
"""Names whose methods are no function of the project by themselves."""


@lru_cache(maxsize=4096)
def _parsed(source: str) -> ast.AST | None:
    for text in (source, f"{source} pass", f"async def f():\n {source}", f"{source}{_closing(source)}"):
        try:
            return ast.parse(text).body[0]
        except (SyntaxError, ValueError, IndexError, RecursionError):
            continue
    return None


def _closing(source: str) -> str:
    """What closes the brackets that the first line of a longer statement ends in: ``assert first == {``."""
    opened = _OPEN_AT_END.search(source)
    return "".join(_CLOSES[bracket] for bracket in reversed(opened[0])) if opened else ""


_OPEN_AT_END = re.compile(r"[\[({]+\Z")
_CLOSES = {"(": ")", "[": "]", "{": "}"}


def _subject(node: ast.AST, given: Mapping[str, str], depth: int) -> Subject | None:  # noqa: C901, PLR0911 - a case for each form
    if not depth:
        return None
    match node:
        case ast.AsyncFunctionDef(body=[inner]):
            return _subject(inner, given, depth - 1)
        case ast.With(items=[*_], body=[inner, *_]) | ast.AsyncWith(items=[*_], body=[inner, *_]) if not isinstance(
            inner, ast.Pass
        ):
            return _subject(inner, given, depth - 1)
        case (
            ast.Assert(test=inner)
            | ast.UnaryOp(operand=inner)
            | ast.Expr(value=inner)
            | ast.Await(value=inner)
            | ast.Assign(value=inner)
            | ast.Starred(value=inner)
            | ast.FormattedValue(value=inner)
            | ast.NamedExpr(value=inner)
        ):
            return _subject(inner, given, depth - 1)
        case ast.Compare(left=left, comparators=others):
            return _first((left, *others), given, depth)
        case ast.BinOp(left=left, right=right):
            return _first((left, right), given, depth)
        case ast.BoolOp(values=values) | ast.List(elts=values) | ast.Tuple(elts=values):
            return _first(values, given, depth)
        case ast.ListComp(elt=inner) | ast.GeneratorExp(elt=inner) | ast.SetComp(elt=inner):
            return _first((inner, *(loop.iter for loop in node.generators)), given, depth)
        case ast.Subscript(value=inner, slice=key):
            found = _subject(inner, given, depth - 1)
            is_key = isinstance(key, ast.Constant) and isinstance(key.value, str)
            return replace(found, keys=(*found.keys, key.value)) if found and is_key else found  # type: ignore[attr-defined] # is_key
        case ast.Attribute(value=inner, attr=name):
            found = _subject(inner, given, depth - 1)
            return replace(found, keys=(*found.keys, name)) if found and name not in _PARTS_OF_VALUES else found
        case ast.Name(id=name):
            source = given.get(name, "")
            parsed = _parsed(source) if source else None
            return _subject(parsed, given, depth - 1) if parsed is not None else None
        case ast.Call():
            return _of_call(node, given, depth - 1)
    return None


def _first(nodes: "tuple[ast.expr, ...] | list[ast.expr]", given: Mapping[str, str], depth: int) -> Subject | None:
    return next((found for node in nodes if (found := _subject(node, given, depth - 1))), None)


def _of_call(call: ast.Call, given: Mapping[str, str], depth: int) -> Subject | None:
    match call.func:
        case ast.Attribute(attr=name) | ast.Name(id=name) if name.startswith("assert"):
            pass
        case ast.Attribute(value=inner, attr=name):
            on = _subject(inner, given, depth)
            if on is not None:
                return on if name in _OF_VALUES or name in _READING else Subject(f"{on.called}.{name}")
            path = _dotted(call.func)
            base = path.partition(".")[0]
            is_of_module = bool(given) and base not in given and base.islower()
            if path and base not in _NOBODYS and name not in _WRAPPERS and (name not in _OF_VALUES or is_of_module):
                return Subject(path)
        case ast.Name(id=name) if name not in _WRAPPERS:
            return Subject(name)
    return _first(call.args, given, depth)


def _dotted(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=inner, attr=name):
            return f"{before}.{name}" if (before := _dotted(inner)) else ""
    return ""
