"""The stage ``judge``: merge what the shards said, find the causes, ask every rule of the policy.

Reads the files that the run wrote, as a gate in another job does: the same evidence, the same verdict.
"""

import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from ci_tools import __version__
from ci_tools.errors import CIToolsError
from ci_tools.model.policy import DEFAULT_PROFILE, Policy
from ci_tools.model.report import RunReport, ShardReport
from ci_tools.model.shard import Plan, Shard, ShardRef
from ci_tools.model.verdict import Cause, HouseError, Verdict
from ci_tools.pipeline.evidence import Evidence
from ci_tools.pipeline.project import Project
from ci_tools.policy.judge import judge
from ci_tools.reports.causes import find_causes
from ci_tools.reports.merge import merge


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the judge knows beside the evidence.

    ``shard`` is set when only one shard was asked for: the others are not missing then. ``failed_jobs`` count when the
    tests do not say why a job failed, ``problems`` in any case. ``at`` is the time of the verdict; now, when it is 0.
    """

    policy: Policy
    profile: str = ""
    run_id: str = ""
    shard: ShardRef | None = None
    errors: tuple[CIToolsError, ...] = ()
    interrupted_by: str = ""
    failed_jobs: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    house_errors: tuple[HouseError, ...] = ()
    duration_s: float = 0.0
    at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The verdict and what it was made from."""

    verdict: Verdict
    report: RunReport
    reports: tuple[ShardReport, ...] = field(default=())


def judge_evidence(project: Project, evidence: Evidence, facts: Facts) -> Judgement:
    """Merge and judge. Every rule is asked, also when nothing was found at all."""
    plans = evidence.plans if facts.shard is None else tuple(_only(plan, facts.shard) for plan in evidence.plans)
    report = merge(plans, evidence.reports, run_id=facts.run_id)
    failed = facts.failed_jobs if _is_green(report) else ()
    report = replace(
        report,
        problems=(*report.problems, *facts.problems, *failed),
        interrupted_by=report.interrupted_by or facts.interrupted_by,
        duration_s=facts.duration_s or report.duration_s,
        commit=report.commit or project.commit,
    )
    causes = find_causes(report, root=str(project.root))
    verdict = judge(
        report,
        facts.policy,
        now=facts.at or time.time(),
        profile=facts.profile or DEFAULT_PROFILE,
        causes=tuple(_repeatable(cause, project) for cause in causes),
        baseline=evidence.baseline,
        inputs=evidence.inputs,
        errors=(*facts.house_errors, *(_house_error(error) for error in facts.errors)),
        tool_version=__version__,
    )
    verdict = replace(verdict, shard=str(facts.shard or ""), notes=(*_strangers(report, project), *verdict.notes))
    return Judgement(verdict=verdict, report=report, reports=evidence.reports)


def _strangers(report: RunReport, project: Project) -> Iterator[str]:
    """A note where the evidence is of another commit than the checkout: of another repository, too, as two share no commit."""
    if report.commit and project.commit and report.commit != project.commit:
        yield (
            f"the reports are of commit {report.commit[:12]}, this checkout is {project.commit[:12]}: only its policy and its"
            " baseline are of the latter"
        )


def _only(plan: Plan, ref: ShardRef) -> Plan:
    """The plan as one of its shards sees it: the others are planned elsewhere."""
    shards = tuple(shard if shard.ref == ref else Shard(ref=shard.ref, units=()) for shard in plan.shards)
    return replace(plan, shards=shards)


def _repeatable(cause: Cause, project: Project) -> Cause:
    """The cause with the command that brings its example's services along, by the door through which the person came."""
    known = {configuration.name for configuration in project.config.configurations}
    affected = known & set(cause.configurations)
    only = sorted(affected) if affected != known else []
    command = " ".join([project.repeat, *(f"--configuration {shlex.quote(name)}" for name in only)])
    return replace(cause, command=cause.command.replace("python -m pytest", command, 1))


def _is_green(report: RunReport) -> bool:
    is_whole = not (report.collection_errors or report.missing_shards or report.corrupt)
    return is_whole and all(case.outcome.is_green for case in report.cases)


def _house_error(error: CIToolsError) -> HouseError:
    return HouseError(what=str(error), exit_code=int(error.exit_code))
