"""The stage ``plan``: collect once, read the timings, cut the suite into shards; or read a plan that was shipped."""

import sys
import zlib
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Self

from ci_tools.config.schema import Configuration
from ci_tools.errors import CIToolsError, DecodeError, PlanMismatchError, UsageError, WorkersError
from ci_tools.host import process
from ci_tools.host.files import write_text
from ci_tools.model.codec import dumps, loads
from ci_tools.model.plan import parse_plan
from ci_tools.model.shard import Plan
from ci_tools.model.worker import Collected, WorkerOrder
from ci_tools.pipeline.project import Project
from ci_tools.sharding.sizing import DEFAULT_TARGET_S, size_for
from ci_tools.sharding.static import partition
from ci_tools.sharding.timings import Timings, parse_timings
from ci_tools.workers.command import added_options, command, selecting

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """What is to be collected: ``paths`` (the configured ones when empty) with these arguments of pytest.

    ``seed`` is for pytest-randomly, whose own choice would be another one in each shard that plans alone.
    """

    project: Project
    seed: int = 0
    paths: tuple[str, ...] = ()
    pytest_args: tuple[str, ...] = ()

    @property
    def wanted(self) -> tuple[str, ...]:
        """The paths that pytest gets."""
        return self.paths or self.project.config.tests


def make_plans(
    suite: Suite, configurations: Sequence[Configuration], *, shards: int | Target, processes: int, folder: Path
) -> tuple[Plan, ...]:
    """Collect the suite in each configuration, all at once, and partition it.

    Configurations with the same environment are collected once: no service is there yet, so their tests are the same.
    The same plan for the same tests, timings and number of shards. With a target the number is chosen from the timings,
    and the plan's notes say why. Files that cannot be imported are part of the plan. WorkersError when pytest could not
    collect at all.
    """
    if isinstance(shards, int) and shards < 1:
        raise UsageError(f"shards is {shards}, expected 1 or more", hint="--shards 4 cuts the suite into four")
    timings = load_timings(suite.project.timings_path)
    with ExitStack() as stack:
        different = {_surroundings(configuration): configuration for configuration in reversed(configurations)}
        collectors = {key: stack.enter_context(_Collector(suite, one, folder)) for key, one in different.items()}
        collected = {key: collector.finish() for key, collector in collectors.items()}
    return tuple(_plan(suite, one.name, collected[_surroundings(one)], timings, shards, processes) for one in configurations)


def _surroundings(configuration: Configuration) -> frozenset[tuple[str, str]]:
    """What of a configuration can be seen while tests are collected."""
    return frozenset(configuration.environment.items())


def _plan(suite: Suite, configuration: str, collected: Collected, timings: Timings, shards: int | Target, processes: int) -> Plan:
    reasons: tuple[str, ...] = ()
    if isinstance(shards, Target):
        size = size_for(collected, timings, target_s=shards.seconds, configuration=configuration, processes=processes)
        shards, reasons = size.count, size.reasons
    plan = partition(
        collected,
        timings,
        shards,
        commit=suite.project.commit,
        configuration=configuration,
        filters=(*suite.wanted, *_options(suite.project, suite.pytest_args)),
        processes=processes,
    )
    return replace(plan, notes=(*reasons, *plan.notes))


