"""The verb ``release check``: whether what was judged allows what is to be published, the same here as in the release's job."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ci_tools.errors import UsageError
from ci_tools.pipeline.evidence import gather_again, role_of
from ci_tools.pipeline.gate import recompute
from ci_tools.pipeline.project import Project, open_project
from ci_tools.pipeline.tested import sha256_of
from ci_tools.policy.release import RELEASE_PROFILE, Demands, Examined, refuse, system_of
from ci_tools.policy.wording import plural

DEFAULT_MAX_AGE_S = 24 * 3600.0
"""A day: long enough for the person who approves, short enough that the world the tests saw is today's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRequest:
    """What ``ci-tools release check`` was asked for. ``commit`` is what is checked out when it is empty."""

    root: Path
    environ: Mapping[str, str]
    verdicts: tuple[Path, ...]
    wheels: tuple[Path, ...]
    systems: tuple[str, ...]
    pythons: tuple[str, ...]
    commit: str = ""
    max_age_s: float = DEFAULT_MAX_AGE_S


def check_release(request: ReleaseRequest) -> tuple[tuple[str, ...], bool]:
    """Lines that say what was checked, or every reason against it; and whether the release may go on.

    UsageError or DecodeError when a file cannot be read at all or no commit is known.
    """
    project = open_project(request.root, request.environ)
    commit = request.commit or project.commit
    if not commit:
        raise UsageError(f"{str(project.root)!r} is in no git repository: no commit is known", hint="give --commit SHA")
    demands = Demands(
        commit=commit,
        wheels={path.name: sha256_of(path) for path in request.wheels},
        policy=project.policy(RELEASE_PROFILE),
        now=time.time(),
        max_age_s=request.max_age_s,
        systems=request.systems,
        pythons=request.pythons,
    )
    examined = [_examine(path, project) for path in request.verdicts]
    refusals = refuse(examined, demands)
    if refusals:
        return (f"release refused: {plural(len(refusals), 'reason')}", *(f"  {refusal}" for refusal in refusals)), False
    age = f"none older than {demands.max_age_s / 3600:g} h"
    return (
        f"release of {commit[:12]} may go on",
        *(f"  {name}: sha256 {sha256} is what every shard tested" for name, sha256 in demands.wheels.items()),
        *(f"  {_told(item)}" for item in examined),
        f"  systems {', '.join(demands.systems)} and Pythons {', '.join(demands.pythons)} ran, {age}, no quarantine",
    ), True


def _examine(path: Path, project: Project) -> Examined:
    verification = recompute(path, project)
    named = [path.parent / entry.path for entry in verification.verdict.inputs]  # an absolute path stays as it is
    shards = [item for item in named if role_of(item) == "shard" and item.is_file()]
    evidence = gather_again(shards, base=path.parent)
    return Examined(path=str(path), verdict=verification.verdict, problems=verification.problems, shards=tuple(evidence.reports))


def _told(item: Examined) -> str:
    verdict = item.verdict
    ran = sorted({f"{system_of(shard)} with Python {shard.facts.get('python', '')}" for shard in item.shards})
    return f"{item.path}: passed, sound, complete, {plural(verdict.expected, 'test')} on {', '.join(ran)}"
