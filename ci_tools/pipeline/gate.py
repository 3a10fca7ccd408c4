"""The verbs ``gate``, ``merge`` and ``verify``: judge what other jobs or other runners did, from their files alone."""

import contextlib
import json
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ci_tools.errors import CIToolsError, ExitCode, UsageError
from ci_tools.host.files import write_chunks, write_text
from ci_tools.model.codec import dumped, dumps
from ci_tools.model.policy import Policy
from ci_tools.model.report import RunReport
from ci_tools.model.shard import ShardRef
from ci_tools.model.verdict import Verdict
from ci_tools.pipeline.evidence import BASELINE, Evidence, gather, gather_again, input_of, junit_files, role_of
from ci_tools.pipeline.judge import Facts, Judgement, judge_evidence
from ci_tools.pipeline.project import Console, Project, open_project, unconfigured_project
from ci_tools.pipeline.publish import Publication, publish
from ci_tools.policy.baseline import make_baseline
from ci_tools.reports.junit import write_junit
from ci_tools.reports.merge import merge as merge_reports
from ci_tools.reports.stream import MERGED, merge_junit
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
    """Judge every input as one run and publish the verdict into ``output`` (default: ``ci-artifacts/gate``).

    Whatever goes wrong on the way is in the verdict, which then is *error*: no older one is left behind for somebody to find.
    UsageError when the verdict cannot be written.
    """
    errors: list[CIToolsError] = []
    try:
        project = open_project(request.root, request.environ)
    except CIToolsError as error:
        errors.append(error)
        project = unconfigured_project(request.root, request.environ)
    output = request.output or project.artifacts / "gate"
    try:
        judgement = _judge(request, project, output, errors)
    except Exception as error:  # noqa: BLE001 - fail closed: a fault of ours is a verdict too
        fault = _fault(error, output)
        facts = Facts(policy=Policy(), profile=request.profile, errors=(*errors, fault))
        judgement = judge_evidence(project, Evidence(reports=(), plans=(), inputs=()), facts)
    try:
        publish(project, judgement, Publication(folder=output), console)
    except OSError as error:
        what = f"the verdict ({judgement.verdict.headline}) cannot be written to {str(output)!r}: {error.strerror or error}"
        raise UsageError(what, hint="make room, or name a folder that can be written with --output") from error
    return judgement.verdict


def _judge(request: GateRequest, project: Project, output: Path, errors: list[CIToolsError]) -> Judgement:
    """The judgement on what can be read; each error makes it one of *error*."""
    try:
        policy = project.policy(request.profile)
    except CIToolsError as error:
        errors.append(error)
        policy = Policy()
    try:
        evidence = _gather(request, project, output)
    except CIToolsError as error:
        errors.append(error)
        evidence = Evidence(reports=(), plans=(), inputs=())
    needs = Needs()
    if request.needs_variable:
        path = output / "needs.json"
        write_text(path, request.environ.get(request.needs_variable, ""))
        own = input_of(path, output)
        evidence = replace(evidence, inputs=(*evidence.inputs, *([own] if own else [])))
        try:
            needs = _needs(path)
        except CIToolsError as error:
            errors.append(error)
    facts = Facts(
        policy=policy,
        profile=request.profile,
        failed_jobs=needs.failed,
        problems=needs.problems,
        errors=tuple(errors),
        house_errors=evidence.errors,
    )
    return judge_evidence(project, evidence, facts)


def _fault(error: Exception, output: Path) -> CIToolsError:
    path = output / "fault.txt"
    with contextlib.suppress(OSError):
        write_text(path, traceback.format_exc())
    return CIToolsError(f"fault of ci-tools: {error!r}", hint=f"report it with {path}")


