"""Each rule: inputs that just hold, inputs that just break, and planted faults that these inputs catch."""

import ast
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from policy_sample import NOW, A, B, C, case, entry, facts, run
from rule_inputs import BREAKS, FAILED, HOLDS

from ci_tools.errors import ExitCode
from ci_tools.model.case import Outcome
from ci_tools.policy.question import Answer, Facts
from ci_tools.policy.rules import RULES

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


@pytest.mark.parametrize("outcomes", [(Outcome.FAILED,), (Outcome.SKIPPED,), (Outcome.FAILED, Outcome.PASSED)])
def test_what_did_not_plainly_pass_stays_in_quarantine(outcomes: tuple[Outcome, ...]) -> None:
    """A test that fails, is skipped or passes on a second try is not said to be lifted."""
    assert ASK["quarantine-needed"](facts(run(case(A, *outcomes)), quarantine=(entry(),))).details == ()


def test_required_tests_that_passed_are_counted_by_themselves() -> None:
    """Of three that pass the one that was asked for."""
    answer = ASK["required-tests-passed"](facts(run(case(A), case(B), case(C)), required_tests=(B,)))
    assert (answer.holds, answer.actual) == (True, "1 test passed")


def test_ages_are_against_the_given_time() -> None:
    """No rule asks the clock: the same facts at another time give another age."""
    later = replace(facts(max_report_age_s=60.0), now=NOW + 1)
    assert not ASK["reports-fresh"](later).holds


def test_a_case_without_attempts_belongs_to_no_shard() -> None:
    """A case that a file of another version left without attempts breaks no rule down."""
    bare = replace(FAILED, attempts=())
    assert ASK["exits-consistent"](facts(run(bare, case(B), returncode=0))).holds
