"""The run as a Common Test Report Format document (https://ctrf.io), for the many viewers that read it."""

import json
import math
from collections.abc import Iterator
from typing import Any

from ci_tools.model.case import DEFAULT_CONFIGURATION, Attempt, Case, Outcome
from ci_tools.model.report import RunReport
from ci_tools.model.verdict import Verdict
from ci_tools.summary import findings

SPEC_VERSION = "0.0.0"

_STATUS = {
    Outcome.PASSED: "passed",
    Outcome.FAILED: "failed",
    Outcome.ERROR: "failed",
    Outcome.SKIPPED: "skipped",
    Outcome.XFAILED: "other",  # neither a pass nor a problem; CTRF has no word for it
    Outcome.XPASSED: "failed",
    Outcome.TIMED_OUT: "failed",
    Outcome.CRASHED: "failed",
    Outcome.LOST: "failed",  # "pending" would read as harmless
}

_ENCODE = json.JSONEncoder(ensure_ascii=True, allow_nan=False).encode
"""Without indentation, which only the slow encoder knows."""


def render_ctrf(verdict: Verdict, report: RunReport) -> Iterator[str]:
    """Pieces of a JSON text with a final newline, one test a line; a test is made when its piece is asked for.

    Our own outcome of each test stands in ``rawStatus``, the verdict in ``extra``.
    """
    statuses = [_STATUS[case.outcome] for case in report.cases]
    start_ms = _millis(report.started_at)
    document: dict[str, Any] = {
        "reportFormat": "CTRF",
        "specVersion": SPEC_VERSION,
        "generatedBy": f"ci-tools {verdict.tool_version}".strip(),
        "results": {
            "tool": {"name": "pytest", "extra": {"ci-tools": verdict.tool_version}},
            "summary": {
                "tests": len(statuses),
                **{status: statuses.count(status) for status in ("passed", "failed", "skipped", "pending", "other")},
                "flaky": len(findings.flaky(report)),
                "suites": len({case.test_id.split("::")[0] for case in report.cases}),
                "start": start_ms,
                "stop": start_ms + _millis(report.duration_s),
                "duration": _millis(report.duration_s),
            },
            "tests": [],
            "environment": {"commit": verdict.commit or report.commit, "extra": {"run": report.run_id}},
            "extra": {
                "verdict": verdict.decision.value,
                "headline": verdict.headline,
                "exitCode": verdict.exit_code,
                "completenessProven": verdict.is_complete_proven,
            },
        },
    }
    whole = json.dumps(document, indent=2, ensure_ascii=True, allow_nan=False)
    before, tests, after = whole.partition('"tests": [')
    yield before + tests
    for number, case in enumerate(report.cases):
        yield f"{',' if number else ''}\n      {_ENCODE(_test(case))}"
    yield ("\n    " if report.cases else "") + after + "\n"


def _test(case: Case) -> dict[str, Any]:
    last = case.attempts[-1] if case.attempts else Attempt(outcome=Outcome.LOST)
    path, *inside = case.test_id.split("::")
    test: dict[str, Any] = {
        "name": case.test_id or "?",
        "status": _STATUS[case.outcome],
        "rawStatus": case.outcome.value,
        "duration": _millis(case.duration_s),
        "suite": [path, *inside[:-1]],
        "filePath": path,
        **_told(last),
        **({"start": _millis(last.started_at)} if last.started_at else {}),
        **({"threadId": last.worker} if last.worker else {}),
        **({"flaky": True} if case.is_flaky else {}),
        "labels": {
            "shard": last.shard,
            **({"configuration": case.configuration} if case.configuration != DEFAULT_CONFIGURATION else {}),
        },
    }
    if len(case.attempts) > 1:
        test["retries"] = len(case.attempts) - 1
        test["retryAttempts"] = [  # those before the last, which is the test itself
            {
                "attempt": number,
                "status": _STATUS[attempt.outcome],
                "duration": _millis(attempt.duration_s),
                **_told(attempt),
            }
            for number, attempt in enumerate(case.attempts[:-1], start=1)
        ]
    return test


def _told(attempt: Attempt) -> dict[str, Any]:
    """Message and trace of an attempt, where there are any."""
    message = findings.reason_of(Case(test_id="", attempts=(attempt,)))
    trace = "\n\n".join(text for text in (*(failure.text for failure in attempt.failures), attempt.stacks) if text)
    frame = next((failure.frame for failure in attempt.failures if failure.frame), None)
    return {
        **({"message": message} if message else {}),
        **({"trace": trace} if trace else {}),
        **({"line": frame.line} if frame else {}),
    }


def _millis(seconds: float) -> int:
    return round(seconds * 1000) if math.isfinite(seconds) and seconds > 0 else 0
