"""Reads CTRF (Common Test Report Format) JSON, whoever wrote it."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ci_tools.model.case import Attempt, Case, Failure, Outcome, Phase
from ci_tools.model.codec import MOST_SECONDS
from ci_tools.model.report import ShardReport
from ci_tools.reports.elements import BAD_WORDS, IDLE_WORDS, LIMITS, Limits, clean, parse_count, word_of
from ci_tools.reports.excerpt import Bounds, BrokenJsonError, read_excerpt

_OUTCOMES = {
    "passed": Outcome.PASSED,
    "failed": Outcome.FAILED,
    "skipped": Outcome.SKIPPED,
    "pending": Outcome.SKIPPED,
}
_WORSE = {outcome.value: outcome for outcome in Outcome if not outcome.is_green}
"""What a failed test of ours was more exactly, by its ``rawStatus``."""

_TRUE = frozenset({"true", "yes", "1"})

_MOST_BYTES = 128 << 20
"""What failed tests say is kept: the file is no larger than what may be in memory. A quarter of a million tests have as much."""

_ATTEMPT = dict.fromkeys(("status", "rawStatus", "message", "trace", "duration", "flaky", "retries"))
_ROWS = [{**_ATTEMPT, "name": None, "filePath": None, "suite": [None], "retryAttempts": [_ATTEMPT]}]
_SUMMARY = dict.fromkeys(("tests", "failed", "other", "flaky", "start", "stop"))
_SHAPE = {"results": {"summary": _SUMMARY, "tests": _ROWS}}
"""What is read of a file; everything else in it is passed over."""


def read_ctrf(path: Path, *, label: str = "", limits: Limits = LIMITS) -> ShardReport:
    """What one CTRF file says; never raises for what it holds.

    ``retryAttempts`` are attempts; ``flaky`` or ``retries`` without them is one failed attempt whose failure is not in the
    file. A status of *other* is what ``rawStatus`` says: failed, expected to fail, not run on purpose (jest's todo); else an
    error. A summary that counts more bad or
    flaky results than the tests show, or in no figures, makes the file corrupt, and so does a key that is there twice;
    another count of tests is a warning.
    """
    name = label or path.name
    shard = f"file:{name}"
    corrupt: list[str] = []
    warnings: list[str] = []
    rows = _Rows(shard=shard, limits=limits, corrupt=corrupt)
    data, digest = _load(path, rows)
    results = _table(data.get("results"))
    summary = _table(results.get("summary"))
    if not corrupt and "results" not in data:
        corrupt.append("is JSON without CTRF results")
    if rows.odd:
        corrupt.append(f"holds {rows.odd} tests that are no objects")
    cases = tuple(rows.cases)
    # What is neither passed nor failed stands among the others, of which any may hide a failure.
    _check(summary, cases, rows.idle, corrupt, warnings)
    if not (cases or corrupt):
        corrupt.append("holds no test")
    return ShardReport(
        run_id="",
        shard=shard,
        cases=cases,
        corrupt=tuple(f"{name} {reason}" for reason in corrupt),
        warnings=tuple(f"{name} {text}" for text in warnings),
        started_at=_number(summary.get("start")) / 1000,
        duration_s=max(0.0, (_number(summary.get("stop")) - _number(summary.get("start"))) / 1000),
        source=name,
        digest=digest,
        declared_tests=_count(summary.get("tests")),
    )


_NAMELESS = "holds a test without a name"

_MOST_MS = MOST_SECONDS * 1000
"""A time beyond this (two thousand years, infinity, a number of a thousand digits) is none."""


def _load(path: Path, rows: "_Rows") -> tuple[Mapping[str, object], str]:
    limits, corrupt = rows.limits, rows.corrupt
    try:
        most_bytes = min(limits.size_bytes, _MOST_BYTES)
        if path.stat().st_size > most_bytes:
            corrupt.append(f"is larger than {most_bytes} bytes: it is not read")
            return {}, ""
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        bounds = Bounds(items=limits.results, depth=limits.depth)
        data, repeated, broken = read_excerpt(path, _SHAPE, _ROWS, rows.take, bounds)
    except OSError as error:
        corrupt.append(f"cannot be read: {error.strerror}")
        return {}, ""
    if broken:
        corrupt.append(broken)
    if repeated:
        named = ", ".join(clean(name) for name in sorted(repeated)[:5])
        corrupt.append(f"says {named} twice in one object: which of them is meant nobody knows")
    return data, digest


@dataclass(slots=True, kw_only=True)
class _Rows:
    """The tests of one file as they come. ``idle`` are the others that are green, ``odd`` those that are no objects."""

    shard: str
    limits: Limits
    corrupt: list[str]
    cases: list[Case] = field(default_factory=list)
    seen: dict[str, int] = field(default_factory=dict)
    idle: int = 0
    odd: int = 0

    def take(self, row: object) -> None:
        """Make a case of one test."""
        if not isinstance(row, dict):
            self.odd += 1
            return
        if len(self.cases) >= self.limits.cases:
            raise BrokenJsonError(f"holds more than {self.limits.cases} cases: the rest is not read")
        test_id = _test_id(row, self.limits)
        if not test_id:
            if _NAMELESS not in self.corrupt:
                self.corrupt.append(_NAMELESS)
            return
        self.idle += row.get("status") == "other" and _outcome(row).is_green
        self.seen[test_id] = number = self.seen.get(test_id, 0) + 1
        attempts = tuple(_attempts(row, self.shard, self.limits))
        # One name for several tests: each counts, none can hide another.
        self.cases.append(Case(test_id=test_id if number == 1 else f"{test_id}#{number}", attempts=attempts))


def _test_id(row: Mapping[str, object], limits: Limits) -> str:
    suite = row.get("suite")
    parts = [str(part) for part in suite] if isinstance(suite, list) else [_text(suite)]
    path, name = (_text(row.get(key))[: limits.attribute_chars] for key in ("filePath", "name"))
    if not name:
        return ""
    if path and name.startswith(f"{path}::"):  # a node ID, as we write it
        return clean(name)
    return clean("::".join(part for part in dict.fromkeys((path, *parts, name)) if part)[: limits.attribute_chars])


def _attempts(row: Mapping[str, object], shard: str, limits: Limits) -> Iterator[Attempt]:
    retries = row.get("retryAttempts")
    earlier = [item for item in retries if isinstance(item, dict)] if isinstance(retries, list) else []
    is_flaky = (
        row.get("flaky") is True or word_of(str(row.get("flaky"))) in _TRUE or word_of(_text(row.get("rawStatus"))) == "flaky"
    )
    is_rerun = is_flaky or (_count(row.get("retries")) or 0) > 0
    if not earlier and is_rerun and row.get("status") == "passed":
        earlier = [{"status": "failed", "message": "run again: its failed attempts are not in the file"}]
    for number, attempt in enumerate((*earlier, row), start=1):
        yield _attempt(attempt, number, shard, limits)


def _attempt(row: Mapping[str, object], number: int, shard: str, limits: Limits) -> Attempt:
    status = _text(row.get("status"))
    outcome = _outcome(row)
    message = clean(_text(row.get("message"))[: limits.attribute_chars])
    if not outcome.is_green and status not in _OUTCOMES:
        message = message or f"its status is {status or 'missing'!r}"
    failures: tuple[Failure, ...] = ()
    if not outcome.is_green:
        text = clean(_text(row.get("trace"))[: limits.text_chars])
        failures = (Failure(phase=Phase.CALL, type_name="", message=message, text=text),)
    seconds = _number(row.get("duration")) / 1000
    return Attempt(
        outcome=outcome, number=number, duration_s=seconds, call_s=seconds, shard=shard, failures=failures, reason=message
    )


def _outcome(row: Mapping[str, object]) -> Outcome:
    status, raw = _text(row.get("status")), _text(row.get("rawStatus"))
    if status == "failed":
        return _WORSE.get(raw, Outcome.FAILED)
    if status in _OUTCOMES and word_of(raw) in BAD_WORDS:  # its reporter was kinder than its runner
        return Outcome.FAILED
    if status == "other" and raw == Outcome.XFAILED.value:
        return Outcome.XFAILED
    if status == "other" and word_of(raw) in IDLE_WORDS:
        return Outcome.SKIPPED
    return _OUTCOMES.get(status) or (Outcome.FAILED if word_of(raw) in BAD_WORDS else Outcome.ERROR)


def _check(summary: Mapping[str, object], cases: tuple[Case, ...], idle: int, corrupt: list[str], warnings: list[str]) -> None:
    found = {
        "failed": idle + sum(1 for case in cases if not case.outcome.is_green),
        "flaky": sum(1 for case in cases if case.is_flaky),
    }
    declared = {name: summary[name] for name in ("failed", "other", "flaky") if summary.get(name) is not None}
    corrupt.extend(
        f"declares {name}={str(value)[:40]!r}, which is no count" for name, value in declared.items() if _count(value) is None
    )
    bad, flaky = (_count(declared.get("failed")) or 0) + (_count(declared.get("other")) or 0), _count(declared.get("flaky")) or 0
    if bad > found["failed"]:
        corrupt.append(f"declares {bad} failures, {found['failed']} are in it")
    if flaky > found["flaky"]:
        corrupt.append(f"declares {flaky} flaky tests, {found['flaky']} are in it")
    tests = _count(summary.get("tests"))
    if tests is not None and tests != len(cases):
        warnings.append(f"declares {tests} tests, {len(cases)} are in it")


def _table(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> float:
    """A time in milliseconds; 0 for what is none."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value < _MOST_MS else 0.0  # type: ignore[operator,arg-type] # is_number says so


def _count(value: object) -> int | None:
    return None if isinstance(value, bool) or not isinstance(value, (int, float, str)) else parse_count(str(value))
