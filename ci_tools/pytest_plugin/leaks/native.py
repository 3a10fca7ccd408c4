"""What C code opens when Python asks for it: databases of sqlite3, mappings, shared memory, epoll, pipes of multiprocessing.

Only what the project's own code asks for is noted: a library's pool or cache of these is its own affair. Nothing is done, and
nothing is loaded, before somebody makes one.
"""

import contextlib
import os
import select
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType, ModuleType
from typing import Any

from ci_tools.pytest_plugin.failures import Project
from ci_tools.pytest_plugin.leaks.finding import Findings
from ci_tools.pytest_plugin.leaks.loading import Loading
from ci_tools.pytest_plugin.leaks.opened import CONNECTION, DESCRIPTOR, FILE, Opened, reference_to
from ci_tools.pytest_plugin.leaks.temporary import TEMPORARY, SharedMemory
from ci_tools.pytest_plugin.owners import Made
from ci_tools.pytest_plugin.ownership import Ownership

_FACTORY = 5
"""The place of ``factory`` among the arguments of sqlite3's ``connect``."""
_POLLS = ("epoll", "kqueue")
_SELECTORS = "selectors"
_WAYS_TO_A_PIPE = frozenset({"multiprocessing.connection", "multiprocessing.context"})
_WAYS_TO_A_BLOCK = frozenset({"multiprocessing.shared_memory"})
_NOBODY_ELSE = 2
"""What ``sys.getrefcount`` says of what only its caller holds."""
_HINT_OF_SQLITE = "close() it, or open it with contextlib.closing(): `with` on the connection itself only ends a transaction"
_get_frame = sys._getframe  # noqa: SLF001 - documented, and the only way to a frame


@dataclass(slots=True, eq=False)
class Database(Opened):
    """A connection of sqlite3."""

    @property
    def is_open(self) -> bool:
        """Whether it still answers."""
        thing = self.ref() if self.ref is not None else None
        try:
            return thing is not None and thing.total_changes >= 0
        except Exception:  # noqa: BLE001 - ProgrammingError, of a module that may have been taken apart
            return False

    @property
    def hint(self) -> str:
        """How it is closed."""
        return _HINT_OF_SQLITE

    def describe(self, relative: Callable[[str], str]) -> str:
        """For people: where it leads."""
        return f"connection of sqlite3 to {relative(self.name)} is still open"


@dataclass(slots=True, eq=False)
class Mapping(Opened):
    """A mapping of a file or of plain memory."""

    @property
    def hint(self) -> str:
        """How it is closed."""
        return "close() it: a mapping is a context manager, and closing its file leaves it as it is"

    def describe(self, relative: Callable[[str], str]) -> str:
        """For people: how large it is."""
        thing = self.ref() if self.ref is not None else None
        return f"mapping of {len(thing) if thing is not None else '?'} bytes is still open"


@dataclass(slots=True, eq=False)
class Block(Opened):
    """Shared memory, mapped here."""

    left: SharedMemory | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is mapped; one that is not even unlinked is told for that."""
        thing = self.ref() if self.ref is not None else None
        return thing is not None and thing.buf is not None and not (self.left is not None and self.left.is_there)

    @property
    def hint(self) -> str:
        """How it is closed."""
        return "close() it, besides unlink(): each process that has it open closes its own"

    def describe(self, relative: Callable[[str], str]) -> str:
        """For people: its name."""
        return f"shared memory {self.name} is still mapped"


@dataclass(slots=True, eq=False)
class Poll(Opened):
    """An epoll or kqueue object, or the selector around it."""

    @property
    def is_open(self) -> bool:
        """Whether it still has its descriptor."""
        thing = self.ref() if self.ref is not None else None
        try:
            return thing is not None and thing.fileno() >= 0
        except ValueError:
            return False

    @property
    def hint(self) -> str:
        """How it is closed."""
        return "close() it, or use it with `with`"

    def describe(self, relative: Callable[[str], str]) -> str:
        """For people: its class and number."""
        thing = self.ref() if self.ref is not None else None
        return f"{type(thing).__name__} (descriptor {thing.fileno() if thing is not None else '?'}) is still open"


@dataclass(slots=True, eq=False)
class PipeEnd(Opened):
    """One end of a pipe of multiprocessing."""

    @property
    def hint(self) -> str:
        """How it is closed."""
        return "close() both ends: they are context managers, and the child's end is open in the parent, too"

    def describe(self, relative: Callable[[str], str]) -> str:
        """For people: its number."""
        thing = self.ref() if self.ref is not None else None
        return f"end of a pipe of multiprocessing (descriptor {thing.fileno() if thing is not None else '?'}) is still open"


@dataclass(slots=True, eq=False)
class _Held:
    """In a weak reference's place, for what C code does not let anybody refer to weakly: gone when nobody else holds it."""

    thing: object

    def __call__(self) -> object:
        return None if self.thing is None or sys.getrefcount(self.thing) <= _NOBODY_ELSE else self.thing


