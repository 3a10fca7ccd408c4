"""Child processes that outlive the test or fixture that started them: named with where, then ended."""

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import Any

import pytest

from ci_tools.model.case import Leak, Phase
from ci_tools.pytest_plugin.callers import call_for
from ci_tools.pytest_plugin.clock import CLOCK
from ci_tools.pytest_plugin.failures import Project
from ci_tools.pytest_plugin.guard import Guard
from ci_tools.pytest_plugin.leaks.births import now
from ci_tools.pytest_plugin.leaks.detached import (
    ANSWERED_FOR,
    MARK_VARIABLE,
    Child,
    command_of,
    descendants_left,
    end_detached,
    note_grandchild,
    pid_of,
    prepare_for_forks,
)
from ci_tools.pytest_plugin.leaks.finding import Findings
from ci_tools.pytest_plugin.owners import Owner, Site, frames_of_site
from ci_tools.pytest_plugin.ownership import Ownership
from ci_tools.pytest_plugin.reach import holder_of, keeper_of

KIND = "process"
SETTLE_S = 0.2
"""A child that was told to end gets this long, once per test and only where one is left."""
CONTAIN_S = 1.0
_POLL_S = 0.005

_HINT_OF_DETACHED = "end it by the number that it writes down, or start it so that it stays a child (no daemonising, no `&`)"
_SHELL = "system"
_STARTERS = ("posix_spawn", "posix_spawnp", "forkpty", _SHELL)
_HINT = "wait for it, or end it and wait for it: subprocess.Popen is a context manager"


class _State(Enum):
    GONE = auto()
    RUNNING = auto()
    ZOMBIE = auto()


@dataclass(frozen=True, slots=True)
class _Fork:
    """A child known by its number alone: forked by hand, or started by uvloop's C code."""

    pid: int
    name: str = "os.fork"

    def poll(self) -> int | None:
        """Take its exit code, if it has ended."""
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            return 0
        return status if pid else None


