"""The position: which test this process is in, and which part of it. Written by the main thread, read by any."""

from dataclasses import dataclass, field
from types import CodeType
from typing import Any

import pytest

from ci_tools.model.case import Phase
from ci_tools.pytest_plugin.clock import CLOCK

_TEST_ID = pytest.StashKey[str]()


@dataclass(slots=True)
class Position:
    """Where the process is. ``fixtures`` are the names of the fixtures being set up or torn down, outermost first."""

    test_id: str = ""
    phase: Phase | None = None
    execution: int = 0
    item: pytest.Item | None = None
    fixtures: list[str] = field(default_factory=list)
    phase_began: float = field(default_factory=CLOCK.perf_counter)
    collecting: str = ""
    """The file or folder that is being collected."""
    examined_at: float = 0.0
    """Since when (monotonic) the guards look at a phase that is over; 0 while code under test may run."""

    def enter(self, phase: Phase) -> None:
        """A phase of the current test begins."""
        self.phase = phase
        self.phase_began = CLOCK.perf_counter()

    def leave(self) -> None:
        """The phase is over."""
        self.phase = None
        self.examined_at = 0.0

    @property
    def place(self) -> str:
        """For people: ``call of tests/test_a.py::test_b``."""
        if self.collecting:
            return f"collection of {self.collecting}"
        part = f"{self.phase} of " if self.phase else ""
        fixture = f" (fixture {self.fixtures[-1]})" if self.fixtures else ""
        return f"{part}{self.test_id or 'no test'}{fixture}"


def test_id_of(item: pytest.Item) -> str:
    """The test's ID as a plan knows it: without the ``@group`` that pytest-xdist appends under ``--dist loadgroup``."""
    known = item.stash.get(_TEST_ID, None)
    if known is None:
        known = item.nodeid
        if item.config.getoption("loadgroup", default=False):
            suffix = "@" + "_".join(sorted(groups_of(item)))
            known = known.removesuffix(suffix)
        item.stash[_TEST_ID] = known
    return known


def groups_of(item: pytest.Item) -> set[str]:
    """The names of the test's ``xdist_group`` marks."""
    return {str(mark.args[0] if mark.args else mark.kwargs.get("name", "default")) for mark in item.iter_markers("xdist_group")}


def code_of(item: pytest.Item | None) -> CodeType | None:
    """The code of the test function itself, without decorators."""
    function: Any = getattr(item, "obj", None)
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    function = getattr(function, "__func__", function)
    code = getattr(function, "__code__", None)
    return code if isinstance(code, CodeType) else None
