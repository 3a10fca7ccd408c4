"""What a rule is asked and how it answers: the facts, the answer, and the shapes that most answers have."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from ci_tools.errors import ExitCode
from ci_tools.model.case import Case, Outcome
from ci_tools.model.guard import GuardMode
from ci_tools.model.policy import Baseline, Policy
from ci_tools.model.report import RunReport
from ci_tools.model.verdict import Cause, Decision, HouseError
from ci_tools.policy.baseline import Delta
from ci_tools.policy.quarantine import Forgiveness
from ci_tools.policy.wording import plural

DETAILS = 50
"""How many names a rule lists; the run report has them all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything a rule may look at. ``now`` is seconds since 1970, for expiry dates and ages."""

    report: RunReport
    policy: Policy
    causes: tuple[Cause, ...]
    forgiveness: Forgiveness
    now: float
    delta: Delta | None = None
    baseline: Baseline | None = None
    errors: tuple[HouseError, ...] = ()

    @property
    def today(self) -> date:
        """The day in UTC."""
        return datetime.fromtimestamp(self.now, UTC).date()

    def with_outcome(self, *outcomes: Outcome) -> tuple[Case, ...]:
        """The cases that ended so and are not forgiven."""
        return tuple(case for case in self.report.cases if case.outcome in outcomes and not self.forgiveness.covers(case))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a rule found. ``breach`` and ``exit_code`` replace the rule's own where this breach is of another kind."""

    holds: bool
    expected: str
    actual: str
    details: tuple[str, ...] = ()
    breach: Decision | None = None
    exit_code: ExitCode | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule: its ID, its question, what a breach makes of the verdict, and its documentation."""

    id: str
    ask: Callable[[Facts], Answer]
    breach: Decision
    exit_code: ExitCode
    doc: str = field(repr=False)


Ask = Callable[[Facts], Answer]

_CODES = {Decision.FAILED: ExitCode.FAILED, Decision.INCOMPLETE: ExitCode.INCOMPLETE, Decision.ERROR: ExitCode.FAULT}


def rule(breach: Decision, code: ExitCode | None = None) -> Callable[[Ask], Rule]:
    """Make a rule of a function: its name with hyphens is the ID, its docstring the documentation."""

    def made(ask: Ask) -> Rule:
        name = ask.__name__.replace("_", "-")
        return Rule(id=name, ask=ask, breach=breach, exit_code=code or _CODES[breach], doc=ask.__doc__ or "")

    return made


def none_of(what: Sequence[str] | set[str], noun: str, details: Iterable[str] = ()) -> Answer:
    """The answer of a rule that allows none of something."""
    return Answer(
        holds=not what,
        expected=f"no {noun}",
        actual=plural(len(what), noun) if what else "none",
        details=tuple(details or sorted(what))[:DETAILS],
    )


def names_of(cases: Iterable[Case]) -> tuple[str, ...]:
    """The first test IDs."""
    return tuple(case.test_id for case in cases)[:DETAILS]


def under(answer: Answer, mode: GuardMode) -> Answer:
    """A rule whose policy is to warn, or not to ask, holds and still shows what it found."""
    if mode is GuardMode.ERROR or answer.holds:
        return answer
    word = "only said" if mode is GuardMode.WARN else "not asked"
    return Answer(holds=True, expected=f"{answer.expected} ({word})", actual=answer.actual, details=answer.details)


def limited(cases: Sequence[Case], limit: int | None, noun: str) -> Answer:
    """The answer of a rule that allows so many cases of a kind; None limits nothing."""
    return at_most(len(cases), limit, noun, tuple(case.test_id for case in cases))


def at_most(count: int, limit: int | None, noun: str, details: tuple[str, ...]) -> Answer:
    """The same for a count with details of its own."""
    actual = plural(count, noun)
    if limit is None:
        return Answer(holds=True, expected="no limit", actual=actual, details=details[:DETAILS])
    return Answer(
        holds=count <= limit,
        expected=f"at most {plural(limit, noun)}" if limit else f"no {noun}",
        actual=actual if count else "none",
        details=details[:DETAILS],
    )
