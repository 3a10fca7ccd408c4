"""Reads CTRF (Common Test Report Format) JSON, whoever wrote it."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from ci_tools.model.case import Attempt, Case, Failure, Outcome, Phase
from ci_tools.model.codec import MOST_SECONDS
from ci_tools.model.report import ShardReport
from ci_tools.reports.elements import BAD_WORDS, IDLE_WORDS, LIMITS, Limits, clean, parse_count, word_of

_OUTCOMES = {
    "passed": Outcome.PASSED,
    "failed": Outcome.FAILED,
    "skipped": Outcome.SKIPPED,
    "pending": Outcome.SKIPPED,
}
_WORSE = {outcome.value: outcome for outcome in Outcome if not outcome.is_green}
"""What a failed test of ours was more exactly, by its ``rawStatus``."""

_MOST_BYTES = 128 << 20
"""JSON is read whole; a report of 128 MB holds a quarter of a million tests."""

_MOST_VALUES = 1_000_000
"""Objects and arrays in one file: each costs a few hundred bytes of memory, whatever it costs in the file."""


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
    data, digest = _load(path, corrupt)
    results = _table(data.get("results"))
    summary = _table(results.get("summary"))
    if not corrupt and "results" not in data:
        corrupt.append("is JSON without CTRF results")
    tests = results.get("tests")
    rows = [row for row in tests if isinstance(row, dict)] if isinstance(tests, list) else []
    if isinstance(tests, list) and len(rows) < len(tests):
        corrupt.append(f"holds {len(tests) - len(rows)} tests that are no objects")
    if len(rows) > limits.cases:
        corrupt.append(f"holds more than {limits.cases} cases: the rest is not read")
    cases = tuple(_cases(rows[: limits.cases], shard, limits, corrupt))
    # What is neither passed nor failed stands among the others, of which any may hide a failure.
    idle = sum(1 for row in rows if row.get("status") == "other" and _outcome(row).is_green)
    _check(summary, cases, idle, corrupt, warnings)
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


_MOST_MS = MOST_SECONDS * 1000
"""A time beyond this (two thousand years, infinity, a number of a thousand digits) is none."""


def _load(path: Path, corrupt: list[str]) -> tuple[Mapping[str, object], str]:
    try:
        if path.stat().st_size > _MOST_BYTES:
            corrupt.append(f"is larger than {_MOST_BYTES} bytes: it is not read")
            return {}, ""
        raw = path.read_bytes()
    except OSError as error:
        corrupt.append(f"cannot be read: {error.strerror}")
        return {}, ""
    digest = hashlib.sha256(raw).hexdigest()
    if raw.count(b"{") + raw.count(b"[") > _MOST_VALUES:
        corrupt.append(f"holds more than {_MOST_VALUES} objects and arrays: it is not read")
        return {}, digest
    repeated: set[str] = set()

    def table(pairs: list[tuple[str, object]]) -> dict[str, object]:
        made = dict(pairs)
        if len(made) < len(pairs):
            repeated.update(clean(name) for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        return made

    try:
        data = json.loads(raw, object_pairs_hook=table)
    except (ValueError, RecursionError) as error:
        corrupt.append(f"is not JSON: {str(error)[:200]}")
        return {}, digest
    if repeated:
        corrupt.append(f"says {', '.join(sorted(repeated)[:5])} twice in one object: which of them is meant nobody knows")
    return _table(data), digest


def _cases(rows: list[dict[str, object]], shard: str, limits: Limits, corrupt: list[str]) -> Iterator[Case]:
    seen: dict[str, int] = {}
    for row in rows:
        test_id = _test_id(row)
        if not test_id:
            corrupt.append("holds a test without a name")
            continue
        seen[test_id] = number = seen.get(test_id, 0) + 1
        attempts = tuple(_attempts(row, shard, limits))
        # One name for several tests: each counts, none can hide another.
        yield Case(test_id=test_id if number == 1 else f"{test_id}#{number}", attempts=attempts)


def _test_id(row: Mapping[str, object]) -> str:
    suite = row.get("suite")
    parts = [str(part) for part in suite] if isinstance(suite, list) else [_text(suite)]
    path, name = _text(row.get("filePath")), _text(row.get("name"))
    if not name:
        return ""
    if path and name.startswith(f"{path}::"):  # a node ID, as we write it
        return clean(name)
    return clean("::".join(part for part in dict.fromkeys((path, *parts, name)) if part))


def _attempts(row: Mapping[str, object], shard: str, limits: Limits) -> Iterator[Attempt]:
    retries = row.get("retryAttempts")
    earlier = [item for item in retries if isinstance(item, dict)] if isinstance(retries, list) else []
    is_rerun = row.get("flaky") is True or (_count(row.get("retries")) or 0) > 0
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
