"""State of the process, aspect by aspect: what it is now, how it is shown, how it is put back."""

import contextvars
import itertools
import locale
import logging
import os
import random
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Container
from types import ModuleType
from typing import Any

from ci_tools.pytest_plugin.failures import Project
from ci_tools.pytest_plugin.imports import module_of
from ci_tools.pytest_plugin.leaks import loggers, settings

FOLDER, UMASK, LOCALE, RANDOM = "working folder", "umask", "locale", "state of random"
_MODULES, _VARIABLES = "own modules", "own context variables"
_DECIMAL = "decimal's context"
_USUAL_DECIMAL = (28, "ROUND_HALF_EVEN")
_LIBRARIES = re.compile(r"[\\/](?:site|dist)-packages[\\/]")
_MADE_BY_LIBRARIES = frozenset({"cython_runtime"})
OWN_VARIABLE = "variable PYTEST_CURRENT_TEST"
_LONGEST_VALUE = 80
_URL_PASSWORD = re.compile(r"(://[^\s/:@]*:)[^\s/@]+@")

_CHANGED_BY_IMPORTS = frozenset({"sys.path", "sys.meta_path", "sys.excepthook", "threading.excepthook", loggers.ROOT_HANDLERS})

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
        self._foreign: dict[str, int] = {}
        """Libraries' modules that were looked at, by name, with their identity: of those nothing is kept."""
        self._modules: dict[str, str] = {}
        self._variables: dict[str, contextvars.ContextVar[object]] = {}
        self.invented: set[str] = set()
        """The aspects of modules that somebody has put into sys.modules, and that no import has made."""

    def modules(self) -> tuple[object, ...]:
        """Which object each module is now."""
        if len(sys.modules) != self._count and self.project is not None:
            self._count = len(sys.modules)
            self._find(self.project)
        return tuple(map(sys.modules.get, self._modules.values(), itertools.repeat(ABSENT)))

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
            return sys.modules.get(module, ABSENT)
        return variable.get(ABSENT) if variable is not None else None

    def set_variable(self, name: str, value: object) -> None:
        """Put a variable back; TypeError where it had no value and no default: only a token can restore that."""
        variable = self._variables[name]
        if value is ABSENT:
            value = contextvars.Context().run(_default_of, variable)
        if value is ABSENT:
            what = "a context variable cannot be emptied without the token that set() gave"
            raise TypeError(what)
        variable.set(value)

    def _find(self, project: Project) -> None:
        foreign = self._foreign
        for module_name, module in tuple(sys.modules.items()):
            if foreign.get(module_name) == id(module) and getattr(module, "__spec__", None) is not None:  # nobody's invention
                continue
            file = getattr(module, "__file__", None) or ""
            if _is_invented(module_name, module):
                self.invented.add(f"module {module_name}")
            elif not project.holds(file):
                foreign[module_name] = id(module)
                continue
            if file or module_name in self._modules.values() or f"module {module_name}" in self.invented:
                self._modules.setdefault(f"module {module_name}", module_name)
                for name, value in tuple(getattr(module, "__dict__", {}).items()):
                    # Of libraries those that the project uses: each name costs a look for every test.
                    if isinstance(value, ModuleType) and "." not in value.__name__ and _is_of_library(value):
                        self._modules.setdefault(f"module {value.__name__}", value.__name__)
                    if isinstance(value, contextvars.ContextVar):
                        self._variables.setdefault(f"context variable {module_name}.{name}", value)


def _default_of(variable: "contextvars.ContextVar[object]") -> object:
    """In a context of its own: what the variable says when nobody has set it."""
    try:
        return variable.get()
    except LookupError:
        return ABSENT


OWN_MODULES = _OwnModules()


def attributes_now() -> State:
    """What is compared for every test, because nothing tells when it changes."""
    root = logging.getLogger()
    return {
        "sys.path": tuple(sys.path),
        "sys.meta_path": tuple(sys.meta_path),
        "sys.excepthook": sys.excepthook,
        "threading.excepthook": threading.excepthook,
        loggers.ROOT_HANDLERS: loggers.lasting_on(root),
        loggers.ROOT_LEVEL: root.level,
        _MODULES: OWN_MODULES.modules(),
        _VARIABLES: OWN_MODULES.variables(),
        _DECIMAL: _decimal_context(),
    }


def differing(was: State, now: State, imported: Container[str] = ()) -> tuple[State, State]:
    """Of two sets of attributes, those that differ: what they were, and what they are.

    What a library that was ``imported`` in between has put there for all is no difference.
    """
    before: State = {}
    after: State = {}
    is_configured = was[loggers.ROOT_HANDLERS] != now[loggers.ROOT_HANDLERS] and loggers.is_root_configured(
        now[loggers.ROOT_HANDLERS]
    )
    for name, value in was.items():
        if value == now[name] or (is_configured and name in (loggers.ROOT_HANDLERS, loggers.ROOT_LEVEL)):
            continue
        if name == "sys.path" and _is_package_imported(value, now[name]):
            continue
        if name in _CHANGED_BY_IMPORTS and _is_by_import(value, now[name], imported):
            continue
        if name in (_MODULES, _VARIABLES):
            olds, news = OWN_MODULES.spread(name, value), OWN_MODULES.spread(name, now[name])
            changed = [each for each, old in olds.items() if news[each] is not old]
            before.update((each, olds[each]) for each in changed)
            after.update((each, news[each]) for each in changed)
            invented = [each for each in news if each not in olds and each in OWN_MODULES.invented and news[each] is not ABSENT]
            before.update((each, ABSENT) for each in invented)
            after.update((each, news[each]) for each in invented)
        else:
            before[name], after[name] = value, now[name]
    return before, after


