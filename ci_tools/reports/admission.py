"""Which of the reports that were given count: each once, no two for one attempt of a shard, the newest attempt of each."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from ci_tools.errors import UsageError
from ci_tools.model.case import DEFAULT_CONFIGURATION, Case, Outcome
from ci_tools.model.codec import dumps
from ci_tools.model.report import ShardReport, newest_of
from ci_tools.model.shard import Plan, ShardRef

FOREIGN = "file:"
"""How the shard label of a report begins that says no shard of its own."""

SEVERITY = (
    Outcome.LOST,
    Outcome.CRASHED,
    Outcome.TIMED_OUT,
    Outcome.ERROR,
    Outcome.FAILED,
    Outcome.XPASSED,
    Outcome.SKIPPED,
    Outcome.XFAILED,
    Outcome.PASSED,
)


def key_of(report: ShardReport) -> tuple[str, str, int]:
    """Whose report it is: configuration, shard and run attempt."""
    return report.configuration, report.shard, report.run_attempt


def ref_of(report: ShardReport) -> ShardRef | None:
    """Which shard the report says it is; None for a foreign file, and for a label that is none."""
    try:
        return ShardRef.parse(report.shard)
    except UsageError:
        return None


def is_foreign(report: ShardReport) -> bool:
    """Whether it says no shard of its own."""
    return ref_of(report) is None


def place_of(report: ShardReport) -> str:
    """Where a report is from, for people: ``shard 2/4 attempt 2``, ``junit.xml``."""
    if is_foreign(report):
        return report.shard.removeprefix(FOREIGN)
    attempt = f" attempt {report.run_attempt}" if report.run_attempt > 1 else ""
    return f"{shard_name(report.configuration, report.shard)}{attempt}"


def shard_name(configuration: str, shard: str) -> str:
    """A shard for people: ``shard 2/4 of postgres``."""
    return f"shard {shard}" if configuration == DEFAULT_CONFIGURATION else f"shard {shard} of {configuration}"


def distinct(shards: Iterable[ShardReport]) -> tuple[list[ShardReport], set[str]]:
    """Each report once; two are the same when they are equal but for where they were read."""
    kept: dict[tuple[object, ...], ShardReport] = {}
    repeated: set[str] = set()
    for report in sorted(_labelled(shards), key=lambda item: (key_of(item), item.digest, item.source)):
        # A foreign file has no identity but its bytes: the same bytes under another name are the same file.
        identity: tuple[object, ...] = (FOREIGN, report.digest) if is_foreign(report) and report.digest else key_of(report)
        twin = kept.get(identity)
        if twin is None:
            kept[identity] = report
        elif (is_foreign(report) and report.digest) or _content(twin) == _content(report):
            repeated.add(place_of(report))
        else:
            kept[(*identity, _content(report))] = report
    return list(kept.values()), repeated


def _labelled(shards: Iterable[ShardReport]) -> Iterator[ShardReport]:
    """Different foreign files of one name (a ``junit.xml`` in each of many folders) get labels of their own."""
    reports = list(shards)
    digests: dict[str, set[str]] = {}
    for report in reports:
        if is_foreign(report):
            digests.setdefault(report.source, set()).add(report.digest)
    for report in reports:
        label = f"{FOREIGN}{report.source}"
        if not is_foreign(report) or not report.source or not report.digest:
            yield report
        else:
            yield _as_shard(report, label if len(digests[report.source]) == 1 else f"{label} ({report.digest[:8]})")


def _as_shard(report: ShardReport, label: str) -> ShardReport:
    if report.shard == label:
        return report
    cases = tuple(
        replace(case, attempts=tuple(replace(attempt, shard=label) for attempt in case.attempts)) for case in report.cases
    )
    errors = tuple(replace(error, shard=label) for error in report.collection_errors)
    return replace(report, shard=label, cases=cases, collection_errors=errors)


def _content(report: ShardReport) -> str:
    return dumps(replace(report, source="", digest="", cases=tuple(sorted(report.cases, key=lambda case: case.test_id))))


_CONTRADICTED = "is one of several different reports for one shard and attempt: the worst result of each test counts"


def without_conflicts(reports: list[ShardReport]) -> list[ShardReport]:
    """Two different reports of one attempt of one shard: the worst result of each test is kept, and the shard is corrupt."""
    by_key: dict[tuple[str, str, int], list[ShardReport]] = {}
    for report in reports:
        by_key.setdefault(key_of(report), []).append(report)
    return [group[0] if len(group) == 1 else _worst_of(sorted(group, key=_content)) for _, group in sorted(by_key.items())]


def _worst_of(group: Sequence[ShardReport]) -> ShardReport:
    cases: dict[str, list[Case]] = {}
    for report in group:
        for case in report.cases:
            cases.setdefault(case.test_id, []).append(case)
    merged = [min(same, key=lambda case: (SEVERITY.index(case.outcome), dumps(case))) for _, same in sorted(cases.items())]
    exits = {dumps(exit_): exit_ for report in group for exit_ in report.exits}
    errors = {dumps(error): error for report in group for error in report.collection_errors}
    return replace(
        group[0],
        cases=tuple(merged),
        exits=tuple(exits[name] for name in sorted(exits)),
        collection_errors=tuple(errors[name] for name in sorted(errors)),
        corrupt=tuple(sorted({reason for report in group for reason in report.corrupt} | {_CONTRADICTED})),
    )


def identity_problems(reports: Sequence[ShardReport], plans: Mapping[str, Plan], run_ids: set[str], run_id: str) -> Iterable[str]:
    """Reports of another run, commit or plan than the others, or than was asked for; of another tool's version or settings."""
    if not run_id and len(run_ids) > 1:
        yield f"the reports are of {len(run_ids)} runs: {', '.join(sorted(run_ids))}"
    tools = sorted({tool for report in reports if (tool := report.facts.get("tool", ""))})
    if len(tools) > 1:
        yield f"the reports were written by {len(tools)} versions of ci-tools: {', '.join(tools)}"
    yield from _other_settings(reports)
    for report in reports:
        place = place_of(report)
        if run_id and report.run_id and report.run_id != run_id:
            yield f"{place} is of run {report.run_id}, expected {run_id}"
        plan = plans.get(report.configuration)
        if plan is None:
            continue
        if report.commit and plan.commit and report.commit != plan.commit:
            yield f"{place} is of commit {report.commit}, the plan of {plan.commit}"
        if report.plan_digest and report.plan_digest != plan.expected_digest:
            yield f"{place} ran by another plan ({report.plan_digest[:19]}, expected {plan.expected_digest[:19]})"


def _other_settings(reports: Iterable[ShardReport]) -> Iterator[str]:
    """Shards of one configuration that ran by other settings than most of its shards; what a newer attempt replaced is not asked.

    Foreign files say none. A report of ours that says none, beside some that do, is of bare pytest: other settings too.
    """
    by_configuration: dict[str, list[ShardReport]] = {}
    for report in newest_of(reports).values():
        if report.facts.get("tool", ""):
            by_configuration.setdefault(report.configuration, []).append(report)
    for own in by_configuration.values():
        said = [report.facts.get("settings", "") for report in own]
        usual = max(sorted(set(said)), key=said.count)
        for report, settings in sorted(zip(own, said, strict=True), key=lambda pair: key_of(pair[0])):
            if settings != usual:
                yield (
                    f"{place_of(report)} ran by other settings than the other shards ({_different(settings, usual)}): expected "
                    f"the same arguments, pytest configuration and [tool.ci-tools] in all of them; run it again as the others"
                )


def _different(one: str, other: str) -> str:
    """The names of what two texts like ``arguments=… pytest=…`` say differently."""
    lonely = set(one.split()) ^ set(other.split())
    return ", ".join(sorted({item.partition("=")[0] for item in lonely}))
