"""Each rule's inputs: those with which it just holds and those with which it just breaks."""

from dataclasses import replace

from policy_sample import (
    NOW,
    SIGNATURE,
    TODAY,
    YESTERDAY,
    A,
    B,
    C,
    baseline,
    case,
    cause,
    entry,
    facts,
    house_error,
    known,
    not_collected,
    run,
    with_shard,
    worker,
)

from ci_tools.errors import ExitCode
from ci_tools.model.case import Case, Outcome
from ci_tools.model.guard import GuardMode
from ci_tools.model.policy import SkipReason
from ci_tools.model.report import EndedBy, RunReport
from ci_tools.policy.question import Facts

FAILED = case(A, Outcome.FAILED)
FLAKY = case(A, Outcome.FAILED, Outcome.PASSED)
SKIPPED = case(A, Outcome.SKIPPED, reason="no network here")
LOST = case(A, Outcome.LOST)
FLAKY_B = case(B, Outcome.FAILED, Outcome.PASSED)
VANISHED = worker(returncode=-9, ended_by=EndedBy.SIGNAL, finished=False)
NOTHING = facts(replace(run(), cases=(), expected=0), min_pass_rate=0.5)
OLD = baseline(known(A), known(B))
TEN = tuple(f"tests/test_a.py::test_{number}" for number in range(10))
TEN_BEFORE = baseline(*(known(test_id) for test_id in TEN))


def ten(failed: int, skipped: int = 0) -> RunReport:
    """A run of ten tests, the first of which failed and the next were skipped."""
    ends = [Outcome.FAILED] * failed + [Outcome.SKIPPED] * skipped + [Outcome.PASSED] * (10 - failed - skipped)
    return run(*(case(test_id, end) for test_id, end in zip(TEN, ends, strict=True)))


def earlier(report: RunReport, **fields: object) -> RunReport:
    """The run whose one shard ran a second time; its first attempt has these fields."""
    (again,) = with_shard(report, run_attempt=2).shards
    first = with_shard(report, **fields).shards
    cases = tuple(replace(item, attempts=(replace(item.attempts[0], run_attempt=2),)) for item in report.cases)
    return replace(report, cases=cases, shards=(*first, again))


def turned(report: RunReport) -> RunReport:
    """The run with its shard reports in the other order."""
    return replace(report, shards=report.shards[::-1])


def hollow(case_: Case, **properties: str) -> Case:
    """The case with these properties on its attempt."""
    return replace(case_, attempts=(replace(case_.attempts[0], properties=properties),))


def marked(case_: Case, names: str) -> Case:
    """The case with these marks, which its last attempt says."""
    *before, last = case_.attempts
    return replace(case_, attempts=(*before, replace(last, properties={"markers": names})))


