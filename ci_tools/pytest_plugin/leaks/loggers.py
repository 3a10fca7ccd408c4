"""Loggers: whose handlers and levels the project's own code changes, and what of it is a program that configures itself.

A program sets its logging up whenever it is built, and in many suites each test builds it. What it does through
``logging.config`` replaces what it did before, so that is nobody's leak, and neither is a handler in the place of its like.
A test's own text has no such excuse, unless the logger bears the test's name, nor has a handler that comes on top of others.
"""

import contextlib
import logging
import os
import sys
import weakref
from collections.abc import Callable
from types import FrameType
from typing import Any

from ci_tools.pytest_plugin.failures import is_test_code

LOGGER = "logger "
ROOT_HANDLERS, ROOT_LEVEL = "root logger's handlers", "root logger's level"
_HANDLERS, _LEVEL, _FILTERS = "'s handlers", "'s level", "'s filters"
_SWITCHES = {"propagate": "'s propagation", "disabled": "'s being disabled"}
"""What is switched by assignment, and how it is called."""
_LOGGING = os.path.dirname(logging.__file__)  # noqa: PTH120 - compared with the file names of code, which are text
_CONFIG = os.path.join(_LOGGING, "config.py")  # noqa: PTH118 - as above
_DEEPEST = 40
_OF_PHASE = "LogCaptureHandler"
"""The name of pytest's class; its module is private."""
_LONGEST_PATH_NAME = 30

Holds = Callable[[str], bool]
"""Whether a file is the project's."""
Note = Callable[[str], None]
"""Remember what an aspect is, for it is about to change; called by whoever stands in the function's place."""

_configured: "weakref.WeakSet[logging.Handler]" = weakref.WeakSet()
"""Handlers that came from a configuration, and from no test's text."""
_born: "weakref.WeakKeyDictionary[logging.Handler, str]" = weakref.WeakKeyDictionary()
"""In which test each handler was made: who takes one of its own away undoes what was done, whoever has put it there."""
_configured_names: set[str] = set()
"""Loggers that a program's configuration has furnished: their levels are the program's to choose."""
_by_tests: set[str] = set()
"""Aspects that a test's own text has changed."""


