"""The shard and the attempt that a CI system means: its own variables, read where the user names no shard. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from ci_tools.errors import UsageError
from ci_tools.model.shard import ShardRef

SHARD_VARIABLE = "CI_TOOLS_SHARD"
"""``2/4``; for systems that have no variables of their own, and for people."""
BAZEL_STATUS_VARIABLE = "TEST_SHARD_STATUS_FILE"
"""Bazel fails a sharded test that does not touch this file: it believes that every shard ran everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """Where one system says which of how many jobs this is; ``first`` is the number of its first job."""

    name: str
    index: str
    count: str
    first: int
    marker: str = ""


_SOURCES = (
    # GitHub Actions sets no variable for a job of a matrix; a workflow passes strategy.job-index and strategy.job-total on.
    _Source(name="GitHub Actions", index="CI_TOOLS_JOB_INDEX", count="CI_TOOLS_JOB_TOTAL", first=0),
    # Other tools use GitLab's names counted from 0, so its marker is asked for.
    _Source(name="GitLab", index="CI_NODE_INDEX", count="CI_NODE_TOTAL", first=1, marker="GITLAB_CI"),
    _Source(name="CircleCI", index="CIRCLE_NODE_INDEX", count="CIRCLE_NODE_TOTAL", first=0),
    _Source(name="Buildkite", index="BUILDKITE_PARALLEL_JOB", count="BUILDKITE_PARALLEL_JOB_COUNT", first=0),
    _Source(name="Azure Pipelines", index="SYSTEM_JOBPOSITIONINPHASE", count="SYSTEM_TOTALJOBSINPHASE", first=1),
    _Source(name="Bazel", index="TEST_SHARD_INDEX", count="TEST_TOTAL_SHARDS", first=0),
)


def shard_from_environment(environ: Mapping[str, str]) -> ShardRef | None:
    """The shard that the environment means, ``CI_TOOLS_SHARD`` first; None where it means none or one of one.

    UsageError, which names the variables, when their values are no shard: running another slice than was meant loses tests.
    """
    if environ.get(SHARD_VARIABLE):
        return ShardRef.parse(environ[SHARD_VARIABLE])
    for source in _SOURCES:
        index, count = environ.get(source.index, ""), environ.get(source.count, "")
        if (index or count) and (index, count) != ("", "1") and (not source.marker or environ.get(source.marker)):
            ref = _ref(source, index, count)
            if ref.count > 1:
                return ref
    return None


_ATTEMPTS = (("GITHUB_RUN_ATTEMPT", 1), ("SYSTEM_JOBATTEMPT", 1), ("BUILDKITE_RETRY_COUNT", 0))
"""The variable of GitHub Actions, Azure Pipelines and Buildkite, and what it is the first time."""


def attempt_from_environment(environ: Mapping[str, str]) -> int:
    """Which attempt of its job this is, from 1; UsageError where a variable says no number: two would pass for one."""
    for name, first in _ATTEMPTS:
        value = environ.get(name, "")
        if value:
            if not (value.isascii() and value.isdigit() and int(value) >= first):
                what = f"{name} is {value!r}, expected a whole number from {first}"
                raise UsageError(what, hint="leave it as the CI system sets it, or unset it outside of it")
            return int(value) - first + 1
    return 1


def status_file(environ: Mapping[str, str]) -> str:
    """The file that is to be touched to say that sharding is understood (Bazel's); empty where nobody asks."""
    return environ.get(BAZEL_STATUS_VARIABLE, "") if environ.get("TEST_TOTAL_SHARDS") else ""


def _ref(source: _Source, index: str, count: str) -> ShardRef:
    try:
        ref = ShardRef(index=int(index) - source.first + 1, count=int(count))
    except ValueError:
        ref = None
    if ref is None or not 1 <= ref.index <= ref.count:
        last = "N - 1" if source.first == 0 else "N"
        what = f"{source.name} says {source.index}={index!r} of {source.count}={count!r}, expected {source.first} to {last} of N"
        raise UsageError(what, hint=f"correct the variables, or name the shard: --shard 2/4 or {SHARD_VARIABLE}=2/4")
    return ref
