"""A stranger's repository calls ours by ``owner/repo/…@v1``, executed with act on this host (simulated: see act_host)."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from act_host import FAKES, Host, Result

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif(sys.platform != "linux", reason="act's host mode is tried on Linux only"),
]

PROJECT = '[project]\nname = "stranger"\nversion = "1"\n\n[tool.ci-tools]\ntests = ["tests"]\n'
SUITE = {
    f"tests/test_{name}.py": f"""
import os


def test_one() -> None:
    pass


def test_two() -> None:
    assert os.environ.get("BREAK") != "{name}", "broken by the scenario"
"""
    for name in "abc"
}


def caller(*, shards: int | str, systems: tuple[str, ...] = ("ubuntu-24.04",)) -> str:
    """The stranger's workflow: one call and nothing else."""
    return f"""
on: [push, pull_request]
jobs:
  integration:
    uses: acme/ci-tools/.github/workflows/integration.yml@v1
    permissions: {{contents: read}}
    with:
      shards: "{shards}"
      systems: '{json.dumps(systems)}'
"""


@pytest.fixture(name="host")
def _host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def run(
    host: Host,
    *,
    shards: int | str = 3,
    systems: tuple[str, ...] = ("ubuntu-24.04",),
    event: tuple[str, ...] = ("push",),
    **env: str,
) -> Result:
    """Run the stranger's workflow for an event."""
    host.write({"pyproject.toml": PROJECT, ".github/workflows/ci.yml": caller(shards=shards, systems=systems), **SUITE})
    return host.run(*event, env=env)


def verdict(result: Result, system: str = "ubuntu-24.04") -> dict[str, Any]:
    """The verdict that was kept for a system."""
    path = result.artifacts / f"integration-verdict-{system}-py3.13" / "verdict.json"
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def test_a_stranger_gets_a_passed_verdict(host: Host) -> None:
    """Plan, two shards, verdict and gate run in the stranger's repository with our commit, and every test is accounted for."""
    host.publish()
    result = run(host, shards=2)
    assert result.code == 0, result.tail()
    assert result.results_of("Judge the jobs") == ["success"]
    told = verdict(result)
    assert (told["decision"], told["expected"], told["counts"]["passed"]) == ("passed", 6, 6)
    assert told["is_complete_proven"] is True


@pytest.mark.slow
def test_six_shards_on_two_systems_each_have_a_verdict(host: Host) -> None:
    """A matrix of two systems and three shards gives six shard artifacts with names of their own and two verdicts."""
    host.publish()
    result = run(host, systems=("ubuntu-24.04", "macos-15"))
    assert result.code == 0, result.tail()
    assert result.artifact_names() == [
        "integration-plan",
        *(f"integration-shard-{system}-py3.13-{n}-of-3" for system in ("macos-15", "ubuntu-24.04") for n in (1, 2, 3)),
        *(f"integration-verdict-{system}-py3.13" for system in ("macos-15", "ubuntu-24.04")),
    ]
    assert [verdict(result, system)["counts"]["passed"] for system in ("macos-15", "ubuntu-24.04")] == [6, 6]


@pytest.mark.slow
def test_a_failing_test_turns_shard_verdict_and_gate_red(host: Host) -> None:
    """One failing test: its shard is red, the others are not, the verdict says failed with the test, the gate is red."""
    host.publish()
    result = run(host, BREAK="b")
    assert result.code != 0
    assert result.results_of("Run the shard") == ["failure", "success", "success"]
    assert result.results_of("Judge them") == ["failure"]
    assert result.results_of("Judge the jobs") == ["failure"]
    told = verdict(result)
    assert (told["decision"], told["exit_code"]) == ("failed", 10)
    assert [cause["tests"] for cause in told["causes"]] == [["tests/test_b.py::test_two"]]


@pytest.mark.slow
def test_a_lost_artifact_is_never_green(host: Host) -> None:
    """Every job succeeds, but one shard's artifact never arrives: the verdict is incomplete and names its tests."""
    host.publish()
    result = run(host, FAKE_DROP="*-2-of-3")
    assert result.code != 0
    assert result.results_of("Run the shard") == ["success"] * 3
    assert result.results_of("Judge the jobs") == ["failure"]
    told = verdict(result)
    assert (told["decision"], told["exit_code"], told["counts"]["lost"]) == ("incomplete", 11, 2)


@pytest.mark.slow
@pytest.mark.parametrize("shards", [1, "auto"])
def test_a_matrix_of_one_and_of_a_chosen_size(host: Host, shards: int | str) -> None:
    """A single shard works as several do, and so does a number that the plan chooses."""
    host.publish()
    result = run(host, shards=shards)
    assert result.code == 0, result.tail()
    assert verdict(result)["counts"]["passed"] == 6


