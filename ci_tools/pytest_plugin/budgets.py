"""Budgets: which time runs out first, of those that hold where a process is: the test's, its phase's, its file's."""

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from ci_tools.model.case import Phase
from ci_tools.pytest_plugin.clock import CLOCK


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Seconds, when they are over (monotonic), and what they are for in a message."""

    at: float
    timeout_s: float
    what: str

    @classmethod
    def from_now(cls, timeout_s: float, what: str) -> "Budget":
        """A budget that begins now."""
        return cls(at=CLOCK.monotonic() + timeout_s, timeout_s=timeout_s, what=what)


def earliest(*budgets: Budget | None) -> Budget | None:
    """The one that is over first; None where there is none at all."""
    return min((budget for budget in budgets if budget is not None), key=lambda budget: budget.at, default=None)


def phase_budget(phases: Mapping[str, float], phase: Phase) -> Budget | None:
    """A phase's own time, from now on."""
    timeout_s = phases.get(phase.value, 0.0)
    return Budget.from_now(timeout_s, f"the test's {phase}") if timeout_s > 0 else None


def problem_of(mark: pytest.Mark) -> str:
    """What is wrong with a ``timeout`` mark, and what to write; empty when nothing is. The words are pytest-timeout's."""
    names = ("timeout", "method", "func_only")
    given = {**dict(zip(names, mark.args, strict=False)), **mark.kwargs}
    if not given or len(mark.args) > len(names) - 1 or len(given) < len(mark.args) + len(mark.kwargs) or set(given) - set(names):
        what = "is not understood: it takes the seconds, a method and func_only"
    elif given.get("timeout") is not None and not is_number(given["timeout"]):
        what = f"has {given['timeout']!r} for its seconds, which is no number"
    elif given.get("method") not in {None, "signal", "thread"}:
        what = f"has {given['method']!r} for its method, which is neither 'signal' nor 'thread'"
    elif type(given.get("func_only", False)) not in {bool, type(None)}:
        what = f"has {given['func_only']!r} for func_only, which is neither True nor False"
    else:
        return ""
    words = ", ".join([*map(repr, mark.args), *(f"{name}={value!r}" for name, value in mark.kwargs.items())])
    return f"the mark timeout({words}) {what}; write @pytest.mark.timeout(5), or timeout(5, func_only=True)"


def is_number(value: object) -> bool:
    """Whether pytest-timeout can take it for seconds."""
    try:
        float(value)  # type: ignore[arg-type] # whatever the mark was given
    except (TypeError, ValueError):
        return False
    return True


class FileClock:
    """What the tests of each file have taken of their file's time in this process; others' tests in between do not count."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._spent: dict[str, float] = {}
        self._path = ""
        self._began = 0.0

    def begin(self, test_id: str) -> Budget | None:
        """A test begins: what is left of its file's time, or None where files have no limit."""
        if self._timeout_s <= 0:
            return None
        self._path = test_id.partition("::")[0]
        self._began = CLOCK.monotonic()
        left_s = self._timeout_s - self._spent.get(self._path, 0.0)
        return Budget(at=self._began + left_s, timeout_s=self._timeout_s, what=f"the file {self._path}")

    def end(self) -> None:
        """The test is over."""
        if self._path:
            self._spent[self._path] = self._spent.get(self._path, 0.0) + CLOCK.monotonic() - self._began
            self._path = ""
