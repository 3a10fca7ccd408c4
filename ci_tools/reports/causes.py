"""Groups failures and errors by root cause: what to fix first, and how many tests that gives back.

Works on our journals (exception chains, fixtures) and on any JUnit file (text only). Pure: report in, causes out.
"""

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ci_tools.model.case import Attempt, Case, Failure, Outcome, Phase
from ci_tools.model.report import CollectionError, RunReport
from ci_tools.model.verdict import Cause
from ci_tools.reports.grievance import Grievance, Group
from ci_tools.reports.groups import fixture_of_all, groups_of
from ci_tools.reports.places import relative, short
from ci_tools.reports.roots import root_of
from ci_tools.reports.signatures import Signature, base_of
from ci_tools.reports.traces import Place

LONGEST_TITLE = 160
"""Characters of a cause's title: one line of a terminal or a table."""


def find_causes(report: RunReport, *, root: str = "") -> tuple[Cause, ...]:
    """The root causes of everything in ``report`` that is not green, the one that unblocks most tests first.

    Paths in texts below ``root`` are shown relative to it. A test whose call and tear-down failed for two reasons is in
    two causes. Lost tests have the shard that did not report them as their cause.
    """
    shards = {shard.shard for shard in report.shards}
    causes = [_cause(group, shards, root) for group in groups_of([*_grievances(report, root)], root)]
    # Of two that block as many, a file first: how many tests it hides nobody knows.
    return tuple(sorted(causes, key=lambda cause: (-len(cause.tests), " file" not in cause.blocks, cause.signature, cause.title)))


def _grievances(report: RunReport, root: str) -> Iterable[Grievance]:
    for error in report.collection_errors:
        yield _of_file(error, root)
    for case in report.cases:
        if case.outcome.is_green:
            continue
        attempt = case.attempts[-1]
        for failure in attempt.failures or (_wordless(attempt),):
            yield _of_test(case, attempt, failure, root)


def _of_file(error: CollectionError, root: str) -> Grievance:
    signature, contact = base_of(error.failure, root=root)
    return Grievance(
        error.path, error.failure, signature, error.shard, error.configuration, Outcome.ERROR, contact=contact, is_file=True
    )


def _of_test(case: Case, attempt: Attempt, failure: Failure, root: str) -> Grievance:
    signature, contact = base_of(failure, root=root, test=case.test_id)
    outcome = attempt.outcome
    if outcome in _ENDED and not failure.chain:
        signature = _of_ended(signature, attempt, case)
    return Grievance(
        case.test_id,
        failure,
        signature,
        attempt.shard,
        case.configuration,
        outcome,
        contact=contact,
        started_at=attempt.started_at,
    )


def _wordless(attempt: Attempt) -> Failure:
    """What stands for a failure that nobody recorded: an outcome and a reason."""
    return Failure(phase=Phase.CALL, type_name=attempt.outcome.value, message=attempt.reason or attempt.outcome.value)


_ENDED = frozenset({Outcome.TIMED_OUT, Outcome.CRASHED})
_STACK_FRAME = re.compile(r'^[ \t]*File "([^"\n]+)", line \d+, in (\S+)', re.MULTILINE)
_LIBRARY = re.compile(r"site-packages|dist-packages|[\\/]lib[\\/]python\d|[\\/]Lib[\\/]|hostedtoolcache|<frozen|\A<")


def _of_ended(signature: Signature, attempt: Attempt, case: Case) -> Signature:
    """A test that hung or took its process down: where it stood tells the cause, the message only that it ended.

    Of a process that is gone nobody may know where it stood: how it ended (a signal, an exit code) is all there is then.
    """
    own = [place for place in _STACK_FRAME.findall(attempt.stacks) if not _LIBRARY.search(place[0])]
    place = (
        f"{short(own[-1][0])}:{own[-1][1]}"
        if own
        else ""
        if attempt.outcome is Outcome.CRASHED
        else signature.place or case.test_id
    )
    if attempt.outcome is Outcome.CRASHED and not place and _CRASHED_WORKER.match(signature.masked):
        signature = replace(signature, masked="worker crashed", hard=())
    return replace(signature, type_name=attempt.outcome.value, place=place)


