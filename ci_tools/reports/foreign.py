"""Turns the cases of a JUnit file into a shard report, whoever wrote it."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

from ci_tools.model.case import DEFAULT_CONFIGURATION, Attempt, Case, Failure, Frame, Outcome, Phase
from ci_tools.model.codec import MOST_SECONDS
from ci_tools.model.report import CollectionError, ShardReport
from ci_tools.reports.elements import (
    LIMITS,
    Limits,
    RawCase,
    RawSuite,
    Result,
    case_says_bad,
    clean,
    parse_seconds,
    says_idle,
    unknown_words,
)
from ci_tools.reports.headlines import has_foreign_stack
from ci_tools.reports.junit import facts_of
from ci_tools.reports.roots import headline_of
from ci_tools.reports.scan import scan

_WRAPPED = re.compile(r'failed on (setup|call|teardown) with "(.*)"', re.DOTALL)
_CRASH = re.compile(r"worker '[^']+' crashed|^crashed$")
_TIMEOUT = re.compile(r"Timeout \(?>?\s*[\d.]+s\)? from pytest-timeout|^Failed: Timeout")
_TYPED = re.compile(r"([A-Za-z_][\w.]*(?:Error|Exception|Warning|Exit|Interrupt|Timeout|Failed|Unavailable)?)(?:: |$)")
_LAST_E = re.compile(r"^E  +(.+)$", re.MULTILINE)
_PLACE = re.compile(r"^([^\s:][^:\n]*):(\d+): (\w[\w.]*)?(?:in )?", re.MULTILINE)
_TEST_MODULE = re.compile(r"test_\w+|\w+_test|tests?|conftest")
# CTest skips what it could not start; its own answer to these is "failed (Not Run)".
_NOT_STARTED = re.compile(
    r"Unable to find|Fixture dependency failed|Missing Configuration|BAD_COMMAND|(?:Could not|Failed to) start"
    r"|Insufficient resources"
)
_KNOWN_TYPES = {outcome.value: outcome for outcome in (Outcome.TIMED_OUT, Outcome.CRASHED, Outcome.LOST, Outcome.XPASSED)}


def read_junit(path: Path, *, label: str = "", limits: Limits = LIMITS) -> ShardReport:
    """What one JUnit file says, as far as it can be read; never raises for what the file holds.

    A file of ours with one suite is the shard it says it is; any other is the shard ``file:<label>`` (the file's name
    when ``label`` is empty). Errors and failures win over skips; a status attribute without a child counts; results
    outside any case become cases; pytest-rerunfailures' bare passes before the last are failed attempts. What makes
    the file less than whole stands in ``corrupt``, what is only odd in ``warnings``.
    """
    reader = _Reader(label or path.name)
    found = scan(path, reader.add, limits=limits)
    facts = reader.facts() if found.suites == 1 else {}
    if facts != reader.assumed:  # known only at the end: a merged file of ours, or properties behind the cases
        reader = _Reader(label or path.name, facts)
        found = scan(path, reader.add, limits=limits)
    cases = reader.cases()
    corrupt = [*found.corrupt, *reader.corrupt]
    if not (corrupt or cases or reader.broken):
        corrupt.append("holds no test")
    started = [moment for suite in reader.suites.values() if (moment := _moment(suite))]
    return ShardReport(
        run_id=facts.get("run_id", ""),
        shard=reader.shard,
        cases=cases,
        run_attempt=reader.run_attempt,
        configuration=reader.configuration,
        commit=facts.get("commit", ""),
        plan_digest=facts.get("plan_digest", ""),
        expected_digest=facts.get("expected_digest", ""),
        collection_errors=tuple(reader.broken),
        corrupt=tuple(f"{label or path.name} {reason}" for reason in corrupt),
        warnings=tuple(f"{label or path.name} {reason}" for reason in (*found.warnings, *reader.warnings())),
        started_at=min(started, default=0.0),
        duration_s=sum((case.duration_s for case in cases), 0.0),
        source=label or path.name,
        digest=found.digest,
        declared_tests=found.declared_tests,
    )


def _whole(text: str, default: int) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,6}", text) else default


def _moment(suite: RawSuite) -> float | None:
    text = suite.attributes.get("timestamp", "")
    try:
        # Mocha writes the date of an e-mail: Sun, 22 Nov 2026 18:44:20 GMT.
        moment = datetime.fromisoformat(text) if text[:1].isdigit() else parsedate_to_datetime(text)
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        return seconds if abs(seconds) <= MOST_SECONDS else None
    except (ValueError, OverflowError):
        return None


_Found = tuple[RawSuite, tuple[Attempt, ...]]
_NONE: Mapping[str, str] = {}
"""The properties of nearly every attempt: one for all, as there may be a million."""


class _Reader:
    """Takes the cases of one file as they come and gives each an identity.

    Whose file it is (``facts``) says the first case's suite, where nobody knows it yet.
    """

    def __init__(self, label: str, facts: Mapping[str, str] | None = None) -> None:
        self.shard = f"file:{label}"
        self.run_attempt = 1
        self.configuration = DEFAULT_CONFIGURATION
        self.assumed: Mapping[str, str] = {}
        self.suites: dict[int, RawSuite] = {}
        self.corrupt: list[str] = []
        self.broken: list[CollectionError] = []
        self._found: dict[str, _Found] = {}
        self._again: dict[str, list[_Found]] = {}
        self._is_known = facts is not None
        self._assume(facts or {})
        self._strange_times = 0
        self._strange_words: set[str] = set()

    def add(self, raw: RawCase) -> None:
        """One case of the file."""
        if not self._is_known:
            self._is_known = True
            self._assume(facts_of(raw.suite.properties))
        self.suites[id(raw.suite)] = raw.suite
        if not raw.name and not raw.classname:
            self.corrupt.append("holds a case without a name: the session was ended in the middle (pytest.exit leaves one)")
            return
        self._strange_words.update(unknown_words(raw.attributes))
        if self._add_broken_file(raw):
            return
        test_id, found = self._test_id(raw), (raw.suite, self._attempts(raw))
        if self._found.setdefault(test_id, found) is not found:
            self._again.setdefault(test_id, []).append(found)

    def facts(self) -> Mapping[str, str]:
        """What the file's suites say of the run, shard and attempt that they are from; empty where it is none of ours."""
        return next((facts for suite in self.suites.values() if (facts := facts_of(suite.properties))), {})

    def _assume(self, facts: Mapping[str, str]) -> None:
        self.assumed = facts
        self.shard = facts.get("shard", self.shard)
        self.run_attempt = _whole(facts.get("run_attempt", ""), 1)
        self.configuration = facts.get("configuration", DEFAULT_CONFIGURATION)

    def cases(self) -> tuple[Case, ...]:
        """Every case, in the order of the file."""
        cases: list[Case] = []
        for test_id, first in self._found.items():
            if test_id not in self._again:
                cases.append(self._case(test_id, first[1]))
                continue
            # One name several times is several tests, also in several suites of pytest (a matrix in one file): each
            # counts, none can hide another. Only within one session of pytest it is the same test again.
            sessions: dict[int, list[tuple[Attempt, ...]]] = {}
            for number, (suite, attempts) in enumerate((first, *self._again[test_id])):
                sessions.setdefault(id(suite) if suite.is_pytests else -number, []).append(attempts)
            several = [_fold_repeats(same) if len(same) > 1 else same[0] for same in sessions.values()]
            cases.extend(
                self._case(test_id if number == 1 else f"{test_id}#{number}", attempts)
                for number, attempts in enumerate(several, start=1)
            )
        return tuple(cases)

    def warnings(self) -> list[str]:
        """What was odd in the cases."""
        warnings = []
        if self._strange_times:
            warnings.append(f"holds {self._strange_times} times that are none (negative, not finite or words), taken as 0")
        if self._strange_words:
            warnings.append(f"holds status words without a known meaning: {', '.join(sorted(self._strange_words)[:5])}")
        return warnings

    def _case(self, test_id: str, attempts: tuple[Attempt, ...]) -> Case:
        return Case(test_id=test_id, attempts=attempts, configuration=self.configuration)

    def _test_id(self, raw: RawCase) -> str:
        if "test_id" in raw.properties:
            return raw.properties["test_id"]
        name, classname = clean(raw.name), clean(raw.classname)
        file = clean(raw.attributes.get("file", ""))
        if raw.suite.is_pytests:
            return _pytest_id(classname, name, file)
        head = classname or clean(raw.suite.name)
        return f"{head}::{name}" if head and head != name else name

    def _add_broken_file(self, raw: RawCase) -> bool:
        error = next((result for result in raw.results if result.kind == "error"), None)
        is_broken = error is not None and (
            raw.properties.get("kind") == "collection"
            or (raw.suite.is_pytests and not raw.classname and error.message == "collection failure")
        )
        if not is_broken or error is None:
            return False
        path = raw.attributes.get("file") or raw.name
        if not path.endswith(".py"):
            path = path.replace(".", "/") + ".py"
        type_name, message = _last_exception(error.text)
        failure = Failure(phase=Phase.COLLECT, type_name=type_name, message=message, text=error.text, frame=_frame(error.text))
        self.broken.append(CollectionError(path=path, failure=failure, shard=self.shard, configuration=self.configuration))
        return True

    def _attempts(self, raw: RawCase) -> tuple[Attempt, ...]:
        seconds = parse_seconds(raw.attributes.get("time"))
        if seconds is None:
            self._strange_times += 1
            seconds = 0.0
        final = [result for result in raw.results if result.kind in {"failure", "error"}]
        interim = [result for result in raw.results if result.kind not in {"failure", "error", "skipped"}]
        skip = next((result for result in raw.results if result.kind == "skipped"), None)
        if not interim and _says_flaky(raw):
            interim = [Result("flakyFailure", message="run again: its failed attempts are not in the file")]
        outcome, reason = _outcome(raw, final, interim, skip)
        failures = tuple(_failure(result) for result in final)
        if not failures and not outcome.is_green:
            failures = (Failure(phase=Phase.CALL, type_name=outcome.value, message=reason),)
        earlier = tuple(
            Attempt(
                outcome=Outcome.ERROR if "Error" in result.kind else Outcome.FAILED,
                number=number,
                shard=self.shard,
                run_attempt=self.run_attempt,
                failures=(_failure(result),),
            )
            for number, result in enumerate(interim, start=1)
        )
        last = Attempt(
            outcome=outcome,
            number=len(earlier) + 1,
            duration_s=seconds,
            call_s=seconds,
            shard=self.shard,
            run_attempt=self.run_attempt,
            failures=failures,
            reason=reason,
            properties={name: value for name, value in raw.properties.items() if name != "test_id"} if raw.properties else _NONE,
        )
        return (*earlier, last)


