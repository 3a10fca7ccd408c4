"""What is opened from Python, noted with its owner as it is opened: sockets, files, raw descriptors, connections of C clients."""

import builtins
import contextlib
import io
import os
import socket
import sys
from collections.abc import Callable
from typing import Any

from ci_tools.pytest_plugin.failures import Project
from ci_tools.pytest_plugin.leaks.finding import Findings
from ci_tools.pytest_plugin.leaks.opened import (
    CONNECTION,
    DESCRIPTOR,
    FILE,
    LoopOpened,
    Opened,
    client_of,
    identity_of,
    reference_to,
)
from ci_tools.pytest_plugin.owners import Made, Owner, Site
from ci_tools.pytest_plugin.ownership import Ownership

_RAW = (
    "open",
    "dup",
    "dup2",
    "pipe",
    "pipe2",
    "openpty",
    "posix_openpt",
    "memfd_create",
    "eventfd",
    "pidfd_open",
    "timerfd_create",
)
_THIN = (os.path.join(os.path.dirname(os.__file__), "pty.py"),)  # noqa: PTH118, PTH120 - as code objects spell it
"""What only hands over what ``os`` gives: its caller has opened it."""
_LAST_STANDARD = 2
"""Up to this number a process's descriptors are its standard streams, and nobody's to close."""
_MAKERS = ("create_connection", "create_unix_connection", "create_datagram_endpoint", "create_server", "create_unix_server")