HOLDS: dict[str, tuple[Facts, ...]] = {
    "house-in-order": (facts(),),
    "not-interrupted": (facts(),),
    "plan-present": (facts(requires_plan=True), facts(run(is_complete_proven=False))),
    "shards-present": (facts(), facts(run(expected_shards=()))),
    "tests-accounted-for": (facts(run(FAILED)),),
    "nothing-unplanned": (facts(),),
    "nothing-duplicated": (facts(run(FLAKY)),),
    "one-run": (facts(),),
    "reports-whole": (facts(),),
    "reports-fresh": (
        facts(max_report_age_s=60.0),
        facts(with_shard(run(), started_at=0.0)),
        facts(run(shards=()), max_report_age_s=1.0),
        facts(with_shard(run(), started_at=NOW + 300), max_report_age_s=1.0),
        facts(with_shard(run(), started_at=NOW + 301)),
    ),
    "workers-finished": (
        facts(),
        facts(with_shard(run(), exits=())),
        facts(earlier(run(), exits=(VANISHED,))),
        facts(turned(earlier(run(), exits=(VANISHED,)))),
    ),
    "exits-consistent": (
        facts(),
        facts(run(FAILED)),
        facts(with_shard(run(), exits=())),
        facts(with_shard(run(FAILED), exits=(worker(returncode=0), VANISHED))),
        facts(run(collection_errors=(not_collected(),))),
        facts(with_shard(run(FAILED), exits=(worker(), worker(returncode=1)))),
        facts(with_shard(run(), exits=(worker(returncode=-15, ended_by=EndedBy.RUN_DEADLINE),))),
        facts(with_shard(run(), exits=(worker(returncode=3, finished=False),))),
        facts(with_shard(run(), facts={"tool": "1.0"})),
        facts(earlier(run(), exits=(worker(returncode=1),))),
    ),
    "files-collected": (facts(),),
    "counts-add-up": (facts(), facts(run(case(A), case(B), expected=1, unexpected=(B,)))),
    "declared-tests": (
        facts(with_shard(run(), declared_tests=2), declared_tests=GuardMode.ERROR),
        facts(with_shard(run(), declared_tests=5)),
        facts(declared_tests=GuardMode.ERROR),
    ),
    "tests-executed": (
        facts(replace(run(), cases=(), expected=0, is_planned_empty=True)),
        facts(run(FAILED)),
        facts(run(case(A), case(B), SKIPPED), min_executed=2),
        facts(min_executed=0),
    ),
    "executed-as-before": (
        facts(before=OLD, max_executed_drop=0.0),
        facts(ten(0, skipped=1), before=TEN_BEFORE, max_executed_drop=0.1),
        facts(ten(0, skipped=1), before=TEN_BEFORE),
        facts(max_executed_drop=0.0),
        facts(before=baseline(known(A), known(B), known(C, Outcome.SKIPPED)), max_executed_drop=0.0),
    ),
    "failures-within-limit": (facts(), facts(run(FAILED), max_failures=1), facts(run(FAILED), max_failures=None)),
    "errors-within-limit": (facts(run(FAILED)), facts(run(case(A, Outcome.ERROR), case(B, Outcome.CRASHED)), max_errors=2)),
    "pass-rate": (facts(run(FAILED, case(B)), min_pass_rate=0.5), facts(run(FAILED)), facts(min_pass_rate=1.0)),
    "skips-within-limit": (
        facts(run(SKIPPED, case(B)), max_skipped=1),
        facts(run(SKIPPED, case(B)), max_skipped_rate=0.5),
        facts(run(SKIPPED)),
    ),
    "skip-reasons-known": (
        facts(run(SKIPPED)),
        facts(run(SKIPPED), skip_reasons=(SkipReason(pattern="no network*", owner="ann", expires=TODAY),)),
    ),
    "no-unexpected-passes": (facts(), facts(run(case(A, Outcome.XPASSED)), xpassed=GuardMode.WARN)),
    "required-tests-passed": (
        facts(),
        facts(required_tests=(A, "tests/*::test_b")),
        facts(run(case("tests/test_a.py::test_x[1]")), required_tests=("tests/test_a.py::test_x[1]",)),
        facts(run(case(A), FLAKY_B), required_tests=(A, B), max_flaky=1),
        facts(run(case(A), FLAKY_B), required_tests=(A,), max_flaky=0),
    ),
    "required-markers-passed": (
        facts(run(FAILED)),
        facts(run(marked(case(A), "smoke slow"), case(B)), required_markers=("smoke",)),
        facts(run(marked(case(A), "smoke"), marked(FLAKY_B, "db")), required_markers=("smoke", "db")),
    ),
    "required-configurations-ran": (facts(), facts(required_configurations=("default",))),
    "no-hollow-passes": (
        facts(hollow=GuardMode.ERROR),
        facts(run(hollow(case(A), assertions="0"))),
        facts(run(hollow(case(A), assertions="0")), hollow=GuardMode.ERROR, max_hollow=1),
        facts(run(hollow(case(A), assertions="1")), hollow=GuardMode.ERROR),
        facts(run(hollow(FAILED, assertions="0")), hollow=GuardMode.ERROR),
        facts(before=baseline(known(A, duration_s=5.0)), hollow=GuardMode.ERROR, min_call_s=0.5),
        facts(before=baseline(known(A, duration_s=6.0)), hollow=GuardMode.ERROR, min_call_s=0.4),
        facts(before=baseline(known(A, duration_s=6.0)), hollow=GuardMode.ERROR),
    ),
    "flaky-within-limit": (facts(max_flaky=0), facts(run(FLAKY), max_flaky=1), facts(run(FLAKY))),
    "no-new-flaky": (
        facts(run(FLAKY), new_flaky=GuardMode.ERROR),
        facts(run(FLAKY), before=baseline(known(A, is_flaky=True)), new_flaky=GuardMode.ERROR),
        facts(run(FLAKY), before=OLD),
    ),
    "baseline-present": (facts(), facts(before=OLD, requires_baseline=True)),
    "no-new-failures": (
        facts(run(FAILED)),
        facts(run(FAILED), before=baseline(known(A, Outcome.ERROR))),
        facts(run(FAILED), before=OLD, new_failures=GuardMode.WARN),
        facts(run(FAILED), before=OLD, causes=(cause(A),), quarantine=(entry(),)),
    ),
    "no-new-causes": (
        facts(run(FAILED), causes=(cause(),)),
        facts(run(FAILED), causes=(cause(),), before=baseline(known(A, Outcome.FAILED), signatures=(SIGNATURE,))),
        facts(run(FAILED), causes=(replace(cause(), aliases=("sig-v1:b",)),), before=baseline(signatures=("sig-v1:b",))),
        facts(run(FAILED), causes=(cause(),), before=OLD, new_causes=GuardMode.OFF),
        facts(run(FAILED), causes=(cause(),), before=OLD, quarantine=(entry(),)),
    ),
    "no-regression": (
        facts(ten(3), before=TEN_BEFORE, max_regression_chance=0.1),
        facts(ten(10), before=TEN_BEFORE),
        facts(ten(10), max_regression_chance=0.05),
        facts(ten(0), before=TEN_BEFORE, max_regression_chance=1.0),
    ),
    "no-removed-tests": (
        facts(removed_tests=GuardMode.ERROR),
        facts(before=OLD, removed_tests=GuardMode.ERROR),
        facts(before=baseline(known(C))),
    ),
    "nothing-newly-skipped": (
        facts(run(SKIPPED), newly_skipped=GuardMode.ERROR),
        facts(run(SKIPPED), before=baseline(known(A, Outcome.SKIPPED)), newly_skipped=GuardMode.ERROR),
        facts(run(SKIPPED), before=OLD),
    ),
    "duration-within-limit": (
        facts(),
        facts(max_duration_s=10.0),
        facts(before=OLD, max_slowdown=1.0),
        facts(before=baseline(duration_s=0.0), max_slowdown=1.0),
        facts(max_slowdown=1.0),
    ),
    "quarantine-valid": (facts(quarantine=(entry(),)), facts(quarantine=(entry(expires=YESTERDAY),), quarantine_cap=0)),
    "quarantine-within-cap": (
        facts(run(FAILED), causes=(cause(A),), quarantine=(entry(),), quarantine_cap=1),
        facts(run(FAILED), causes=(cause(A),), quarantine=(entry(),), quarantine_cap=0),
    ),
    "quarantine-needed": (facts(quarantine=(entry(),)), facts(run(FAILED))),
}

