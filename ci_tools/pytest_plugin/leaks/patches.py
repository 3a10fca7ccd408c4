"""Patches of unittest.mock that were started and never stopped."""

import sys
from collections.abc import Callable
from typing import Any

import pytest

from ci_tools.model.case import Leak, Phase
from ci_tools.pytest_plugin.failures import Project
from ci_tools.pytest_plugin.guard import Guard
from ci_tools.pytest_plugin.leaks.finding import Findings
from ci_tools.pytest_plugin.owners import Made, frames_of_site
from ci_tools.pytest_plugin.ownership import Ownership

KIND = "patch"

_HINT = "use the patch with `with` or as a decorator, or addCleanup(patcher.stop)"


class PatchGuard(Guard):
    """Notes every start of a patch, and looks whether it still stands when its owner's life is over."""

    ends_in = (Phase.TEARDOWN,)
    asks_what_is_left = True

    def __init__(self, ownership: Ownership, findings: Findings, project: Project) -> None:
        self._ownership = ownership
        self._findings = findings
        self._project = project
        self._restore: list[Callable[[], None]] = []

    def note_modules(self) -> None:
        """Note starts as soon as somebody has loaded unittest.mock."""
        if not self._restore and "unittest.mock" in sys.modules:
            self._install()

    def remove(self) -> None:
        """Put unittest.mock back as it was."""
        while self._restore:
            self._restore.pop()()

    def end_phase(self, item: pytest.Item, phase: Phase, error: BaseException | None) -> BaseException | None:
        """After the tear-down no patch of the test may stand, nor of the fixtures that ended with it."""
        if phase is Phase.TEARDOWN and self._restore:
            standing = [
                (made, owner)
                for owner in self._ownership.over()
                for made in owner.made
                if made.kind == KIND and _stands(made.thing)
            ]
            for made, owner in reversed(standing):
                created, stack = frames_of_site(made.site, self._project)
                what = f"patch of {_shown(made.thing)} is still in place"
                leak = Leak(kind=KIND, what=what, created=created, created_stack=stack, owner=owner.label, hint=_HINT)
                self._findings.add(leak, _stop(made.thing))
        return error

    def _install(self) -> None:
        from unittest import mock  # noqa: PLC0415 - loaded already

        # the types of what patch() and patch.dict() give have no other names
        for kind in (mock._patch, mock._patch_dict):  # noqa: SLF001 - as said
            self._install_start(kind)

    def _install_start(self, kind: Any) -> None:  # noqa: ANN401 - unittest.mock's own
        original = kind.start
        ownership = self._ownership

        def start(patcher: Any) -> Any:  # noqa: ANN401 - unittest.mock's own
            result = original(patcher)
            owner, site = ownership.making()
            if owner is not None:
                owner.keep(Made(KIND, patcher, site))
            return result

        kind.start = start
        self._restore.append(lambda: setattr(kind, "start", original))


def _stands(patcher: object) -> bool:
    from unittest import mock  # noqa: PLC0415 - loaded already

    return any(one is patcher for one in mock._patch._active_patches)  # type: ignore[attr-defined] # noqa: SLF001 - what patch.stopall() reads


def _shown(patcher: Any) -> str:  # noqa: ANN401 - unittest.mock's own
    if not hasattr(patcher, "attribute"):
        return f"a {type(patcher.in_dict).__name__} with {', '.join(map(repr, patcher.values)) or 'nothing'}"
    target = getattr(patcher, "target", None)
    return f"{patcher.attribute!r} on {getattr(target, '__name__', None) or type(target).__name__}"


def _stop(patcher: object) -> str:
    try:
        patcher.stop()  # type: ignore[attr-defined] # unittest.mock's
    except Exception as error:  # noqa: BLE001 - the target may refuse to be put back
        return f"it could not be stopped: {error}"
    return ""
