"""The gate's rules: one function a rule, evidence first. Each says what it expected and what is, also when it holds.

A function's name with hyphens is the rule's ID and its anchor in docs/reference/rules.md, which is made from the
docstrings here. A rule that cannot tell does not hold.
"""

import fnmatch
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from ci_tools.errors import ExitCode, most_severe
from ci_tools.model.case import Case, Outcome
from ci_tools.model.guard import GuardMode
from ci_tools.model.policy import Baseline, Policy
from ci_tools.model.report import EndedBy, RunReport, ShardReport
from ci_tools.model.verdict import Cause, Decision, HouseError
from ci_tools.policy.baseline import Delta
from ci_tools.policy.quarantine import Forgiveness
from ci_tools.policy.wording import listed, percent, plural

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


RULES: list[Rule] = []
"""Every rule in the order in which it is asked and printed: evidence, counts, vacuity, flaky, baseline, quarantine."""

_CODES = {Decision.FAILED: ExitCode.FAILED, Decision.INCOMPLETE: ExitCode.INCOMPLETE, Decision.ERROR: ExitCode.FAULT}


def _rule(breach: Decision, code: ExitCode | None = None) -> Callable[[Callable[[Facts], Answer]], Callable[[Facts], Answer]]:
    def register(ask: Callable[[Facts], Answer]) -> Callable[[Facts], Answer]:
        name = ask.__name__.replace("_", "-")
        RULES.append(Rule(id=name, ask=ask, breach=breach, exit_code=code or _CODES[breach], doc=ask.__doc__ or ""))
        return ask

    return register


def _none(what: Sequence[str] | set[str], noun: str, details: Iterable[str] = ()) -> Answer:
    """The answer of a rule that allows none of something."""
    return Answer(
        holds=not what,
        expected=f"no {noun}",
        actual=plural(len(what), noun) if what else "none",
        details=tuple(details or sorted(what))[:DETAILS],
    )


def _names(cases: Iterable[Case]) -> tuple[str, ...]:
    return tuple(case.test_id for case in cases)[:DETAILS]


def _mode(answer: Answer, mode: GuardMode) -> Answer:
    """A rule whose policy is to warn, or not to ask, holds and still shows what it found."""
    if mode is GuardMode.ERROR or answer.holds:
        return answer
    word = "only said" if mode is GuardMode.WARN else "not asked"
    return Answer(holds=True, expected=f"{answer.expected} ({word})", actual=answer.actual, details=answer.details)


# Evidence: is what is judged the whole run, and that run?


@_rule(Decision.ERROR)
def house_in_order(facts: Facts) -> Answer:
    """Nothing went wrong around the tests: services, queue, workers' processes and this tool itself.

    A run whose service did not start, or that met a fault of the tool, proves nothing about the tests. The exit code is
    the error's own. Read the error; it says what to do.
    """
    if not facts.errors:
        return Answer(holds=True, expected="no error around the tests", actual="none")
    # Usage and faults are errors of the gate; a service or queue that fails leaves the run incomplete.
    codes = [ExitCode(error.exit_code) for error in facts.errors]
    is_error = any(code in {ExitCode.USAGE, ExitCode.FAULT} for code in codes)
    return Answer(
        holds=False,
        expected="no error around the tests",
        actual=plural(len(facts.errors), "error"),
        details=tuple(error.what for error in facts.errors)[:DETAILS],
        breach=Decision.ERROR if is_error else Decision.INCOMPLETE,
        exit_code=most_severe(codes),
    )


@_rule(Decision.INCOMPLETE, ExitCode.INTERRUPTED)
def not_interrupted(facts: Facts) -> Answer:
    """The run was not interrupted or terminated.

    Ctrl-C, SIGTERM and a cancelled job end a run early; what had finished by then stands in the report, the verdict
    cannot be passed. The exit code is 130, or 143 for SIGTERM.
    """
    by = facts.report.interrupted_by
    is_terminated = "term" in by.lower()
    return Answer(
        holds=not by,
        expected="a run that went to its end",
        actual=f"interrupted by {by}" if by else "it did",
        exit_code=ExitCode.TERMINATED if is_terminated else ExitCode.INTERRUPTED,
    )


