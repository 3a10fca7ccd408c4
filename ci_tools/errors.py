"""Every error the toolkit raises on purpose, each with the exit code it becomes."""

from collections.abc import Sequence
from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """The documented exit codes of ``ci-tools``; docs/reference/exit-codes.md is made from this."""

    PASSED = 0
    FAULT = 1
    USAGE = 2
    FAILED = 10
    INCOMPLETE = 11
    SERVICE = 12
    WORKERS = 13
    QUEUE = 14
    INTERRUPTED = 130
    TERMINATED = 143


PRECEDENCE = (
    ExitCode.INTERRUPTED,
    ExitCode.TERMINATED,
    ExitCode.USAGE,
    ExitCode.FAULT,
    ExitCode.QUEUE,
    ExitCode.SERVICE,
    ExitCode.WORKERS,
    ExitCode.INCOMPLETE,
    ExitCode.FAILED,
    ExitCode.PASSED,
)
"""Where several codes hold, the first of these wins."""


def most_severe(codes: Sequence[ExitCode]) -> ExitCode:
    """The code that wins where several hold; PASSED when there is none."""
    return min(codes, key=PRECEDENCE.index, default=ExitCode.PASSED)


class CIToolsError(Exception):
    """What happened, with the value; what was expected; what to do.

    ``what`` is one line, ``details`` are the lines under it (``label: text``) and ``hint`` is the remedy.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.FAULT

    def __init__(self, what: str, *, details: Sequence[str] = (), hint: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.details = tuple(details)
        self.hint = hint

    def __str__(self) -> str:
        lines = [self.what, *(f"  {line}" for line in self.details)]
        if self.hint is not None:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(lines)


class UsageError(CIToolsError):
    """The command line asks for something that cannot be."""

    exit_code = ExitCode.USAGE


class ConfigError(CIToolsError):
    """The configuration is wrong; the error lists every mistake at once."""

    exit_code = ExitCode.USAGE


class PlanMismatchError(CIToolsError):
    """A plan does not fit what is here: other tests, another configuration or another version."""

    exit_code = ExitCode.USAGE


class DecodeError(CIToolsError):
    """A file that crosses a stage is not what it claims to be."""

    exit_code = ExitCode.INCOMPLETE


class ServiceError(CIToolsError):
    """A service could not be provided or was not ready in time."""

    exit_code = ExitCode.SERVICE


class WorkersError(CIToolsError):
    """Workers ended in a way that kept tests from being finished."""

    exit_code = ExitCode.WORKERS


class QueueUnavailableError(CIToolsError):
    """The shared queue cannot be reached."""

    exit_code = ExitCode.QUEUE
