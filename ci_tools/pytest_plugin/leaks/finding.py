"""Findings: what the leak guards found in one phase, as one readable failure."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from ci_tools.model.case import Leak, Phase
from ci_tools.model.guard import LEAK_KINDS, GuardMode, GuardPolicy
from ci_tools.model.journal import LeakFound
from ci_tools.pytest_plugin.clock import CLOCK
from ci_tools.pytest_plugin.failures import note_place
from ci_tools.pytest_plugin.guard import Guard
from ci_tools.pytest_plugin.marks import has_mark
from ci_tools.pytest_plugin.recording import Recording


class LeakError(pytest.fail.Exception):  # type: ignore[misc,name-defined] # public, but only an attribute
    """Something outlived the test or fixture that made it."""


class LeakWarning(pytest.PytestWarning):
    """The same, where the configuration says ``warn``."""


@dataclass(slots=True)
class _Allowance:
    """One ``allow_leak`` mark: a kind, a pattern over the leak's text, and why."""

    kind: str
    match: str
    reason: str
    is_used: bool = False


class Findings(Guard):
    """Collects leaks and turns them into the phase's failure, or a warning, by the mode of their kind."""

    begins_in = (Phase.SETUP,)
    quiet_ends_in = ()

    def __init__(
        self, recording: Recording, policy: GuardPolicy, stirred: set[Guard], say: Callable[[str], None] | None = None
    ) -> None:
        self._recording = recording
        self._stirred = stirred
        """It is among these while it has anything to say."""
        self._modes = policy.leaks
        self._say = say
        self._general = [
            _Allowance(kind=kind, match=pattern, reason="")
            for kind, patterns in policy.allowed_leaks.items()
            for pattern in patterns
        ]
        self._errors: list[tuple[Leak, str]] = []
        self._warnings: list[str] = []
        self._allowances: list[_Allowance] = []
        self._misuse: BaseException | None = None

    def is_on(self, kind: str) -> bool:
        """Whether this kind is looked for at all."""
        return self._modes.get(kind, GuardMode.OFF) is not GuardMode.OFF

    @property
    def is_timed_out(self) -> bool:
        """Whether the current test's time is over."""
        execution = self._recording.execution
        return execution is not None and execution.told is not None and execution.told.is_timed_out

    def add(self, leak: Leak, contained: str | Callable[[], str] = "") -> None:
        """Keep a leak for the end of the phase; ``contained`` ends it, or is what ending it showed.

        What is allowed to be left is left as it is: the next test may live with it.
        """
        mode = self._modes.get(leak.kind, GuardMode.OFF)
        if mode is not GuardMode.OFF and self.is_allowed(leak):
            return
        note = contained if isinstance(contained, str) else contained()
        if mode is GuardMode.OFF:  # the children of a test that hung are ended, and not told
            return
        self._stirred.add(self)
        execution = self._recording.execution
        self._recording.write(LeakFound(at=CLOCK.time(), test_id=execution.test_id if execution else "", leak=leak))
        if mode is GuardMode.ERROR:
            self._errors.append((leak, render_leak(leak, note)))
        else:
            self._warnings.append(render_leak(leak, note))

    def begin_phase(self, item: pytest.Item, phase: Phase) -> None:
        """Read what the test is allowed to leave."""
        if phase is Phase.SETUP:
            self._allowances = []
            if has_mark(item, "allow_leak"):
                self._allowances = self._read(item)
                self._stirred.add(self)

    def _read(self, item: pytest.Item) -> list[_Allowance]:
        try:
            return [_allowance(mark) for mark in item.iter_markers("allow_leak")]
        except pytest.UsageError as error:  # said when the set-up is over: other plugins count on theirs
            self._misuse = LeakError(str(error), pytrace=False)
            return []

    def end_phase(self, item: pytest.Item, phase: Phase, error: BaseException | None) -> BaseException | None:
        """Fail or warn for what this phase left; a failure that is there already keeps its place and gets a note."""
        if phase is Phase.TEARDOWN or not self._allowances:
            self._stirred.discard(self)
        if self._misuse is not None:
            error, self._misuse = error or self._misuse, None
        if self._allowances and phase is Phase.TEARDOWN and error is None:
            self._warnings += [
                f"allow_leak({allowance.kind!r}, match={allowance.match!r}) matched nothing: remove the mark ({allowance.reason})"
                for allowance in self._allowances
                if not allowance.is_used and self.is_on(allowance.kind)
            ]
        if not self._errors and not self._warnings:
            return error
        # Sorted: what leaks the same in many tests reads the same in all of them, and is one cause.
        leaked = sorted(self._errors, key=lambda found: found[1])
        errors, warned = "\n".join(text for _, text in leaked), "\n".join(self._warnings)
        self._errors, self._warnings = [], []
        if warned:
            try:
                item.warn(LeakWarning(warned))
            except LeakWarning as raised:  # the suite's filters turn warnings into errors
                return error or raised
        if not errors:
            return error
        if error is not None:
            error.add_note(errors)
            return error
        found = LeakError(errors, pytrace=False)
        note_place(found, next((leak.created for leak, _ in leaked if leak.created is not None), None))
        return found

    def remove(self) -> None:
        """Say which of the configuration's allowances no test needed; asked only where all tests ran in this process."""
        for allowance in self._general:
            if self._say is not None and not allowance.is_used and self.is_on(allowance.kind):
                what = (
                    f"ci-tools: guards.allowed-leaks: {allowance.match!r} of {allowance.kind!r} matched nothing in the whole run"
                )
                self._say(f"{what}; remove it")

    def is_allowed(self, leak: Leak) -> bool:
        """Whether the test or the configuration allows it."""
        for allowance in (*self._allowances, *self._general):
            if allowance.kind == leak.kind and re.search(allowance.match, render_leak(leak)):
                allowance.is_used = True
                return True
        return False


def _allowance(mark: pytest.Mark) -> _Allowance:
    if len(mark.args) != 1 or set(mark.kwargs) - {"match", "reason"} or not mark.kwargs.get("reason"):
        what = f"allow_leak{mark.args!r} {mark.kwargs!r} is not understood"
        raise pytest.UsageError(f'{what}; write allow_leak("thread", match="pattern", reason="why it may stay")')
    kind, match = str(mark.args[0]), str(mark.kwargs.get("match", ""))
    if kind not in LEAK_KINDS:
        what = f"allow_leak is given {kind!r}, which is no kind of leak"
        raise pytest.UsageError(f"{what}; write one of {', '.join(LEAK_KINDS)}")
    try:
        re.compile(match)
    except re.error as error:
        what = f"allow_leak is given match={match!r}, which is no regular expression: {error}"
        raise pytest.UsageError(f"{what}; escape what is meant literally, as re.escape() does") from error
    return _Allowance(kind=kind, match=match, reason=str(mark.kwargs["reason"]))


def render_leak(leak: Leak, note: str = "") -> str:
    """One line with what and where, then how it came to be and the remedy."""
    where = f", made at {leak.created.path}:{leak.created.line} in {leak.created.function}" if leak.created else ""
    lines = [f"leak ({leak.kind}): {leak.what}{where}", f"  owner: {leak.owner}"]
    if note:
        lines.append(f"  note:  {note}")
    if leak.created_stack:
        lines.append("  made:  " + leak.created_stack.replace("\n", "\n         "))
    lines.append(f"  hint:  {leak.hint}")
    return "\n".join(lines)