@_rule(Decision.INCOMPLETE)
def plan_present(facts: Facts) -> Answer:
    """Where the policy requires a plan, every report is held against one.

    Without a plan (foreign JUnit files) only what the files hold can be expected, so completeness is not proven; the
    release profile does not accept that. Run the suite with `ci-tools run`, or make a plan with `ci-tools plan`.
    """
    is_required = facts.policy.requires_plan
    return Answer(
        holds=facts.report.is_complete_proven or not is_required,
        expected="a plan for every report" if is_required else "a plan, or completeness not proven",
        actual="a plan for every report" if facts.report.is_complete_proven else "completeness not proven",
    )


@_rule(Decision.INCOMPLETE)
def shards_present(facts: Facts) -> Answer:
    """Every planned shard sent a report.

    A job that was cancelled, skipped or lost leaves no report, and nobody may take its tests for passed. Without a plan
    the reports' own labels count: `2/4` says that there are four. Run the missing shards again.
    """
    expected, missing = facts.report.expected_shards, facts.report.missing_shards
    return Answer(
        holds=not missing,
        expected=plural(len(expected), "shard") if expected else "no shard is known to be expected",
        actual=f"{len(expected) - len(missing)} of {len(expected)}" if expected else "none is missing",
        details=tuple(f"no report of shard {name}" for name in missing)[:DETAILS],
    )


@_rule(Decision.INCOMPLETE)
def tests_accounted_for(facts: Facts) -> Answer:
    """Every expected test has a result.

    A planned test without one is lost: its worker ended, its shard sent nothing, or its file stopped in the middle. Lost
    tests are never forgiven. Look at the shards and workers named by the other rules first.
    """
    lost = [case for case in facts.report.cases if case.outcome is Outcome.LOST]
    return Answer(
        holds=not lost,
        expected=f"{plural(facts.report.expected, 'test')} reported",
        actual=f"{plural(len(lost), 'test')} lost" if lost else "all of them",
        details=_names(lost),
    )


@_rule(Decision.INCOMPLETE)
def nothing_unplanned(facts: Facts) -> Answer:
    """Nothing ran that the plan does not have.

    A test outside the plan means that the plan is of another commit, another configuration or other arguments, and then
    its other promises are worth nothing. Make the plan again from what is run.
    """
    return _none(facts.report.unexpected, "unplanned test")


@_rule(Decision.INCOMPLETE)
def nothing_duplicated(facts: Facts) -> Answer:
    """No test was reported by two shards.

    Two results of one test that nobody ordered cannot both be right. The planned shard's result is counted, whatever the
    other says. Attempts (reruns, a job run again) are no duplicates.
    """
    return _none(facts.report.duplicated, "duplicated test")


@_rule(Decision.INCOMPLETE)
def one_run(facts: Facts) -> Answer:
    """All reports are of this run, this commit and this plan.

    Restored caches, old artifacts and mixed-up folders bring reports that were true once. Empty the folder, run again.
    """
    return _none(facts.report.problems, "contradiction")


@_rule(Decision.INCOMPLETE)
def reports_whole(facts: Facts) -> Answer:
    """Every input could be read to its end and does not contradict itself.

    What can be read of a truncated or broken file is in the report; what was in the rest, nobody knows. A file that
    declares more failures and errors than it holds hides some. Make the report again; look for a full disk or a killed job.
    """
    return _none(facts.report.corrupt, "broken input")


