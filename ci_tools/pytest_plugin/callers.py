"""Callers: a function of ours that stands in another's place calls it in the name of whoever called us.

What the other one warns of is then said of the caller's line, where a reader looks and where the filters for the caller's module
apply, and not of a line of ours.
"""

from collections.abc import Callable, Mapping
from types import FrameType, FunctionType
from typing import Any


def call_for(caller: FrameType, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - the function's own signature
    """Call the function from a frame that has the caller's file, line and module, and return what it returns."""
    code = _call.__code__
    as_the_caller = code.replace(
        co_filename=caller.f_code.co_filename,
        co_name=caller.f_code.co_name,
        co_qualname=caller.f_code.co_qualname,
        co_firstlineno=caller.f_lineno - _LINES_BELOW_ITS_FIRST,
    )
    return FunctionType(as_the_caller, caller.f_globals)(function, arguments, options)


def _call(function: Callable[..., Any], arguments: tuple[Any, ...], options: Mapping[str, Any]) -> Any:  # noqa: ANN401 - as above
    return function(*arguments, **options)


_LINES_BELOW_ITS_FIRST = 1
"""The line of ``_call`` that calls, counted from the one that defines it."""