def merge(request: GateRequest) -> str:
    """Merge every input without judging; one line that says what there is.

    JUnit files and folders of them are streamed into ``junit.xml``: linear in files, flat in memory. Anything else becomes
    ``report.json`` and ``junit.xml`` with every test once.
    """
    project = open_project(request.root, request.environ)
    output = request.output or project.artifacts / "merged"
    files = () if request.plans else junit_files(request.inputs, base=output)
    if files:
        files = _without_output(files, output / "junit.xml", request.inputs)
        merged = merge_junit(files, output / "junit.xml")
        counts = f"{merged.tests} test(s), {merged.failures} failure(s), {merged.errors} error(s), {merged.skipped} skipped"
        lines = [f"{output / 'junit.xml'}: {counts} from {merged.files} file(s)"]
        return "\n".join([*lines, *(f"  {line}" for line in (*merged.corrupt, *merged.repeated))])
    evidence = _gather(request, project, output)
    broken = [error for error in evidence.errors if error.exit_code == ExitCode.USAGE]
    if broken:
        raise UsageError("\n".join(error.what for error in broken))
    report = merge_reports(evidence.plans, evidence.reports)
    write_chunks(output / "report.json", dumped(report))
    write_junit(report, output / "junit.xml")
    odd = (*(error.what for error in evidence.errors), *report.corrupt, *report.problems)
    return "\n".join([_told(report, output), *(f"  {line}" for what in odd for line in what.splitlines())])


def _without_output(files: tuple[Path, ...], target: Path, inputs: Sequence[Path]) -> tuple[Path, ...]:
    """The files without what an earlier merge left in their folder; UsageError where this one would overwrite another of them."""
    own = [path for path in files if path.resolve() == target.resolve()]
    if not own:
        return files
    with target.open("rb") as stream:
        is_merged = MERGED in stream.read(1 << 10)
    others = tuple(path for path in files if path not in own)
    if not is_merged or not others or target.resolve() in {path.resolve() for path in inputs}:
        what = f"{str(target)!r} is an input and would be overwritten"
        raise UsageError(what, hint="name another folder with --output")
    return others


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What GitHub says of the jobs before: those that failed, and those that were cancelled or skipped, which is no success."""

    failed: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def _needs(path: Path) -> Needs:
    text = path.read_text(encoding="utf-8")
    try:
        needs = json.loads(text)
        results = {str(job): str(facts["result"]) for job, facts in needs.items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        what = f"needs is {text[:80]!r}, expected GitHub's `needs` as JSON"
        raise UsageError(what, hint="set the variable with `env: {NEEDS: ${{ toJSON(needs) }}}`") from error
    if not results:
        return Needs(problems=("the gate needs no job: nothing was asked",))
    told = {job: f"job {job} ended as {result}" for job, result in sorted(results.items()) if result != "success"}
    failed = tuple(text for job, text in told.items() if results[job] == "failure")
    return Needs(failed=failed, problems=tuple(text for text in told.values() if text not in failed))


def _readable_needs(path: Path) -> Needs:
    """The same of a verdict's input: where it could not be read, the verdict's own errors say so."""
    try:
        return _needs(path)
    except UsageError:
        return Needs()


def recompute(path: Path, project: Project) -> Verification:
    """Check a verdict offline: its bytes, those of its inputs, and whether judging them again gives the same."""

    def rejudge(verdict: Verdict, paths: Sequence[Path]) -> Verdict:
        evidence = gather_again(paths, base=path.parent)
        needs = next((item for item in paths if role_of(item) == "needs"), None)
        told = _readable_needs(needs) if needs is not None else Needs()
        facts = Facts(
            policy=verdict.policy or project.policy(verdict.profile),
            profile=verdict.profile,
            shard=ShardRef.parse(verdict.shard) if verdict.shard else None,
            house_errors=verdict.errors,
            failed_jobs=told.failed,
            problems=told.problems,
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
    beside = len(verdict.published) - len(verification.absent)
    files = f"{len(verdict.inputs)} input(s), {beside} published file(s)"
    head = f"{path}: {said}, {files}, ci-tools {verdict.tool_version}"
    absent = [f"not checked: {name} is not here" for name in verification.absent]
    if verification.is_sound:
        return (head, *absent, "sound: every byte is as it was judged, and judged again it is the same"), True
    return (head, *absent, *(f"NOT SOUND: {problem}" for problem in verification.problems)), False
