"""The release decision: what was judged and what is to be published in, every reason against it out.

Pure: facts and the time are arguments, so that a laptop and the release's own job decide the same.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ci_tools.model.policy import Policy
from ci_tools.model.report import ShardReport
from ci_tools.model.verdict import Decision, Verdict
from ci_tools.policy.wording import listed, plural

RELEASE_PROFILE = "release"

TESTED = "tested:"
"""Start of the facts of a shard report that say which bytes were tested: ``tested:<file name>`` → sha256."""

UNCOMMITTED = "uncommitted"
"""Fact of a shard report: which files of the repository were not as its commit has them."""

CLOCK_SKEW_S = 300.0
"""How far the clock of the machine that judged may be ahead of ours, in seconds; further is no clock, but a forgery."""

_SYSTEMS = {"linux": "linux", "darwin": "macos", "win32": "windows"}
"""``sys.platform`` → the system as ``--systems`` names it."""

SYSTEMS = tuple(_SYSTEMS.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """One verdict: where it stands, what verifying it found (empty: sound), and the shard reports it was made from."""

    path: str
    verdict: Verdict
    problems: tuple[str, ...] = ()
    shards: tuple[ShardReport, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Demands:
    """What a release must be able to show.

    ``wheels`` are the files to publish, name → sha256. ``policy`` is the project's own release profile, ``now`` in seconds
    since 1970. Each of ``systems`` and of ``pythons`` (``3.14`` stands for every 3.14.x) must have run tests.
    """

    commit: str
    wheels: Mapping[str, str]
    policy: Policy
    now: float
    max_age_s: float
    systems: tuple[str, ...]
    pythons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One reason against the release: which check, what is, what was expected, what to do."""

    check: str
    actual: str
    expected: str
    remedy: str

    def __str__(self) -> str:
        # Text of a verdict is foreign: a line break in it could start a line that CI takes for a command.
        return " ".join(f"{self.check}: {self.actual} · expected {self.expected} · {self.remedy}".splitlines())


def refuse(examined: Sequence[Examined], demands: Demands) -> tuple[Refusal, ...]:
    """Every reason against this release; empty when there is none."""
    shards = [shard for item in examined for shard in item.shards]
    systems = sorted({system_of(shard) for shard in shards} - {""})
    pythons = sorted({shard.facts.get("python", "") for shard in shards} - {""})
    return (
        *(refusal for item in examined for refusal in _of_verdict(item, demands)),
        *_of_wheels(examined, demands.wheels),
        *_of_coverage("system", demands.systems, systems),
        *_of_coverage("python", demands.pythons, pythons),
    )


def system_of(shard: ShardReport) -> str:
    """``linux``, ``macos`` or ``windows``; what the shard said itself where it is another; empty when it said nothing."""
    platform = shard.facts.get("platform", "")
    return _SYSTEMS.get(platform, platform)


def _of_verdict(item: Examined, demands: Demands) -> Iterator[Refusal]:
    verdict = item.verdict
    if verdict.decision is not Decision.PASSED:
        yield Refusal(
            check="verdict",
            actual=f"{item.path} is {verdict.decision} ({verdict.headline})",
            expected="passed",
            remedy="mend what its summary names first, and run the suite again",
        )
    if item.problems:
        yield Refusal(
            check="sound",
            actual=f"{item.path} is not sound: {listed(item.problems, 3)}",
            expected="every byte as it was judged, and the same answer when judged again",
            remedy="fetch verdict, plan and shards of one run again and lay them out as they were judged",
        )
    yield from _of_profile(item, demands.policy)
    if verdict.commit != demands.commit:
        yield Refusal(
            check="commit",
            actual=f"{item.path} is for commit {verdict.commit or 'unknown'}",
            expected=demands.commit,
            remedy="run the suite on the commit that is released, or check that commit out",
        )
    for shard in item.shards:
        if changed := shard.facts.get(UNCOMMITTED, ""):
            yield Refusal(
                check="commit",
                actual=f"{_named(item, shard)} ran with changes that are in no commit, in {changed}",
                expected=demands.commit,
                remedy="commit them or put them away, and run the suite again",
            )
    yield from _of_age(item, demands)
    yield from _of_completeness(item)


