import pytest

from ci_tools.errors import UsageError
from ci_tools.model.shard import ShardRef
from ci_tools.sharding.environment import attempt_from_environment, shard_from_environment, status_file

SECOND_OF_FOUR = {
    "named": {"CI_TOOLS_SHARD": "2/4"},
    "GitHub Actions": {"CI_TOOLS_JOB_INDEX": "1", "CI_TOOLS_JOB_TOTAL": "4"},
    "GitLab": {"GITLAB_CI": "true", "CI_NODE_INDEX": "2", "CI_NODE_TOTAL": "4"},
    "CircleCI": {"CIRCLE_NODE_INDEX": "1", "CIRCLE_NODE_TOTAL": "4"},
    "Buildkite": {"BUILDKITE_PARALLEL_JOB": "1", "BUILDKITE_PARALLEL_JOB_COUNT": "4"},
    "Azure": {"SYSTEM_JOBPOSITIONINPHASE": "2", "SYSTEM_TOTALJOBSINPHASE": "4"},
    "Bazel": {"TEST_SHARD_INDEX": "1", "TEST_TOTAL_SHARDS": "4"},
}


@pytest.mark.parametrize("environ", SECOND_OF_FOUR.values(), ids=SECOND_OF_FOUR)
def test_the_second_of_four(environ: dict[str, str]) -> None:
    """Each system's variables for its second of four jobs mean 2/4, whether it counts from 0 or 1."""
    assert shard_from_environment({"PATH": "/bin", **environ}) == ShardRef(index=2, count=4)


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"GITLAB_CI": "true", "CI_NODE_TOTAL": "1"},
        {"CI_NODE_INDEX": "0", "CI_NODE_TOTAL": "4"},
        {"CIRCLE_NODE_INDEX": "0", "CIRCLE_NODE_TOTAL": "1"},
        {"CI_TOOLS_JOB_INDEX": "", "CI_TOOLS_JOB_TOTAL": ""},
        {"SYSTEM_JOBPOSITIONINPHASE": "1", "SYSTEM_TOTALJOBSINPHASE": "1"},
    ],
)
def test_no_shard(environ: dict[str, str]) -> None:
    """No variables, one job of one, and GitLab's names without GitLab mean no shard."""
    assert shard_from_environment(environ) is None


@pytest.mark.parametrize(
    "environ",
    [
        {"CI_TOOLS_SHARD": "5/4"},
        {"CI_TOOLS_SHARD": "two"},
        {"CI_TOOLS_JOB_INDEX": "4", "CI_TOOLS_JOB_TOTAL": "4"},
        {"GITLAB_CI": "true", "CI_NODE_INDEX": "0", "CI_NODE_TOTAL": "4"},
        {"CIRCLE_NODE_INDEX": "x", "CIRCLE_NODE_TOTAL": "4"},
        {"TEST_SHARD_INDEX": "-1", "TEST_TOTAL_SHARDS": "4"},
        {"CI_TOOLS_JOB_INDEX": "1"},
        {"BUILDKITE_PARALLEL_JOB_COUNT": "4"},
        {"TEST_SHARD_INDEX": "", "TEST_TOTAL_SHARDS": "4"},
    ],
)
def test_impossible_values_are_refused(environ: dict[str, str]) -> None:
    """Values that are no shard are a usage error: another slice than was meant loses tests."""
    with pytest.raises(UsageError):
        shard_from_environment(environ)


def test_a_person_wins() -> None:
    """CI_TOOLS_SHARD is taken before the system's own variables."""
    assert shard_from_environment({**SECOND_OF_FOUR["CircleCI"], "CI_TOOLS_SHARD": "3/3"}) == ShardRef(index=3, count=3)


def test_bazel_asks_for_a_file() -> None:
    """Bazel's status file is named where Bazel shards, and nowhere else."""
    assert status_file({"TEST_TOTAL_SHARDS": "4", "TEST_SHARD_STATUS_FILE": "/s"}) == "/s"
    assert not status_file({"TEST_SHARD_STATUS_FILE": "/s"})


@pytest.mark.parametrize(
    ("environ", "attempt"),
    [
        ({}, 1),
        ({"GITHUB_RUN_ATTEMPT": ""}, 1),
        ({"GITHUB_RUN_ATTEMPT": "1"}, 1),
        ({"GITHUB_RUN_ATTEMPT": "12"}, 12),
        ({"SYSTEM_JOBATTEMPT": "2"}, 2),
        ({"BUILDKITE_RETRY_COUNT": "0"}, 1),
        ({"BUILDKITE_RETRY_COUNT": "2"}, 3),
    ],
)
def test_a_job_that_runs_again_knows_it(environ: dict[str, str], attempt: int) -> None:
    """GitHub Actions and Azure count attempts from 1, Buildkite counts retries from 0; without a word it is the first."""
    assert attempt_from_environment(environ) == attempt


@pytest.mark.parametrize("value", ["0", "two", "²", "-1", "1.5"])
def test_an_impossible_attempt_is_refused(value: str) -> None:
    """An attempt that is no number would pass for the first one: a usage error that names the variable and the value."""
    with pytest.raises(UsageError, match=f"GITHUB_RUN_ATTEMPT is '{value}', expected a whole number from 1"):
        attempt_from_environment({"GITHUB_RUN_ATTEMPT": value})
