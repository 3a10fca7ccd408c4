"""State of the process, aspect by aspect: what it is now, how it is shown, how it is put back."""

import contextvars
import locale
import logging
import os
import random
import re
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from ci_tools.pytest_plugin.failures import Project

FOLDER, UMASK, LOCALE, RANDOM = "working folder", "umask", "locale", "state of random"
_MODULES, _VARIABLES = "own modules", "own context variables"
OWN_VARIABLE = "variable PYTEST_CURRENT_TEST"
_LONGEST_VALUE = 80
_URL_PASSWORD = re.compile(r"(://[^\s/:@]*:)[^\s/@]+@")

ABSENT = object()
"""The value of what is not there."""

State = dict[str, object]
"""One value for each aspect, by its name for people: ``variable PATH``, ``working folder``, ``handler of SIGTERM``."""


class _OwnModules:
    """The project's modules and the context variables that they define. Looked for again when a module has come or gone.

    Both are read as one tuple each, in an order that only grows: that is all that most tests pay for them.
    """

    def __init__(self) -> None:
        self.project: Project | None = None
        self._count = 0
        self._modules: dict[str, str] = {}
        self._variables: dict[str, contextvars.ContextVar[object]] = {}

    def modules(self) -> tuple[object, ...]:
        """Which object each module is now."""
        if len(sys.modules) != self._count and self.project is not None:
            self._count = len(sys.modules)
            self._find(self.project)
        return tuple(map(sys.modules.get, self._modules.values()))

    def variables(self) -> tuple[object, ...]:
        """What each variable holds in this context."""
        return tuple([variable.get(ABSENT) for variable in self._variables.values()])

    def spread(self, group: str, values: object) -> State:
        """What such a tuple holds, by aspect."""
        names = self._modules if group == _MODULES else self._variables
        return dict(zip(names, values, strict=False)) if isinstance(values, tuple) else {}

    def value_of(self, name: str) -> object:
        """What one of the aspects is right now."""
        module, variable = self._modules.get(name), self._variables.get(name)
        if module is not None:
            return sys.modules.get(module)
        return variable.get(ABSENT) if variable is not None else None

    def set_variable(self, name: str, value: object) -> None:
        """Put a variable back; TypeError where it had no value, which only a token can restore."""
        if value is ABSENT:
            what = "a context variable cannot be emptied without the token that set() gave"
            raise TypeError(what)
        self._variables[name].set(value)

    def _find(self, project: Project) -> None:
        for module_name, module in tuple(sys.modules.items()):
            if project.holds(getattr(module, "__file__", None) or ""):
                self._modules.setdefault(f"module {module_name}", module_name)
                for name, value in tuple(vars(module).items()):
                    if isinstance(value, contextvars.ContextVar):
                        self._variables.setdefault(f"context variable {module_name}.{name}", value)


OWN_MODULES = _OwnModules()


def attributes_now() -> State:
    """What is compared for every test, because nothing tells when it changes."""
    root = logging.getLogger()
    return {
        "sys.path": tuple(sys.path),
        "sys.excepthook": sys.excepthook,
        "threading.excepthook": threading.excepthook,
        "root logger's handlers": tuple(root.handlers),
        "root logger's level": root.level,
        _MODULES: OWN_MODULES.modules(),
        _VARIABLES: OWN_MODULES.variables(),
    }


def differing(was: State, now: State) -> tuple[State, State]:
    """Of two sets of attributes, those that differ: what they were, and what they are."""
    before: State = {}
    after: State = {}
    for name, value in was.items():
        if value == now[name]:
            continue
        if name in (_MODULES, _VARIABLES):
            olds, news = OWN_MODULES.spread(name, value), OWN_MODULES.spread(name, now[name])
            changed = [each for each, old in olds.items() if news[each] is not old]
            before.update((each, olds[each]) for each in changed)
            after.update((each, news[each]) for each in changed)
        else:
            before[name], after[name] = value, now[name]
    return before, after


def value_of(name: str) -> object:
    """What a noted aspect is right now."""
    plain = _READ.get(name)
    if plain is not None:
        return plain()
    kind, _, subject = name.partition(" ")
    if kind == "variable":
        return os.environ.get(subject, ABSENT)
    if kind in ("module", "context"):
        return OWN_MODULES.value_of(name)
    number = _NUMBERS.get(subject.removeprefix("of "))
    return None if number is None else signal.getsignal(number)  # a number that is none fails in the noted call itself


def _umask() -> int:
    mask = _SET_UMASK(0)  # there is no way to only ask
    _SET_UMASK(mask)
    return mask


def variable_aspect(name: object) -> str:
    """The aspect that os.putenv() and os.unsetenv() change."""
    return f"variable {os.fsdecode(name)}" if isinstance(name, (str, bytes)) else "variable"


def _folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - Path.cwd() costs ten times as much, and this runs twice for each test
    except OSError as error:
        return f"<gone: {error.strerror}>"


def show(value: object) -> str:
    """The value for people: short, and without the password of a URL."""
    if value is ABSENT:
        return "absent"
    text = _URL_PASSWORD.sub(r"\1***@", repr(value))
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


def put_back(name: str, value: object) -> str:
    """The state as it was, so that the next test starts clean; what cannot be put back is said."""
    try:
        _restore(name, value)
    except (OSError, ValueError, TypeError, locale.Error) as error:
        return f"it could not be put back: {error}"
    return ""


def _restore(name: str, value: Any) -> None:  # noqa: ANN401 - the aspect's own value
    plain = _RESTORE.get(name)
    if plain is not None:
        plain(value)
        return
    kind, _, subject = name.partition(" ")
    if kind == "module":
        sys.modules[subject] = value
    elif kind == "context":
        OWN_MODULES.set_variable(name, value)
    elif kind == "handler":
        signal.signal(_NUMBERS[subject.removeprefix("of ")], value)
    elif value is ABSENT:
        os.environ.pop(subject, None)
    else:
        os.environ[subject] = value


def _restore_paths(value: tuple[str, ...]) -> None:
    sys.path[:] = value


def _restore_root_logger(value: tuple[logging.Handler, ...]) -> None:
    logging.getLogger().handlers[:] = value


_RESTORE: dict[str, Callable[[Any], object]] = {
    FOLDER: os.chdir,
    UMASK: os.umask,
    LOCALE: lambda value: locale.setlocale(locale.LC_ALL, value),
    RANDOM: random.setstate,
    "sys.path": _restore_paths,
    "sys.excepthook": lambda value: setattr(sys, "excepthook", value),
    "threading.excepthook": lambda value: setattr(threading, "excepthook", value),
    "root logger's handlers": _restore_root_logger,
    "root logger's level": lambda value: logging.getLogger().setLevel(value),
}


def signal_aspect(number: object) -> str:
    """The aspect that a call of signal.signal() changes."""
    return f"handler of {_signal_name(number)}"


def _signal_name(number: object) -> str:
    return _NAMES.get(number) or f"signal {number}"


_SET_UMASK = os.umask
_SET_LOCALE = locale.setlocale
_READ: dict[str, Callable[[], object]] = {
    FOLDER: _folder,
    UMASK: _umask,
    LOCALE: lambda: _SET_LOCALE(locale.LC_ALL),
    RANDOM: random.getstate,
}
_NAMES: dict[object, str] = {int(one): one.name for one in signal.Signals}
_NUMBERS = {_signal_name(number): number for number in range(1, 65)}
