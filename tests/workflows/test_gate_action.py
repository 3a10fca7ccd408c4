"""The gate over jobs, fed with the ``needs`` that GitHub gives: what act cannot bring about, like cancelled, is tried here."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / ".github/actions/gate/gate.py"


def judge(folder: Path, needs: object, allowed_skips: str = "", verdicts: str = "") -> tuple[int, dict[str, str], str]:
    """The exit code, the outputs and the log of the action's script for these needs."""
    output = folder / "output"
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "INPUT_"))} | {
        "CI_NEEDS": needs if isinstance(needs, str) else json.dumps(needs),
        "INPUT_ALLOWED_SKIPS": allowed_skips,
        "INPUT_VERDICTS": verdicts,
        "GITHUB_OUTPUT": str(output),
        "GITHUB_STEP_SUMMARY": str(folder / "summary"),
    }
    done = subprocess.run(
        [sys.executable, "-X", "utf8", SCRIPT],
        env=environ,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=30,
    )
    outputs = dict(line.split("=", 1) for line in output.read_text(encoding="utf-8").splitlines())
    return done.returncode, outputs, done.stdout


def needs(**results: str) -> dict[str, object]:
    """The needs context with these results."""
    return {job: {"result": result, "outputs": {}} for job, result in results.items()}


def test_all_succeeded(tmp_path: Path) -> None:
    """Every job succeeded: passed, exit 0, no annotation."""
    code, outputs, log = judge(tmp_path, needs(lint="success", tests="success"))
    assert (code, outputs) == (0, {"verdict": "passed", "headline": "PASS 2/2 jobs", "counts": "{}"})
    assert "::error" not in log


@pytest.mark.parametrize(
    ("results", "code", "headline"),
    [
        ({"lint": "success", "tests": "failure"}, 10, "FAIL 1/2 jobs – tests: failure"),
        ({"lint": "cancelled", "tests": "failure"}, 10, "FAIL 0/2 jobs – lint: cancelled, tests: failure"),
        ({"lint": "cancelled", "tests": "success"}, 11, "INCOMPLETE 1/2 jobs – lint: cancelled"),
        ({"plan": "success", "shard": "skipped"}, 11, "INCOMPLETE 1/2 jobs – shard: skipped"),
        (
            {"plan": "failure", "shard": "skipped", "verdict": "skipped"},
            10,
            "FAIL 0/3 jobs – plan: failure, shard: skipped, verdict: skipped",
        ),
        ({"plan": "success", "shard": "something new"}, 11, "INCOMPLETE 1/2 jobs – shard: something new"),
    ],
)
def test_anything_else_is_red(tmp_path: Path, results: dict[str, str], code: int, headline: str) -> None:
    """Failed, cancelled, skipped and unheard-of results are not passed, and the job is named."""
    got, outputs, log = judge(tmp_path, needs(**results))
    assert (got, outputs["headline"]) == (code, headline)
    assert f"::{headline}" in log
    assert (tmp_path / "summary").read_text(encoding="utf-8").startswith(f"# {headline}\n")


def test_a_planned_skip_is_green_and_only_a_skip(tmp_path: Path) -> None:
    """A job whose skip was planned may be skipped; it may not fail or be cancelled, and no other job may be skipped."""
    assert judge(tmp_path, needs(lint="success", docs="skipped"), "docs")[0] == 0
    assert judge(tmp_path, needs(lint="success", docs="failure"), "docs")[0] == 10
    assert judge(tmp_path, needs(lint="success", docs="cancelled"), "docs")[0] == 11
    assert judge(tmp_path, needs(lint="skipped", docs="skipped"), "docs, ")[0] == 11


@pytest.mark.parametrize("text", ["", "null", "[]", "{", '{"a": 1}', '{"a": {}}', "{}"])
def test_no_answer_is_never_green(tmp_path: Path, text: str) -> None:
    """Without needs that can be read, or without any job, the gate is an error."""
    code, outputs, _ = judge(tmp_path, text)
    assert (code, outputs["verdict"]) == (2, "error")


def test_a_skip_of_an_unknown_job_is_an_error(tmp_path: Path) -> None:
    """A misspelt job in allowed-skips is said, not ignored."""
    code, outputs, _ = judge(tmp_path, needs(lint="success"), "dosc")
    assert (code, outputs["headline"]) == (2, "ERROR allowed-skips names dosc, which the gate does not need")


def lay_down(folder: Path, **decisions: str) -> str:
    """A folder with a verdict for each name; the text itself where the decision is no word."""
    for name, decision in decisions.items():
        path = folder / "verdicts" / name / "verdict.json"
        path.parent.mkdir(parents=True)
        told = json.dumps({"decision": decision, "counts": {"passed": 3, "failed": 1}}) if decision.isalpha() else decision
        path.write_text(told, encoding="utf-8")
    return str(folder / "verdicts")


def test_counts_are_added_up(tmp_path: Path) -> None:
    """The counts of all verdicts are one output, also when the answer is no."""
    verdicts = lay_down(tmp_path, linux="passed", macos="failed")
    code, outputs, _ = judge(tmp_path, needs(verdict="failure"), verdicts=verdicts)
    assert (code, json.loads(outputs["counts"])) == (10, {"failed": 2, "passed": 6})
    assert outputs["headline"] == "FAIL 0/1 jobs – verdict: failure"


@pytest.mark.parametrize(
    ("decisions", "said"),
    [
        ({}, "no verdict in "),
        ({"linux": "passed", "macos": "failed"}, "macos: failed"),
        ({"linux": "passed", "macos": "[1]"}, "macos: unreadable"),
        ({"linux": '{"decision": "passed", "counts": {"passed": "many"}}'}, "linux: unreadable"),
    ],
)
def test_green_jobs_without_passed_verdicts_are_not_green(tmp_path: Path, decisions: dict[str, str], said: str) -> None:
    """Jobs that all succeeded are not believed where a verdict is missing, cannot be read, or says something else."""
    verdicts = lay_down(tmp_path, **decisions) if decisions else str(tmp_path / "nothing")
    code, outputs, _ = judge(tmp_path, needs(verdict="success"), verdicts=verdicts)
    assert (code, outputs["verdict"]) == (11, "incomplete")
    assert said in outputs["headline"]


def test_the_newest_attempt_of_each_verdict_counts(tmp_path: Path) -> None:
    """The tenth attempt replaces the ninth of its system, and another system's first one stays."""
    names = {"linux-attempt-9": "failed", "linux-attempt-10": "passed", "macos-attempt-1": "passed"}
    verdicts = lay_down(tmp_path, **names)
    code, outputs, _ = judge(tmp_path, needs(verdict="success"), verdicts=verdicts)
    assert (code, json.loads(outputs["counts"])) == (0, {"failed": 2, "passed": 6})
    assert sorted(path.name for path in Path(verdicts).iterdir()) == ["linux-attempt-10", "macos-attempt-1"]
    (Path(verdicts) / "linux-attempt-10" / "verdict.json").unlink()
    assert judge(tmp_path, needs(verdict="success"), verdicts=verdicts)[0] == 0


def test_green_jobs_and_passed_verdicts_are_green(tmp_path: Path) -> None:
    """Every job succeeded and every verdict is passed: passed."""
    verdicts = lay_down(tmp_path, linux="passed", macos="passed")
    assert judge(tmp_path, needs(verdict="success"), verdicts=verdicts)[0] == 0
