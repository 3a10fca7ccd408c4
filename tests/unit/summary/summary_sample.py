"""One run that has something of everything, as values: what the renderers are tried on."""

from dataclasses import replace

from ci_tools.model.case import Attempt, Case, ExceptionLink, Failure, Frame, Leak, Outcome, Phase
from ci_tools.model.report import EndedBy, RunReport, ShardReport, WorkerExit
from ci_tools.model.service import Provenance, Provider, ServiceKind
from ci_tools.model.verdict import Cause, Decision, HouseError, Input, RuleResult, Verdict

REFUSED = Failure(
    phase=Phase.SETUP,
    type_name="ConnectionRefusedError",
    message="[Errno 111] Connect call failed ('127.0.0.1', 6381)",
    text="tests/conftest.py:41: in redis\n    await client.ping()\nE   ConnectionRefusedError: [Errno 111]\n```\n</details>",
    frame=Frame(path="tests/conftest.py", line=41, function="redis"),
    chain=(ExceptionLink(type_name="ConnectionRefusedError", message="[Errno 111]"),),
    fixture="redis",
)
WRONG = Failure(
    phase=Phase.CALL,
    type_name="AssertionError",
    message="assert 'pending' == 'delivered'",
    text="tests/test_bridge.py:88: in test_delivers\nE   AssertionError: assert 'pending' == 'delivered'",
    frame=Frame(path="tests/test_bridge.py", line=88),
)
SERVICE = Provenance(
    kind=ServiceKind.REDIS,
    provider=Provider.NATIVE,
    version="7.0.15",
    reason="redis-server is on PATH",
    path="/usr/bin/redis-server",
    port=6381,
    pid=4123,
    start_ms=31.0,
)


def attempt(outcome: Outcome, *failures: Failure, shard: str = "1/2", duration_s: float = 0.25, number: int = 1) -> Attempt:
    """One attempt on worker w0 whose whole time is the test's own."""
    return Attempt(
        outcome=outcome, failures=failures, shard=shard, duration_s=duration_s, call_s=duration_s, number=number, worker="w0"
    )


BLOCKED = tuple(
    Case(test_id=f"tests/test_sign_in.py::test_provider[{name}]", attempts=(attempt(Outcome.ERROR, REFUSED, shard="2/2"),))
    for name in ("github", "a|b", "x`y", "@team", "#12")
)
CASES = (
    *BLOCKED,
    Case(test_id="tests/test_bridge.py::test_delivers", attempts=(attempt(Outcome.FAILED, WRONG),)),
    Case(
        test_id="tests/test_bridge.py::test_reconnects",
        attempts=(attempt(Outcome.FAILED, WRONG), attempt(Outcome.PASSED, number=2, duration_s=1.5)),
    ),
    Case(
        test_id="tests/test_engine.py::test_hangs",
        attempts=(replace(attempt(Outcome.TIMED_OUT, duration_s=60.0), stacks="Thread MainThread\n  time.sleep(3600)"),),
    ),
    Case(
        test_id="tests/test_engine.py::test_leaves_a_task",
        attempts=(
            replace(
                attempt(Outcome.FAILED),
                leaks=(Leak(kind="task", what="<Task pending name='pump'>", created_stack="tests/test_engine.py:12 in test"),),
            ),
        ),
    ),
    Case(test_id="tests/test_engine.py::test_answers", attempts=(attempt(Outcome.PASSED),)),
    Case(test_id="tests/test_engine.py::test_asks_nothing", attempts=(attempt(Outcome.PASSED, duration_s=0.0002),)),
    Case(test_id="tests/test_engine.py::test_lost", attempts=()),
)
REPORT = RunReport(
    run_id="20261122-142859-7f3a",
    cases=CASES,
    commit="0123456789abcdef0123456789abcdef01234567",
    plan_digest="sha256:aa",
    is_complete_proven=True,
    expected=12,
    shards=(
        ShardReport(run_id="r", shard="1/2", cases=(), duration_s=64.2),
        ShardReport(
            run_id="r",
            shard="2/2",
            cases=(),
            duration_s=3.1,
            exits=(
                WorkerExit(
                    worker="w1",
                    returncode=-9,
                    ended_by=EndedBy.SIGNAL,
                    finished_session=False,
                    duration_s=3.0,
                    message="worker w1 was ended by SIGKILL",
                ),
            ),
        ),
    ),
    services=(SERVICE, replace(SERVICE, port=6382, pid=4124)),
    started_at=1795357739.0,
    duration_s=67.5,
)
VERDICT = Verdict(
    decision=Decision.INCOMPLETE,
    exit_code=11,
    headline="INCOMPLETE 3/12 passed – 1 lost, 8 not passing from 2 causes",
    rules=(
        RuleResult(rule="no-failures", holds=False, expected="0 not passing", actual="8"),
        RuleResult(
            rule="complete",
            holds=False,
            expected="12 tests",
            actual="11",
            breach=Decision.INCOMPLETE,
            details=("tests/test_engine.py::test_lost",),
        ),
        RuleResult(rule="minimum", holds=True, expected="≥ 1 test", actual="12"),
    ),
    run_id="20261122-142859-7f3a",
    commit="0123456789abcdef0123456789abcdef01234567",
    plan_digest="sha256:aa",
    is_complete_proven=True,
    expected=12,
    flaky=("tests/test_bridge.py::test_reconnects",),
    causes=(
        Cause(
            signature="sig-v1:bb",
            title="AssertionError: assert 'pending' == 'delivered'",
            tests=("tests/test_bridge.py::test_delivers",),
            failures=1,
            errors=0,
            example=WRONG,
            example_test="tests/test_bridge.py::test_delivers",
            location="tests/test_bridge.py:88",
            shards=("1/2",),
            command="nox -s integration -- tests/test_bridge.py::test_delivers",
        ),
        Cause(
            signature="sig-v1:aa",
            title="ConnectionRefusedError: redis at 127.0.0.1:<n>",
            tests=tuple(case.test_id for case in BLOCKED),
            failures=0,
            errors=5,
            example=REFUSED,
            example_test=BLOCKED[0].test_id,
            blocks="fixture redis, every test of tests/test_sign_in.py",
            location="tests/conftest.py:41",
            shards=("2/2",),
            spread="environment",
            command="nox -s integration -- 'tests/test_sign_in.py::test_provider[github]'",
        ),
    ),
    inputs=(Input(path="shard-1/report.json", sha256="ab" * 32, size=1234),),
    services=(SERVICE,),
    tool_version="0.1.0",
    created_at=1795357810.0,
    notes=("2 tests have no timings yet",),
)
HOUSE = replace(
    VERDICT,
    decision=Decision.ERROR,
    exit_code=12,
    headline="ERROR redis did not answer on 127.0.0.1:6381 within 20 s",
    errors=(
        HouseError(
            exit_code=12,
            what="redis did not answer on 127.0.0.1:6381 within 20 s\n"
            "  log: Fatal error, can't open config file\n"
            "  hint: `ci-tools services up`",
        ),
    ),
)
"""The same run when the house failed."""
