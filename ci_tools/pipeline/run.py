"""READ THIS FIRST: plan, provision, run, collect, judge, publish, in that order.

``run`` is the whole way in one process. Whatever happens on it – a service that does not start, a signal, a deadline –
it ends with what the journals say, a verdict and a summary.
"""

import hashlib
import shutil
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from ci_tools.config.schema import Configuration
from ci_tools.errors import CIToolsError, UsageError
from ci_tools.host import process
from ci_tools.host.files import write_text
from ci_tools.host.runs import (
    create_private_folder,
    create_run_folder,
    finish_run_folder,
    is_given_run_id,
    new_run_id,
    prune_runs,
    run_folder_name,
)
from ci_tools.host.signals import Interrupted, Interruption, interruptible
from ci_tools.model.codec import dumps
from ci_tools.model.plan import render_plan
from ci_tools.model.policy import Policy
from ci_tools.model.report import WorkerExit
from ci_tools.model.service import Provenance, ServiceSpec
from ci_tools.model.shard import Plan, Shard, ShardRef
from ci_tools.model.verdict import Verdict
from ci_tools.model.worker import WorkerOrder
from ci_tools.pipeline.console import introduce
from ci_tools.pipeline.evidence import BASELINE, gather
from ci_tools.pipeline.judge import Facts, Judgement, judge_evidence
from ci_tools.pipeline.launch import Launch
from ci_tools.pipeline.masking import copy_masked, mask_journals, mask_of
from ci_tools.pipeline.plan import Suite, Target, load_plan, make_plans, paths_of_plan, plan_family, plan_name, seed_from
from ci_tools.pipeline.project import Console, Project, open_project, placed
from ci_tools.pipeline.publish import Publication, publish, write_shard
from ci_tools.pipeline.sequence import Recording, load_recording, plan_of_recording
from ci_tools.pipeline.settings import settings_of
from ci_tools.pipeline.tested import tested_facts
from ci_tools.reports.journals import read_shard
from ci_tools.services.provision import provide
from ci_tools.sharding.environment import shard_from_environment, status_file
from ci_tools.sharding.sequences import orders_of_sequence
from ci_tools.sharding.static import orders_for
from ci_tools.summary.masking import Mask


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """What ``ci-tools run`` was asked for.

    ``shard`` runs one slice; without it all ``shards`` slices run here, one after another; with neither, the slice that
    CI's own variables name, else everything. ``plan_path`` takes a plan that was made before, ``replay`` the journal of a
    worker (or a folder with one) whose exact order is to be repeated, in the configuration that it had. ``paths`` (files,
    folders, test IDs) replace the configured ones.
    ``workers`` is the number of pytest-xdist workers inside a shard (0: one a processor, None: as configured). Empty
    ``configurations`` runs all that are declared. ``tested`` are the wheels installed here whose digests every shard's facts
    are to hold. ``started_at`` is when the person began to wait.
    """

    root: Path
    environ: Mapping[str, str]
    artifacts: Path | None = None
    shard: ShardRef | None = None
    shards: int | Target | None = None
    plan_path: Path | None = None
    replay: Path | None = None
    workers: int | None = None
    configurations: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    pytest_args: tuple[str, ...] = ()
    profile: str = ""
    tested: tuple[Path, ...] = ()
    started_at: float = 0.0


@dataclass(slots=True, kw_only=True)
class _Run:
    """What is known of a run so far: it grows stage by stage and is judged however far it came.

    ``private`` is the folder for what must not become an artifact: endpoints with their passwords, orders, output not yet masked.
    """

    project: Project
    request: RunRequest
    console: Console
    run_id: str
    folder: Path
    private: Path
    interruption: Interruption
    started_at: float
    plans: list[Plan] = field(default_factory=list)
    errors: list[CIToolsError] = field(default_factory=list)
    interrupted_by: str = ""
    pytest_s: float = 0.0
    recording: Recording | None = None
    tested: Mapping[str, str] = field(default_factory=dict)

    @property
    def sequence(self) -> tuple[str, ...]:
        """The exact order that is repeated; empty when none is."""
        return self.recording.test_ids if self.recording is not None else ()


