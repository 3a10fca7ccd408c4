"""JUnit XML: written strictly through junitparser's model, read leniently from any producer."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from junitparser import Attr, Error, Failure, JUnitXml, Skipped
from junitparser.junitparser import Element, Result
from junitparser.xunit2 import FlakyError, FlakyFailure, InterimResult, RerunError, RerunFailure, TestCase, TestSuite
from lxml import etree

from ci_tools import __version__
from ci_tools.host.files import write_chunks
from ci_tools.model.case import Attempt, Case, Outcome, Phase
from ci_tools.model.case import Failure as ModelFailure
from ci_tools.model.codec import MOST_SECONDS
from ci_tools.model.report import CollectionError, RunReport, ShardReport, newest_of
from ci_tools.reports.elements import clean

_ERRORS = {Outcome.ERROR, Outcome.CRASHED, Outcome.LOST}
_FAILURES = {Outcome.FAILED, Outcome.TIMED_OUT, Outcome.XPASSED}
TOOL = "ci_tools"
"""Prefix of the suite properties that say which run, shard and attempt a file of ours is from."""


def write_junit(report: ShardReport | RunReport, path: Path) -> None:
    """Write ``report`` as JUnit XML that every consumer reads: one suite for each shard, one case for each test.

    Each case has pytest's classname and name, its test ID as property, one final result, and its earlier attempts as
    flaky or rerun results. Lost and crashed tests are errors, timed out ones failures, told apart by ``type``.
    Cases are made and written one by one: all of them as objects took four times as much memory as the report.
    """
    write_chunks(path, _chunks(list(_suites(report))))


def _chunks(suites: Sequence[tuple[TestSuite, Sequence[Case], Sequence[CollectionError]]]) -> Iterator[bytes]:
    document = JUnitXml()
    # Counted once over what is there: junitparser's own statistics are made anew after every addition.
    for name in ("tests", "failures", "errors", "skipped"):
        setattr(document, name, sum(getattr(suite, name) for suite, _, _ in suites))
    document.name = "ci-tools"
    document.time = round(sum(suite.time for suite, _, _ in suites), 3)
    begin, end = _around(document, 0, has_children=bool(suites))
    yield b"<?xml version='1.0' encoding='utf-8'?>\n" + begin
    for suite, cases, broken in suites:
        head, tail = _around(suite, 1, has_children=bool(cases or broken))
        yield b"\n " + head
        for case in cases:
            yield b"\n  " + (_plain_text(case) or _text_of_element(_case(case), 2))
        for error in broken:
            yield b"\n  " + _text_of_element(_broken_file(error), 2)
        yield tail
    yield end


_PARSER = etree.XMLParser(huge_tree=True, resolve_entities=False)


_PLAIN_ID = re.compile(r"[ !#-%'-;=?-~]*")
"""Characters that stand in an attribute as they are."""
_PLAIN_CASE = (
    '<testcase name="%s" classname="%s" time="%s"%s>\n   <properties>\n'
    '    <property name="test_id" value="%s"/>\n   </properties>\n  </testcase>'
)


def _plain_text(case: Case) -> bytes:
    """What ``_text_of_element`` gives for a test of which there is nothing to say but that it passed; empty for any other.

    Nearly all tests of a healthy suite are these: written so they take a fifth of the time.
    """
    test_id = case.test_id
    if len(case.attempts) != 1 or case.attempts[0].outcome is not Outcome.PASSED or case.attempts[0].properties:
        return b""
    if not _PLAIN_ID.fullmatch(test_id):
        return b""
    path, classname, name = address_of(test_id)
    file = f' file="{path}"' if path.endswith(".py") else ""
    return (_PLAIN_CASE % (name, classname, round(case.duration_s, 3), file, test_id)).encode("ascii")


def _around(element: Element, level: int, *, has_children: bool) -> tuple[bytes, bytes]:
    """What stands before and behind the children that an element is about to get."""
    tree = etree.fromstring(element.tostring(), _PARSER)  # type: ignore[no-untyped-call] # junitparser is typed in part
    if has_children:
        etree.SubElement(tree, "child")
    etree.indent(tree, " ", level=level)
    text = etree.tostring(tree, encoding="utf-8")
    if not has_children:
        return text, b""
    head, _, tail = text.rpartition(b"<child/>")
    return head.rstrip(), tail


def _text_of_element(element: Element, level: int) -> bytes:
    """The element's text, indented; junitparser's own pretty printing builds it out of Python objects."""
    tree = etree.fromstring(element.tostring(), _PARSER)  # type: ignore[no-untyped-call] # as above
    etree.indent(tree, " ", level=level)
    return etree.tostring(tree, encoding="utf-8")


def address_of(test_id: str) -> tuple[str, str, str]:
    """The JUnit address that pytest gives a test ID: file, classname and name."""
    head, bracket, parameters = test_id.partition("[")
    path, *rest = head.split("::")
    if not rest:
        return path, "", test_id
    module = path.removesuffix(".py").replace("/", ".")
    return path, ".".join((module, *rest[:-1])), rest[-1] + bracket + parameters


class _Case(TestCase):
    """junitparser's case with the attribute that says where the test stands."""

    file = Attr()
    line = Attr()


def _suites(report: ShardReport | RunReport) -> Iterator[tuple[TestSuite, Sequence[Case], Sequence[CollectionError]]]:
    """Each suite without its cases, and what its cases are to be made of."""
    shards = (report,) if isinstance(report, ShardReport) else report.shards
    by_shard: dict[tuple[str, str], list[Case]] = {}
    for case in report.cases:
        shard = case.attempts[-1].shard if case.attempts else ""
        by_shard.setdefault((case.configuration, shard), []).append(case)
    newest = newest_of(shards)
    broken: dict[tuple[str, str], list[CollectionError]] = {}
    for error in report.collection_errors:
        broken.setdefault((error.configuration, error.shard), []).append(error)
    for key in sorted({*by_shard, *newest, *broken}):
        cases, errors = by_shard.get(key, []), broken.get(key, [])
        yield _suite(key, cases, errors, newest.get(key), report), cases, errors