@_rule(Decision.INCOMPLETE)
def reports_fresh(facts: Facts) -> Answer:
    """No report is older than `max-report-age` allows.

    A cache can restore yesterday's report with today's file time, so the time inside the report counts. Where the policy
    sets an age, a report that says no time is too old.
    """
    limit = facts.policy.max_report_age_s
    ages = {
        shard.source or shard.shard: facts.now - shard.started_at if shard.started_at else None for shard in facts.report.shards
    }
    known = [age for age in ages.values() if age is not None]
    oldest = f"{max(known):.0f} s" if known else "no report says its time"
    if limit is None:
        return Answer(holds=True, expected="any age", actual=oldest)
    old = sorted(name for name, age in ages.items() if age is None or age > limit)
    return Answer(holds=not old, expected=f"no report older than {limit:g} s", actual=oldest, details=tuple(old)[:DETAILS])


@_rule(Decision.FAILED)
def workers_finished(facts: Facts) -> Answer:
    """Every worker came to the end of its session by itself.

    A worker that vanished or had to be ended is never green, even when every test is accounted for. Where it kept tests
    from being finished, the verdict is incomplete and the exit code 13.
    """
    ended: list[str] = []
    has_losses = False
    for shard in facts.report.shards:
        bad = [exit_ for exit_ in shard.exits if not exit_.finished_session]
        ended.extend(
            f"{_of_shard(shard)}worker {exit_.worker}: {_ending(exit_.ended_by, exit_.returncode, exit_.message)}"
            for exit_ in bad
        )
        has_losses = has_losses or (bool(bad) and _has_lost(facts.report, shard))
    total = sum(len(shard.exits) for shard in facts.report.shards)
    return Answer(
        holds=not ended,
        expected=f"{plural(total, 'worker')} finished" if total else "no worker is known to have vanished",
        actual=f"{len(ended)} did not" if ended else ("all of them" if total else "none is"),
        details=tuple(ended)[:DETAILS],
        breach=Decision.INCOMPLETE if has_losses else Decision.FAILED,
        exit_code=ExitCode.WORKERS if has_losses else ExitCode.FAILED,
    )


@_rule(Decision.FAILED)
def exits_consistent(facts: Facts) -> Answer:
    """The workers' exit codes agree with their results.

    A pytest process that ends with 0 although tests failed, or with another code although none did, knows something that
    its results do not say: a plugin that gates, a coverage threshold, an exit in the middle.
    """
    odd: list[str] = []
    for shard in facts.report.shards:
        exits = [exit_ for exit_ in shard.exits if exit_.finished_session and exit_.ended_by is EndedBy.ITSELF]
        if not exits or len(exits) != len(shard.exits):
            continue
        bad = sum(1 for case in facts.report.cases if _is_of(case, shard) and not case.outcome.is_green)
        bad += sum(
            1
            for error in facts.report.collection_errors
            if (error.shard, error.configuration) == (shard.shard, shard.configuration)
        )
        codes = sorted({exit_.returncode for exit_ in exits})
        if bad and codes == [0]:
            odd.append(f"{_of_shard(shard)}{plural(bad, 'result')} not green, yet every worker ended with 0")
        elif not bad and codes != [0]:
            odd.append(f"{_of_shard(shard)}everything green, yet a worker ended with {', '.join(map(str, codes))}")
    return _none(odd, "contradiction", odd)


@_rule(Decision.FAILED)
def files_collected(facts: Facts) -> Answer:
    """Every test file could be collected.

    The tests in a file that cannot be imported are unknown, so nothing else can make up for them. Quarantine does not
    cover them.
    """
    errors = facts.report.collection_errors
    return Answer(
        holds=not errors,
        expected="every file collected",
        actual=f"{plural(len(errors), 'file')} not collected" if errors else "all of them",
        details=tuple(
            f"{error.path}: {error.failure.message.splitlines()[0] if error.failure.message else error.failure.type_name}"
            for error in errors
        )[:DETAILS],
    )


@_rule(Decision.ERROR)
def counts_add_up(facts: Facts) -> Answer:
    """Passed, failed, error, skipped and the other outcomes add up to what was expected plus what ran unplanned.

    A breach is a fault of this tool (exit code 1): report it with the artifacts.
    """
    counted = sum(facts.report.counts.values())
    wanted = facts.report.expected + len(facts.report.unexpected)
    identities = {(case.configuration, case.test_id) for case in facts.report.cases}
    return Answer(
        holds=counted == wanted == len(identities),
        expected=f"{wanted} results of {wanted} tests",
        actual=f"{counted} results of {len(identities)} tests",
    )


