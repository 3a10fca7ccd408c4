"""A stranger's repository calls ours by ``owner/repo/…@v1``, executed with act on this host (simulated: see act_host)."""

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
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


FORK = {"sha": "0" * 40, "ref": "patch", "repo": {"fork": True, "full_name": "someone/stranger"}}
FORKED = {"action": "opened", "number": 7, "pull_request": {"number": 7, "head": FORK}}


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


def forked(folder: Path) -> tuple[str, ...]:
    """The event of a fork's pull request, as arguments of ``run``."""
    event = folder / "event.json"
    event.write_text(json.dumps(FORKED), encoding="utf-8")
    return ("pull_request", "-e", str(event))


def verdict(result: Result, system: str = "ubuntu-24.04", attempt: int = 1) -> dict[str, Any]:
    """The verdict that was kept for a system in an attempt."""
    path = result.artifacts / f"integration-verdict-{system}-py3.13-attempt-{attempt}" / "verdict.json"
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
        "integration-plan-attempt-1",
        *(
            f"integration-shard-{system}-py3.13-{n}-of-3-plan-1-attempt-1"
            for system in ("macos-15", "ubuntu-24.04")
            for n in (1, 2, 3)
        ),
        *(f"integration-verdict-{system}-py3.13-attempt-1" for system in ("macos-15", "ubuntu-24.04")),
        "integration-verdicts-attempt-1",
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
    result = run(host, FAKE_DROP="*-2-of-3-*")
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
def test_failed_jobs_that_run_again_lie_beside_what_they_said_before(host: Host) -> None:
    """*Re-run failed jobs*: the second attempt of one shard is an artifact of its own and counts; of the others the first do."""
    # GitHub leaves the plan's job and the good shards alone, which act cannot: here the plan's job has the outputs of the first
    # attempt, and what the good shards say again gets lost.
    host.publish(faults={".github/workflows/integration.yml": ("attempt: ${{ github.run_attempt }} #", "attempt: 1 #")})
    first = run(host, BREAK="b")
    assert (first.code != 0, verdict(first)["counts"]["failed"]) == (True, 1)
    failed = next(path for path in first.artifacts.glob("*-shard-*/*/shard-*.json") if b'"failed"' in path.read_bytes())
    number = failed.stem.split("-")[1]
    others = "".join({"1", "2", "3"} - {number})
    result = host.run(env={"GITHUB_RUN_ATTEMPT": "2", "FAKE_DROP": f"*-[{others}]-of-3-plan-1-attempt-2"})  # of the same commit
    assert result.code == 0, result.tail()
    told = verdict(result, attempt=2)
    assert (told["decision"], told["counts"]["passed"], told["counts"]["flaky"]) == ("passed", 5, 1)
    shards = sorted(name.partition("-py3.13-")[2] for name in result.artifact_names() if "-shard-" in name)
    assert shards == sorted([*(f"{n}-of-3-plan-1-attempt-1" for n in (1, 2, 3)), f"{number}-of-3-plan-1-attempt-2"])
    reports = [json.loads(path.read_text(encoding="utf-8")) for path in result.artifacts.glob("*-shard-*/*/shard-*.json")]
    assert sorted(report["run_attempt"] for report in reports) == [1, 1, 1, 2]
    assert [path.name for path in (result.artifacts / "integration-verdicts-attempt-2").iterdir()] == [
        "integration-verdict-ubuntu-24.04-py3.13-attempt-2"
    ]


@pytest.mark.slow
def test_a_run_that_is_repeated_as_a_whole_begins_anew(host: Host) -> None:
    """*Re-run all jobs*: another plan, with fewer shards here, by which what the first attempt's shards said is not held."""
    host.publish()
    assert run(host, BREAK="b").code != 0
    result = run(host, shards=2, GITHUB_RUN_ATTEMPT="2")
    assert result.code == 0, result.tail()
    told = verdict(result, attempt=2)
    assert (told["decision"], told["counts"]["passed"], told["counts"]["flaky"]) == ("passed", 6, 0)
    named = [name for name in result.artifact_names() if name.endswith("-attempt-2")]
    assert named == [
        "integration-plan-attempt-2",
        *(f"integration-shard-ubuntu-24.04-py3.13-{n}-of-2-plan-2-attempt-2" for n in (1, 2)),
        "integration-verdict-ubuntu-24.04-py3.13-attempt-2",
        "integration-verdicts-attempt-2",
    ]


@pytest.mark.slow
def test_a_forks_pull_request_gets_its_verdict(host: Host, tmp_path: Path) -> None:
    """The event of a fork's pull request, without any secret, ends like any other."""
    host.publish()
    result = run(host, shards=2, event=forked(tmp_path))
    assert result.code == 0, result.tail()
    assert verdict(result)["decision"] == "passed"


