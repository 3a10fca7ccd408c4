"""Runs as values, and what the rules are asked about them."""

from dataclasses import replace
from datetime import date

from ci_tools.errors import ExitCode
from ci_tools.model.case import Attempt, Case, ExceptionLink, Failure, Outcome, Phase
from ci_tools.model.policy import Baseline, KnownTest, Policy, QuarantineEntry
from ci_tools.model.report import CollectionError, EndedBy, RunReport, ShardReport, WorkerExit
from ci_tools.model.verdict import Cause, HouseError
from ci_tools.policy.baseline import compare
from ci_tools.policy.quarantine import forgive
from ci_tools.policy.question import Facts

NOW = 1_790_000_000.0  # 2026-09-21
TODAY = "2026-09-21"
YESTERDAY = "2026-09-20"
_DAY = date.fromisoformat(TODAY)
A, B, C = (f"tests/test_a.py::test_{name}" for name in "abc")
SIGNATURE = "sig-v1:0123456789ab"


def broken(message: str = "boom") -> Failure:
    """A failure of one exception."""
    link = ExceptionLink(type_name="ValueError", message=message)
    return Failure(phase=Phase.CALL, type_name="ValueError", message=message, chain=(link,))


def attempt(outcome: Outcome = Outcome.PASSED, **fields: object) -> Attempt:
    """One attempt in shard 1/1."""
    values = {"failures": () if outcome.is_green else (broken(),), "duration_s": 0.5, "call_s": 0.4, **fields}
    return Attempt(outcome=outcome, **values)  # type: ignore[arg-type] # the caller's fields


def case(test_id: str = A, *outcomes: Outcome, **fields: object) -> Case:
    """A test with these attempts; one pass when none are given."""
    attempts = tuple(
        attempt(outcome, number=number, **fields) for number, outcome in enumerate(outcomes or (Outcome.PASSED,), start=1)
    )
    return Case(test_id=test_id, attempts=attempts)


def worker(*, returncode: int = 0, ended_by: EndedBy = EndedBy.ITSELF, finished: bool = True) -> WorkerExit:
    """How worker w0 ended."""
    return WorkerExit(worker="w0", returncode=returncode, ended_by=ended_by, finished_session=finished, duration_s=1.0)


def run(*cases: Case, returncode: int | None = None, **fields: object) -> RunReport:
    """A whole, planned run of these cases in one shard, with the exit code that pytest would give."""
    cases = cases or (case(A), case(B))
    bad = any(not item.outcome.is_green for item in cases) or bool(fields.get("collection_errors"))
    exits = (worker(returncode=int(bad) if returncode is None else returncode),)
    shard = ShardReport(run_id="run-1", shard="1/1", cases=(), exits=exits, started_at=NOW - 60, duration_s=10.0)
    values = {
        "expected": len(cases),
        "shards": (shard,),
        "expected_shards": ("1/1",),
        "is_complete_proven": True,
        "started_at": NOW - 60,
        "duration_s": 10.0,
        "commit": "c0ffee",
        **fields,
    }
    return RunReport(run_id="run-1", cases=cases, **values)  # type: ignore[arg-type] # the caller's fields


def with_shard(report: RunReport, **fields: object) -> RunReport:
    """The run with other fields in its one shard."""
    return replace(report, shards=(replace(report.shards[0], **fields),))  # type: ignore[arg-type] # as above


def not_collected() -> CollectionError:
    """A file that cannot be imported."""
    return CollectionError(path="tests/test_b.py", failure=broken("No module named 'x'"))


def cause(*tests: str, signature: str = SIGNATURE) -> Cause:
    """A cause of these tests' failures."""
    return Cause(
        signature=signature,
        title="ValueError: boom",
        tests=tests or (A,),
        failures=len(tests) or 1,
        errors=0,
        example=broken(),
        example_test=tests[0] if tests else A,
    )


def entry(**fields: str) -> QuarantineEntry:
    """A whole quarantine entry for test A, valid to the end of today."""
    values = {"test": A, "signature": SIGNATURE, "owner": "ann", "reason": "race", "issue": "#12", "expires": TODAY, **fields}
    return QuarantineEntry(**values)


def baseline(*tests: KnownTest, signatures: tuple[str, ...] = (), duration_s: float = 10.0) -> Baseline:
    """What the default branch looked like a day ago."""
    return Baseline(commit="beef", created_at=NOW - 86400, tests=tests, duration_s=duration_s, signatures=signatures)


def known(test_id: str = A, outcome: Outcome = Outcome.PASSED, **fields: object) -> KnownTest:
    """One test of the baseline."""
    return KnownTest(test_id=test_id, outcome=outcome, **fields)  # type: ignore[arg-type] # as above


def facts(
    report: RunReport | None = None,
    *,
    causes: tuple[Cause, ...] = (),
    before: Baseline | None = None,
    errors: tuple[HouseError, ...] = (),
    **policy: object,
) -> Facts:
    """What a rule may look at, under the default policy with these changes."""
    report = report or run()
    asked = Policy(**policy)  # type: ignore[arg-type] # as above
    shell = Facts(
        report=report, policy=asked, causes=causes, forgiveness=forgive(report, (), Policy(quarantine_cap=0), today=_DAY), now=NOW
    )
    return replace(
        shell,
        forgiveness=forgive(report, causes, asked, today=shell.today),
        delta=compare(report, before) if before else None,
        baseline=before,
        errors=errors,
    )


def house_error(code: ExitCode = ExitCode.SERVICE) -> HouseError:
    """Something that went wrong around the tests."""
    return HouseError(exit_code=int(code), what="redis did not answer on 127.0.0.1:6381")