@_rule(Decision.INCOMPLETE)
def declared_tests(facts: Facts) -> Answer:
    """A foreign file holds as many cases as it declares.

    Honest producers miscount too (pytest counts an error in tear-down twice), so this is only said unless the policy sets
    `declared-tests` to `error`. Declared failures that are not in the file always break `reports-whole`.
    """
    off = [
        f"{shard.source or shard.shard} declares {shard.declared_tests}"
        for shard in facts.report.shards
        if shard.declared_tests is not None and shard.declared_tests != _held(facts.report, shard)
    ]
    return _mode(_none(off, "file with another count", off), facts.policy.declared_tests)


# Counts.


@_rule(Decision.FAILED)
def tests_executed(facts: Facts) -> Answer:
    """At least `min-executed` tests ran, and never fewer than one.

    A selection that matches nothing, a file without tests and a suite that skips itself are no success.
    """
    least = max(1, facts.policy.min_executed)
    executed = sum(1 for case in facts.report.cases if case.outcome.is_executed)
    return Answer(holds=executed >= least, expected=f"at least {plural(least, 'executed test')}", actual=str(executed))


@_rule(Decision.FAILED)
def failures_within_limit(facts: Facts) -> Answer:
    """No more than `max-failures` tests failed or timed out (0 unless the policy says otherwise).

    Errors are counted apart. Quarantined tests that fail in their known way are not counted.
    """
    return _limited(facts.with_outcome(Outcome.FAILED, Outcome.TIMED_OUT), facts.policy.max_failures, "failure")


@_rule(Decision.FAILED)
def errors_within_limit(facts: Facts) -> Answer:
    """No more than `max-errors` tests ended in an error around them or crashed their worker (0 unless the policy says more)."""
    return _limited(facts.with_outcome(Outcome.ERROR, Outcome.CRASHED), facts.policy.max_errors, "error")


@_rule(Decision.FAILED)
def pass_rate(facts: Facts) -> Answer:
    """At least `min-pass-rate` of the *expected* tests passed.

    Lost, skipped and failed tests are all in the denominator. Percentages are cut, never rounded up.
    """
    passed = sum(1 for case in facts.report.cases if case.outcome is Outcome.PASSED)
    total = max(facts.report.expected, len(facts.report.cases))
    least = facts.policy.min_pass_rate
    actual = f"{percent(passed, total)} ({passed}/{total})"
    if least is None:
        return Answer(holds=True, expected="no limit", actual=actual)
    return Answer(
        holds=total > 0 and passed >= least * total,
        expected=f"at least {least:.1%} of {plural(total, 'expected test')}",
        actual=actual,
    )


@_rule(Decision.FAILED)
def skips_within_limit(facts: Facts) -> Answer:
    """No more tests were skipped than `max-skipped` and `max-skipped-rate` (of the expected tests) allow."""
    skipped = facts.with_outcome(Outcome.SKIPPED)
    limits = []
    if facts.policy.max_skipped is not None:
        limits.append(facts.policy.max_skipped)
    if facts.policy.max_skipped_rate is not None:
        limits.append(int(facts.policy.max_skipped_rate * facts.report.expected))
    return _limited(skipped, min(limits, default=None), "skipped test")


@_rule(Decision.FAILED)
def skip_reasons_known(facts: Facts) -> Answer:
    """Every skip has a reason that the policy knows, where it lists any.

    `skip-reasons` are patterns with an owner and a last day; a skip whose reason matches none of those that are still
    valid breaks the rule. An empty list allows any reason.
    """
    skipped = facts.with_outcome(Outcome.SKIPPED)
    if not facts.policy.skip_reasons:
        return Answer(holds=True, expected="any reason", actual=plural(len(skipped), "skipped test"))
    valid = [reason.pattern for reason in facts.policy.skip_reasons if _is_valid_until(reason.expires, facts.today)]
    unknown = [
        f"{case.test_id}: {_reason(case) or 'no reason'}"
        for case in skipped
        if not any(fnmatch.fnmatchcase(_reason(case), pattern) for pattern in valid)
    ]
    return _none(unknown, "skip without a known reason", unknown)


