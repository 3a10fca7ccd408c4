"""Reach: whether an object hangs on a living fixture's value. Asked only about what already looks like a leak."""

import gc
from collections.abc import Sequence
from types import FunctionType, ModuleType

MOST_OBJECTS = 20_000
"""Objects looked at before the answer is no: a bound on time, not on truth."""


def holder_of(target: object, values: Sequence[object]) -> str:
    """The types on a way from one of the values to ``target``, without loops, classes and modules; empty when there is none."""
    front: list[tuple[object, tuple[str, ...]]] = [(value, (type(value).__name__,)) for value in values]
    seen = {id(value) for value in values}
    while front and len(seen) < MOST_OBJECTS:
        found: list[tuple[object, tuple[str, ...]]] = []
        for thing, way in front:
            for referent in _referents(thing):
                if referent is target:
                    return " → ".join(way)
                if id(referent) not in seen:
                    seen.add(id(referent))
                    found.append((referent, (*way, type(referent).__name__)))
        front = found
    return ""


def _referents(thing: object) -> Sequence[object]:
    if isinstance(thing, (type, ModuleType, str, bytes, int, float)) or _is_crossroads(thing):
        return ()
    if isinstance(thing, FunctionType):  # its globals are its module
        return [*(thing.__closure__ or ()), *(thing.__defaults__ or ())]
    return gc.get_referents(thing)


def _is_crossroads(thing: object) -> bool:
    """Whether everything can be reached from it: an event loop or its policy, pytest's own objects, ours."""
    kind = type(thing)
    return (
        hasattr(kind, "run_until_complete")
        or hasattr(kind, "new_event_loop")
        or kind.__module__.startswith(("_pytest.", "pluggy.", "ci_tools."))
    )