@pytest.mark.slow
def test_a_rerun_replaces_what_failed(host: Host) -> None:
    """The second attempt of a run meets the artifacts of the first: its own replace them, and the verdict is passed."""
    host.publish()
    assert run(host, BREAK="b").code != 0
    result = run(host, GITHUB_RUN_ATTEMPT="2")
    assert result.code == 0, result.tail()
    assert verdict(result)["decision"] == "passed"
    assert len(result.artifact_names()) == 5
    reports = [json.loads(path.read_text(encoding="utf-8")) for path in result.artifacts.glob("*-shard-*/*/shard-*.json")]
    assert [report["run_attempt"] for report in reports] == [2, 2, 2]


@pytest.mark.slow
def test_a_forks_pull_request_gets_its_verdict(host: Host, tmp_path: Path) -> None:
    """The event of a fork's pull request, without any secret, ends like any other."""
    host.publish()
    event = tmp_path / "event.json"
    head = {"sha": "0" * 40, "ref": "patch", "repo": {"fork": True, "full_name": "someone/stranger"}}
    event.write_text(json.dumps({"action": "opened", "number": 7, "pull_request": {"number": 7, "head": head}}), encoding="utf-8")
    result = run(host, shards=2, event=("pull_request", "-e", str(event)))
    assert result.code == 0, result.tail()
    assert verdict(result)["decision"] == "passed"


@pytest.mark.slow
def test_timings_of_main_serve_the_next_plan(host: Host, tmp_path: Path) -> None:
    """A passed run of the default branch keeps its timings; the next run's plan is made with them, and a branch keeps none."""
    host.publish()
    main, branch = tmp_path / "main.json", tmp_path / "branch.json"
    main.write_text(json.dumps({"ref": "refs/heads/main", "repository": {"default_branch": "main"}}), encoding="utf-8")
    branch.write_text(json.dumps({"ref": "refs/heads/x", "repository": {"default_branch": "other"}}), encoding="utf-8")
    digests = []
    for event in (branch, main, main):
        assert run(host, shards=1, event=("push", "-e", str(event))).code == 0
        plan = json.loads((host.artifacts / "integration-plan" / "plan.json").read_text(encoding="utf-8"))
        digests.append(plan["timings_digest"])
    assert digests[0] == digests[1] != digests[2]
    assert len(list((tmp_path / "cache").iterdir())) >= 1


PLANTED = {
    "an artifact without its shard": (
        "-py${{ matrix.python }}-${{ matrix.shard.slug }}",
        "-py${{ matrix.python }}-all",
        {},
    ),
    "a shard that swallows its exit code": (
        '--profile "$PROFILE"\n        env:\n          PROJECT',
        '--profile "$PROFILE" || true\n        env:\n          PROJECT',
        {"BREAK": "b"},
    ),
    "an upload that only follows success": (
        "if: ${{ !cancelled() }}\n        uses: actions/upload-artifact",
        "uses: actions/upload-artifact",
        {"BREAK": "b"},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(("old", "new", "env"), PLANTED.values(), ids=PLANTED)
def test_a_planted_defect_goes_red(host: Host, old: str, new: str, env: dict[str, str]) -> None:
    """With this defect in our workflow the run is not green: the plan knows what was promised."""
    host.publish(faults={".github/workflows/integration.yml": (old, new)})
    result = run(host, **env)
    assert result.code != 0
    assert result.results_of("Judge them") == ["failure"]


@pytest.mark.slow
def test_a_gate_that_can_be_skipped_would_not_be_red(host: Host) -> None:
    """Without always() the gate does not run after a failure, which GitHub counts as passed: the condition is needed."""
    host.publish(faults={".github/workflows/integration.yml": ("if: ${{ always() }}", "if: ${{ success() }}")})
    result = run(host, BREAK="b")
    assert result.results_of("Judge the jobs") == []


def test_every_pinned_action_has_a_fake_at_that_commit() -> None:
    """The fakes stand for the actions that our workflows use. checkout is act's own; nothing is attested here."""
    root = Path(__file__).resolve().parents[2]
    used = {
        name
        for path in (root / ".github").glob("**/*.yml")
        for name in re.findall(r"uses: actions/([\w/-]+)@", path.read_text(encoding="utf-8"))
    }
    fakes = {path.parent.relative_to(FAKES).as_posix() for path in FAKES.glob("**/action.yml")} - {"setup"}
    assert used - {"checkout", "attest"} == fakes