class LoggerPatches:
    """Stands in the place of the functions that change a logger, and sees handlers being made."""

    def __init__(self, holds: Holds, note: Note, see: Note) -> None:
        self._holds = holds
        self._note = note
        self._see = see
        self._restore = contextlib.ExitStack()

    def install(self) -> None:
        """Note changes from now on."""
        for name, part in (
            ("addHandler", _HANDLERS),
            ("removeHandler", _HANDLERS),
            ("setLevel", _LEVEL),
            ("addFilter", _FILTERS),
            ("removeFilter", _FILTERS),
        ):
            self._replace(name, part)
        self._see_switches()
        self._see_new()

    def remove(self) -> None:
        """Put logging back as it was."""
        self._restore.close()

    def _replace(self, name: str, part: str) -> None:
        original: Any = getattr(logging.Logger, name)
        holds, note, see = self._holds, self._note, self._see
        get_frame = sys._getframe  # noqa: SLF001 - documented, and the only way to a frame

        def noting(logger: logging.Logger, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - the original's own signature
            frame: FrameType | None = get_frame(1)
            is_configured = False
            while frame is not None and frame.f_code.co_filename.startswith(_LOGGING):
                is_configured = is_configured or frame.f_code.co_filename == _CONFIG
                frame = frame.f_back
            aspect = f"{LOGGER}{logger.name}{part}"
            if frame is not None and frame.f_code.co_name != "<module>" and holds(frame.f_code.co_filename):
                # A program's own code that furnishes a bare logger does it once for all: a logger opened lazily.
                is_bare = not (logger.level if part is _LEVEL else _list_of(logger, part))
                if is_test_code(frame.f_code.co_filename):
                    is_undone = (
                        part is _HANDLERS
                        and name.startswith("remove")
                        and arguments
                        and _born.get(arguments[0]) == _running_test()
                    )
                    if not is_undone and not _is_named_after_test(logger):
                        _by_tests.add(aspect)
                        note(aspect)
                elif is_configured:
                    _configured_names.add(logger.name)
                    _see(logger, aspect, see)
                elif not is_bare and part is not _FILTERS and (part is _HANDLERS or logger.name not in _configured_names):
                    note(aspect)
                else:
                    _see(logger, aspect, see)
            else:
                _see(logger, aspect, see)
            return original(logger, *arguments, **options)

        is_own = name in vars(logging.Logger)
        setattr(logging.Logger, name, noting)
        self._restore.callback(
            (lambda: setattr(logging.Logger, name, original)) if is_own else (lambda: delattr(logging.Logger, name))
        )
        # The root logger is compared by itself, and pytest changes it twelve times a test.
        setattr(logging.RootLogger, name, original)
        self._restore.callback(delattr, logging.RootLogger, name)

    def _see_switches(self) -> None:
        """Of a test's own text alone: a program silences what it likes."""
        note, see = self._note, self._see
        get_frame = sys._getframe  # noqa: SLF001 - as above
        assign: Any = object.__setattr__

        def noting(logger: logging.Logger, name: str, value: object) -> None:
            if name in _SWITCHES and name in vars(logger):  # not while the logger is being made
                code = get_frame(1).f_code
                aspect = f"{LOGGER}{logger.name}{_SWITCHES[name]}"
                if code.co_name == "<module>" or not is_test_code(code.co_filename):
                    _see(logger, aspect, see)
                elif not _is_named_after_test(logger):
                    note(aspect)
            assign(logger, name, value)

        logging.Logger.__setattr__ = noting  # type: ignore[method-assign,assignment] # only tests assign to a logger's attributes
        self._restore.callback(delattr, logging.Logger, "__setattr__")
        logging.RootLogger.__setattr__ = assign  # type: ignore[method-assign] # as above: pytest's own level
        self._restore.callback(delattr, logging.RootLogger, "__setattr__")

    def _see_new(self) -> None:
        original: Any = logging.Handler.__init__
        get_frame = sys._getframe  # noqa: SLF001 - as above

        def start(handler: logging.Handler, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - as above
            original(handler, *arguments, **options)
            _born[handler] = _running_test()
            if _is_configured(get_frame(1)):
                _configured.add(handler)

        logging.Handler.__init__ = start  # type: ignore[method-assign,assignment] # every handler's own calls it
        self._restore.callback(setattr, logging.Handler, "__init__", original)


def _see(logger: logging.Logger, aspect: str, see: Note) -> None:
    """Not of a logger that nobody finds by its name: asking for that would make another one."""
    if logging.Logger.manager.loggerDict.get(logger.name) is logger:
        see(aspect)


def _running_test() -> str:
    return os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")[0]


def _is_named_after_test(logger: logging.Logger) -> bool:
    """Whether it is the running test's own, which no other asks for: it has its name, maybe as short as tmp_path's has it."""
    test = _running_test().rpartition("::")[2].partition("[")[0]
    return bool(test) and test[:_LONGEST_PATH_NAME] in logger.name


def _is_configured(frame: FrameType | None) -> bool:
    """Whether a configuration is being carried out that no test's text has asked for."""
    for _ in range(_DEEPEST):
        if frame is None:
            return False
        if frame.f_code.co_filename == _CONFIG:
            break
        frame = frame.f_back
    else:  # pytest's own frames by now
        return False
    while frame is not None and frame.f_code.co_filename.startswith(_LOGGING):
        frame = frame.f_back
    return frame is not None and not is_test_code(frame.f_code.co_filename)


def is_of_phase(handler: logging.Handler) -> bool:
    """Whether pytest has put it there for one phase of one test; a wider fixture is set up within such a phase."""
    return type(handler).__name__ == _OF_PHASE and type(handler).__module__.startswith("_pytest.")


def lasting_on(root: logging.Logger) -> tuple[logging.Handler, ...]:
    """The root logger's handlers, without those that pytest takes away again after each phase."""
    return tuple([one for one in root.handlers if type(one).__name__ != _OF_PHASE or not is_of_phase(one)])


def is_root_configured(handlers: object) -> bool:
    """Whether these handlers of the root logger are a configuration's, all of them."""
    return isinstance(handlers, tuple) and bool(handlers) and all(one in _configured for one in handlers)


def read(aspect: str) -> object:
    """The handlers of a logger, or its level."""
    logger, part = _parse(aspect)
    if part == _LEVEL:
        return logger.level
    if part in _SWITCHES.values():
        return getattr(logger, _switch_of(part))
    if part == _FILTERS:
        return tuple(logger.filters)
    return tuple(logger.handlers) if aspect in _by_tests else _Furnished(logger.handlers)


def restore(aspect: str, value: Any) -> None:  # noqa: ANN401 - what was read
    """Put it back."""
    logger, part = _parse(aspect)
    if part == _LEVEL:
        logger.setLevel(value)
    elif part in _SWITCHES.values():
        setattr(logger, _switch_of(part), value)
    else:
        _list_of(logger, part)[:] = value


def _parse(aspect: str) -> tuple[logging.Logger, str]:
    part = next(one for one in (_HANDLERS, _LEVEL, _FILTERS, *_SWITCHES.values()) if aspect.endswith(one))
    return logging.getLogger(aspect.removeprefix(LOGGER).removesuffix(part)), part


def _list_of(logger: logging.Logger, part: str) -> list[Any]:
    return logger.handlers if part == _HANDLERS else logger.filters


def _switch_of(part: str) -> str:
    return next(name for name, known in _SWITCHES.items() if known == part)


class _Furnished(tuple[logging.Handler, ...]):
    """The handlers that a program has given its logger: the same when each is of the same kind."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, tuple) and [type(one) for one in self] == [type(one) for one in other]

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # type: ignore[assignment] # it is compared, never looked up