@pytest.mark.slow
def test_main_leaves_timings_and_baseline_to_branches(host: Host, tmp_path: Path) -> None:
    """A branch keeps nothing; after a run of the default branch its plan has timings and its verdict a baseline."""
    host.publish()
    told = []
    for attempt, name in enumerate(("branch", "main", "branch"), start=1):
        event = tmp_path / f"{name}.json"
        ref = {"ref": f"refs/heads/{name}", "repository": {"default_branch": "main"}}
        event.write_text(json.dumps(ref), encoding="utf-8")
        result = run(host, shards=1, event=("push", "-e", str(event)), GITHUB_RUN_ATTEMPT=str(attempt))
        assert result.code == 0, result.tail()
        plan = json.loads((host.artifacts / f"integration-plan-attempt-{attempt}" / "plan.json").read_text(encoding="utf-8"))
        roles = {entry["role"] for entry in verdict(result, attempt=attempt)["inputs"]}
        told.append((plan["timings_digest"], "baseline" in roles))
    before, main, after = told
    assert before == main
    assert (after[0] != before[0], before[1], after[1]) == (True, False, True)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["refs-heads-main"]


@pytest.mark.slow
def test_a_committed_baseline_is_kept(host: Host, tmp_path: Path) -> None:
    """A baseline that is committed stands above the one in the cache: this one cannot be read, and the judge says so."""
    host.publish()
    event = tmp_path / "main.json"
    event.write_text(json.dumps({"ref": "refs/heads/main", "repository": {"default_branch": "main"}}), encoding="utf-8")
    assert run(host, shards=1, event=("push", "-e", str(event))).code == 0
    kept = sorted(path.name for path in (tmp_path / "cache").rglob("*baseline*"))
    assert len(kept) == 1
    host.write({"ci-baseline.json": "{}"})
    result = run(host, shards=1, event=("push", "-e", str(event)), GITHUB_RUN_ATTEMPT="2")
    assert result.results_of("Judge them") == ["failure"]
    assert sorted(path.name for path in (tmp_path / "cache").rglob("*baseline*")) == kept


@pytest.mark.slow
def test_outputs_tell_counts_and_the_artifact(host: Host) -> None:
    """The caller's next job reads verdict, counts, and name and digest of the artifact that holds both systems' verdicts."""
    host.publish()
    text = caller(shards=1, systems=("ubuntu-24.04", "macos-15"))
    names = ("verdict", "tests", "counts", "artifact", "artifact-digest")
    text += READER + "".join(
        f"          {name.upper().replace('-', '_')}: ${{{{ needs.integration.outputs.{name} }}}}\n" for name in names
    )
    host.write({"pyproject.toml": PROJECT, ".github/workflows/ci.yml": text, **SUITE})
    result = host.run()
    assert result.code == 0, result.tail()
    told = dict(line.split("=", 1) for line in (host.folder / "environments" / "told").read_text(encoding="utf-8").splitlines())
    assert (told["VERDICT"], told["TESTS"], told["ARTIFACT"]) == ("passed", "6", "integration-verdicts-attempt-1")
    assert json.loads(told["COUNTS"])["passed"] == 12
    assert re.fullmatch(r"[0-9a-f]{64}", told["ARTIFACT_DIGEST"])
    assert len(list((result.artifacts / "integration-verdicts-attempt-1").glob("*/verdict.json"))) == 2


READER = """
  read:
    needs: integration
    runs-on: ubuntu-24.04
    steps:
      - shell: bash
        run: env | grep -E '^(VERDICT|TESTS|COUNTS|ARTIFACT)' > "$FAKE_ENVIRONMENTS/told"
        env:
"""


@pytest.mark.slow
def test_inputs_reach_their_places(host: Host) -> None:
    """Folder, prefix, profile and target time of the caller are those of the artifacts, the verdict and the plan."""
    host.publish()
    given = {"project": "packages/one", "artifact-prefix": "mine", "profile": "release", "target": "7m"}
    text = caller(shards="auto") + "".join(f"      {name}: {value}\n" for name, value in given.items())
    files = {f"packages/one/{path}": content for path, content in {"pyproject.toml": PROJECT, **SUITE}.items()}
    host.write({".github/workflows/ci.yml": text, **files})
    result = host.run()
    assert result.code == 0, result.tail()
    cell = "ubuntu-24.04-py3.13"
    assert result.artifact_names() == [
        "mine-plan-attempt-1",
        f"mine-shard-{cell}-1-of-1-plan-1-attempt-1",
        f"mine-verdict-{cell}-attempt-1",
        "mine-verdicts-attempt-1",
    ]
    told = json.loads((result.artifacts / f"mine-verdict-{cell}-attempt-1" / "verdict.json").read_text(encoding="utf-8"))
    assert (told["decision"], told["profile"], told["expected"]) == ("passed", "release", 6)
    notes = json.loads((result.artifacts / "mine-plan-attempt-1" / "plan.json").read_text(encoding="utf-8"))["notes"]
    assert "for a target of 420 s" in notes[0]


