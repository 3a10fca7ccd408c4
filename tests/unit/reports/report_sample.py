"""Reports and journals in a few words: what the tests of this folder are tried on."""

from collections.abc import Sequence
from pathlib import Path

from ci_tools.model.case import Attempt, Case, ExceptionLink, Failure, Frame, Outcome, Phase
from ci_tools.model.journal import (
    Event,
    PhaseFinished,
    SessionFinished,
    TestFinished,
    TestStarted,
    WorkerStarted,
    render_event,
)
from ci_tools.model.report import EndedBy, RunReport, ShardReport, WorkerExit
from ci_tools.model.shard import Plan, Shard, ShardRef, Unit, digest_of
from ci_tools.reports.merge import merge

RUN = "run-1"


def start(worker: str = "w0", **fields: object) -> WorkerStarted:
    """The first line of a worker's journal."""
    return WorkerStarted(at=100.0, run_id=RUN, worker=worker, pid=7, **fields)  # type: ignore[arg-type] # the caller's fields


def execution(
    test_id: str, outcome: Outcome, at: float = 101.0, *, failure: Failure | None = None, number: int = 1
) -> list[Event]:
    """One execution with a start, its call and an end, a second apart."""
    result = "passed" if outcome is Outcome.PASSED else "failed"
    return [
        TestStarted(at=at, test_id=test_id, execution=number),
        PhaseFinished(at=at + 0.5, test_id=test_id, phase=Phase.CALL, result=result, duration_s=0.5, failure=failure),
        TestFinished(at=at + 1.0, test_id=test_id, outcome=outcome, duration_s=0.75, execution=number),
    ]


def end(at: float = 110.0, status: int = 0) -> SessionFinished:
    """The end marker."""
    return SessionFinished(at=at, exit_status=status, finished=1)


def write_journal(folder: Path, name: str, events: Sequence[Event], *, tail: str = "") -> Path:
    """Put a journal down as a worker does; ``tail`` is what it had begun to write when it was killed."""
    path = folder / f"journal-{name}.jsonl"
    path.write_text("".join(render_event(event) + "\n" for event in events) + tail, encoding="utf-8")
    return path


def failure(message: str = "boom", type_name: str = "ValueError", **fields: object) -> Failure:
    """A failure in the call of a test, with its chain of one."""
    link = ExceptionLink(type_name=type_name, message=message)
    values = {"phase": Phase.CALL, "chain": (link,), **fields}
    return Failure(type_name=type_name, message=message, **values)  # type: ignore[arg-type] # the caller's fields


def case(test_id: str, outcome: Outcome = Outcome.PASSED, *, shard: str = "1/1", run_attempt: int = 1, **fields: object) -> Case:
    """A test case of one attempt."""
    failures = fields.pop("failures", () if outcome.is_green else (failure(frame=Frame(path="tests/test_a.py", line=3)),))
    attempt = Attempt(outcome=outcome, shard=shard, run_attempt=run_attempt, failures=failures, **fields)  # type: ignore[arg-type] # as above
    return Case(test_id=test_id, attempts=(attempt,))


def shard_report(label: str, *cases: Case, run_attempt: int = 1, **fields: object) -> ShardReport:
    """What one shard said; ``expected_digest`` is over its cases."""
    values = {"expected_digest": digest_of(item.test_id for item in cases), "run_id": RUN, **fields}
    return ShardReport(shard=label, cases=cases, run_attempt=run_attempt, **values)  # type: ignore[arg-type] # as above


def plan_of(*shards: Sequence[str], configuration: str = "default", commit: str = "c0ffee") -> Plan:
    """A plan with these test IDs in its shards."""
    count = len(shards)
    made = tuple(
        Shard(ref=ShardRef(index=index, count=count), units=(Unit(path="tests/test_a.py", test_ids=tuple(ids)),) if ids else ())
        for index, ids in enumerate(shards, start=1)
    )
    digest = digest_of(test_id for ids in shards for test_id in ids)
    return Plan(commit=commit, shards=made, expected_digest=digest, configuration=configuration)


def exit_of(worker: str = "w0", *, returncode: int = 0, ended_by: EndedBy = EndedBy.ITSELF, finished: bool = True) -> WorkerExit:
    """How a worker ended."""
    return WorkerExit(worker=worker, returncode=returncode, ended_by=ended_by, finished_session=finished, duration_s=1.0)


def green_run(*test_ids: str, **fields: object) -> RunReport:
    """A complete run by a plan in which everything passed."""
    ids = test_ids or ("tests/test_a.py::test_one", "tests/test_a.py::test_two")
    report = shard_report(
        "1/1", *(case(test_id) for test_id in ids), exits=(exit_of(),), started_at=1000.0, duration_s=5.0, **fields
    )
    return merge([plan_of(ids)], [report])
