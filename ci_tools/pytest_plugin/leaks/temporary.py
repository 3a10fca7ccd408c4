"""Temporary files and folders that outlive the test or fixture that made them, and files left in the working tree."""

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ci_tools.model.case import Leak, Phase
from ci_tools.pytest_plugin.failures import Project
from ci_tools.pytest_plugin.guard import Guard
from ci_tools.pytest_plugin.leaks.finding import Findings
from ci_tools.pytest_plugin.leaks.opened import DESCRIPTOR, Opened, identity_of
from ci_tools.pytest_plugin.owners import Made, Owner, frames_of_site
from ci_tools.pytest_plugin.ownership import Ownership, unowned
from ci_tools.pytest_plugin.position import test_id_of
from ci_tools.pytest_plugin.reach import forgetful_files, holder_of, is_stored, keeper_of

TEMPORARY, WORKING_TREE = "temporary", "working_tree"
KINDS = (TEMPORARY, WORKING_TREE)

_HINTS = {
    TEMPORARY: "use pytest's tmp_path, or tempfile.TemporaryDirectory with `with`",
    WORKING_TREE: "write to tmp_path, or remove it in the tear-down",
}
_HINT_OF_SHARED_MEMORY = "unlink() it when nobody needs it any more, besides close()"
_EXPECTED = frozenset({"__pycache__", ".pytest_cache", ".hypothesis", "ci-artifacts", ".coverage"})


@dataclass(slots=True, eq=False)
class SharedMemory:
    """A block of multiprocessing's shared memory, by name; ``ref`` gives the object that made it while somebody holds that."""

    name: str
    ref: Callable[[], Any]

    @property
    def is_there(self) -> bool:
        """Whether nobody has unlinked it."""
        try:
            import _posixshmem  # type: ignore[import-not-found] # noqa: PLC0415 - on Windows a block goes with its last user

            os.close(_posixshmem.shm_open(f"/{self.name}", os.O_RDONLY, mode=0o600))
        except (ImportError, OSError):
            return False
        return True

    def unlink(self) -> str:
        """Close and unlink it, so that multiprocessing's own books are right, too."""
        from multiprocessing import shared_memory  # noqa: PLC0415 - loaded already

        try:
            with unowned():
                block = self.ref() or shared_memory.SharedMemory(self.name)
                block.unlink()
                block.close()
        except (OSError, BufferError) as error:
            return f"it could not be put away: {error}"
        return ""