def _says_flaky(raw: RawCase) -> bool:
    said = raw.attributes.get("flaky") or raw.properties.get("flaky") or ""
    return said.strip().lower() in {"true", "yes", "1"}


def _pytest_id(classname: str, name: str, file: str) -> str:
    """The node ID behind pytest's address: exact with the ``file`` attribute, else split at the last test module."""
    if file:
        module = file.removesuffix(".py").replace("/", ".").replace("\\", ".")
        rest = classname.removeprefix(module).strip(".") if classname.startswith(module) else ""
        return "::".join((file.replace("\\", "/"), *(part for part in rest.split(".") if part), name))
    parts = classname.split(".")
    modules = [index for index, part in enumerate(parts) if _TEST_MODULE.fullmatch(part)]
    if not modules:
        return f"{classname}::{name}" if classname else name
    last = modules[-1]
    return "::".join(("/".join(parts[: last + 1]) + ".py", *parts[last + 1 :], name))


def _outcome(  # noqa: PLR0911 - one line for each thing a case can say, the worst first
    raw: RawCase, final: list[Result], interim: list[Result], skip: Result | None
) -> tuple[Outcome, str]:
    if final:
        # node:test marks a failing todo as skipped and failed: not done yet, on purpose. Nobody else may skip a failure.
        if skip is not None and skip.type_name == "todo":
            return Outcome.SKIPPED, clean(skip.message)
        return _final_outcome(final), clean(final[0].message)
    if raw.is_cut:
        return Outcome.LOST, "the file ends in the middle of this case"
    if said := case_says_bad(raw.attributes):
        return Outcome.FAILED, f"it says {said}, without a word why"
    if any(result.kind.startswith("rerun") for result in interim):
        return Outcome.FAILED, "it was run again and never passed"
    if skip is not None and raw.attributes.get("status") == "notrun" and _NOT_STARTED.match(skip.message):
        return Outcome.ERROR, f"it was not run: {clean(skip.message)}"
    if skip is not None:
        return (Outcome.XFAILED if skip.type_name == "pytest.xfail" else Outcome.SKIPPED), clean(skip.message or skip.text)
    if said := says_idle(raw.attributes):
        return Outcome.SKIPPED, f"it says {said}"
    return Outcome.PASSED, ""