def _of_profile(item: Examined, policy: Policy) -> Iterator[Refusal]:
    verdict = item.verdict
    remedy = f"judge with `--profile {RELEASE_PROFILE}`"
    if verdict.profile != RELEASE_PROFILE:
        actual = f"{item.path} was judged with the profile {verdict.profile!r}"
        yield Refusal(check="profile", actual=actual, expected=repr(RELEASE_PROFILE), remedy=remedy)
    elif verdict.policy != policy:
        yield Refusal(
            check="profile",
            actual=f"{item.path} was judged with other limits than this project's {RELEASE_PROFILE!r} profile",
            expected="those of [tool.ci-tools.gate] as they are here",
            remedy=f"{remedy} in this project; --project names it",
        )
    asked = verdict.policy
    if asked is not None and asked.quarantine and asked.quarantine_cap > 0:
        tests = listed([entry.test for entry in asked.quarantine], 3)
        yield Refusal(
            check="quarantine",
            actual=f"{item.path} was judged with quarantine for {plural(len(asked.quarantine), 'test')}: {tests}",
            expected="no quarantine",
            remedy="mend the tests, and take quarantine-cap out of the release profile",
        )


def _of_age(item: Examined, demands: Demands) -> Iterator[Refusal]:
    """What counts is the oldest that it rests on: a verdict of today on last month's shards is a month old."""
    starts = [shard.started_at for shard in item.shards if shard.started_at > 0]
    oldest = min([item.verdict.created_at, *starts])
    newest = max([item.verdict.created_at, *starts])
    limit = f"at most {_hours(demands.max_age_s)}"
    if demands.now - oldest > demands.max_age_s:
        actual = f"{item.path} rests on tests of {_moment(oldest)}, {_hours(demands.now - oldest)} ago"
        yield Refusal(check="age", actual=actual, expected=limit, remedy="run the suite again, or give a longer --max-age")
    if newest - demands.now > CLOCK_SKEW_S:
        actual = f"{item.path} is of {_moment(newest)}, which is yet to come"
        yield Refusal(check="age", actual=actual, expected=limit, remedy="set the clocks right and run the suite again")


def _of_completeness(item: Examined) -> Iterator[Refusal]:
    if not item.verdict.is_complete_proven:
        yield Refusal(
            check="completeness",
            actual=f"{item.path} does not prove that every test ran",
            expected="a verdict made with the plan",
            remedy="judge with `ci-tools gate … --plan plan.json`, or the whole way with `ci-tools run`",
        )
    if item.verdict.shard:
        yield Refusal(
            check="completeness",
            actual=f"{item.path} is about shard {item.verdict.shard} alone",
            expected="a verdict on all shards",
            remedy="judge their folders together with `ci-tools gate`",
        )


def _of_wheels(examined: Sequence[Examined], wheels: Mapping[str, str]) -> Iterator[Refusal]:
    """Each file must be the one that *every* shard tested: half a test proves half a release."""
    if not wheels:
        yield Refusal(check="wheel", actual="nothing is to be published", expected="a wheel", remedy="build it first")
    for name, sha256 in wheels.items():
        told = [(_named(item, shard), shard.facts.get(f"{TESTED}{name}", "")) for item in examined for shard in item.shards]
        silent = [where for where, tested in told if not tested]
        other = [f"{where} {tested[:12]}" for where, tested in told if tested and tested != sha256]
        if other:
            actual = f"{name} has sha256 {sha256[:12]}, tested were other bytes: {listed(other, 3)}"
            yield Refusal(check="wheel", actual=actual, expected="the tested bytes", remedy="publish the file that was tested")
        if silent or not told:
            actual = f"{name} was not tested in {listed(silent, 3) if silent else 'any shard'}"
            remedy = f"install that very file and run with `ci-tools run --tested {name}`"
            yield Refusal(check="wheel", actual=actual, expected="sha256 of it in every shard's facts", remedy=remedy)


def _of_coverage(what: str, required: Sequence[str], found: Sequence[str]) -> Iterator[Refusal]:
    missing = [name for name in required if not any(has == name or has.startswith(f"{name}.") for has in found)]
    if missing:
        yield Refusal(
            check=what,
            actual=f"no shard ran on {what} {', '.join(missing)}; there were {', '.join(found) or 'none'}",
            expected=", ".join(required),
            remedy="add them to the run's matrix, and give the verdict of each with --verdict",
        )


def _named(item: Examined, shard: ShardReport) -> str:
    return f"shard {shard.shard} ({shard.configuration}) of {item.path}"


def _moment(at: float) -> str:
    try:
        return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError, OSError):
        return f"second {at:g}"


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h"