class TemporaryGuard(Guard):
    """Notes what the project's own code makes with tempfile, and looks whether it is gone when its owner's life is over."""

    ends_in = (Phase.TEARDOWN,)

    def __init__(self, ownership: Ownership, findings: Findings, project: Project) -> None:
        self._ownership = ownership
        self._findings = findings
        self._project = project
        self._restore = contextlib.ExitStack()
        self._before: dict[str, frozenset[str]] = {}
        looks_at_folders = findings.is_on(WORKING_TREE)
        self.begins_in: tuple[Phase, ...] = (Phase.SETUP,) if looks_at_folders else ()
        self.quiet_ends_in: tuple[Phase, ...] = (Phase.TEARDOWN,) if looks_at_folders else ()

    def install(self) -> None:
        """Note every temporary file and folder from now on."""
        if not self._findings.is_on(TEMPORARY):
            return
        for name in ("mkdtemp", "mkstemp", "NamedTemporaryFile"):
            self._replace(name)

    def remove(self) -> None:
        """Put tempfile back as it was."""
        self._restore.close()

    def begin_phase(self, item: pytest.Item, phase: Phase) -> None:
        """Remember what lies in the project's folder and in the test's."""
        if phase is Phase.SETUP:
            self._before = {folder: _names(folder) for folder in {self._project.root, str(item.path.parent)}}

    def end_phase(self, item: pytest.Item, phase: Phase, error: BaseException | None) -> BaseException | None:
        """After the tear-down nothing may lie there that was not there before."""
        if phase is Phase.TEARDOWN:
            for owner in self._ownership.over():
                for made in owner.made:
                    if made.kind != TEMPORARY:
                        continue
                    if isinstance(made.thing, SharedMemory):
                        self._look_at_shared_memory(made.thing, made, owner, item)
                    elif os.path.lexists(made.thing) and not self._is_kept(made):
                        self._report(TEMPORARY, made, owner.label)
            for folder, before in self._before.items():
                for name in sorted(_names(folder) - before):
                    self._report(WORKING_TREE, Made(WORKING_TREE, str(Path(folder, name)), ()), test_id_of(item))
            self._before = {}
        return error

    def _look_at_shared_memory(self, block: SharedMemory, made: Made, owner: Owner, item: pytest.Item) -> None:
        thing = block.ref()
        if not block.is_there:
            return
        if thing is not None and (
            holder_of(thing, self._ownership.living_values()) or keeper_of(thing, forgetful_files(item, owner, made.site))
        ):
            return
        created, stack = frames_of_site(made.site, self._project)
        what = f"shared memory {block.name} is still there"
        leak = Leak(
            kind=TEMPORARY, what=what, created=created, created_stack=stack, owner=owner.label, hint=_HINT_OF_SHARED_MEMORY
        )
        self._findings.add(leak, block.unlink)

    def _is_kept(self, made: Made) -> bool:
        """Whether a module or a living fixture remembers it, by name or as tempfile's own object."""
        path = str(made.thing)

        def is_it(value: object) -> bool:
            name = value if isinstance(value, (str, os.PathLike)) else getattr(value, "name", None)
            return isinstance(name, (str, os.PathLike)) and os.fspath(name) == path

        return is_stored(made.site, is_it, self._ownership.living_values())

    def _report(self, kind: str, made: Made, owner: str) -> None:
        created, stack = frames_of_site(made.site, self._project)
        what = f"{'folder' if Path(made.thing).is_dir() else 'file'} {self._project.relative(made.thing)} is still there"
        leak = Leak(kind=kind, what=what, created=created, created_stack=stack, owner=owner, hint=_HINTS[kind])
        # What lies in the working tree may be somebody's work: it is named and left.
        self._findings.add(leak, partial(_remove, made.thing) if kind == TEMPORARY else "")

    def _replace(self, name: str) -> None:
        original = getattr(tempfile, name)
        ownership, holds = self._ownership, self._project.holds

        def make(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - tempfile's own signatures
            result = original(*arguments, **options)
            maker = sys._getframe(1)  # noqa: SLF001 - documented, and the only way to a frame
            while maker.f_code.co_filename == tempfile.__file__ and maker.f_back is not None:
                maker = maker.f_back
            if holds(maker.f_code.co_filename):  # a library may keep its own until the process ends
                owner, site = ownership.making()
                path = result[1] if isinstance(result, tuple) else getattr(result, "name", result)
                if owner is not None and isinstance(path, (str, bytes)):
                    owner.keep(Made(TEMPORARY, os.fsdecode(path), site))
                    if isinstance(result, tuple) and self._findings.is_on(DESCRIPTOR):  # of mkstemp
                        opened = Opened(DESCRIPTOR, result[0], None, identity=identity_of(result[0]))
                        owner.keep(Made(DESCRIPTOR, opened, site))
            return result

        setattr(tempfile, name, make)
        self._restore.callback(setattr, tempfile, name, original)


def _names(folder: str) -> frozenset[str]:
    try:
        return frozenset(os.listdir(folder)) - _EXPECTED  # noqa: PTH208 - for every test, and a Path for each name is dear
    except OSError:
        return frozenset()


def _remove(path: str) -> str:
    try:
        if Path(path).is_dir():
            shutil.rmtree(path)
        else:
            Path(path).unlink()
    except OSError as error:
        return f"it could not be removed: {error}"
    return ""