def _final_outcome(final: list[Result]) -> Outcome:
    for result in final:
        if result.type_name in _KNOWN_TYPES:
            return _KNOWN_TYPES[result.type_name]
        if _CRASH.search(result.message):
            return Outcome.CRASHED
        if _TIMEOUT.search(result.message):
            return Outcome.TIMED_OUT
    return Outcome.FAILED if any(result.kind == "failure" for result in final) else Outcome.ERROR


def _failure(result: Result) -> Failure:
    text, message = clean(result.text), clean(result.message)
    phase = Phase.CALL
    if wrapped := _WRAPPED.fullmatch(message.strip()):
        phase, message = Phase(wrapped[1]), wrapped[2]
    type_name = clean(result.type_name)
    if not type_name or not message:
        found_type, found_message = _last_exception(text, type_name)
        typed = _TYPED.match(message)
        type_name = type_name or found_type or (typed[1] if typed else "")
        message = message or found_message
    return Failure(phase=phase, type_name=type_name, message=message, text=text, frame=_frame(text))


def _last_exception(text: str, type_name: str = "") -> tuple[str, str]:
    """Type and message of the exception that a pytest traceback ends with, or that another language's stack begins with."""
    if has_foreign_stack(text):
        return headline_of(text, type_name)
    lines = _LAST_E.findall(text)
    line = lines[-1].strip() if lines else next((part.strip() for part in reversed(text.splitlines()) if part.strip()), "")
    typed = _TYPED.match(line)
    if typed:
        return typed[1], line[typed.end() :].strip() or line
    places = _PLACE.findall(text)
    return (places[-1][2] if places else ""), line