@_rule(Decision.FAILED)
def no_unexpected_passes(facts: Facts) -> Answer:
    """No test passed that is marked to fail.

    A strict xfail that passes is news: either it was mended, and the mark must go, or it tests nothing.
    """
    passed = facts.with_outcome(Outcome.XPASSED)
    return _mode(_none(_names(passed), "unexpected pass"), facts.policy.xpassed)


@_rule(Decision.FAILED)
def required_tests_passed(facts: Facts) -> Answer:
    """Each of `required-tests` (test IDs or patterns) is matched by at least one test, and all that match passed.

    Flaky passes do not count where the policy allows no flaky test.
    """
    missing = []
    passed = {case.test_id for case in facts.report.cases if case.outcome is Outcome.PASSED}
    for pattern in facts.policy.required_tests:
        matched = [case for case in facts.report.cases if case.test_id == pattern or fnmatch.fnmatchcase(case.test_id, pattern)]
        bad = [case.test_id for case in matched if case.outcome is not Outcome.PASSED]
        if not matched:
            missing.append(f"{pattern}: no such test in this run")
        missing.extend(f"{test_id} did not pass" for test_id in bad)
    asked = len(facts.policy.required_tests)
    return Answer(
        holds=not missing,
        expected=f"{plural(asked, 'required test or pattern', 'required tests or patterns')} passed"
        if asked
        else "none is required",
        actual=f"{len(missing)} not" if missing else f"{plural(len(passed), 'test')} passed",
        details=tuple(missing)[:DETAILS],
    )


@_rule(Decision.INCOMPLETE)
def required_configurations_ran(facts: Facts) -> Answer:
    """Each of `required-configurations` has results."""
    wanted = facts.policy.required_configurations
    there = sorted({case.configuration for case in facts.report.cases if case.outcome.is_executed})
    missing = [name for name in wanted if name not in there]
    return Answer(
        holds=not missing,
        expected=listed(wanted) or "none is required",
        actual=listed(there) or "none",
        details=tuple(f"nothing ran in configuration {name}" for name in missing),
    )


# Vacuity.


@_rule(Decision.FAILED)
def no_hollow_passes(facts: Facts) -> Answer:
    """No more than `max-hollow` tests passed without showing that they tested anything.

    Hollow is a pass that a guard marked so (`hollow` among its properties), that executed no assertion (`assertions` is
    0), or whose call took less than `min-call` and less than a tenth of what the baseline remembers. A time of 0.00 s alone
    proves nothing.
    """
    tests = facts.baseline.tests if facts.baseline else ()
    remembered = {(test.configuration, test.test_id): test.duration_s for test in tests}
    passed = (case for case in facts.report.cases if case.outcome is Outcome.PASSED)
    reasons = (
        (case.test_id, _hollowness(case, facts.policy, remembered.get((case.configuration, case.test_id), 0.0)))
        for case in passed
    )
    hollow = [f"{test_id}: {why}" for test_id, why in reasons if why]
    answer = _limit(len(hollow), facts.policy.max_hollow, "hollow pass", tuple(hollow))
    return _mode(answer, facts.policy.hollow)


# Retries and flaky tests.


@_rule(Decision.FAILED)
def flaky_within_limit(facts: Facts) -> Answer:
    """No more than `max-flaky` tests passed only after a failed attempt.

    The last attempt decides whether a test passed; a pass after a failure has its own column and is never a plain pass.
    """
    return _limited(facts.report.flaky, facts.policy.max_flaky, "flaky test")


@_rule(Decision.FAILED)
def no_new_flaky(facts: Facts) -> Answer:
    """No test is flaky that the baseline does not know as flaky."""
    if facts.delta is None:
        return Answer(holds=True, expected="no new flaky test", actual="no baseline to compare with")
    return _mode(_none(facts.delta.new_flaky, "new flaky test"), facts.policy.new_flaky)


