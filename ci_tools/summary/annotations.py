"""Annotations of a GitHub job as workflow commands: one a root cause, the one that unblocks most tests first."""

import re

from ci_tools.model.report import RunReport
from ci_tools.model.verdict import Cause, Decision, Verdict
from ci_tools.summary import findings
from ci_tools.summary.escape import command_data, command_property, truncate_middle
from ci_tools.summary.quantities import render_count

MOST = 10
"""GitHub shows ten errors of a step and drops the rest without a word."""

_MESSAGE_BYTES = 4_000
_TITLE_BYTES = 240
_LOCATION = re.compile(r"(?P<path>[^:]+):(?P<line>\d+)")


def render_annotations(verdict: Verdict, report: RunReport, *, path_prefix: str = "") -> tuple[str, ...]:
    """At most ten ``::error`` lines, or one ``::warning`` with the flaky tests of a passed verdict.

    ``path_prefix`` (``services/api/``) leads from the repository's root to the project.
    """
    if verdict.decision is Decision.PASSED:
        return tuple(_flaky_warning(report))
    lines = [
        *_house_lines(verdict),
        *_verdict_lines(verdict),
        *(_cause(cause, path_prefix) for cause in findings.ordered_causes(verdict)),
    ]
    if len(lines) <= MOST:
        return tuple(lines)
    hidden = len(lines) - (MOST - 1)
    more = _command("error", f"… and {hidden} more: the summary of this run has them all.", title=f"and {hidden} more")
    return (*lines[: MOST - 1], more)


def _house_lines(verdict: Verdict) -> list[str]:
    """What went wrong around the tests: a server that did not start, workers that vanished."""
    return [_command("error", error.what, title=error.what.split("\n", 1)[0]) for error in verdict.errors]


def _verdict_lines(verdict: Verdict) -> list[str]:
    """What no cause stands for: rules whose breach leaves the verdict incomplete, or any rule where there are no causes."""
    broken = [rule for rule in findings.violations(verdict) if rule.breach is not Decision.FAILED or not verdict.causes]
    if not broken and verdict.causes:
        return []
    told = "\n".join(f"{rule.rule}: expected {rule.expected}, actual {rule.actual}" for rule in broken)
    return [_command("error", told or verdict.headline, title=verdict.headline)]


def _cause(cause: Cause, path_prefix: str) -> str:
    lines = [
        f"It {findings.reach_of(cause)}, for example {cause.example_test}",
        *([f"Repeat: {cause.command}"] if cause.command else []),
        "",
        cause.example.message,
    ]
    path, line = _place(cause)
    return _command("error", "\n".join(lines).strip(), title=cause.title, path=path and path_prefix + path, line=line)


def _place(cause: Cause) -> tuple[str, int]:
    """Where the annotation stands: the cause's own place if it lies in the project, else the example's, else nowhere."""
    match = _LOCATION.fullmatch(cause.location)
    frame = cause.example.frame
    places = [
        *([(match["path"], int(match["line"]))] if match else []),
        *([(frame.path, frame.line)] if frame else []),
        *([(cause.example_test.split("::")[0], 1)] if "::" in cause.example_test else []),
    ]
    for written, line in places:
        path = written.replace("\\", "/")
        if not path.startswith(("/", "<")) and ".." not in path.split("/") and ":" not in path:
            return path, max(1, line)
    return "", 0


def _flaky_warning(report: RunReport) -> list[str]:
    cases = findings.flaky(report)
    if not cases:
        return []
    names = "\n".join(findings.name_of(case) for case in cases)
    return [_command("warning", names, title=f"{render_count(len(cases), 'flaky test')}: passed after a failed attempt")]


def _command(level: str, message: str, *, title: str, path: str = "", line: int = 0) -> str:
    properties = {"title": truncate_middle(title, _TITLE_BYTES), **({"file": path, "line": str(line)} if path else {})}
    told = ",".join(f"{name}={command_property(value)}" for name, value in properties.items())
    return f"::{level} {told}::{command_data(truncate_middle(message, _MESSAGE_BYTES))}"