class _Collector:
    """A worker that collects and runs nothing; it is gone when its context is left."""

    def __init__(self, suite: Suite, configuration: Configuration, folder: Path) -> None:
        project = suite.project
        self._root = project.root
        self._target = folder / f"collected-{configuration.name}.json"
        self._output = folder / f"collect-{configuration.name}.log"
        order = WorkerOrder(
            run_id="collect",
            journal_dir=str(folder),
            configuration=configuration.name,
            collect_to=str(self._target),
            seed=suite.seed,
            guard=replace(project.config.guard, is_journal_on=False),
        )
        order_path = folder / f"order-collect-{configuration.name}.json"
        write_text(order_path, dumps(order))
        started = command(
            str(order_path),
            python=sys.executable,
            paths=suite.wanted,
            pytest_args=(*project.config.pytest_args, *suite.pytest_args),
            addopts=project.addopts,
            is_alone=True,
            environ={**project.environ, **configuration.environment},
        )
        self._process = process.start(started.argv, env=started.env, cwd=project.root, output=self._output)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.end(0.0)

    def finish(self) -> Collected:
        """Every test ID that pytest found; WorkersError when it found none because it could not."""
        code = self._process.wait(COLLECT_TIMEOUT_S)
        if code is None:
            self._process.end(_END_GRACE_S)
            what = f"collecting the tests did not end within {COLLECT_TIMEOUT_S:.0f} s"
            raise WorkersError(what, details=_tail(self._output), hint="a test module waits for something when it is imported")
        if not self._target.is_file():
            what = f"pytest could not collect the tests (exit status {code})"
            raise WorkersError(what, details=_tail(self._output), hint=f"repeat it: cd {self._root} && pytest --collect-only")
        return loads(Collected, self._target.read_bytes(), where=self._target.name)


def seed_from(name: str) -> int:
    """A seed from what every shard of a run knows: its ID or its commit. The same name gives the same seed."""
    return zlib.crc32(name.encode()) or 1


def plan_family(path: Path) -> tuple[Path, ...]:
    """The plan's file and those of the other configurations beside it (``plan.json``, ``plan-postgres.json``)."""
    return (path, *sorted(path.parent.glob(f"{path.stem}-*{path.suffix}")))


def load_plan(path: Path, project: Project, *, paths: Sequence[str] = (), pytest_args: Sequence[str] = ()) -> Plan:
    """The plan in ``path``; PlanMismatchError when it was made by another version, for another commit or with other filters.

    ``paths`` are those that were asked for here; without any the plan's count.
    """
    try:
        plan = parse_plan(path.read_bytes(), where=str(path))
    except OSError as error:
        raise UsageError(
            f"plan {str(path)!r} cannot be read: {error.strerror}", hint="make it: ci-tools plan --output plan.json"
        ) from error
    except DecodeError as error:
        raise PlanMismatchError(error.what, hint=error.hint) from error
    if plan.commit and project.commit and plan.commit != project.commit:
        what = f"{path} was made for commit {plan.commit[:12]}, here is {project.commit[:12]}"
        raise PlanMismatchError(what, hint="check out that commit, or make the plan again")
    planned, here = selecting(plan.filters), selecting(_options(project, pytest_args))
    if planned != here:
        what = f"{path} was made with {_named(planned)}, here is {_named(here)}"
        raise PlanMismatchError(what, hint="give the same here, or make the plan again")
    if paths and set(paths) != set(paths_of_plan(plan)):
        what = f"{path} was made of {_listed(paths_of_plan(plan)) or 'what is configured'}, here is {_listed(paths)}"
        raise PlanMismatchError(what, hint="leave the paths out, the plan has them; or make the plan again")
    return plan


def paths_of_plan(plan: Plan) -> tuple[str, ...]:
    """The files, folders and test IDs that it was made of: what stands before the first option of its filters."""
    return tuple(takewhile(lambda word: not word.startswith("-"), plan.filters))


def _options(project: Project, pytest_args: Sequence[str]) -> tuple[str, ...]:
    """Every option of pytest that is not in its own configuration, wherever it was said."""
    return (*project.config.pytest_args, *pytest_args, *added_options(project.environ))


def load_timings(path: Path) -> Timings:
    """The kept timings; none when there is no file. One that cannot be read is left out: it only costs evenness."""
    try:
        return parse_timings(path.read_bytes(), where=str(path))
    except (OSError, CIToolsError):
        return Timings.empty()


def _named(filters: Sequence[str]) -> str:
    return _listed(filters) or "no filter"


def _listed(words: Sequence[str]) -> str:
    return ", ".join(map(repr, words))


def _tail(path: Path) -> tuple[str, ...]:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ()
    return tuple(lines[-_TAIL_LINES:])