def run(request: RunRequest, console: Console) -> Verdict:
    """Take the whole way; the verdict. UsageError and ConfigError leave no run behind, everything else is in its verdict."""
    if request.shard is None and request.shards is None:
        request = replace(request, shard=shard_from_environment(request.environ))
        _understand_sharding(request.environ)
    # Before this run's folder becomes "latest": these files may be given by that name.
    request = replace(request, plan_path=_resolved(request.plan_path), replay=_resolved(request.replay))
    project = open_project(request.root, request.environ, artifacts=request.artifacts)
    request = replace(request, paths=placed(request.paths, project.root, Path.cwd()))
    policy = project.policy(request.profile)
    configurations = [project.configuration(name) for name in request.configurations] or list(project.config.configurations)
    count = _count(request)
    tested = tested_facts(request.tested, project)
    process.become_subreaper()
    with interruptible() as interruption:
        run_id = new_run_id(request.environ)
        name = run_folder_name(run_id, request.shard.slug if request.shard else None, project.run_attempt)
        folder = create_run_folder(project.artifacts, name)
        state = _Run(
            project=project,
            request=request,
            console=console,
            run_id=run_id,
            folder=folder,
            private=create_private_folder(project.environ),
            interruption=interruption,
            started_at=request.started_at or time.time(),
            tested=tested,
        )
        try:
            _plan(state, configurations, count)
            state.run_id = _shared_run_id(state)
            for plan in state.plans:
                _run_configuration(state, project.configuration(plan.configuration), plan)
        except Interrupted as interrupted:
            state.interrupted_by = interrupted.name
        except CIToolsError as error:
            state.errors.append(error)
        except Exception as error:  # noqa: BLE001 - a fault of ours must not cost what the tests have said
            write_text(folder / "fault.txt", traceback.format_exc())
            state.errors.append(CIToolsError(f"fault of ci-tools: {error!r}", hint=f"report it with {folder / 'fault.txt'}"))
        finally:
            process.end_descendants(1.0)
            shutil.rmtree(state.private, ignore_errors=True)
        judgement = _judge(state, policy)
        publish(project, judgement, _publication(state), console)
        finish_run_folder(folder)
    if request.shard is None:  # a shard's siblings lie there too, and are still to be judged
        prune_runs(project.artifacts, keep=project.config.keep_runs)
    return judgement.verdict


def _judge(state: _Run, policy: Policy) -> Judgement:
    evidence = gather([state.folder], baseline=state.project.root / BASELINE, base=state.folder)
    return judge_evidence(
        state.project,
        evidence,
        Facts(
            policy=policy,
            profile=state.request.profile,
            run_id=state.run_id,
            shard=state.request.shard,
            errors=tuple(state.errors),
            # Where we ended before a shard began there is nothing to find, and the reason is known.
            house_errors=evidence.errors if evidence.reports or not state.errors else (),
            interrupted_by=state.interrupted_by,
            duration_s=time.time() - state.started_at,
        ),
    )


def _publication(state: _Run) -> Publication:
    return Publication(
        folder=state.folder,
        is_run=True,
        keeps_timings=_keeps_timings(state),
        pytest_s=state.pytest_s,
        started_at=state.started_at,
        shard=state.request.shard,
    )


def _resolved(path: Path | None) -> Path | None:
    return path.resolve() if path is not None else None


def _understand_sharding(environ: Mapping[str, str]) -> None:
    """Bazel asks every test runner to say by a file that it runs its slice only."""
    path = status_file(environ)
    if path:
        Path(path).touch()


def _count(request: RunRequest) -> int | Target:
    if request.shard is None:
        return request.shards or 1
    if request.shards not in {None, request.shard.count}:
        what = f"--shard {request.shard} and --shards {request.shards} contradict each other"
        raise UsageError(what, hint="--shard i/N runs one of N shards here, --shards N all of them")
    return request.shard.count


def _shared_run_id(state: _Run) -> str:
    """The ID under which sibling shards find together: CI's own, else one made of the plan that they share.

    On a laptop each ``--shard i/N`` is a process of its own that nobody gave a common name.
    """
    if state.request.shard is None or is_given_run_id(state.request.environ):
        return state.run_id
    digest = hashlib.sha256("".join(dumps(plan) for plan in state.plans).encode()).hexdigest()
    return f"plan-{digest[:12]}"


def _plan(state: _Run, configurations: Sequence[Configuration], count: int | Target) -> None:
    """The plan of each configuration, made, shipped or recorded, written beside the other files of the run."""
    request, project = state.request, state.project
    state.console.stage("plan")
    if request.replay is not None:
        recording = load_recording(request.replay)
        project.configuration(recording.configuration)
        if recording.hash_seed in {"", "random"}:
            state.console.say("the order of sets cannot be repeated: PYTHONHASHSEED was not set where this was recorded")
        state.recording = recording
        plans = [plan_of_recording(recording, commit=project.commit)]
    elif request.plan_path is not None:
        names = {configuration.name for configuration in configurations}
        shipped = [
            load_plan(path, project, paths=request.paths, pytest_args=request.pytest_args)
            for path in plan_family(request.plan_path)
        ]
        plans = [plan for plan in shipped if plan.configuration in names]
        if request.shard is not None:
            for plan in plans:
                plan.shard(request.shard)
    else:
        # Shards that plan alone agree on a seed as they do on the plan: by what all of them know.
        is_shared = request.shard is None or is_given_run_id(request.environ)
        seed = seed_from(state.run_id if is_shared else project.commit)
        suite = Suite(project=project, seed=seed, paths=request.paths, pytest_args=request.pytest_args)
        processes = _processes(state)
        plans = list(make_plans(suite, configurations, shards=count, processes=processes, folder=state.private))
    for plan in plans:
        write_text(state.folder / plan_name(project, plan.configuration), render_plan(plan))
    state.plans = plans


def _processes(state: _Run) -> int:
    if state.sequence:
        return 1
    wanted = state.request.workers if state.request.workers is not None else state.project.config.workers
    return wanted or state.project.processors


