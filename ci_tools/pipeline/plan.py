"""The stage ``plan``: collect once, read the timings, cut the suite into shards; or read a plan that was shipped."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ci_tools.config.schema import Configuration
from ci_tools.errors import CIToolsError, DecodeError, PlanMismatchError, UsageError, WorkersError
from ci_tools.host import process
from ci_tools.host.files import write_text
from ci_tools.model.codec import dumps, loads
from ci_tools.model.shard import PLAN_VERSION, Plan
from ci_tools.model.worker import Collected, WorkerOrder
from ci_tools.pipeline.project import Project
from ci_tools.sharding.sizing import DEFAULT_TARGET_S, size_for
from ci_tools.sharding.static import partition
from ci_tools.sharding.timings import Timings, parse_timings
from ci_tools.workers.command import command

COLLECT_TIMEOUT_S = 600.0
"""Importing a large suite takes minutes, not more; a module that waits for ever at import must not hang the plan."""

_END_GRACE_S = 2.0
_TAIL_LINES = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """``--shards auto``: as many shards as it takes to be done within these seconds."""

    seconds: float = DEFAULT_TARGET_S


def plan_name(project: Project, configuration: str) -> str:
    """File name of a plan: ``plan.json`` for the first configuration, ``plan-<configuration>.json`` for others."""
    return f"plan{project.suffix_of(configuration)}.json"


def make_plan(
    project: Project,
    configuration: Configuration,
    *,
    shards: int | Target,
    paths: Sequence[str] = (),
    pytest_args: Sequence[str] = (),
    processes: int,
    folder: Path,
) -> Plan:
    """Collect the suite in ``folder`` and partition it; the same for the same tests, timings and number of shards.

    WorkersError when pytest could not collect at all. Files that cannot be imported are part of the plan. With a target
    the number of shards is chosen from the timings, and the plan's notes say why.
    """
    if isinstance(shards, int) and shards < 1:
        raise UsageError(f"shards is {shards}, expected 1 or more", hint="--shards 4 cuts the suite into four")
    wanted = tuple(paths) or project.config.tests
    collected = collect(project, configuration, paths=wanted, pytest_args=pytest_args, folder=folder)
    timings = load_timings(project.timings_path)
    reasons: tuple[str, ...] = ()
    if isinstance(shards, Target):
        size = size_for(collected, timings, target_s=shards.seconds, configuration=configuration.name, processes=processes)
        shards, reasons = size.count, size.reasons
    plan = partition(
        collected,
        timings,
        shards,
        commit=project.commit,
        configuration=configuration.name,
        filters=(*wanted, *project.config.pytest_args, *pytest_args),
        processes=processes,
    )
    return replace(plan, notes=(*reasons, *plan.notes))


def collect(
    project: Project, configuration: Configuration, *, paths: Sequence[str], pytest_args: Sequence[str], folder: Path
) -> Collected:
    """Every test ID that pytest finds with these arguments, by a worker that collects and runs nothing."""
    target, output = folder / f"collected-{configuration.name}.json", folder / f"collect-{configuration.name}.log"
    order = WorkerOrder(
        run_id="collect",
        journal_dir=str(folder),
        configuration=configuration.name,
        collect_to=str(target),
        guard=replace(project.config.guard, is_journal_on=False),
    )
    order_path = folder / f"order-collect-{configuration.name}.json"
    write_text(order_path, dumps(order))
    started = command(
        str(order_path),
        python=sys.executable,
        paths=paths,
        pytest_args=(*project.config.pytest_args, *pytest_args, *_without_xdist(project, pytest_args)),
        environ={**project.environ, **configuration.environment},
    )
    with process.start(started.argv, env=started.env, cwd=project.root, output=output) as collector:
        code = collector.wait(COLLECT_TIMEOUT_S)
        if code is None:
            collector.end(_END_GRACE_S)
            what = f"collecting the tests did not end within {COLLECT_TIMEOUT_S:.0f} s"
            raise WorkersError(what, details=_tail(output), hint="a test module waits for something when it is imported")
    if not target.is_file():
        what = f"pytest could not collect the tests (exit status {code})"
        raise WorkersError(what, details=_tail(output), hint=f"repeat it: cd {project.root} && pytest --collect-only")
    return loads(Collected, target.read_bytes(), where=target.name)


def load_plan(path: Path, project: Project) -> Plan:
    """The plan in ``path``; PlanMismatchError when it was made by another version or for another commit."""
    try:
        plan = loads(Plan, path.read_bytes(), where=str(path))
    except OSError as error:
        raise UsageError(
            f"plan {str(path)!r} cannot be read: {error.strerror}", hint="make it: ci-tools plan --output plan.json"
        ) from error
    except DecodeError as error:
        raise PlanMismatchError(error.what, hint="make the plan again with this version of ci-tools") from error
    if plan.version != PLAN_VERSION:
        raise PlanMismatchError(
            f"{path} has version {plan.version}, expected {PLAN_VERSION}", hint="make it again with this ci-tools"
        )
    if plan.commit and project.commit and plan.commit != project.commit:
        what = f"{path} was made for commit {plan.commit[:12]}, here is {project.commit[:12]}"
        raise PlanMismatchError(what, hint="check out that commit, or make the plan again")
    return plan


def load_timings(path: Path) -> Timings:
    """The kept timings; none when there is no file. One that cannot be read is left out: it only costs evenness."""
    try:
        return parse_timings(path.read_bytes(), where=str(path))
    except (OSError, CIToolsError):
        return Timings.empty()


def _without_xdist(project: Project, pytest_args: Sequence[str]) -> tuple[str, ...]:
    """pytest-xdist's controller does not collect: its workers are switched off, unless the plugin is not there at all."""
    given = (*project.config.pytest_args, *pytest_args)
    return () if "no:xdist" in given or "-pno:xdist" in given else ("-n", "0")


def _tail(path: Path) -> tuple[str, ...]:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ()
    return tuple(lines[-_TAIL_LINES:])
