"""Patches of unittest.mock that were started or entered and never left, and of pytest's MonkeyPatch never undone."""

import contextlib
import sys
from functools import partial
from typing import Any

import pytest

from ci_tools.model.case import Leak, Phase
from ci_tools.pytest_plugin.failures import Project
from ci_tools.pytest_plugin.guard import Guard
from ci_tools.pytest_plugin.leaks.finding import Findings
from ci_tools.pytest_plugin.owners import Made, Owner, frames_of_site
from ci_tools.pytest_plugin.ownership import Ownership
from ci_tools.pytest_plugin.reach import holder_of

KIND = "patch"

_TIDY = frozenset({"pytest_asyncio.plugin"})
"""It patches in a ``with`` statement around each test, and nowhere else."""
_HINT = "use the patch with `with` or as a decorator, or addCleanup(patcher.stop); of MonkeyPatch the fixture, or its context()"


class PatchGuard(Guard):
    """Notes every patch that begins, and looks whether it still stands when its owner's life is over."""

    ends_in = (Phase.TEARDOWN,)
    quiet_ends_in = ()

    def __init__(self, ownership: Ownership, findings: Findings, project: Project) -> None:
        self._ownership = ownership
        self._findings = findings
        self._project = project
        self._restore = contextlib.ExitStack()
        self._knows_mock = False
        self._standing: dict[int, tuple[Owner, Made]] = {}

    def install(self) -> None:
        """Note what a MonkeyPatch changes: pytest's fixture undoes its own, one made by hand has nobody who does."""
        for name in ("setattr", "delattr", "setitem", "delitem"):
            self._install_begin(pytest.MonkeyPatch, name)
        self._install_end(pytest.MonkeyPatch, "undo")

    def note_modules(self) -> None:
        """Note patches as soon as somebody has loaded unittest.mock."""
        if not self._knows_mock and "unittest.mock" in sys.modules:
            self._knows_mock = True
            from unittest import mock  # noqa: PLC0415 - loaded already

            # the types of what patch() and patch.dict() give have no other names; start() enters, stop() leaves
            for kind in (mock._patch, mock._patch_dict):  # noqa: SLF001 - as said
                self._install_begin(kind, "__enter__")
                self._install_end(kind, "__exit__")

    def remove(self) -> None:
        """Put unittest.mock and MonkeyPatch back as they were."""
        self._knows_mock = False
        self._restore.close()

    def end_phase(self, item: pytest.Item, phase: Phase, error: BaseException | None) -> BaseException | None:
        """After the tear-down no patch of the test may stand, nor of the fixtures that ended with it."""
        if phase is Phase.TEARDOWN and self._standing:
            over = self._ownership.over()
            for owner, made in reversed([one for one in self._standing.values() if one[0] in over]):
                if holder_of(made.thing, self._ownership.living_values()):
                    continue
                self._forget(made.thing)
                created, stack = frames_of_site(made.site, self._project)
                what = _shown(made.thing)
                leak = Leak(kind=KIND, what=what, created=created, created_stack=stack, owner=owner.label, hint=_HINT)
                self._findings.add(leak, partial(_stop, made.thing))
        return error

    def _install_begin(self, kind: Any, name: str) -> None:  # noqa: ANN401 - unittest.mock's own, or MonkeyPatch
        original = getattr(kind, name)
        ownership, standing = self._ownership, self._standing
        get_frame = sys._getframe  # noqa: SLF001 - documented, and the only way to a frame

        def begin(patcher: Any, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - the original's own signature
            result = original(patcher, *arguments, **options)
            if id(patcher) not in standing and get_frame(1).f_globals.get("__name__") not in _TIDY:
                owner = ownership.maker()
                if owner is not None:
                    made = Made(KIND, patcher, ownership.site(2, past_pytest=True))
                    standing[id(patcher)] = (owner, made)
                    owner.keep(made)
            return result

        setattr(kind, name, begin)
        self._restore.callback(setattr, kind, name, original)

    def _install_end(self, kind: Any, name: str) -> None:  # noqa: ANN401 - as above
        original, forget = getattr(kind, name), self._forget

        def end(patcher: Any, *arguments: Any) -> Any:  # noqa: ANN401 - the original's own signature
            forget(patcher)
            return original(patcher, *arguments)

        setattr(kind, name, end)
        self._restore.callback(setattr, kind, name, original)

    def _forget(self, patcher: object) -> None:
        known = self._standing.pop(id(patcher), None)
        if known is not None:
            owner, made = known
            with contextlib.suppress(ValueError):  # dropped with the oldest of very many
                owner.made.remove(made)


def _shown(patcher: Any) -> str:  # noqa: ANN401 - unittest.mock's own
    if isinstance(patcher, pytest.MonkeyPatch):
        return "a MonkeyPatch made by hand is not undone"
    if not hasattr(patcher, "attribute"):
        names = ", ".join(map(repr, patcher.values)) or "nothing"
        return f"patch of a {type(patcher.in_dict).__name__} with {names} is still in place"
    target = getattr(patcher, "target", None)
    name = getattr(target, "__name__", None) or type(target).__name__
    return f"patch of {patcher.attribute!r} on {name} is still in place"


def _stop(patcher: Any) -> str:  # noqa: ANN401 - as above
    try:
        if isinstance(patcher, pytest.MonkeyPatch):
            patcher.undo()
        elif patcher.stop() is None:  # entered by hand, and not started: then it does nothing
            patcher.__exit__(None, None, None)
    except Exception as error:  # noqa: BLE001 - the target may refuse to be put back
        return f"it could not be stopped: {error}"
    return ""