def _frame(text: str) -> Frame | None:
    places = _PLACE.findall(text)
    return Frame(path=places[-1][0], line=int(places[-1][1])) if places else None


def _fold_repeats(found: list[tuple[Attempt, ...]]) -> tuple[Attempt, ...]:
    """Several cases of one pytest test.

    pytest itself writes two for a test that fails in call and in teardown. pytest-rerunfailures leaves a bare pass for
    every failed attempt, so a pass that is not the last proves nothing: it was run again because it failed.
    """
    last = [attempts[-1] for attempts in found]
    bad = [attempt for attempt in last if not attempt.outcome.is_green]
    reruns = [attempt for attempt in last if attempt.outcome is Outcome.PASSED]
    deciding = bad or last[-1:]
    earlier = reruns if bad else [attempt for attempt in last[:-1] if attempt.outcome is Outcome.PASSED]
    failures = tuple(failure for attempt in deciding for failure in attempt.failures)
    attempts = [*(attempt for group in found for attempt in group[:-1]), *(_rerun(attempt) for attempt in earlier)]
    outcome = next((attempt.outcome for attempt in deciding if attempt.outcome is not Outcome.ERROR), deciding[0].outcome)
    final = deciding[0]
    return (
        *(_numbered(attempt, number) for number, attempt in enumerate(attempts, start=1)),
        Attempt(
            outcome=outcome,
            number=len(attempts) + 1,
            duration_s=final.duration_s,
            call_s=final.call_s,
            shard=final.shard,
            run_attempt=final.run_attempt,
            failures=failures,
            reason=final.reason,
            properties=final.properties,
        ),
    )


def _rerun(attempt: Attempt) -> Attempt:
    reason = "run again by pytest-rerunfailures: its failure is not in the file"
    failure = Failure(phase=Phase.CALL, type_name="rerun", message=reason)
    return Attempt(
        outcome=Outcome.FAILED,
        duration_s=attempt.duration_s,
        shard=attempt.shard,
        run_attempt=attempt.run_attempt,
        failures=(failure,),
        reason=reason,
    )


def _numbered(attempt: Attempt, number: int) -> Attempt:
    return Attempt(
        outcome=attempt.outcome,
        number=number,
        duration_s=attempt.duration_s,
        shard=attempt.shard,
        run_attempt=attempt.run_attempt,
        failures=attempt.failures,
        reason=attempt.reason,
    )