def _suite(
    key: tuple[str, str],
    cases: Iterable[Case],
    broken: Sequence[CollectionError],
    shard: ShardReport | None,
    report: ShardReport | RunReport,
) -> TestSuite:
    configuration, label = key
    suite = TestSuite(clean(f"{configuration} {label}"))  # type: ignore[no-untyped-call] # junitparser is typed in part
    facts = {
        "run_id": report.run_id,
        "shard": label,
        "configuration": configuration,
        "run_attempt": str(shard.run_attempt) if shard else "",
        "commit": shard.commit if shard else report.commit,
        "plan_digest": shard.plan_digest if shard else "",
        "expected_digest": shard.expected_digest if shard else "",
        "version": __version__,
    }
    for name, value in facts.items():
        if value:
            suite.add_property(f"{TOOL}.{name}", clean(value))
    if shard and 0 < shard.started_at <= MOST_SECONDS:
        suite.timestamp = datetime.fromtimestamp(shard.started_at, UTC).isoformat()
    counts = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    seconds = 0.0
    for case in cases:
        counts["tests"] += 1
        counts["failures"] += case.outcome in _FAILURES
        counts["errors"] += case.outcome in _ERRORS
        counts["skipped"] += case.outcome in {Outcome.SKIPPED, Outcome.XFAILED}
        seconds += case.duration_s
    counts["tests"] += len(broken)
    counts["errors"] += len(broken)
    for name, value_ in counts.items():
        setattr(suite, name, value_)
    suite.time = round(seconds, 3)
    return suite


def _case(case: Case) -> TestCase:
    path, classname, name = (clean(part) for part in address_of(case.test_id))
    element = _Case(name, classname, round(case.duration_s, 3))
    if path.endswith(".py"):
        element.file = path
    properties = {"test_id": case.test_id, **(case.attempts[-1].properties if case.attempts else {})}
    for property_name, value in properties.items():
        element.add_property(clean(property_name), clean(value))
    *earlier, last = case.attempts or (Attempt(outcome=Outcome.LOST, reason="planned, never reported"),)
    result = _result(last)
    if result is not None:
        _append(element, result)
    for attempt in earlier:
        interim = _interim(attempt, is_flaky=last.outcome is Outcome.PASSED)
        if interim is not None:
            _append(element, interim)
    return element


def _result(attempt: Attempt) -> Result | None:
    match attempt.outcome:
        case Outcome.PASSED:
            return None
        case Outcome.SKIPPED:
            return Skipped(clean(attempt.reason), "pytest.skip")
        case Outcome.XFAILED:
            return Skipped(clean(attempt.reason), "pytest.xfail")
        case outcome:
            kind = Error if outcome in _ERRORS else Failure
            result = kind(_message(attempt), _type(attempt))
            result.text = _text(attempt)
            return result


def _interim(attempt: Attempt, *, is_flaky: bool) -> InterimResult | None:
    if attempt.outcome.is_green:
        return None
    is_error = attempt.outcome in _ERRORS
    kind: type[InterimResult] = (
        (FlakyError if is_error else FlakyFailure) if is_flaky else (RerunError if is_error else RerunFailure)
    )
    interim = kind(_message(attempt), _type(attempt))
    interim.stack_trace = _text(attempt)
    return interim


def _type(attempt: Attempt) -> str:
    # An outcome that JUnit has no word for is the type: a reader must be able to tell it from a plain failure.
    if attempt.outcome in {Outcome.TIMED_OUT, Outcome.CRASHED, Outcome.LOST, Outcome.XPASSED} or not attempt.failures:
        return attempt.outcome.value
    return clean(attempt.failures[0].type_name)


def _message(attempt: Attempt) -> str:
    if not attempt.failures:
        return clean(attempt.reason or attempt.outcome.value)
    first = attempt.failures[0]
    message = clean(first.message)
    return message if first.phase is Phase.CALL else f'failed on {first.phase.value} with "{message}"'


def _text(attempt: Attempt) -> str:
    """Every failure of the attempt under the one final result: two results would be counted as two tests."""
    parts = [_text_of(failure) for failure in attempt.failures]
    parts.extend(f"leaked {leak.kind}: {leak.what}" for leak in attempt.leaks)
    if attempt.stacks and attempt.stacks not in parts:
        parts.append(attempt.stacks)
    return clean("\n\n".join(part for part in parts if part))


def _text_of(failure: ModelFailure) -> str:
    text = failure.text or f"{failure.type_name}: {failure.message}"
    return text if failure.phase is Phase.CALL else f"[{failure.phase.value}]\n{text}"


def _broken_file(error: CollectionError) -> TestCase:
    element = _Case(clean(error.path), "", 0.0)
    element.file = clean(error.path)
    element.add_property("kind", "collection")
    result = Error("collection failure", clean(error.failure.type_name))
    result.text = clean(error.failure.text or error.failure.message)
    _append(element, result)
    return element


def _append(parent: Element, child: Element) -> None:
    parent.append(child)  # type: ignore[no-untyped-call] # junitparser is typed in part


def facts_of(properties: Mapping[str, str]) -> dict[str, str]:
    """The suite properties of ours, without their prefix."""
    prefix = f"{TOOL}."
    return {name.removeprefix(prefix): value for name, value in properties.items() if name.startswith(prefix)}