class _Connecting:
    """In the place of sqlite3's ``connect``. Not a function: kept in a class's body it must not turn into a method."""

    __slots__ = ("_factory", "_note", "_original")

    def __init__(self, original: Callable[..., Any], factory: type, note: Callable[[Any, object], None]) -> None:
        self._original = original
        self._factory = factory
        self._note = note

    def __call__(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - the original's own signature
        if len(arguments) <= _FACTORY:
            options.setdefault("factory", self._factory)
        connection = self._original(*arguments, **options)
        self._note(connection, arguments[0] if arguments else options.get("database", ""))
        return connection

    def __getattr__(self, name: str) -> object:
        return getattr(self._original, name)


class NativeNotes:
    """Notes who asks for one of these; the descriptors' guard looks whether it is still there."""

    def __init__(self, ownership: Ownership, findings: Findings, project: Project) -> None:
        self._ownership = ownership
        self._findings = findings
        self._holds = project.holds
        self._loading = Loading()
        self._restore = contextlib.ExitStack()

    def install(self) -> None:
        """Note from now on, each module's as soon as somebody has loaded it."""
        is_on = self._findings.is_on
        if is_on(DESCRIPTOR):
            for name in _POLLS:
                if hasattr(select, name):
                    self._install_poll(getattr(select, name))
            self._loading.when_loaded("multiprocessing.connection", self._install_pipes)
        if is_on(CONNECTION):
            self._loading.when_loaded("_sqlite3", self._install_sqlite)
        if is_on(FILE):
            self._loading.when_loaded("mmap", self._install_mmap)
        if is_on(FILE) or is_on(TEMPORARY):
            self._loading.when_loaded("multiprocessing.shared_memory", self._install_shared_memory)

    def remove(self) -> None:
        """Put everything back."""
        self._loading.remove()
        self._restore.close()

    def _install_sqlite(self, module: ModuleType) -> None:
        original = module.Connection  # of which C code allows no weak reference
        kind = type(
            "Connection", (original,), {"__slots__": ("__weakref__",), "__module__": "sqlite3", "__doc__": original.__doc__}
        )
        connect = module.connect
        connecting = _Connecting(connect, kind, self._note_database)
        _exchange(connect, connecting)
        self._restore.callback(_exchange, connecting, connect)

    def _note_database(self, connection: object, database: object) -> None:
        if self._is_asked_for(_get_frame(2)):
            name = os.fsdecode(database) if isinstance(database, (str, bytes, os.PathLike)) else str(database)
            with contextlib.suppress(TypeError):  # a factory's own class without a place for weak references
                self._keep(CONNECTION, Database(CONNECTION, -1, reference_to(connection), "sqlite3", name=name))

    def _install_mmap(self, module: ModuleType) -> None:
        original: Any = module.mmap
        note = self._note_mapping

        def make(kind: type, *arguments: Any, **options: Any) -> object:  # noqa: ANN401 - the original's own signature
            made = original.__new__(kind, *arguments, **options)
            note(made)
            return made

        own = {"__slots__": (), "__new__": make, "__module__": "mmap", "__doc__": original.__doc__}
        self._replace(module, "mmap", type("mmap", (original,), own))

    def _note_mapping(self, mapping: object) -> None:
        if self._is_asked_for(_get_frame(2)):
            self._keep(FILE, Mapping(FILE, -1, reference_to(mapping)))

    def _install_poll(self, kind: Any) -> None:  # noqa: ANN401 - a class of the select module
        holds = self._holds

        def start(poll: object, *_: object, **__: object) -> None:
            maker = caller = _get_frame(1)
            if caller.f_globals.get("__name__") == _SELECTORS and caller.f_back is not None:
                maker = caller.f_back
            if holds(maker.f_code.co_filename):  # a loop's own is asyncio's: one for each function's loop
                reference = _Held(poll) if maker is caller else reference_to(caller.f_locals["self"])
                self._keep(DESCRIPTOR, Poll(DESCRIPTOR, -1, reference), depth=4)

        with contextlib.suppress(TypeError):  # an interpreter that lets nobody change it
            self._restore.callback(self._ownership.replace(kind, "__init__", start))

    def _install_pipes(self, module: ModuleType) -> None:
        kind: Any = getattr(module, "PipeConnection", module.Connection)  # Windows has one of its own
        original = kind.__init__
        note = self._note_pipe

        def start(end: object, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - the original's own signature
            original(end, *arguments, **options)
            note(end)

        self._restore.callback(self._ownership.replace(kind, "__init__", start))

    def _note_pipe(self, end: object) -> None:
        if self._is_asked_for(_get_frame(2), _WAYS_TO_A_PIPE):
            self._keep(DESCRIPTOR, PipeEnd(DESCRIPTOR, -1, reference_to(end)))

    def _install_shared_memory(self, module: ModuleType) -> None:
        original = module.SharedMemory.__init__
        note = self._note_block

        def start(block: object, name: str | None = None, create: bool = False, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - the original's own signature
            original(block, name, create, *arguments, **options)
            note(block, is_new=create)

        self._restore.callback(self._ownership.replace(module.SharedMemory, "__init__", start))

    def _note_block(self, block: Any, *, is_new: bool) -> None:  # noqa: ANN401 - shared memory
        if self._is_asked_for(_get_frame(2), _WAYS_TO_A_BLOCK):
            reference = reference_to(block)
            left = SharedMemory(block.name, reference) if is_new and self._findings.is_on(TEMPORARY) else None
            if left is not None:
                self._keep(TEMPORARY, left)
            if self._findings.is_on(FILE):
                self._keep(FILE, Block(FILE, -1, reference, name=block.name, left=left))

    def _is_asked_for(self, frame: FrameType | None, ways: frozenset[str] = frozenset()) -> bool:
        """Whether the project's own code is the caller, past these modules."""
        while frame is not None and frame.f_globals.get("__name__") in ways:
            frame = frame.f_back
        return frame is not None and self._holds(frame.f_code.co_filename)

    def _keep(self, kind: str, thing: object, depth: int = 5) -> None:
        owner, site = self._ownership.making(depth)
        if owner is not None:
            owner.keep(Made(kind, thing, site))

    def _replace(self, module: Any, name: str, value: object) -> None:  # noqa: ANN401 - a module
        original = getattr(module, name)
        setattr(module, name, value)
        self._restore.callback(setattr, module, name, original)


def _exchange(old: object, new: object) -> None:
    """Put one ``connect`` in the other's place, wherever sqlite3 has it: its modules take their names from each other."""
    for module in ("_sqlite3", "sqlite3.dbapi2", "sqlite3"):
        if getattr(sys.modules.get(module), "connect", None) is old:
            setattr(sys.modules[module], "connect", new)  # noqa: B010 - of a module that the type checker knows by another name
