"""Hollow tests: those that pass because what they define is never awaited, or because they left before they asserted anything."""

import contextlib
import inspect
import sys
from collections.abc import Iterator
from functools import cache
from types import CodeType, ModuleType

import pytest

from ci_tools.model.case import Phase
from ci_tools.model.guard import GuardMode
from ci_tools.pytest_plugin.guard import Guard
from ci_tools.pytest_plugin.position import code_of
from ci_tools.pytest_plugin.recording import Recording
from ci_tools.pytest_plugin.returns import Returns, early_lines
from ci_tools.pytest_plugin.selection import services_of

PROPERTY = "hollow"
"""The gate's rule ``no-hollow-passes`` reads it."""
ACCUSED: pytest.StashKey[frozenset[CodeType]] = pytest.StashKey()
"""Of a hollow test, what nobody awaits: said here, it is no leaked coroutine besides."""

_OF_A_MODULE = ("setup_module", "teardown_module", "setup_function", "teardown_function")
_OF_A_CLASS = ("setup_class", "teardown_class", "setup_method", "teardown_method")
_OF_A_TEST_CASE = ("setUp", "tearDown", "setUpClass", "tearDownClass", "asyncSetUp", "asyncTearDown")


class HollowError(pytest.fail.Exception):  # type: ignore[misc,name-defined] # public, but only an attribute
    """A test passed although code that belongs to it never ran."""


class HollowWarning(pytest.PytestWarning):
    """The same, where the configuration says ``warn``."""


class HollowGuard(Guard):
    """Asks of a test that passed whether everything of it ran."""

    begins_in = (Phase.CALL,)
    ends_in = (Phase.CALL,)

    def __init__(self, mode: GuardMode, recording: Recording) -> None:
        self._mode = mode
        self._recording = recording
        self._returns = Returns()
        self._straight: object = self
        """The function of the test before, where it has no early return."""
        self._sound: object = self
        """The class or module of the test before, where nothing of it was hollow and its tests run as functions do."""

    def begin_phase(self, item: pytest.Item, phase: Phase) -> None:
        """Look out for an early return; what a test declares is proved by what it did."""
        function = getattr(item, "obj", None)
        function = getattr(function, "__func__", function)
        if function is self._straight or phase is not Phase.CALL or (code := code_of(item)) is None:
            return
        early = early_lines(code)
        if not early:
            self._straight = function
        elif not services_of(item):
            self._returns.begin(code, early)

    def end_phase(self, item: pytest.Item, phase: Phase, error: BaseException | None) -> BaseException | None:
        """A call that passed with its code, or its set-up, never awaited has shown nothing."""
        if phase is not Phase.CALL:
            return error
        if error is None and item.parent is self._sound and not self._returns.is_looking:  # nearly always
            return None
        early = self._returns.end()
        if early and error is None:
            self._mark(item, f"returned at line {early}, before its first assertion")
        reason = self._reason(item) if error is None else ""
        if not reason:
            return error
        item.stash[ACCUSED] = frozenset(_never_awaited(item))
        if self._mode is GuardMode.ERROR:
            return HollowError(reason, pytrace=False)
        try:
            item.warn(HollowWarning(reason))
        except HollowWarning as raised:  # the suite's filters turn warnings into errors
            return raised
        return None

    def _reason(self, item: pytest.Item) -> str:
        """What is hollow about it. Of a plain TestCase each method is asked, of all else the class and the module."""
        if item.parent is self._sound:
            return ""
        reason = _reason(item)
        kind = getattr(item, "cls", None)
        if not reason and not (isinstance(kind, type) and _is_plain_test_case(kind)):
            self._sound = item.parent
        return reason

    def _mark(self, item: pytest.Item, reason: str) -> None:
        """A doubt, no proof: said, and weighed by the gate. An assertion may stand in a function that the test has called."""
        item.user_properties[:] = [one for one in item.user_properties if one[0] != PROPERTY]
        item.user_properties.append((PROPERTY, reason))
        if self._recording.execution is not None:
            self._recording.execution.tell().properties[PROPERTY] = reason
        with contextlib.suppress(HollowWarning):  # a doubt fails nobody, whatever the suite makes of warnings
            item.warn(HollowWarning(f"hollow: {reason}; say why: pytest.skip(...), or assert something"))


def _reason(item: pytest.Item) -> str:
    kind = getattr(item, "cls", None)
    if isinstance(kind, type):
        is_test_case = _is_plain_test_case(kind)
        if is_test_case and inspect.iscoroutinefunction(getattr(item, "obj", None)):
            return (
                f"hollow: {kind.__name__} is a plain TestCase, so this coroutine was never awaited; use IsolatedAsyncioTestCase"
            )
        found = _async_of_class(kind, _OF_A_TEST_CASE if is_test_case else _OF_A_CLASS)
        if found:
            return f"hollow: {kind.__name__}.{found} is a coroutine, which nobody awaits here: the test ran without it"
    module = getattr(item, "module", None)
    if isinstance(module, ModuleType):
        found = _async_of_module(module, _OF_A_MODULE)
        if found:
            return f"hollow: {module.__name__}.{found} is a coroutine, which nobody awaits here: the test ran without it"
    return ""


def _never_awaited(item: pytest.Item) -> Iterator[CodeType]:
    kind, module = getattr(item, "cls", None), getattr(item, "module", None)
    functions = [getattr(item, "obj", None)]
    functions += [getattr(kind, name, None) for name in dict.fromkeys((*_OF_A_TEST_CASE, *_OF_A_CLASS))]
    functions += [getattr(module, name, None) for name in _OF_A_MODULE]
    for function in functions:
        if inspect.iscoroutinefunction(function):
            yield inspect.unwrap(getattr(function, "__func__", function)).__code__


@cache
def _is_plain_test_case(kind: type) -> bool:
    unittest = sys.modules.get("unittest")
    if unittest is None or not issubclass(kind, unittest.TestCase):
        return False
    # twisted's and others' test cases run coroutines too: only what inherits unittest's own way of calling is plain.
    return kind.run is unittest.TestCase.run and kind._callTestMethod is unittest.TestCase._callTestMethod  # type: ignore[attr-defined] # noqa: SLF001 - the method that asyncio's variant replaces


@cache
def _async_of_class(kind: type, names: tuple[str, ...]) -> str:
    return next((name for name in names if inspect.iscoroutinefunction(getattr(kind, name, None))), "")


@cache
def _async_of_module(module: ModuleType, names: tuple[str, ...]) -> str:
    return next((name for name in names if inspect.iscoroutinefunction(getattr(module, name, None))), "")