class _Noting:
    """Stands in a built-in's place. Not a function: kept in a class's body it must not turn into a method."""

    __slots__ = ("_note", "_original")

    def __init__(self, original: Callable[..., Any], note: Callable[[Any], None]) -> None:
        self._original = original
        self._note = note

    def __call__(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - the original's own signature
        result = self._original(*arguments, **options)
        self._note(result)
        return result

    def __getattr__(self, name: str) -> object:
        return getattr(self._original, name)


class _Copying(_Noting):
    """The same in the place of ``dup2``: over what is open already it puts something there and back, as a rule."""

    def __call__(self, fd: int, fd2: int, inheritable: bool = True) -> Any:  # noqa: ANN401 - the original's own signature
        if type(fd2) is int and 0 <= fd2 <= _LAST_STANDARD:  # pytest's capturing does it a dozen times a test
            return self._original(fd, fd2, inheritable)
        try:
            was_open = os.get_inheritable(fd2) is not None  # the cheapest question
        except OSError:
            was_open = False
        result = self._original(fd, fd2, inheritable)
        if not was_open:
            self._note(result)
        return result


class OpeningNotes:
    """Stands before everything in Python that opens something."""

    def __init__(self, ownership: Ownership, findings: Findings, project: Project) -> None:
        self._ownership = ownership
        self._findings = findings
        self._project = project
        self._restore = contextlib.ExitStack()
        self._knows_psycopg = False
        self._knows_uvloop = False

    def install(self) -> None:
        """Note every opening from now on."""
        if self._findings.is_on(CONNECTION):
            self._install_sockets()
        if self._findings.is_on(FILE):
            opening = _Noting(builtins.open, self._note_file)
            self._replace(builtins, "open", opening)
            self._replace(io, "open", opening)
            if "bz2" in sys.modules:  # which took its own before us
                self._replace(sys.modules["bz2"], "_builtin_open", opening)
        if self._findings.is_on(DESCRIPTOR):
            for name in _RAW:
                if hasattr(os, name):
                    self._install_raw(name)
            self._install_detaching()

    def remove(self) -> None:
        """Put everything back."""
        self._restore.close()

    def note_modules(self) -> None:
        """Note psycopg's connections, which C code opens, as soon as somebody has loaded it."""
        if not self._knows_psycopg and "psycopg" in sys.modules and self._findings.is_on(CONNECTION):
            self._knows_psycopg = True
            self._install_psycopg(sys.modules["psycopg"].BaseConnection)
        if not self._knows_uvloop and "uvloop" in sys.modules and self._findings.is_on(CONNECTION):
            self._knows_uvloop = True
            for name in _MAKERS:
                self._install_maker(sys.modules["uvloop"].Loop, name)

    def _install_sockets(self) -> None:
        original: Any = socket.socket.__init__
        ownership, place = self._ownership, self._place
        get_frame = sys._getframe  # noqa: SLF001 - documented, and the only way to a frame

        def start(opened: Any, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - socket's own signature
            original(opened, *arguments, **options)
            caller = get_frame(1)
            above = caller.f_back
            if above is not None and above.f_code.co_name == "_make_self_pipe":  # a loop's own, two for each function's loop
                return
            owner, site = ownership.making()
            if owner is None:
                return
            thing = Opened(CONNECTION, opened.fileno(), reference_to(opened), client_of(caller))
            owner.keep(Made(CONNECTION, thing, place(owner, site)))

        socket.socket.__init__ = start  # type: ignore[method-assign,assignment] # accepted sockets come past here too
        self._restore.callback(setattr, socket.socket, "__init__", original)

    def _install_raw(self, name: str) -> None:
        original = getattr(os, name)
        opening = _Copying(original, self._note_raw) if name == "dup2" else _Noting(original, self._note_raw)
        self._replace(os, name, opening)
        for supporters in (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks, os.supports_effective_ids):
            if original in supporters:  # "os.open in os.supports_dir_fd" is asked by the standard library
                supporters.add(opening)
                self._restore.callback(supporters.discard, opening)

    def _install_detaching(self) -> None:
        original = socket.socket.detach
        note = self._note_raw

        def detach(opened: socket.socket) -> int:
            number = original(opened)
            if number >= 0:
                note(number)
            return number

        socket.socket.detach = detach  # type: ignore[method-assign,assignment] # what it gives away is a raw descriptor from then on
        self._restore.callback(setattr, socket.socket, "detach", original)

    def _install_psycopg(self, kind: Any) -> None:  # noqa: ANN401 - a class of an optional library
        original = kind.__init__
        ownership = self._ownership

        def start(opened: Any, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - psycopg's own signature
            original(opened, *arguments, **options)
            owner, site = ownership.making()
            if owner is not None:
                owner.keep(Made(CONNECTION, Opened(CONNECTION, -1, reference_to(opened), "psycopg"), site))

        kind.__init__ = start
        self._restore.callback(setattr, kind, "__init__", original)

    def _install_maker(self, kind: Any, name: str) -> None:  # noqa: ANN401 - uvloop's class of loops
        original = getattr(kind, name)
        ownership, place = self._ownership, self._place

        async def make(loop: object, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - the original's own signature
            result = await original(loop, *arguments, **options)
            thing = result[0] if isinstance(result, tuple) else result
            owner, site = ownership.making()
            if owner is not None:
                caller = sys._getframe(1)  # noqa: SLF001 - documented, and the only way to a frame
                opened = LoopOpened(CONNECTION, -1, reference_to(thing), client_of(caller))
                owner.keep(Made(CONNECTION, opened, place(owner, site)))
            return result

        setattr(kind, name, make)
        self._restore.callback(delattr, kind, name)  # the class inherits it from one that cannot be changed

    def _place(self, owner: Owner, site: Site) -> Site:
        """The site; that of the running task where it shows no frame of the project."""
        if site and self._project.holds(site[-1][0].co_filename):  # a library's frame is kept in front of it, if anywhere
            return site
        return self._ownership.site_of_task(owner) or site

    def _replace(self, module: Any, name: str, value: object) -> None:  # noqa: ANN401 - a module
        original = getattr(module, name)
        setattr(module, name, value)
        self._restore.callback(setattr, module, name, original)

    def _note_file(self, opened: Any) -> None:  # noqa: ANN401 - whatever open() gives
        owner, site = self._ownership.making(depth=4)
        if owner is not None:
            owner.keep(Made(FILE, Opened(FILE, -1, reference_to(opened)), site))

    def _note_raw(self, result: int | tuple[int, ...]) -> None:
        owner, site = self._ownership.making(depth=4)
        if owner is None:
            return
        if site and site[0][0].co_filename in _THIN:
            site = site[1:]
        if not site or not self._project.holds(site[0][0].co_filename):
            return  # a library keeps its numbers where nobody can find them: only the project's own can be judged
        for number in result if isinstance(result, tuple) else (result,):
            owner.keep(Made(DESCRIPTOR, Opened(DESCRIPTOR, number, None, identity=identity_of(number)), site))
