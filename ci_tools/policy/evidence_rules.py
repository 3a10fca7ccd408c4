"""Rules on the evidence: what is judged must be the whole run, and that run."""

from collections.abc import Callable
from dataclasses import dataclass

from ci_tools.errors import ExitCode, most_severe
from ci_tools.model.case import Outcome
from ci_tools.model.report import EndedBy, RunReport, ShardReport, newest_of
from ci_tools.model.verdict import Decision
from ci_tools.policy.question import DETAILS, Answer, Facts, names_of, none_of, rule, under
from ci_tools.policy.wording import plural

_CLOCK_SKEW_S = 300.0
"""By how much the clocks of two machines may differ before a time counts as wrong."""


@rule(Decision.ERROR)
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


@rule(Decision.INCOMPLETE, ExitCode.INTERRUPTED)
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


@rule(Decision.INCOMPLETE)
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


@rule(Decision.INCOMPLETE)
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


@rule(Decision.INCOMPLETE)
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
        details=names_of(lost),
    )


@rule(Decision.INCOMPLETE)
def nothing_unplanned(facts: Facts) -> Answer:
    """Nothing ran that the plan does not have.

    A test outside the plan means that the plan is of another commit, another configuration or other arguments, and then
    its other promises are worth nothing. Make the plan again from what is run.
    """
    return none_of(facts.report.unexpected, "unplanned test")


@rule(Decision.INCOMPLETE)
def nothing_duplicated(facts: Facts) -> Answer:
    """No test was reported by two shards.

    Two results of one test that nobody ordered cannot both be right. The planned shard's result is counted, whatever the
    other says. Attempts (reruns, a job run again) are no duplicates.
    """
    return none_of(facts.report.duplicated, "duplicated test")


@rule(Decision.INCOMPLETE)
def one_run(facts: Facts) -> Answer:
    """All reports are of this run, this commit and this plan.

    Restored caches, old artifacts and mixed-up folders bring reports that were true once. Empty the folder, run again.
    """
    return none_of(facts.report.problems, "contradiction")


@rule(Decision.INCOMPLETE)
def reports_whole(facts: Facts) -> Answer:
    """Every input could be read to its end and does not contradict itself.

    What can be read of a truncated or broken file is in the report; what was in the rest, nobody knows. A file that
    declares more failures and errors than it holds hides some. Make the report again; look for a full disk or a killed job.
    """
    return none_of(facts.report.corrupt, "broken input")


@rule(Decision.INCOMPLETE)
def reports_fresh(facts: Facts) -> Answer:
    """No report is older than `max-report-age` allows, and none is of a time that is yet to come.

    A cache can restore yesterday's report with today's file time, so the time inside the report counts. Where the policy
    sets an age, a report that says no time is too old, and so is one from more than five minutes ahead: its time is wrong.
    """
    limit = facts.policy.max_report_age_s
    ages = {
        shard.source or shard.shard: facts.now - shard.started_at if shard.started_at else None
        for shard in newest_of(facts.report.shards).values()
    }
    known = [age for age in ages.values() if age is not None]
    oldest = f"{max(known):.0f} s" if known else "no report says its time"
    if limit is None:
        return Answer(holds=True, expected="any age", actual=oldest)
    old = sorted(name for name, age in ages.items() if age is None or not -_CLOCK_SKEW_S <= age <= limit)
    return Answer(holds=not old, expected=f"no report older than {limit:g} s", actual=oldest, details=tuple(old)[:DETAILS])