class ProcessGuard(Guard):
    """Notes who starts a child, and looks when the owner's life is over."""

    ends_in = (Phase.TEARDOWN,)
    quiet_ends_in = ()

    def __init__(self, ownership: Ownership, findings: Findings, project: Project) -> None:
        self._ownership = ownership
        self._findings = findings
        self._project = project
        self._restore = contextlib.ExitStack()
        self._knows_multiprocessing = False
        self._knows_uvloop = False

    def install(self) -> None:
        """Note every start from now on."""
        original: Any = subprocess.Popen.__init__
        note = self._note

        def start(popen: Any, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - Popen's own signature
            began = now()
            original(popen, *arguments, **options)
            note(popen, began)

        subprocess.Popen.__init__ = start  # type: ignore[method-assign,assignment] # asyncio's children come past here too
        self._restore.callback(setattr, subprocess.Popen, "__init__", original)

        if hasattr(os, "fork"):
            self._install_fork()
        for name in _STARTERS:
            if hasattr(os, name):
                self._install_starter(name)
        os.environ[MARK_VARIABLE] = str(os.getpid())
        self._restore.callback(os.environ.pop, MARK_VARIABLE, None)

    def remove(self) -> None:
        """Put subprocess and multiprocessing back as they were."""
        self._restore.close()

    def note_modules(self) -> None:
        """Note multiprocessing's starts as soon as somebody has loaded it."""
        if not self._knows_multiprocessing and "multiprocessing.process" in sys.modules:
            self._knows_multiprocessing = True
            self._install_multiprocessing()
        if not self._knows_uvloop and "uvloop" in sys.modules:
            self._knows_uvloop = True
            for name in ("subprocess_exec", "subprocess_shell"):
                self._install_uvloop(sys.modules["uvloop"].Loop, name)

    def end_phase(self, item: pytest.Item, phase: Phase, error: BaseException | None) -> BaseException | None:
        """After the tear-down no child of the test may be left, nor of the fixtures that ended with it."""
        # What a test that hung has started ends with it, whether or not leaks are looked for.
        if phase is Phase.TEARDOWN and (self._findings.is_on(KIND) or self._findings.is_timed_out):
            for owner in self._ownership.over():
                if owner.made:
                    self._look(owner)
                    started = _children_of(owner)
                    if started:
                        self._look_for_detached(owner, started)
        return error

    def _look_for_detached(self, owner: Owner, started: Sequence[Child]) -> None:
        """What a child of this owner has started, and then left alone: nobody is its parent any more."""
        found = descendants_left(started, self._living())
        if not found:
            return
        _wait(lambda: not descendants_left(started, self._living()), SETTLE_S)
        for process, made in descendants_left(started, self._living()):
            created, stack = frames_of_site(made.site, self._project)
            how = f"is still running, detached from child {pid_of(made)} that started it"
            what = f"process {process.pid} ({command_of(process)}) {how}"
            leak = Leak(kind=KIND, what=what, created=created, created_stack=stack, owner=owner.label, hint=_HINT_OF_DETACHED)
            self._findings.add(leak, partial(end_detached, process))

    def _living(self) -> list[Child]:
        """The children of fixtures that live on: what they start is theirs."""
        return [child for owner in self._ownership.fixtures.values() for child in _children_of(owner)]

    def _install_multiprocessing(self) -> None:
        from multiprocessing import util  # noqa: PLC0415 - as below
        from multiprocessing.process import BaseProcess  # noqa: PLC0415 - loaded already

        original: Any = BaseProcess.start
        note = self._note

        def start(process: BaseProcess) -> None:
            began = now()
            original(process)
            note(process, began)

        BaseProcess.start = start  # type: ignore[method-assign,assignment] # the one place where its processes start
        self._restore.callback(setattr, BaseProcess, "start", original)
        spawn: Any = getattr(util, "spawnv_passfds", None)
        if spawn is not None:  # its server of forks and its tracker of resources start so, and it ends them itself

            def spawnv_passfds(*arguments: Any) -> int:  # noqa: ANN401 - the original's own signature
                number: int = spawn(*arguments)
                ANSWERED_FOR.add(number)
                return number

            util.spawnv_passfds = spawnv_passfds  # type: ignore[assignment] # of any version
            self._restore.callback(setattr, util, "spawnv_passfds", spawn)

    def _install_uvloop(self, kind: Any, name: str) -> None:  # noqa: ANN401 - uvloop's class of loops
        original = getattr(kind, name)
        ownership, keep = self._ownership, self._keep

        async def start(loop: object, factory: Any, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - the original's own signature
            began = now()
            result = await original(loop, factory, *arguments, **options)
            command = " ".join(word for word in arguments if isinstance(word, str))
            keep(_Fork(result[0].get_pid(), command), began, *ownership.making())
            return result

        self._restore.callback(ownership.replace(kind, name, start))

    def _install_fork(self) -> None:
        original = os.fork
        ownership, holds, keep = self._ownership, self._project.holds, self._keep

        def fork() -> int:
            prepare_for_forks()
            caller = sys._getframe(1)  # noqa: SLF001 - documented, and the only way to a frame
            began = now()
            number: int = call_for(caller, original)  # Python's warning of threads, from 3.12 on, is meant for whoever forks
            if number:
                note_grandchild(number)
            while caller.f_back is not None and caller.f_globals is vars(os):  # os.spawnl() and its like
                caller = caller.f_back
            # multiprocessing and others fork too, and answer for what they started themselves
            if number and holds(caller.f_code.co_filename):
                keep(_Fork(number), began, *ownership.making())
            elif number:
                ANSWERED_FOR.add(number)
            return number

        os.fork = fork
        self._restore.callback(setattr, os, "fork", original)

    def _install_starter(self, name: str) -> None:
        original = getattr(os, name)
        ownership, keep = self._ownership, self._keep

        def start(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - the original's own signature
            caller = sys._getframe(1)  # noqa: SLF001 - documented, and the only way to a frame
            began = now()
            result = call_for(caller, original, *arguments, **options)
            number = result[0] if isinstance(result, tuple) else result
            if caller.f_code.co_filename != subprocess.__file__ and (
                number or name == _SHELL
            ):  # 0 in the forked child; a Popen is noted itself
                # Of a shell that has ended only what it left in the background is left: younger than this process.
                child = _Fork(os.getpid(), "os.system") if name == _SHELL else _Fork(number, f"os.{name}")
                keep(child, began, *ownership.making())
            return result

        setattr(os, name, start)
        self._restore.callback(setattr, os, name, original)

    def _note(self, child: Any, began: float) -> None:  # noqa: ANN401 - subprocess' or multiprocessing's
        self._keep(child, began, *self._ownership.making(depth=4))

    def _keep(self, child: Any, began: float, owner: Owner | None, site: Site) -> None:  # noqa: ANN401 - as above
        made = Child(KIND, child, site, began)
        if owner is not None:
            owner.keep(made)
        else:
            ANSWERED_FOR.add(pid_of(made))

    def _look(self, owner: Owner) -> None:
        left = [made for made in owner.made if isinstance(made, Child) and _state(made.thing) is not _State.GONE]
        if not left:
            return
        _wait(lambda: all(_state(made.thing) is not _State.RUNNING for made in left), SETTLE_S)
        values = self._ownership.living_values()
        for made in left:
            state = _state(made.thing)
            if state is _State.GONE or holder_of(made.thing, values) or keeper_of(made.thing, (), self._project.is_library):
                continue  # a fixture's, or a library's own helper: one for the process, known to its modules
            self._findings.add(self._leak(made, state, owner), partial(_end, made.thing))

    def _leak(self, made: Child, state: _State, owner: Owner) -> Leak:
        created, stack = frames_of_site(made.site, self._project)
        command = getattr(made.thing, "args", None)
        words = command if isinstance(command, str) else " ".join(str(word) for word in command) if command else made.thing.name
        how = "is still running" if state is _State.RUNNING else "has ended, and nobody has waited for it"
        return Leak(
            kind=KIND,
            what=f"child process {made.thing.pid} ({words[:200]}) {how}",
            created=created,
            created_stack=stack,
            owner=owner.label,
            hint=_HINT,
        )


def _children_of(owner: Owner) -> list[Child]:
    """Those that it has started, as far as they have a number."""
    return [made for made in owner.made if isinstance(made, Child) and pid_of(made)]


def _state(child: Any) -> _State:  # noqa: ANN401 - subprocess' or multiprocessing's
    """What the system says, without taking the child's end away from whoever waits for it."""
    try:
        if child.pid is None:
            return _State.GONE
    except ValueError:  # multiprocessing's, closed after it was joined
        return _State.GONE
    if not hasattr(os, "waitid"):  # Windows has no zombies
        is_over = child.poll() is not None if hasattr(child, "poll") else not child.is_alive()
        return _State.GONE if is_over else _State.RUNNING
    try:
        ended = os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return _State.RUNNING if _is_anothers(child) else _State.GONE
    return _State.RUNNING if ended is None else _State.ZOMBIE


def _is_anothers(child: Any) -> bool:  # noqa: ANN401 - as above
    """Whether it runs as the child of multiprocessing's server of forks, which alone can wait for it."""
    if not hasattr(child, "sentinel"):
        return False
    try:
        os.kill(child.pid, 0)
    except OSError:
        return False
    return bool(child.is_alive())


def _end(child: Any) -> str:  # noqa: ANN401 - as above
    """End the child and its own children, and take its exit code; what remains is said."""
    import psutil  # noqa: PLC0415 - only where a child is left

    with contextlib.suppress(psutil.Error):
        process = psutil.Process(child.pid)
        for one in (*process.children(recursive=True), process):
            with contextlib.suppress(psutil.Error):
                one.kill()
    if not _wait(lambda: _state(child) is not _State.RUNNING, CONTAIN_S):
        return "it could not be ended"
    with contextlib.suppress(Exception):  # whoever else waits for it may be faster
        if hasattr(child, "join"):
            child.join(0)
        else:
            child.poll()
    for pipe in (getattr(child, name, None) for name in ("stdin", "stdout", "stderr")):
        if pipe is not None and hasattr(pipe, "close"):  # they are of no more use, and were told with their child
            with contextlib.suppress(OSError):
                pipe.close()
    return ""


def _wait(is_done: Callable[[], bool], timeout_s: float) -> bool:
    pause = threading.Event()
    deadline = CLOCK.monotonic() + timeout_s
    while not is_done():
        if CLOCK.monotonic() > deadline:
            return False
        pause.wait(_POLL_S)
    return True