_CRASHED_WORKER = re.compile(r"worker '\S+ crashed while running ")
"""pytest-xdist's words: which worker and which test is not why."""


# The cause as it is shown.


def _cause(group: Group, shards: set[str], root: str) -> Cause:
    members = sorted(group.members, key=lambda member: (member.configuration, member.test_id, member.outcome))
    example = members[0]
    tests = tuple(dict.fromkeys(member.test_id for member in members))
    hit = tuple(sorted({member.shard for member in members}))
    seen = [member.started_at for member in members if member.started_at]
    is_error = [member.is_file or member.failure.phase is not Phase.CALL or member.outcome in _ERRORS for member in members]
    return Cause(
        signature=group.signature.id,
        title=_title(group, example, root),
        tests=tests,
        failures=is_error.count(False),
        errors=is_error.count(True),
        example=example.failure,
        example_test=example.test_id,
        blocks=_blocks(members),
        location=_location(example, root),
        shards=hit,
        spread=_spread(tests, hit, shards),
        command=_command(example),
        rule=group.signature.rule,
        first_seen=min(seen, default=0.0),
        configurations=tuple(sorted({member.configuration for member in members})),
        aliases=tuple(sorted(group.aliases - {group.signature.id})),
    )


_ERRORS = {Outcome.ERROR, Outcome.CRASHED, Outcome.LOST}


def _title(group: Group, example: Grievance, root: str) -> str:
    origin = root_of(example.failure)
    message = next((line.strip() for line in origin.message.splitlines() if line.strip()), "")
    # An error of our own guards says everything itself.
    type_name = "" if message and origin.type_name.startswith("ci_tools.") else origin.type_name
    said = f"{type_name}: {message}" if message and type_name not in {"", message} else message or type_name
    fixture = fixture_of_all(group)
    if all(member.is_file for member in group.members):
        said = f"`{_broken_module(example, root)}` cannot be imported: {message or origin.type_name}"
    elif fixture is not None:
        said = f"fixture `{fixture[0]}` ({fixture[1]}): {said}"
    elif example.outcome in {Outcome.TIMED_OUT, Outcome.CRASHED, Outcome.LOST}:
        word = example.outcome.value.replace("_", " ")
        said = message if message.startswith(word) else f"{word}: {message or origin.message}"
    said = " ".join(said.split())
    return said if len(said) <= LONGEST_TITLE else said[: LONGEST_TITLE - 1] + "…"


_FROM_MODULE = re.compile(r"cannot import name .* from (?:partially initialized module )?'[^']+' .*?\(([^()\n]+)\)")


def _broken_module(example: Grievance, root: str) -> str:
    """The file to mend: the module that lacks the name, else the innermost of ours that could not be executed."""
    origin = root_of(example.failure)
    if found := _FROM_MODULE.search(origin.message):
        return relative(found[1], root)
    frame = example.failure.frame or origin.frame
    return relative(frame.path, root) if frame else example.test_id


def _blocks(members: Sequence[Grievance]) -> str:
    files = len({member.test_id for member in members if member.is_file})
    tests = len({(member.configuration, member.test_id) for member in members if not member.is_file})
    parts = [f"{count} {noun}{'s' * (count != 1)}" for count, noun in ((files, "file"), (tests, "test")) if count]
    return f"blocks {' and '.join(parts)}"


def _location(example: Grievance, root: str) -> str:
    """The project's line that the failure came from; the test's file where only libraries and guards are known."""
    frame = example.failure.frame or root_of(example.failure).frame
    if frame is not None and Place(path=frame.path).is_ours:
        return f"{relative(frame.path, root)}:{frame.line}"
    return example.test_id.partition("::")[0]


def _spread(tests: Sequence[str], hit: Sequence[str], shards: set[str]) -> str:
    """One test: its code. Every shard: what all machines share. One of several shards: that machine."""
    if len(tests) == 1:
        return "code"
    if len(shards) > 1 and len(hit) == 1:
        return "machine"
    return "environment" if len(shards) > 1 and set(hit) >= shards else ""


def _command(example: Grievance) -> str:
    path = example.test_id.partition("::")[0]
    return f"python -m pytest {shlex.quote(example.test_id)}" if path.endswith(".py") else ""