# Baseline.


@_rule(Decision.FAILED)
def baseline_present(facts: Facts) -> Answer:
    """Where the policy requires one, there is a baseline to compare with.

    Without it nothing can be called new, and no summary says "no regressions". `ci-tools baseline update` makes one from
    a green run on the default branch.
    """
    is_required = facts.policy.requires_baseline
    actual = f"of {facts.baseline.commit[:12] or 'an unnamed commit'}" if facts.baseline else "no baseline"
    return Answer(
        holds=facts.baseline is not None or not is_required,
        expected="a baseline" if is_required else "a baseline, or none is required",
        actual=actual,
    )


@_rule(Decision.FAILED)
def no_new_failures(facts: Facts) -> Answer:
    """No test fails that did not fail in the baseline."""
    if facts.delta is None:
        return Answer(holds=True, expected="no new failure", actual="no baseline to compare with")
    covered = {case.test_id for case in facts.report.cases if facts.forgiveness.covers(case)}
    new = [test_id for test_id in facts.delta.new_failures if test_id not in covered]
    return _mode(_none(new, "new failure"), facts.policy.new_failures)


@_rule(Decision.FAILED)
def no_new_causes(facts: Facts) -> Answer:
    """No root cause is there that the baseline does not have: a known failing test that fails in a new way is news."""
    if facts.baseline is None:
        return Answer(holds=True, expected="no new cause", actual="no baseline to compare with")
    known = set(facts.baseline.signatures)
    new = [
        f"{cause.signature}: {cause.title}"
        for cause in facts.causes
        if not known & {cause.signature, *cause.aliases} and not facts.forgiveness.covers_all(cause.tests)
    ]
    return _mode(_none(new, "new cause", new), facts.policy.new_causes)


@_rule(Decision.FAILED)
def no_removed_tests(facts: Facts) -> Answer:
    """Every test of the baseline is still in the run. Deleting a test is one way of making it pass."""
    if facts.delta is None:
        return Answer(holds=True, expected="no removed test", actual="no baseline to compare with")
    return _mode(_none(facts.delta.removed, "removed test"), facts.policy.removed_tests)


@_rule(Decision.FAILED)
def nothing_newly_skipped(facts: Facts) -> Answer:
    """No test is skipped that ran in the baseline. Skipping a test is another way of making it pass."""
    if facts.delta is None:
        return Answer(holds=True, expected="no newly skipped test", actual="no baseline to compare with")
    return _mode(_none(facts.delta.newly_skipped, "newly skipped test"), facts.policy.newly_skipped)


@_rule(Decision.FAILED)
def duration_within_limit(facts: Facts) -> Answer:
    """The run took no longer than `max-duration`, and no more than `max-slowdown` times what the baseline took."""
    took = facts.report.duration_s
    limits = []
    if facts.policy.max_duration_s is not None:
        limits.append(facts.policy.max_duration_s)
    if facts.policy.max_slowdown is not None and facts.baseline is not None and facts.baseline.duration_s > 0:
        limits.append(facts.policy.max_slowdown * facts.baseline.duration_s)
    if not limits:
        return Answer(holds=True, expected="no limit", actual=f"{took:.1f} s")
    return Answer(holds=took <= min(limits), expected=f"at most {min(limits):.1f} s", actual=f"{took:.1f} s")


# Quarantine.


@_rule(Decision.FAILED)
def quarantine_valid(facts: Facts) -> Answer:
    """Every quarantine entry names test, signature, owner, reason, issue and last day, and that day is not over.

    An entry that is expired or incomplete forgives nothing. Renew it with a new date, or mend the test.
    """
    invalid = facts.forgiveness.invalid
    return Answer(
        holds=not invalid,
        expected="every entry whole and not expired",
        actual=f"{len(invalid)} not" if invalid else plural(len(facts.policy.quarantine), "entry", "entries"),
        details=invalid[:DETAILS],
    )


