"""Merges shard reports into one run report that accounts for every expected test exactly once.

A pure function of the *set* of inputs: their order, repetition and grouping change nothing. Taking a shard away never
makes a test pass: a test counts where it was planned, and results of it from elsewhere are strays that prove nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ci_tools.model.case import Attempt, Case, Outcome
from ci_tools.model.codec import dumps
from ci_tools.model.report import CollectionError, RunReport, ShardReport, newest_of
from ci_tools.model.shard import Plan, digest_of
from ci_tools.reports.admission import (
    SEVERITY,
    distinct,
    identity_problems,
    is_foreign,
    key_of,
    place_of,
    ref_of,
    shard_name,
    without_conflicts,
)

MOST_SHARDS = 4096
"""More shards than any run has: a label that claims more is a lie, and listing the missing ones would take for ever."""

_NEVER = 0
"""Number of the attempt that stands for a result that nobody sent: the merge makes it, no shard report has it."""


def merge(plans: Sequence[Plan], shards: Sequence[ShardReport], *, run_id: str = "") -> RunReport:
    """All ``shards`` as one run, held against ``plans`` (one for each configuration; none for foreign files).

    With a plan, a test counts where it was planned: there it is reported, or it is lost; results from elsewhere are
    named as duplicated or unexpected. Without one, what the reports hold is what is expected. The newest run attempt of
    a shard decides and its earlier ones are earlier attempts of its tests. The same report given twice counts once.
    Reports of another run (``run_id``, if given), commit or plan are said in ``problems``.
    """
    kept, repeated = distinct(shards)
    kept = without_conflicts(kept)
    problems: list[str] = []
    by_configuration = {plan.configuration: plan for plan in sorted(plans, key=dumps)}
    if len(by_configuration) < len({dumps(plan) for plan in plans}):
        problems.append("two different plans were given for one configuration")
    run_ids = {report.run_id for report in kept if report.run_id}
    problems.extend(identity_problems(kept, by_configuration, run_ids, run_id))
    fields = _Fields()
    for configuration, plan in sorted(by_configuration.items()):
        own = [report for report in kept if report.configuration == configuration]
        _account(plan, own, fields)
    _take_unplanned([report for report in kept if report.configuration not in by_configuration], by_configuration, fields)
    starts = [report.started_at for report in kept if report.started_at]
    ends = [report.started_at + report.duration_s for report in kept if report.started_at]
    return RunReport(
        run_id=run_id or max(run_ids, default=""),
        cases=tuple(sorted(fields.cases, key=lambda case: (case.configuration, case.test_id))),
        commit=max((plan.commit for plan in plans), default="") or max((report.commit for report in kept), default=""),
        plan_digest=_plans_digest(plans),
        is_complete_proven=bool(plans) and all(report.configuration in by_configuration for report in kept),
        is_planned_empty=bool(plans) and all(_is_planned_elsewhere(plan) for plan in plans),
        expected=fields.expected,
        shards=tuple(replace(report, cases=()) for report in sorted(kept, key=key_of)),
        collection_errors=_collection_errors(kept),
        missing_shards=tuple(fields.missing),
        unexpected=tuple(sorted(fields.unexpected)),
        duplicated=tuple(sorted(fields.duplicated)),
        strays=tuple(sorted(fields.strays, key=dumps)),
        repeated_inputs=tuple(sorted(repeated)),
        corrupt=tuple(
            sorted(f"{place_of(report)}: {reason}" for report in newest_of(kept).values() for reason in report.corrupt)
        ),
        problems=tuple(sorted({*problems, *fields.problems})),
        warnings=tuple(sorted(_warnings(kept))),
        expected_shards=tuple(fields.expected_shards),
        services=tuple(sorted({service for report in kept for service in report.services}, key=dumps)),
        interrupted_by=max((report.interrupted_by for report in newest_of(kept).values()), default=""),
        started_at=min(starts, default=0.0),
        duration_s=max(0.0, max(ends) - min(starts)) if starts else sum((report.duration_s for report in kept), 0.0),
    )


def split(report: RunReport) -> tuple[ShardReport, ...]:
    """The shard reports behind a run report: merging them with the same plans gives it again."""
    cases: dict[tuple[str, str, int], dict[str, list[Attempt]]] = {}
    for case in (*report.cases, *report.strays):
        for attempt in (attempt for attempt in case.attempts if attempt.number != _NEVER):
            place = cases.setdefault((_own_configuration(case, attempt, report), attempt.shard, attempt.run_attempt), {})
            place.setdefault(case.test_id, []).append(attempt)
    return tuple(
        replace(
            shard,
            cases=tuple(
                Case(test_id=test_id, attempts=_renumbered(attempts), configuration=shard.configuration)
                for test_id, attempts in sorted(cases.get(key_of(shard), {}).items())
            ),
        )
        for shard in report.shards
    )


@dataclass(slots=True)
class _Fields:
    """What the configurations add to, one after the other."""

    cases: list[Case] = field(default_factory=list)
    expected: int = 0
    expected_shards: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: set[str] = field(default_factory=set)
    duplicated: set[str] = field(default_factory=set)
    strays: list[Case] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def _is_planned_elsewhere(plan: Plan) -> bool:
    """Whether a plan that was narrowed to one shard leaves nothing here: its digest is still that of the whole suite."""
    return not plan.filled and plan.expected_digest != digest_of(())


# What each test became.


def _account(plan: Plan, reports: Sequence[ShardReport], fields: _Fields) -> None:
    """Hold the reports of one configuration against its plan."""
    found = _by_test(reports, _translation(plan, reports))
    planned = {test_id: str(shard.ref) for shard in plan.shards for test_id in shard.test_ids}
    if len(plan.filled) == len(plan.shards) and plan.expected_digest != digest_of(planned):
        fields.problems.append("the plan's tests are not those of its digest: it was changed by hand, or is cut")
    present = {report.shard for report in reports}
    foreign = {report.shard for report in reports if is_foreign(report)}
    for shard in plan.filled:
        name = shard_name(plan.configuration, str(shard.ref)).removeprefix("shard ")
        fields.expected_shards.append(name)
        if str(shard.ref) not in present and not foreign:
            fields.missing.append(name)
        fields.problems.extend(
            f"{place_of(report)} was given other tests than the plan gives it"
            for report in reports
            if report.shard == str(shard.ref) and report.expected_digest not in {"", digest_of(shard.test_ids)}
        )
    refs = {str(shard.ref) for shard in plan.shards}
    fields.problems.extend(
        f"{place_of(report)} is not in the plan, which has {len(plan.shards)} shard(s)"
        for report in reports
        if report.shard not in refs and not is_foreign(report)
    )
    fields.expected += len(planned)
    for test_id in sorted({*planned, *found}):
        places = found.get(test_id, {})
        home = planned.get(test_id)
        if home is None:
            fields.unexpected.add(test_id)
        if len(places) > 1:
            fields.duplicated.add(test_id)
        counted = _counted_place(home, places, foreign)
        for place, attempts in places.items():
            if place == counted:
                fields.cases.append(_case(test_id, plan.configuration, attempts))
            else:
                fields.strays.append(_case(test_id, plan.configuration, attempts))
        if counted is None:
            reason = f"planned for shard {home}, which sent no result of it"
            lost = Attempt(outcome=Outcome.LOST, number=_NEVER, shard=home or "", reason=reason)
            fields.cases.append(_case(test_id, plan.configuration, (lost,)))


def _counted_place(home: str | None, places: Mapping[str, Sequence[Attempt]], foreign: set[str]) -> str | None:
    """The shard whose results of a test count: the planned one; a foreign file when files stand for the shards."""
    if home in places:
        return home
    candidates = {shard: attempts for shard, attempts in places.items() if home is None or shard in foreign}
    return _worst_place(candidates) if candidates else None


def _take_unplanned(reports: Sequence[ShardReport], plans: Mapping[str, Plan], fields: _Fields) -> None:
    """Reports that no plan speaks of: what they hold is what is expected, as far as anybody knows."""
    if plans:
        fields.problems.extend(
            f"{place_of(report)} is of configuration {report.configuration!r}, which has no plan" for report in reports
        )
    _expect_counted_shards(reports, fields)
    configurations = sorted({report.configuration for report in reports})
    for configuration in configurations:
        own = [report for report in reports if report.configuration == configuration]
        foreign = {report.shard for report in own if is_foreign(report)}
        found = _by_test(own, {})
        for test_id, places in sorted(found.items()):
            if sum(shard not in foreign for shard in places) > 1:
                fields.duplicated.add(test_id)
            for shard, attempts in sorted(places.items()):
                # One name in several files is several tests (a matrix): no file's pass stands for another's.
                name = configuration if len(places) == 1 else shard
                fields.cases.append(_case(test_id, name, attempts))
            fields.expected += len(places)


def _expect_counted_shards(reports: Iterable[ShardReport], fields: _Fields) -> None:
    """A report of shard 2/4 says that there are four, also without a plan."""
    counts: dict[str, set[int]] = {}
    present: dict[str, set[int]] = {}
    for report in reports:
        ref = ref_of(report)
        if ref is None:
            continue
        counts.setdefault(report.configuration, set()).add(ref.count)
        present.setdefault(report.configuration, set()).add(ref.index)
    for configuration, sizes in sorted(counts.items()):
        if len(sizes) > 1:
            fields.problems.append(f"reports of {configuration} disagree on the number of shards: {sorted(sizes)}")
        if max(sizes) > MOST_SHARDS:
            fields.problems.append(f"a report of {configuration} claims {max(sizes)} shards, at most {MOST_SHARDS} are believed")
        for index in range(1, min(max(sizes), MOST_SHARDS) + 1):
            name = shard_name(configuration, f"{index}/{max(sizes)}").removeprefix("shard ")
            fields.expected_shards.append(name)
            if index not in present[configuration]:
                fields.missing.append(name)


def _by_test(reports: Iterable[ShardReport], translation: Mapping[str, str]) -> dict[str, dict[str, tuple[Attempt, ...]]]:
    """Attempts by test ID and shard, the oldest run attempt first.

    What an earlier run attempt of a shard said is an earlier attempt of its tests; a test that its newest run attempt
    does not have is lost there.
    """
    found: dict[str, dict[str, tuple[Attempt, ...]]] = {}
    ordered = sorted(reports, key=key_of)
    last_of: dict[str, int] = {}
    for report in ordered:
        last_of[report.shard] = max(last_of.get(report.shard, 0), report.run_attempt)
    for report in ordered:
        for case in report.cases:
            test_id = translation.get(case.test_id, case.test_id) if translation else case.test_id
            own = case.attempts or (Attempt(outcome=Outcome.LOST, shard=report.shard, run_attempt=report.run_attempt),)
            places = found.get(test_id)
            if places is None:
                found[test_id] = {report.shard: own}
            else:
                places[report.shard] = (*places.get(report.shard, ()), *own)
    for places in found.values():
        for shard, attempts in places.items():
            last = last_of[shard]
            if attempts[-1].run_attempt < last:
                reason = f"not in attempt {last} of its shard"
                lost = Attempt(outcome=Outcome.LOST, number=_NEVER, shard=shard, run_attempt=last, reason=reason)
                places[shard] = (*attempts, lost)
    return found


def _translation(plan: Plan, reports: Iterable[ShardReport]) -> dict[str, str]:
    """Foreign test IDs → the plan's: pytest's JUnit has no node IDs, only dotted addresses of them."""
    names = {case.test_id for report in reports if is_foreign(report) for case in report.cases}
    planned = set(plan.test_ids)
    unknown = names - planned
    if not unknown:
        return {}
    by_address: dict[str, set[str]] = {}
    for test_id in planned:
        by_address.setdefault(_address(test_id), set()).add(test_id)
    translation = {}
    for name in unknown:
        same = by_address.get(_address(name), set())
        if len(same) == 1:
            translation[name] = next(iter(same))
    return translation


def _address(test_id: str) -> str:
    head, bracket, parameters = test_id.partition("[")
    path, *rest = head.split("::")
    return ".".join((path.removesuffix(".py").replace("/", "."), *rest)) + bracket + parameters


def _worst_place(places: Mapping[str, Sequence[Attempt]]) -> str:
    """The shard where a test ended worst: nobody's pass outweighs another's failure."""
    return min(sorted(places), key=lambda shard: SEVERITY.index(places[shard][-1].outcome))


def _case(test_id: str, configuration: str, attempts: tuple[Attempt, ...]) -> Case:
    return Case(test_id=test_id, attempts=_renumbered(attempts), configuration=configuration)


def _renumbered(attempts: Sequence[Attempt]) -> tuple[Attempt, ...]:
    if len(attempts) == 1 and attempts[0].number in {1, _NEVER}:  # nearly every test: there may be a million
        return tuple(attempts)
    return tuple(
        attempt if attempt.number in {number, _NEVER} else replace(attempt, number=number)
        for number, attempt in enumerate(attempts, start=1)
    )


def _own_configuration(case: Case, attempt: Attempt, report: RunReport) -> str:
    if case.configuration != attempt.shard:
        return case.configuration
    return next((shard.configuration for shard in report.shards if shard.shard == attempt.shard), case.configuration)


def _collection_errors(reports: Iterable[ShardReport]) -> tuple[CollectionError, ...]:
    found = {
        (error.configuration, error.path): error for report in newest_of(reports).values() for error in report.collection_errors
    }
    return tuple(found[key] for key in sorted(found))


def _warnings(reports: Sequence[ShardReport]) -> Iterator[str]:
    """What is odd in the newest attempts; and where several shards came, which of them has lost what it said before."""
    attempts: dict[tuple[str, str], int] = {}
    for report in reports:
        attempts[report.configuration, report.shard] = attempts.get((report.configuration, report.shard), 0) + 1
    for report in newest_of(reports).values():
        yield from (f"{place_of(report)}: {text}" for text in report.warnings)
        is_alone = attempts[report.configuration, report.shard] == 1 and len(reports) > 1
        if report.run_attempt > 1 and is_alone and not is_foreign(report):
            yield f"{place_of(report)}: no earlier attempt sent a report, so which of its tests are flaky nobody knows"


def _plans_digest(plans: Sequence[Plan]) -> str:
    digests = sorted({plan.expected_digest for plan in plans})
    return digests[0] if len(digests) == 1 else digest_of(digests) if digests else ""
