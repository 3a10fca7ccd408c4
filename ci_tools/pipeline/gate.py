"""The verbs ``gate``, ``merge`` and ``verify``: judge what other jobs or other runners did, from their files alone."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ci_tools.errors import UsageError
from ci_tools.host.files import write_text
from ci_tools.model.codec import dumps
from ci_tools.model.report import RunReport
from ci_tools.model.shard import ShardRef
from ci_tools.model.verdict import Verdict
from ci_tools.pipeline.evidence import BASELINE, Evidence, gather, gather_again, input_of, junit_files, role_of
from ci_tools.pipeline.judge import Facts, judge_evidence
from ci_tools.pipeline.project import Console, Project, open_project
from ci_tools.pipeline.publish import Publication, publish
from ci_tools.policy.baseline import make_baseline
from ci_tools.reports.junit import write_junit
from ci_tools.reports.merge import merge as merge_reports
from ci_tools.reports.stream import merge_junit
from ci_tools.reports.verify import Verification
from ci_tools.reports.verify import verify as verify_verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRequest:
    """What ``ci-tools gate`` was asked for. ``needs_variable`` names the variable that holds GitHub's ``needs`` as JSON."""

    root: Path
    environ: Mapping[str, str]
    inputs: tuple[Path, ...] = ()
    junit: tuple[Path, ...] = ()
    plans: tuple[Path, ...] = ()
    profile: str = ""
    needs_variable: str = ""
    output: Path | None = None


def gate(request: GateRequest, console: Console) -> Verdict:
    """Judge every input as one run and publish the verdict into ``output`` (default: ``ci-artifacts/gate``)."""
    project = open_project(request.root, request.environ)
    output = request.output or project.artifacts / "gate"
    evidence = _gather(request, project, output)
    failed: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    if request.needs_variable:
        needs = output / "needs.json"
        write_text(needs, request.environ.get(request.needs_variable, ""))
        failed, problems = _needs(needs)
        evidence = replace(evidence, inputs=(*evidence.inputs, input_of(needs, output)))
    facts = Facts(
        policy=project.policy(request.profile),
        profile=request.profile,
        failed_jobs=failed,
        problems=problems,
        house_errors=evidence.errors,
    )
    judgement = judge_evidence(project, evidence, facts)
    publish(project, judgement, Publication(folder=output), console)
    return judgement.verdict


def merge(request: GateRequest) -> str:
    """Merge every input without judging; one line that says what there is.

    JUnit files and folders of them are streamed into ``junit.xml``: linear in files, flat in memory. Anything else becomes
    ``report.json`` and ``junit.xml`` with every test once.
    """
    project = open_project(request.root, request.environ)
    output = request.output or project.artifacts / "merged"
    files = () if request.plans else junit_files(request.inputs, base=output)
    if files:
        merged = merge_junit(files, output / "junit.xml")
        counts = f"{merged.tests} test(s), {merged.failures} failure(s), {merged.errors} error(s), {merged.skipped} skipped"
        lines = [f"{output / 'junit.xml'}: {counts} from {merged.files} file(s)"]
        return "\n".join([*lines, *(f"  {line}" for line in (*merged.corrupt, *merged.repeated))])
    evidence = _gather(request, project, output)
    report = merge_reports(evidence.plans, evidence.reports)
    write_text(output / "report.json", dumps(report))
    write_junit(report, output / "junit.xml")
    return _told(report, output)


def update_baseline(request: GateRequest) -> str:
    """Keep a green run as what later ones are compared with; UsageError when its verdict is not passed."""
    project = open_project(request.root, request.environ)
    folders = request.inputs or (project.artifacts / "latest",)
    evidence = gather(folders, plans=request.plans, base=project.root)
    facts = Facts(policy=project.policy(request.profile), profile=request.profile, house_errors=evidence.errors)
    judgement = judge_evidence(project, evidence, facts)
    baseline = make_baseline(judgement.report, judgement.verdict, judgement.verdict.causes, now=time.time())
    path = request.output or project.root / BASELINE
    write_text(path, dumps(baseline))
    return f"{path}: {len(baseline.tests)} test(s) of commit {baseline.commit[:12] or 'unknown'}"


def _gather(request: GateRequest, project: Project, output: Path) -> Evidence:
    if not request.inputs and not request.junit:
        raise UsageError("there is nothing to judge", hint="give folders of runs, or --junit FILE…")
    return gather(request.inputs, junit=request.junit, plans=request.plans, baseline=project.root / BASELINE, base=output)


def _told(report: RunReport, output: Path) -> str:
    counts = ", ".join(f"{count} {outcome}" for outcome, count in report.counts.items() if count)
    return f"{output / 'report.json'}: {len(report.cases)} test(s) from {len(report.shards)} report(s): {counts or 'nothing'}"


def _needs(path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What GitHub says of the jobs before: those that failed, and those that were cancelled or skipped, which is no success."""
    text = path.read_text(encoding="utf-8")
    try:
        needs = json.loads(text)
        results = {str(job): str(facts["result"]) for job, facts in needs.items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        what = f"needs is {text[:80]!r}, expected GitHub's `needs` as JSON"
        raise UsageError(what, hint="set the variable with `env: {NEEDS: ${{ toJSON(needs) }}}`") from error
    if not results:
        return (), ("the gate needs no job: nothing was asked",)
    told = {job: f"job {job} ended as {result}" for job, result in sorted(results.items()) if result != "success"}
    failed = tuple(text for job, text in told.items() if results[job] == "failure")
    return failed, tuple(text for text in told.values() if text not in failed)


def recompute(path: Path, project: Project) -> Verification:
    """Check a verdict offline: its bytes, those of its inputs, and whether judging them again gives the same."""

    def rejudge(verdict: Verdict, paths: Sequence[Path]) -> Verdict:
        evidence = gather_again(paths, base=path.parent)
        needs = next((item for item in paths if role_of(item) == "needs"), None)
        failed, problems = _needs(needs) if needs is not None else ((), ())
        facts = Facts(
            policy=verdict.policy or project.policy(verdict.profile),
            profile=verdict.profile,
            shard=ShardRef.parse(verdict.shard) if verdict.shard else None,
            house_errors=verdict.errors,
            failed_jobs=failed,
            problems=problems,
            duration_s=verdict.duration_s,
            at=verdict.created_at,
        )
        return judge_evidence(project, evidence, facts).verdict

    return verify_verdict(path, rejudge=rejudge)


def verify(path: Path, root: Path, environ: Mapping[str, str]) -> tuple[tuple[str, ...], bool]:
    """Check a verdict offline, bytes and rules; lines that say what came out, and whether it is sound."""
    verification = recompute(path, open_project(root, environ))
    verdict = verification.verdict
    said = f"{verdict.decision}, exit code {verdict.exit_code}"
    head = f"{path}: {said}, {len(verdict.inputs)} input(s), ci-tools {verdict.tool_version}"
    if verification.is_sound:
        return (head, "sound: every byte is as it was judged, and judged again it is the same"), True
    return (head, *(f"NOT SOUND: {problem}" for problem in verification.problems)), False
