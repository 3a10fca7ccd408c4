"""Settings of the interpreter, its loggers and its modules that change through functions: which, how they are read and put back.

Each function is noted only where the project's own code calls it, and not while a module is being imported: what a library
sets up for itself, or a module once and for all, is nobody's leak. A test that calls none of them pays nothing.
"""

import contextlib
import importlib
import signal
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any

from ci_tools.pytest_plugin.callers import call_for
from ci_tools.pytest_plugin.leaks import loggers
from ci_tools.pytest_plugin.leaks.loggers import Holds, Note

WARNINGS = "warnings filters"
_CONTENTS = "contents of module "
_MOST_NAMES = 5
_UNKNOWN = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting: its name for people, the functions that change it, how it is read and put back."""

    name: str
    module: str
    functions: tuple[str, ...]
    read: Callable[[ModuleType], object]
    restore: Callable[[Any, Any], object]
    """Called with the module and the value."""
    fresh: object = _UNKNOWN
    """What it is when its module has just been loaded."""


def _call(name: str) -> Callable[[Any, Any], object]:
    return lambda module, value: getattr(module, name)(value)


def _pair(name: str, module: str, *, ask: str, change: str) -> Setting:
    """One that a function tells and another one changes."""
    return Setting(
        name=name, module=module, functions=(change,), read=lambda loaded: getattr(loaded, ask)(), restore=_call(change)
    )


def _restore_collector(module: Any, value: tuple[bool, tuple[int, int, int]]) -> None:  # noqa: ANN401 - a module
    (module.enable if value[0] else module.disable)()
    module.set_threshold(*value[1])


def _restore_faults(module: Any, value: bool) -> None:  # noqa: ANN401 - as above
    if value:
        module.enable(file=sys.__stderr__)
    else:
        module.disable()


def _wakeup_descriptor(module: ModuleType) -> object:
    """Asking for it takes it away for a moment."""
    change = _ORIGINALS[module, "set_wakeup_fd"]
    descriptor = change(-1)
    if descriptor != -1:
        with contextlib.suppress(OSError):  # closed meanwhile, and nobody's any more
            change(descriptor)
    return descriptor


def _limits_of(module: ModuleType) -> list[str]:
    return sorted(name for name in vars(module) if name.startswith("RLIMIT_") and name != "RLIMIT_OFILE")  # an alias


def _not_ours(tracer: object) -> object:
    """A tracer; None for the one by which this plugin sees early returns: nobody has to put that back."""
    return None if getattr(tracer, "__module__", "") == _OUR_TRACER else tracer


_TIMERS = ("ITIMER_REAL", "ITIMER_VIRTUAL", "ITIMER_PROF")
_OUR_TRACER = "ci_tools.pytest_plugin.returns"

SETTINGS = (
    _pair("recursion limit", "sys", ask="getrecursionlimit", change="setrecursionlimit"),
    _pair("switch interval of threads", "sys", ask="getswitchinterval", change="setswitchinterval"),
    _pair("most digits of an integer's text", "sys", ask="get_int_max_str_digits", change="set_int_max_str_digits"),
    _pair("profile function", "sys", ask="getprofile", change="setprofile"),
    Setting(
        name="trace function",
        module="sys",
        functions=("settrace",),
        read=lambda module: _not_ours(module.gettrace()),
        restore=_call("settrace"),
    ),
    Setting(
        name="garbage collector",
        module="gc",
        functions=("enable", "disable", "set_threshold"),
        read=lambda module: (module.isenabled(), module.get_threshold()),
        restore=_restore_collector,
    ),
    Setting(
        name="faulthandler",
        module="faulthandler",
        functions=("enable", "disable"),
        read=lambda module: module.is_enabled(),
        restore=_restore_faults,
    ),
    _pair("default timeout of sockets", "socket", ask="getdefaulttimeout", change="setdefaulttimeout"),
    Setting(
        name="stack size of threads",
        module="threading",
        functions=("stack_size",),
        read=lambda module: _ORIGINALS[module, "stack_size"](),
        restore=_call("stack_size"),
    ),
    Setting(
        name="event loop policy",
        module="asyncio",
        functions=("set_event_loop_policy",),
        read=lambda module: module.events._event_loop_policy,  # noqa: SLF001 - asking for it makes one, and warns from 3.14 on
        restore=lambda module, value: setattr(module.events, "_event_loop_policy", value),  # setting it warns, too
        fresh=None,
    ),
    Setting(
        name="start method of multiprocessing",
        module="multiprocessing",
        functions=("set_start_method",),
        read=lambda module: module.get_start_method(allow_none=True),
        restore=lambda module, value: module.set_start_method(value, force=True),
        fresh=None,
    ),
    Setting(
        name="longest field of csv",
        module="csv",
        functions=("field_size_limit",),
        read=lambda module: _ORIGINALS[module, "field_size_limit"](),
        restore=_call("field_size_limit"),
        fresh=128 * 1024,
    ),
    Setting(
        name="logging.disable",
        module="logging",
        functions=("disable",),
        read=lambda module: module.root.manager.disable,
        restore=_call("disable"),
    ),
    Setting(
        name="capture of warnings by logging",
        module="logging",
        functions=("captureWarnings",),
        read=lambda module: module._warnings_showwarning is not None,  # noqa: SLF001 - nothing public tells
        restore=_call("captureWarnings"),
    ),
    _pair("class of loggers", "logging", ask="getLoggerClass", change="setLoggerClass"),
    Setting(
        name="alarm",
        module="signal",
        functions=("alarm", "setitimer"),
        read=lambda module: frozenset(name for name in _TIMERS if module.getitimer(getattr(module, name))[0]),
        restore=lambda module, value: [module.setitimer(getattr(module, name), 0) for name in _TIMERS if name not in value],
    ),
    Setting(
        name="descriptor that signals wake up",
        module="signal",
        functions=("set_wakeup_fd",),
        read=_wakeup_descriptor,
        restore=_call("set_wakeup_fd"),
    ),
    Setting(
        name="limits of resources",
        module="resource",
        functions=("setrlimit",),
        read=lambda module: tuple((name, module.getrlimit(getattr(module, name))) for name in _limits_of(module)),
        restore=lambda module, value: [module.setrlimit(getattr(module, name), limit) for name, limit in value],
    ),
    Setting(
        name="tracing of memory",
        module="tracemalloc",
        functions=("start", "stop"),
        read=lambda module: module.is_tracing(),
        restore=lambda module, value: module.start() if value else module.stop(),
        fresh=False,
    ),
    _pair("profile function of threads", "threading", ask="getprofile", change="setprofile"),
    _pair("trace function of threads", "threading", ask="gettrace", change="settrace"),
    _pair("factory of log records", "logging", ask="getLogRecordFactory", change="setLogRecordFactory"),
    Setting(
        name="blocked signals",
        module="signal",
        functions=("pthread_sigmask",),
        read=lambda module: frozenset(_ORIGINALS[module, "pthread_sigmask"](signal.SIG_BLOCK, ())),
        restore=lambda module, value: module.pthread_sigmask(signal.SIG_SETMASK, value),
    ),
    Setting(
        name=WARNINGS,
        module="warnings",
        functions=("simplefilter", "filterwarnings", "resetwarnings"),
        read=lambda _: tuple(warnings.filters),
        restore=lambda _, value: _restore_filters(value),
    ),
)
_UNSEEN = frozenset({WARNINGS, "descriptor that signals wake up"})
"""Not asked for before a library changes them: pytest sets the first eight times a test, and the second is lost in asking."""
_DEPRECATED = frozenset({"set_event_loop_policy"})
"""From Python 3.14 on they warn, and that is said of the project's line, not of ours."""
_BY_NAME = {setting.name: setting for setting in SETTINGS}
_ORIGINALS: dict[tuple[ModuleType, str], Callable[..., Any]] = {}
"""What stands behind a patched function that reads, too."""