def _run_configuration(state: _Run, configuration: Configuration, plan: Plan) -> None:
    """Provide the services of one configuration, then run its shards one after another."""
    wanted = [plan.shard(state.request.shard)] if state.request.shard is not None else list(plan.filled)
    filled = [shard for shard in wanted if not shard.is_empty]
    if not filled:
        why = "the suite has fewer pieces than shards" if plan.filled else "no test was collected for these arguments"
        state.console.say(f"shard {state.request.shard or '1/1'}: nothing is planned here, {why}")
        return
    most_tests = max(len(shard.test_ids) for shard in filled)
    slots = max(1, min(_processes(state), most_tests))
    private = state.private / configuration.name
    private.mkdir(mode=0o700)
    with ExitStack() as stack:
        state.console.stage("services")
        provision = stack.enter_context(
            provide(
                _specs(state, configuration, plan, filled),
                environ=state.project.environ,
                folder=private,
                slots=slots,
                is_ci=state.project.is_ci,
            )
        )
        for provenance in provision.provenances:
            state.console.say(introduce(provenance))
        slots_path = private / "slots.json"
        write_text(slots_path, dumps(provision.slots))
        slots_path.chmod(0o600)
        for shard in filled:
            _run_shard(state, configuration, plan, shard.ref, slots_path, provision.provenances)


def _specs(state: _Run, configuration: Configuration, plan: Plan, shards: Sequence[Shard]) -> tuple[ServiceSpec, ...]:
    """The configuration's services, without those that tests of other shards declare and none of these.

    A service that no test of the whole plan declares may be used by any of them: it is started everywhere.
    """
    declared = {name for shard in plan.shards for name in shard.services}
    needed = {name for shard in shards for name in shard.services}
    specs = tuple(spec for spec in state.project.config.services if spec.kind in configuration.services)
    idle = [spec for spec in specs if spec.kind in declared - needed]
    for spec in idle:
        state.console.say(f"{spec.kind}: declared by tests of other shards only, not started here")
    return tuple(spec for spec in specs if spec not in idle)


def _run_shard(
    state: _Run, configuration: Configuration, plan: Plan, ref: ShardRef, slots_path: Path, services: tuple[Provenance, ...]
) -> None:
    """Run one shard under its supervisor; its report is there however it ends."""
    project, request, shard = state.project, state.request, plan.shard(ref)
    # One folder a configuration: journals of one folder belong together.
    folder = state.folder / configuration.name if project.suffix_of(configuration.name) else state.folder
    order = WorkerOrder(
        run_id=state.run_id,
        journal_dir=str(folder),
        run_attempt=project.run_attempt,
        configuration=configuration.name,
        shard=str(ref),
        plan_digest=plan.expected_digest,
        commit=project.commit,
        settings=settings_of(project, configuration, request.pytest_args),
        files=orders_of_sequence(state.sequence) if state.sequence else orders_for(plan, ref),
        slots_path=str(slots_path),
        seed=plan.seed,
        hash_seed=state.recording.hash_seed if state.recording is not None else "",
        sequence=state.sequence,
        groups={test_id: plan.groups[test_id] for test_id in shard.test_ids if test_id in plan.groups},
        guard=project.config.guard,
    )
    tests = len(shard.test_ids)
    named = f", configuration {configuration.name}" if len(state.plans) > 1 else ""
    state.console.stage(f"shard {ref}{named}", expected=tests, workers=min(_processes(state), max(tests, 1)))
    launch = Launch(
        project=project,
        configuration=configuration,
        private=slots_path.parent,
        paths=() if state.sequence else paths_of_plan(plan),
        pytest_args=request.pytest_args,
        processes=_processes(state),
        has_groups=bool(plan.groups),
    )
    started_at, began = time.time(), time.monotonic()
    exits: tuple[WorkerExit, ...] = ()
    try:
        exits = launch.run(order, on_event=state.console.event, interruption=state.interruption)
    finally:
        duration_s = time.monotonic() - began
        state.pytest_s += duration_s
        mask = mask_of(project)
        mask_journals(folder, mask)
        report = read_shard(
            folder,
            run_id=state.run_id,
            shard=ref,
            expected=shard.test_ids,
            run_attempt=project.run_attempt,
            configuration=configuration.name,
            commit=project.commit,
            plan_digest=plan.expected_digest,
            exits=mask.value(exits),
            services=mask.value(services),
            interrupted_by=state.interruption.name,
            started_at=started_at,
            duration_s=duration_s,
        )
        report = replace(report, facts={**report.facts, **state.tested})
        write_shard(project, folder, report)
        _keep_output(slots_path.parent, folder, project.suffix_of(configuration.name), mask)


def _keep_output(private: Path, folder: Path, suffix: str, mask: Mask) -> None:
    """What workers and servers wrote becomes an artifact; orders, endpoints and secrets do not."""
    for output in private.glob("*.log"):
        copy_masked(output, folder / f"{output.stem}{suffix}{output.suffix}", mask)


def _keeps_timings(state: _Run) -> bool:
    """Whether this run may change the timings that the next plan is made from.

    A single shard may not: its siblings plan with what they find, and all of them must find the same.
    """
    return state.request.shard is None