@_rule(Decision.FAILED)
def quarantine_within_cap(facts: Facts) -> Answer:
    """No more than `quarantine-cap` failing tests are forgiven by quarantine; a cap of 0 switches quarantine off.

    Quarantine never covers crashed or lost tests, files that cannot be collected, or a failure with another signature.
    """
    forgiven = facts.forgiveness.tests
    return Answer(
        holds=len(forgiven) <= facts.policy.quarantine_cap,
        expected=f"at most {plural(facts.policy.quarantine_cap, 'forgiven test')}",
        actual=str(len(forgiven)),
        details=tuple(sorted(forgiven))[:DETAILS],
    )


@_rule(Decision.FAILED)
def quarantine_needed(facts: Facts) -> Answer:
    """Quarantined tests that pass again are named, so that the entry is lifted. Never breaks the verdict."""
    lift = facts.forgiveness.to_lift
    return Answer(
        holds=True,
        expected="quarantined tests still fail (only said)",
        actual=f"{plural(len(lift), 'test')} passes again" if lift else "none passes again",
        details=tuple(f"{test_id} passes again: lift it" for test_id in lift)[:DETAILS],
    )


# What several rules use.


def _limited(cases: Sequence[Case], limit: int | None, noun: str) -> Answer:
    return _limit(len(cases), limit, noun, tuple(case.test_id for case in cases))


def _limit(count: int, limit: int | None, noun: str, details: tuple[str, ...]) -> Answer:
    actual = plural(count, noun)
    if limit is None:
        return Answer(holds=True, expected="no limit", actual=actual, details=details[:DETAILS])
    return Answer(
        holds=count <= limit,
        expected=f"at most {plural(limit, noun)}" if limit else f"no {noun}",
        actual=actual if count else "none",
        details=details[:DETAILS],
    )


def _of_shard(shard: ShardReport) -> str:
    return f"shard {shard.shard}, " if shard.shard != "1/1" else ""


def _ending(ended_by: EndedBy, returncode: int, message: str) -> str:
    words = {
        EndedBy.ITSELF: f"left its session with exit code {returncode}",
        EndedBy.SIGNAL: f"vanished (signal {-returncode})" if returncode < -1 else "vanished",
        EndedBy.TEST_DEADLINE: "ended, a test ran past its deadline",
        EndedBy.SILENCE: "ended, it had said nothing for too long",
        EndedBy.RUN_DEADLINE: "ended, the run's time was up",
        EndedBy.INTERRUPT: "ended, the run was interrupted",
    }
    return f"{words[ended_by]}{f': {message}' if message else ''}"


def _is_of(case: Case, shard: ShardReport) -> bool:
    last = case.attempts[-1] if case.attempts else None
    return (
        last is not None
        and (last.shard, last.run_attempt) == (shard.shard, shard.run_attempt)
        and case.configuration in {shard.configuration, shard.shard}
    )


def _has_lost(report: RunReport, shard: ShardReport) -> bool:
    return any(case.outcome is Outcome.LOST and _is_of(case, shard) for case in report.cases)


def _held(report: RunReport, shard: ShardReport) -> int:
    return sum(1 for case in report.cases if _is_of(case, shard))


def _reason(case: Case) -> str:
    return case.attempts[-1].reason if case.attempts else ""


def _is_valid_until(text: str, today: date) -> bool:
    try:
        return date.fromisoformat(text) >= today
    except ValueError:
        return False


def _hollowness(case: Case, policy: Policy, remembered_s: float) -> str:
    attempt = case.attempts[-1]
    if attempt.properties.get("hollow"):
        return attempt.properties["hollow"]
    if attempt.properties.get("assertions") == "0":
        return "no assertion was executed"
    if policy.min_call_s > 0 and attempt.call_s < policy.min_call_s and attempt.duration_s * 10 < remembered_s:
        return f"{attempt.call_s:.3f} s, the baseline took {remembered_s:.3f} s"
    return ""