def _restore_filters(value: tuple[Any, ...]) -> None:
    warnings.filters[:] = value  # type: ignore[index] # a list, whatever typeshed says
    for name in ("_filters_mutated", "_filters_mutated_lock_held"):  # the second from 3.14 on, and it asks for the lock
        if hasattr(warnings, name):
            with getattr(warnings, "_lock", contextlib.nullcontext()):
                getattr(warnings, name)()
            return


class SettingPatches:
    """Stands in the place of the functions that change a setting, of modules that somebody has loaded."""

    def __init__(self, holds: Holds, note: Note, see: Note) -> None:
        self._holds = holds
        self._note = note
        self._see = see
        self._waiting = list(SETTINGS)
        self.unnoted: dict[str, object] = {}
        """The settings that were changed while their module was being loaded for the first time, as they had been."""
        self._count = 0
        self._loggers = loggers.LoggerPatches(holds, note, see)
        self._restore = contextlib.ExitStack()

    def install(self) -> None:
        """Note the changes of what is loaded already, of loggers and of modules."""
        self.look()
        self._replace(importlib, "reload", lambda module: f"{_CONTENTS}{getattr(module, '__name__', '')}", counts=True)
        self._loggers.install()

    def look(self) -> None:
        """Patch what has been loaded since; asked once a test, for as long as anything is missing."""
        self._count = len(sys.modules)
        for setting in tuple(self._waiting):
            module = sys.modules.get(setting.module)
            if module is None:
                continue
            self._waiting.remove(setting)
            for name in setting.functions:
                if hasattr(module, name):
                    see = None if setting.name in _UNSEEN else partial(self._see, setting.name)
                    self._replace(module, name, lambda *_, known=setting.name: known, see=see)
            if setting.fresh is not _UNKNOWN and setting.read(module) != setting.fresh:
                self.unnoted[setting.name] = setting.fresh

    @property
    def is_complete(self) -> bool:
        """Whether there is nothing to look for: all are known, or no module has come since."""
        return not self._waiting or len(sys.modules) == self._count

    def remove(self) -> None:
        """Put the patched functions back."""
        self._loggers.remove()
        self._restore.close()

    def _replace(
        self,
        module: Any,  # noqa: ANN401 - a module
        name: str,
        aspect: Callable[..., str],
        *,
        counts: bool = False,
        see: Callable[[], None] | None = None,
    ) -> None:
        original = getattr(module, name)
        holds, note = self._holds, self._note
        get_frame = sys._getframe  # noqa: SLF001 - documented, and the only way to a frame
        call = partial(_call_for_the_caller, original) if name in _DEPRECATED else original

        foreign: set[str] = set()

        def noting(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - the original's own signature
            caller = get_frame(1)
            file = caller.f_code.co_filename
            if file in foreign or not holds(file):
                foreign.add(file)
                if see is not None:
                    see()
            elif caller.f_code.co_name != "<module>":
                key = aspect(*arguments)
                note(key)
                if counts:
                    _RELOADS[key] = _RELOADS.get(key, 0) + 1
            return call(*arguments, **options)

        _ORIGINALS[module, name] = original
        setattr(module, name, noting)
        self._restore.callback(setattr, module, name, original)


def _call_for_the_caller(original: Callable[..., Any], *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - its own signature
    return call_for(sys._getframe(2), original, *arguments, **options)  # noqa: SLF001 - as above


def read(name: str) -> object:
    """What a noted setting is right now; None for what is none."""
    setting = _BY_NAME.get(name)
    if setting is not None:
        return setting.read(sys.modules[setting.module])
    if name.startswith(_CONTENTS):
        module = sys.modules.get(name.removeprefix(_CONTENTS))
        return _Contents(dict(vars(module)) if module is not None else {}, _RELOADS.get(name, 0))
    return loggers.read(name) if name.startswith(loggers.LOGGER) else None


def is_setting(name: str) -> bool:
    """Whether ``read`` and ``restore`` know this aspect."""
    return name in _BY_NAME or name.startswith((_CONTENTS, loggers.LOGGER))


def restore(name: str, value: Any) -> None:  # noqa: ANN401 - the setting's own value
    """Put it back."""
    setting = _BY_NAME.get(name)
    if setting is not None:
        setting.restore(sys.modules[setting.module], value)
    elif name.startswith(_CONTENTS):
        contents = vars(sys.modules[name.removeprefix(_CONTENTS)])
        contents.update(value.names)
        for added in contents.keys() - value.names.keys():
            del contents[added]
    else:
        loggers.restore(name, value)


_RELOADS: dict[str, int] = {}


class _Contents:
    """What a module holds. Loaded once more is another content; loaded back, so that all looks as before, is the same."""

    def __init__(self, names: dict[str, object], reloads: int) -> None:
        self.names = names
        self._reloads = reloads

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Contents):
            return NotImplemented
        others = _others(self.names, other.names)
        if abs(self._reloads - other._reloads) < 2:  # noqa: PLR2004 - there and back again
            return not others
        return all(_looks_like(self.names.get(name), other.names.get(name)) for name in others)

    __hash__ = None  # type: ignore[assignment] # it holds what has no hash

    def __repr__(self) -> str:
        return f"of load {self._reloads + 1}"


def _others(some: dict[str, object], others: dict[str, object]) -> list[str]:
    dunder = [name for name in (*some, *others) if name.startswith("__")]
    names = dict.fromkeys((*some, *others))
    return [name for name in names if name not in dunder and some.get(name) is not others.get(name)]


def _looks_like(one: object, other: object) -> bool:
    if type(one) is not type(other):
        return False
    code = getattr(one, "__code__", None)
    if code is not None:
        return bool(code == other.__code__)  # type: ignore[attr-defined] # of the same type
    if isinstance(one, type) or getattr(type(one), "__eq__", None) is object.__eq__:
        return getattr(one, "__qualname__", "") == getattr(other, "__qualname__", "")
    return bool(one == other)