@rule(Decision.FAILED)
def workers_finished(facts: Facts) -> Answer:
    """Every worker came to the end of its session by itself.

    A worker that vanished or had to be ended is never green, even when every test is accounted for. Where it kept tests
    from being finished, the verdict is incomplete and the exit code 13.
    """
    ended: list[str] = []
    has_losses = False
    tally_of = _tallies(facts.report)
    for shard in newest_of(facts.report.shards).values():
        bad = [exit_ for exit_ in shard.exits if not exit_.finished_session]
        ended.extend(
            f"{_of_shard(shard)}worker {exit_.worker}: {_ending(exit_.ended_by, exit_.returncode, exit_.message)}"
            for exit_ in bad
        )
        has_losses = has_losses or (bool(bad) and tally_of(shard).lost > 0)
    total = sum(len(shard.exits) for shard in newest_of(facts.report.shards).values())
    return Answer(
        holds=not ended,
        expected=f"{plural(total, 'worker')} finished" if total else "no worker is known to have vanished",
        actual=f"{len(ended)} did not" if ended else ("all of them" if total else "none is"),
        details=tuple(ended)[:DETAILS],
        breach=Decision.INCOMPLETE if has_losses else Decision.FAILED,
        exit_code=ExitCode.WORKERS if has_losses else ExitCode.FAILED,
    )


@rule(Decision.FAILED)
def exits_consistent(facts: Facts) -> Answer:
    """The workers' exit codes agree with their results.

    A pytest process that ends with 0 although tests failed, or with another code although none did, knows something that
    its results do not say: a plugin that gates, a coverage threshold, an exit in the middle.
    """
    odd: list[str] = []
    tally_of = _tallies(facts.report)
    for shard in newest_of(facts.report.shards).values():
        if shard.facts and not shard.exits:
            odd.append(f"{_of_shard(shard)}no worker says how it ended")
        exits = [exit_ for exit_ in shard.exits if exit_.finished_session and exit_.ended_by is EndedBy.ITSELF]
        if not exits or len(exits) != len(shard.exits):
            continue
        own = (shard.shard, shard.configuration)
        broken = sum(1 for error in facts.report.collection_errors if (error.shard, error.configuration) == own)
        bad = tally_of(shard).bad + broken
        codes = sorted({exit_.returncode for exit_ in exits})
        if bad and codes == [0]:
            odd.append(f"{_of_shard(shard)}{plural(bad, 'result')} not green, yet every worker ended with 0")
        elif not bad and codes != [0]:
            odd.append(f"{_of_shard(shard)}everything green, yet a worker ended with {', '.join(map(str, codes))}")
    return none_of(odd, "contradiction", odd)


@rule(Decision.FAILED)
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


@rule(Decision.ERROR)
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


@rule(Decision.INCOMPLETE)
def declared_tests(facts: Facts) -> Answer:
    """A foreign file holds as many cases as it declares.

    Honest producers miscount too (pytest counts an error in tear-down twice), so this is only said unless the policy sets
    `declared-tests` to `error`. Declared failures that are not in the file always break `reports-whole`.
    """
    tally_of = _tallies(facts.report)
    off = [
        f"{shard.source or shard.shard} declares {shard.declared_tests}"
        for shard in newest_of(facts.report.shards).values()
        if shard.declared_tests is not None and shard.declared_tests != tally_of(shard).cases
    ]
    return under(none_of(off, "file with another count", off), facts.policy.declared_tests)


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


@dataclass(slots=True)
class _Tally:
    """What one attempt of one shard has in the run: its cases, and how many of them are not green or lost."""

    cases: int = 0
    bad: int = 0
    lost: int = 0


def _tallies(report: RunReport) -> Callable[[ShardReport], _Tally]:
    """One pass over the cases for all shards: runs have up to a million cases and hundreds of shards."""
    tallies: dict[tuple[str, int, str], _Tally] = {}
    for case in report.cases:
        if not case.attempts:
            continue
        last = case.attempts[-1]
        # A name that several foreign files have is kept apart by the file's label in place of the configuration.
        configuration = "" if case.configuration == last.shard else case.configuration
        tally = tallies.setdefault((last.shard, last.run_attempt, configuration), _Tally())
        tally.cases += 1
        tally.bad += not case.outcome.is_green
        tally.lost += case.outcome is Outcome.LOST

    def tally_of(shard: ShardReport) -> _Tally:
        own = tallies.get((shard.shard, shard.run_attempt, shard.configuration), _Tally())
        apart = tallies.get((shard.shard, shard.run_attempt, ""), _Tally())
        return _Tally(own.cases + apart.cases, own.bad + apart.bad, own.lost + apart.lost)

    return tally_of