BREAKS: dict[str, tuple[Facts, ...]] = {
    "house-in-order": (
        facts(errors=(house_error(),)),
        facts(errors=(house_error(ExitCode.FAULT),)),
        facts(errors=(house_error(), house_error(ExitCode.FAULT))),
    ),
    "not-interrupted": (facts(run(interrupted_by="SIGINT")), facts(run(interrupted_by="SIGTERM"))),
    "plan-present": (facts(run(is_complete_proven=False), requires_plan=True),),
    "shards-present": (facts(run(missing_shards=("2/2",), expected_shards=("1/2", "2/2"))),),
    "tests-accounted-for": (facts(run(LOST, case(B))),),
    "nothing-unplanned": (facts(run(unexpected=(B,))),),
    "nothing-duplicated": (facts(run(duplicated=(A,))),),
    "one-run": (facts(run(problems=("shard 1/1 is of run run-0",))),),
    "reports-whole": (facts(run(corrupt=("junit.xml is empty",))),),
    "reports-fresh": (
        facts(max_report_age_s=59.0),
        facts(run(shards=(*run().shards, *with_shard(run(), shard="2/2", started_at=NOW - 6).shards)), max_report_age_s=59.0),
        facts(with_shard(run(), started_at=0.0), max_report_age_s=1e12),
        facts(with_shard(run(), started_at=NOW + 301), max_report_age_s=1e12),
    ),
    "workers-finished": (
        facts(with_shard(run(), exits=(worker(), VANISHED))),
        facts(with_shard(run(LOST), exits=(VANISHED,))),
    ),
    "exits-consistent": (
        facts(run(FAILED, returncode=0)),
        facts(run(returncode=1)),
        facts(run(collection_errors=(not_collected(),), returncode=0)),
        facts(with_shard(run(), exits=(worker(), worker(returncode=3)))),
        facts(with_shard(run(), exits=(), facts={"tool": "1.0"})),
    ),
    "files-collected": (facts(run(collection_errors=(not_collected(),))),),
    "counts-add-up": (facts(run(expected=3)), facts(run(case(A), case(A))), facts(run(unexpected=(B,)))),
    "declared-tests": (facts(with_shard(run(), declared_tests=3), declared_tests=GuardMode.ERROR),),
    "tests-executed": (
        facts(run(SKIPPED, is_planned_empty=True)),
        NOTHING,
        facts(run(SKIPPED)),
        facts(run(LOST), min_executed=0),
        facts(min_executed=3),
    ),
    "executed-as-before": (
        facts(run(case(A), case(B, Outcome.SKIPPED)), before=OLD, max_executed_drop=0.0),
        facts(ten(0, skipped=2), before=TEN_BEFORE, max_executed_drop=0.1),
    ),
    "failures-within-limit": (
        facts(run(FAILED)),
        facts(run(case(A, Outcome.TIMED_OUT))),
        facts(run(FAILED, case(B, Outcome.FAILED)), max_failures=1),
    ),
    "errors-within-limit": (facts(run(case(A, Outcome.ERROR))), facts(run(case(A, Outcome.CRASHED)))),
    "pass-rate": (facts(run(FAILED, case(B)), min_pass_rate=0.51), facts(run(case(A), expected=2), min_pass_rate=0.6), NOTHING),
    "skips-within-limit": (
        facts(run(SKIPPED), max_skipped=0),
        facts(run(SKIPPED, case(B)), max_skipped_rate=0.49),
        facts(run(SKIPPED, case(B)), max_skipped=1, max_skipped_rate=0.0),
    ),
    "skip-reasons-known": (
        facts(run(SKIPPED), skip_reasons=(SkipReason(pattern="no disk*", owner="ann", expires=TODAY),)),
        facts(run(SKIPPED), skip_reasons=(SkipReason(pattern="*", owner="ann", expires=YESTERDAY),)),
        facts(run(SKIPPED), skip_reasons=(SkipReason(pattern="*", owner="ann", expires="some day"),)),
    ),
    "no-unexpected-passes": (facts(run(case(A, Outcome.XPASSED))),),
    "required-tests-passed": (
        facts(required_tests=(C,)),
        facts(run(FAILED, case(B)), required_tests=("tests/*",)),
        facts(run(SKIPPED), required_tests=(A,)),
        facts(run(case(A), FLAKY_B), required_tests=(A, B), max_flaky=0),
    ),
    "required-markers-passed": (
        facts(required_markers=("smoke",)),
        facts(run(marked(case(A), "smoke_slow")), required_markers=("smoke",)),
        facts(run(marked(case(A), "smoke"), case(B)), required_markers=("smoke", "db")),
        facts(run(marked(FAILED, "smoke"), marked(case(B), "smoke")), required_markers=("smoke",), max_failures=None),
        facts(run(marked(SKIPPED, "smoke"), marked(case(B), "smoke")), required_markers=("smoke",)),
        facts(run(marked(LOST, "smoke")), required_markers=("smoke",)),
        facts(run(Case(test_id=A, attempts=())), required_markers=("smoke",)),
    ),
    "required-configurations-ran": (
        facts(required_configurations=("postgres",)),
        facts(run(SKIPPED), required_configurations=("default",)),
    ),
    "no-hollow-passes": (
        facts(run(hollow(case(A), assertions="0")), hollow=GuardMode.ERROR),
        facts(run(hollow(case(A), hollow="declared redis, 0 commands")), hollow=GuardMode.ERROR),
        facts(before=baseline(known(A, duration_s=5.1)), hollow=GuardMode.ERROR, min_call_s=0.5),
    ),
    "flaky-within-limit": (facts(run(FLAKY), max_flaky=0),),
    "no-new-flaky": (facts(run(FLAKY), before=OLD, new_flaky=GuardMode.ERROR),),
    "baseline-present": (facts(requires_baseline=True),),
    "no-new-failures": (facts(run(FAILED), before=OLD), facts(run(FAILED), before=baseline(known(B)))),
    "no-new-causes": (facts(run(FAILED), causes=(cause(),), before=baseline(signatures=("sig-v1:other",))),),
    "no-regression": (
        facts(ten(4), before=TEN_BEFORE, max_regression_chance=0.05),
        facts(before=TEN_BEFORE, max_regression_chance=0.05),
        facts(ten(0), before=OLD, max_regression_chance=0.05),
        facts(ten(0, skipped=1), before=TEN_BEFORE, max_regression_chance=0.05),
    ),
    "no-removed-tests": (facts(before=baseline(known(C)), removed_tests=GuardMode.ERROR),),
    "nothing-newly-skipped": (facts(run(SKIPPED), before=OLD, newly_skipped=GuardMode.ERROR),),
    "duration-within-limit": (
        facts(max_duration_s=9.9),
        facts(before=OLD, max_slowdown=0.9),
        facts(before=OLD, max_slowdown=0.9, max_duration_s=100.0),
    ),
    "quarantine-valid": (
        facts(quarantine=(entry(expires=YESTERDAY),)),
        facts(quarantine=(entry(owner=" "),)),
        facts(quarantine=(entry(expires="soon"),)),
    ),
    "quarantine-within-cap": (
        facts(
            run(FAILED, case(B, Outcome.FAILED)),
            causes=(cause(A, B),),
            quarantine=(entry(), entry(test=B)),
            quarantine_cap=1,
        ),
    ),
    "quarantine-needed": (),  # it only speaks: see test_a_quarantined_test_that_passes_is_named
}
