"""Each rule: inputs that just hold, inputs that just break, and planted faults that these inputs catch."""

import ast
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
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
from ci_tools.policy.question import Answer, Facts
from ci_tools.policy.rules import RULES

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

ASK = {rule.id: rule.ask for rule in RULES}


def test_every_rule_is_tried() -> None:
    """No rule is without an input that holds and, but for the one that only speaks, one that breaks."""
    assert list(HOLDS) == list(BREAKS) == [rule.id for rule in RULES]
    assert [name for name, inputs in BREAKS.items() if not inputs] == ["quarantine-needed"]


@pytest.mark.parametrize("name", HOLDS)
def test_a_rule_just_holds(name: str) -> None:
    """At its limit a rule holds, and says what it expected and what is."""
    answers = [ASK[name](given) for given in HOLDS[name]]
    assert [answer.holds for answer in answers] == [True] * len(answers)
    assert all(answer.expected and answer.actual for answer in answers)


@pytest.mark.parametrize("name", BREAKS)
def test_a_rule_just_breaks(name: str) -> None:
    """One step beyond its limit a rule breaks, and says what it expected and what is."""
    answers = [ASK[name](given) for given in BREAKS[name]]
    assert [answer.holds for answer in answers] == [False] * len(answers)
    assert all(answer.expected and answer.actual for answer in answers)


class _Mutation(ast.NodeTransformer):
    """Plants the ``wanted``-th fault in a function.

    A comparison turned, a *not* taken away, *and* for *or*, *true* for *false*, *min* for *max*, one argument dropped.
    """

    SWAPS = {  # noqa: RUF012 - a table
        ast.LtE: ast.Lt,
        ast.GtE: ast.Gt,
        ast.Lt: ast.LtE,
        ast.Gt: ast.GtE,
        ast.Eq: ast.NotEq,
        ast.NotEq: ast.Eq,
        ast.In: ast.NotIn,
        ast.NotIn: ast.In,
        ast.Is: ast.IsNot,
        ast.IsNot: ast.Is,
        ast.And: ast.Or,
        ast.Or: ast.And,
    }
    CALLS = {"min": "max", "max": "min", "any": "all", "all": "any"}  # noqa: RUF012 - a table

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.seen = 0

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        for index, operator in enumerate(node.ops):
            if self._is_wanted():
                node.ops[index] = self.SWAPS[type(operator)]()
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        return node.operand if isinstance(node.op, ast.Not) and self._is_wanted() else node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        self.generic_visit(node)
        if self._is_wanted():
            node.op = self.SWAPS[type(node.op)]()
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return ast.Constant(not node.value) if isinstance(node.value, bool) and self._is_wanted() else node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id in self.CALLS and self._is_wanted():
            node.func.id = self.CALLS[node.func.id]
        # Of a call with a list of outcomes each of them can be forgotten.
        if isinstance(node.func, ast.Attribute) and node.func.attr == "with_outcome":
            for index in reversed(range(len(node.args))):
                if self._is_wanted():
                    del node.args[index]
        return node

    def _is_wanted(self) -> bool:
        self.seen += 1
        return self.seen - 1 == self.wanted


def mutants(function: Callable[[Facts], Answer]) -> Iterator[tuple[str, Callable[[Facts], Answer]]]:
    """Every planted fault of a rule: its source line by line with one comparison or negation turned."""
    source = textwrap.dedent(inspect.getsource(function))
    wanted = 0
    while True:
        tree = ast.parse(source)
        mutation = _Mutation(wanted)
        tree = ast.fix_missing_locations(mutation.visit(tree))
        if mutation.seen <= wanted:
            return
        definition = tree.body[0]
        assert isinstance(definition, ast.FunctionDef)
        definition.decorator_list = []
        scope = dict(vars(sys.modules[function.__module__]))
        exec(compile(tree, "<mutant>", "exec"), scope)  # noqa: S102 - the planted fault has to run
        yield ast.unparse(tree), scope[function.__name__]
        wanted += 1


def careless(function: Callable[[Facts], Answer]) -> Iterator[tuple[str, Callable[[Facts], Answer]]]:
    """The rule that says yes, or no, whatever it has found."""
    yield "always holds", lambda given: replace(function(given), holds=True)
    yield "never holds", lambda given: replace(function(given), holds=False)


def answers_of(name: str, ask: Callable[[Facts], Answer]) -> list[object]:
    """What a rule says to all of its inputs; an exception is an answer too."""
    said: list[object] = []
    for given in (*HOLDS[name], *BREAKS[name]):
        try:
            answer = ask(given)
            said.append((answer.holds, answer.breach, answer.exit_code, answer.expected, answer.actual, answer.details))
        except Exception as error:  # noqa: BLE001 - a mutant may break down in any way
            said.append(type(error))
    return said


@pytest.mark.parametrize("name", HOLDS)
def test_a_planted_fault_is_caught(name: str) -> None:
    """Each fault planted in a rule, and carelessness, changes what it says to at least one of its inputs."""
    right = answers_of(name, ASK[name])
    planted = [*mutants(ASK[name]), *careless(ASK[name])]
    survivors = [source for source, mutant in planted if answers_of(name, mutant) == right]
    assert survivors == (["always holds"] if name == "quarantine-needed" else [])


def test_every_rule_is_documented() -> None:
    """A rule's first docstring line is one sentence."""
    assert [rule.id for rule in RULES if not rule.doc.strip().splitlines()[0].endswith((".", "one.", ")"))] == []


def test_termination_has_its_own_code() -> None:
    """SIGTERM ends with 143, everything else that interrupts with 130."""
    codes = [ASK["not-interrupted"](given).exit_code for given in BREAKS["not-interrupted"]]
    assert codes == [ExitCode.INTERRUPTED, ExitCode.TERMINATED]


def test_a_quarantined_test_that_passes_is_named() -> None:
    """An entry whose test passes again is said, so that it is lifted."""
    assert ASK["quarantine-needed"](facts(quarantine=(entry(),))).details == (f"{A} passes again: lift it",)


def test_ages_are_against_the_given_time() -> None:
    """No rule asks the clock: the same facts at another time give another age."""
    later = replace(facts(max_report_age_s=60.0), now=NOW + 1)
    assert not ASK["reports-fresh"](later).holds


def test_a_case_without_attempts_belongs_to_no_shard() -> None:
    """A case that a file of another version left without attempts breaks no rule down."""
    bare = replace(FAILED, attempts=())
    assert ASK["exits-consistent"](facts(run(bare, case(B), returncode=0))).holds