def _is_package_imported(was: Any, now: Any) -> bool:  # noqa: ANN401 - two values of sys.path
    """Pytest imports a package's ``__init__.py`` before its first test, and puts the folder in front once more for it."""
    added = now[: len(now) - len(was)]
    return bool(added) and now[len(added) :] == was and set(added) <= set(was)


def _is_by_import(was: Any, now: Any, imported: Container[str]) -> bool:  # noqa: ANN401 - a hook, or what a list of paths, finders or handlers holds
    """A hook, finder or handler of a library that has come in the meantime, or a folder inside a library's."""
    if not isinstance(was, tuple):
        return _is_of_import(now, imported)
    return tuple(one for one in now if one in was) == was and all(_is_of_import(one, imported) for one in now if one not in was)


def _is_of_import(value: object, imported: Container[str]) -> bool:
    if isinstance(value, str):
        return _LIBRARIES.search(value + os.sep) is not None
    module = module_of(value)
    return module is not None and module.__name__ in imported and _is_of_library(module)


def value_of(name: str) -> object:
    """What a noted aspect is right now."""
    plain = _READ.get(name)
    if plain is not None:
        return plain()
    if settings.is_setting(name):
        return settings.read(name)
    kind, _, subject = name.partition(" ")
    if kind == "variable":
        return _PAST_ENVIRON.get(name) or os.environ.get(subject, ABSENT)
    if kind in ("module", "context"):
        return OWN_MODULES.value_of(name)
    number = _NUMBERS.get(subject.removeprefix("of "))
    return (
        None if number is None else lasting_reaction(signal.getsignal(number))
    )  # a number that is none fails in the noted call itself


def lasting_reaction(handler: object) -> object:
    """Python's own where it is asyncio's: that is set for each run of a loop, and raises the same once that run is over.

    A server that a fixture's loop runs takes it for what was there before, and puts it back when the run is long over.
    """
    runner = getattr(getattr(handler, "func", None), "__self__", None)
    return signal.default_int_handler if type(runner).__module__ == "asyncio.runners" else handler


def _umask() -> int:
    mask = _SET_UMASK(0)  # there is no way to only ask
    _SET_UMASK(mask)
    return mask


def variable_aspect(name: object) -> str:
    """The aspect that os.putenv() and os.unsetenv() change."""
    return f"variable {os.fsdecode(name)}" if isinstance(name, (str, bytes)) else "variable"


def note_variable(aspect: str, value: object) -> None:
    """A variable was set by os.putenv() itself, past os.environ, which does not know it; None where os.environ did it."""
    if value is None:
        _PAST_ENVIRON.pop(aspect, None)
    else:
        _PAST_ENVIRON[aspect] = os.fsdecode(value) if isinstance(value, (str, bytes)) else value


def _folder() -> str:
    try:
        return _GET_FOLDER()
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
    if settings.is_setting(name):
        settings.restore(name, value)
        return
    kind, _, subject = name.partition(" ")
    if kind == "module" and value is ABSENT:
        sys.modules.pop(subject, None)
    elif kind == "module":
        sys.modules[subject] = value
    elif kind == "context":
        OWN_MODULES.set_variable(name, value)
    elif kind == "handler":
        signal.signal(_NUMBERS[subject.removeprefix("of ")], value)
    else:
        _restore_variable(subject, value)


def _restore_variable(name: str, value: Any) -> None:  # noqa: ANN401 - text, or nothing
    _PAST_ENVIRON.pop(f"variable {name}", None)
    if value is ABSENT:
        os.environ.pop(name, None)
        os.unsetenv(name)  # one that came past os.environ is not in it
    else:
        os.environ[name] = value
    if name == "TZ" and hasattr(time, "tzset"):
        time.tzset()


def _is_invented(name: str, module: object) -> bool:
    if "." in name or name.startswith("_") or name in _MADE_BY_LIBRARIES:
        return False
    if module is None:  # the way to say that a library is not installed
        return True
    if not isinstance(module, ModuleType):
        return type(module).__module__ == "unittest.mock"
    return all(getattr(module, part, None) is None for part in ("__spec__", "__file__", "__loader__"))


def _is_of_library(module: ModuleType) -> bool:
    return sys.modules.get(module.__name__) is module and bool(_LIBRARIES.search(getattr(module, "__file__", None) or ""))


def _decimal_context() -> tuple[int, str]:
    module = sys.modules.get("decimal")
    if module is None:
        return _USUAL_DECIMAL
    context = module.getcontext()
    return context.prec, context.rounding


def _restore_decimal(value: tuple[int, str]) -> None:
    context = sys.modules["decimal"].getcontext()
    context.prec, context.rounding = value


def _restore_paths(value: tuple[str, ...]) -> None:
    sys.path[:] = value


def _restore_root_logger(value: tuple[logging.Handler, ...]) -> None:
    root = logging.getLogger()
    root.handlers[:] = [*value, *(one for one in root.handlers if loggers.is_of_phase(one))]


_RESTORE: dict[str, Callable[[Any], object]] = {
    FOLDER: os.chdir,
    UMASK: os.umask,
    LOCALE: lambda value: locale.setlocale(locale.LC_ALL, value),
    RANDOM: random.setstate,
    "sys.path": _restore_paths,
    "sys.meta_path": lambda value: sys.meta_path.__setitem__(slice(None), value),
    _DECIMAL: _restore_decimal,
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


_PAST_ENVIRON: dict[str, object] = {}
_GET_FOLDER = os.getcwd
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
