"""The verb ``plan``: the stage alone, its result as a file and as the outputs of a job that starts a matrix of shards."""

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ci_tools.errors import UsageError
from ci_tools.host import github
from ci_tools.host.files import write_text
from ci_tools.host.runs import new_run_id
from ci_tools.host.signals import interruptible
from ci_tools.model.plan import render_plan
from ci_tools.model.shard import Plan
from ci_tools.pipeline.plan import Suite, Target, make_plans, seed_from
from ci_tools.pipeline.project import Console, open_project, placed
from ci_tools.sharding.explanation import render_explanation


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """What ``ci-tools plan`` was asked for; ``output`` is the file of the plan."""

    root: Path
    environ: Mapping[str, str]
    output: Path
    shards: int | Target = 1
    workers: int | None = None
    configurations: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    pytest_args: tuple[str, ...] = ()
    sets_outputs: bool = False
    explains: bool = False


def write_plan(request: PlanRequest, console: Console) -> tuple[Plan, ...]:
    """Make the plan of each configuration and write it; the second one's goes to ``plan-<name>.json``."""
    project = open_project(request.root, request.environ)
    configurations = [project.configuration(name) for name in request.configurations] or list(project.config.configurations)
    workers = request.workers if request.workers is not None else project.config.workers
    folder = Path(tempfile.mkdtemp(prefix="ci-tools-plan-"))
    paths = placed(request.paths, project.root, Path.cwd())
    seed = seed_from(new_run_id(project.environ))
    suite = Suite(project=project, seed=seed, paths=paths, pytest_args=request.pytest_args)
    try:
        with interruptible():
            plans = make_plans(
                suite, configurations, shards=request.shards, processes=workers or project.processors, folder=folder
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for number, plan in enumerate(plans):
        output = request.output
        path = output.with_name(f"{output.stem}-{plan.configuration}{output.suffix}") if number else output
        write_text(path, render_plan(plan))
        console.say(_describe(plan, path, is_long=request.explains))
    if request.sets_outputs and not github.set_outputs(request.environ, _outputs(plans)):
        raise UsageError("--github-output needs GITHUB_OUTPUT, which is not set", hint="leave it out outside GitHub Actions")
    return plans


def _describe(plan: Plan, path: Path, *, is_long: bool) -> str:
    tests = sum(len(shard.test_ids) for shard in plan.shards)
    lines = [f"{path}: {tests} test(s) in {len(plan.filled)} shard(s), configuration {plan.configuration}"]
    lines += [f"  broken: {name}" for name in plan.broken_files]
    if is_long:
        return "\n".join([*lines, render_explanation(plan)])
    return "\n".join([*lines, *(f"  note: {note}" for note in plan.notes)])


def _outputs(plans: tuple[Plan, ...]) -> dict[str, str]:
    """Always all of them, so that `fromJSON` in a workflow has something to read."""
    filled = sorted({shard.ref for plan in plans for shard in plan.filled})
    return {
        "matrix": json.dumps({"shard": [str(ref) for ref in filled]}),
        "shards": json.dumps([{"ref": str(ref), "slug": ref.slug} for ref in filled]),  # artifact names allow no slash
        "artifacts": json.dumps([f"shard-{ref.slug}" for ref in filled]),
        "tests": str(sum(len(shard.test_ids) for plan in plans for shard in plan.shards)),
    }
