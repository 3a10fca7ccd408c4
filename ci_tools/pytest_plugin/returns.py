"""Returns: whether a test that passed left through a bare ``return`` before its first assertion.

Only tests whose text has such a return are looked at while they run, so that all others cost nothing: from Python 3.12 on by
``sys.monitoring``, before that by a trace function, unless a debugger or a coverage tool has it.
"""

import ast
import re
import sys
from collections.abc import Callable
from functools import cache
from opcode import opmap
from operator import itemgetter
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

_RETURNS = frozenset(opmap[name] for name in ("RETURN_VALUE", "RETURN_CONST") if name in opmap)
_BARE = re.compile(rb"\breturn(\s+(None|True))?\s*(#.*|;.*)?$", re.MULTILINE)
_UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError, SystemError)
"""Too deep for the parser, too; the last is CPython 3.11's own mistake in counting that depth, of any file."""
_Function = ast.FunctionDef | ast.AsyncFunctionDef
_TOOL = 4
"""One of the numbers that ``sys.monitoring`` leaves to whoever comes first."""


_early: dict[tuple[str, int], frozenset[int]] = {}


class Returns:
    """Sees the lines at which one function returns."""

    def __init__(self) -> None:
        self._early: frozenset[int] = frozenset()
        self._lines: set[int] = set()
        self._stop: Callable[[], None] | None = None

    @property
    def is_looking(self) -> bool:
        """Whether the call of a test with early returns has begun."""
        return self._stop is not None

    def begin(self, code: CodeType, early: frozenset[int]) -> None:
        """The call of a test with early returns begins."""
        self._early, self._lines = early, set()
        self._stop = _monitor(code, self._lines) if sys.version_info >= (3, 12) else _trace(code, self._lines)

    def end(self) -> int:
        """The call is over: the line through which alone the test left early; 0 where it did not, or nobody knows."""
        if self._stop is None:
            return 0
        self._stop()
        self._stop = None
        is_early = bool(self._lines) and self._lines <= self._early
        return min(self._lines) if is_early else 0


def early_lines(code: CodeType) -> frozenset[int]:
    """The lines of the function's bare returns before its first assertion, by its file's text."""
    place = code.co_filename, code.co_firstlineno  # a code's own hash is made of all its bytes, each time
    known = _early.get(place)
    if known is None:
        known = _early[place] = _early_lines(code)
    return known


def _early_lines(code: CodeType) -> frozenset[int]:
    opcodes = code.co_code[::2]
    if sum(map(opcodes.count, _RETURNS)) < 2:  # noqa: PLR2004 - every function has one at its end
        return frozenset()
    lines = _lines(code.co_filename)[code.co_firstlineno - 1 : max(filter(None, map(itemgetter(2), code.co_lines())))]
    if not _BARE.search(b"".join(lines)):  # leaving a `with` is a way out, too
        return frozenset()
    last = max(end or line or 0 for line, end, _, _ in code.co_positions())  # an interpreter may have been told to keep no ends
    text = b"".join(_lines(code.co_filename)[code.co_firstlineno - 1 : last])
    node = _function(text, code.co_firstlineno) or _functions(code.co_filename).get(code.co_firstlineno)
    if node is None:
        return frozenset()
    from ci_tools.doctor.returning import early_returns  # noqa: PLC0415 - hardly any test has two ways out

    return frozenset(early_returns(node))


@cache
def _lines(filename: str) -> list[bytes]:
    try:
        return Path(filename).read_bytes().splitlines(keepends=True)
    except OSError:
        return []


def _function(text: bytes, first: int) -> _Function | None:
    """The function whose code ends with this text; None where the text alone says nothing.

    So it is where what follows makes no code (the body of an inner function), or where the file's encoding is its own.
    """
    is_inner = text[:1] in (b" ", b"\t")
    try:
        (node,) = ast.parse(b"if True:\n" + text if is_inner else text).body
    except _UNREADABLE:
        return None
    if is_inner and isinstance(node, ast.If):
        node = node.body[0]
    if not isinstance(node, _Function):
        return None
    ast.increment_lineno(node, first - (2 if is_inner else 1))
    return node


@cache
def _functions(filename: str) -> dict[int, _Function]:
    try:
        tree = ast.parse(b"".join(_lines(filename)))
    except _UNREADABLE:
        return {}
    functions = (node for node in ast.walk(tree) if isinstance(node, _Function))
    return {min([node.lineno, *(one.lineno for one in node.decorator_list)]): node for node in functions}


def _trace(code: CodeType, lines: set[int]) -> Callable[[], None] | None:
    if sys.gettrace() is not None:
        return None

    def on_event(frame: FrameType, event: str, _: object) -> Any:  # noqa: ANN401 - what sys.settrace wants
        if event == "return" and code.co_code[frame.f_lasti] in _RETURNS:  # a coroutine that waits "returns" as well
            lines.add(frame.f_lineno)
        return on_event

    def on_call(frame: FrameType, _event: str, _: object) -> Any:  # noqa: ANN401 - as above
        if frame.f_code is not code:
            return None
        frame.f_trace_lines = False
        return on_event

    def stop() -> None:
        if sys.gettrace() is on_call:
            sys.settrace(None)

    sys.settrace(on_call)
    return stop


def _monitor(code: CodeType, lines: set[int]) -> Callable[[], None] | None:
    monitoring: Any = sys.monitoring  # type: ignore[attr-defined,unused-ignore] # from 3.12 on
    if monitoring.get_tool(_TOOL) is not None:
        return None

    def on_return(seen: CodeType, offset: int, _: object) -> None:
        line = next((line for start, end, line in seen.co_lines() if line is not None and start <= offset < end), None)
        if line is not None:
            lines.add(line)

    def stop() -> None:
        monitoring.set_local_events(_TOOL, code, 0)
        monitoring.register_callback(_TOOL, monitoring.events.PY_RETURN, None)
        monitoring.free_tool_id(_TOOL)

    monitoring.use_tool_id(_TOOL, "ci-tools")
    monitoring.register_callback(_TOOL, monitoring.events.PY_RETURN, on_return)
    monitoring.set_local_events(_TOOL, code, monitoring.events.PY_RETURN)
    return stop