@pytest.mark.slow
def test_arguments_of_pytest_reach_plan_and_shards(host: Host) -> None:
    """With -k two, quoted as in a shell, three tests are planned, run and judged, and no fourth is missed."""
    host.publish()
    text = caller(shards=2) + """      pytest-arguments: '-k "two and not zwei"'\n"""
    host.write({"pyproject.toml": PROJECT, ".github/workflows/ci.yml": text, **SUITE})
    result = host.run()
    assert result.code == 0, result.tail()
    assert (verdict(result)["expected"], verdict(result)["counts"]["passed"]) == (3, 3)


@pytest.mark.slow
def test_a_suite_that_cannot_be_planned_is_red(host: Host) -> None:
    """The plan fails and no shard runs. act ends at the matrix of a job that GitHub skips: test_gate_action feeds its gate."""
    host.publish()
    host.write({"pyproject.toml": PROJECT.replace('["tests"]', '["gone"]'), ".github/workflows/ci.yml": caller(shards=2)})
    result = host.run()
    assert result.results_of("Cut the suite into shards") == ["failure"]
    assert "file or directory not found: gone" in result.log
    assert (result.results_of("Run the shard"), result.code != 0) == ([], True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """A scenario's defect: in our workflow ``old`` becomes ``new``, or ``env`` brings it; ``red`` is the step that must fail."""

    old: str = ""
    new: str = ""
    red: str = "Judge them"
    shards: int = 2
    env: Mapping[str, str] = field(default_factory=dict)
    is_fork: bool = False
    is_rerun: bool = False


PLANTED = {
    "six shards: an artifact without its shard": Defect(
        old="-py${{ matrix.python }}-${{ matrix.shard.slug }}", new="-py${{ matrix.python }}-all", shards=6
    ),
    "a failing shard: its exit code swallowed": Defect(
        old="${WHEEL:+--tested wheel/*.whl}\n", new="${WHEEL:+--tested wheel/*.whl} || true\n", env={"BREAK": "b"}
    ),
    "a failing shard: uploads follow success only": Defect(
        old="if: ${{ !cancelled() }}\n        uses: actions/upload-artifact",
        new="uses: actions/upload-artifact",
        env={"BREAK": "b"},
    ),
    "a missing shard: judged by what arrived alone": Defect(
        old='--project "$PROJECT" --plan plan/plan.json --profile "$PROFILE" --output verdict',
        new='--project "$PROJECT" --profile "$PROFILE" --output verdict',
        env={"FAKE_DROP": "*-2-of-2-*"},
    ),
    "a skipped job: shards that never run": Defect(
        old="    needs: plan\n    runs-on", new="    needs: plan\n    if: ${{ false }}\n    runs-on", red="Judge the jobs"
    ),
    "a fork: its shards are left out": Defect(
        old="    needs: plan\n    runs-on",
        new="    needs: plan\n    if: ${{ !github.event.pull_request.head.repo.fork }}\n    runs-on",
        red="Judge the jobs",
        is_fork=True,
    ),
    "a matrix of one: its artifact lost": Defect(shards=1, env={"FAKE_DROP": "*-1-of-1-*"}),
    "a re-run: a name without its attempt": Defect(
        old="-plan-${{ needs.plan.outputs.attempt }}-attempt-${{ github.run_attempt }}",
        new="-plan-1-attempt-1",
        red="Keep what the shard said",
        env={"BREAK": "b"},
        is_rerun=True,
    ),
    "a stranger: our actions looked for in their repository": Defect(
        old="uses: $/.github/actions/setup", new="uses: ./.github/actions/setup", red="Set up ci-tools"
    ),
    "a verdict that never arrives": Defect(red="Judge the jobs", env={"FAKE_DROP": "*-verdict-*"}),
}


@pytest.mark.slow
@pytest.mark.parametrize("defect", PLANTED.values(), ids=PLANTED)
def test_a_planted_defect_goes_red(host: Host, tmp_path: Path, defect: Defect) -> None:
    """Each scenario, run with its defect planted into our workflow, is not green, and at the step that is there to see it."""
    host.publish(faults={".github/workflows/integration.yml": (defect.old, defect.new)} if defect.old else {})
    event = forked(tmp_path) if defect.is_fork else ("push",)
    result = run(host, shards=defect.shards, event=event, **defect.env)
    if defect.is_rerun:
        result = run(host, shards=defect.shards, event=event, GITHUB_RUN_ATTEMPT="2")
    assert result.code != 0
    assert "failure" in result.results_of(defect.red), result.tail()


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
