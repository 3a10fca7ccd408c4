"""Each file that the gate reads, broken in every way: a verdict is written that never passes and says what to do."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ci_tools.cli import main
from ci_tools.model.case import Attempt, Case, Outcome
from ci_tools.model.codec import dumps
from ci_tools.model.plan import render_plan
from ci_tools.model.report import EndedBy, ShardReport, WorkerExit
from ci_tools.model.shard import Plan, Shard, ShardRef, Unit, digest_of

TEST = "tests/test_a.py::test_a"
PLAN = Plan(
    commit="",
    shards=(Shard(ref=ShardRef(index=1, count=1), units=(Unit(path="tests/test_a.py", test_ids=(TEST,)),)),),
    expected_digest=digest_of([TEST]),
)
REPORT = ShardReport(
    run_id="run-1",
    shard="1/1",
    cases=(Case(test_id=TEST, attempts=(Attempt(outcome=Outcome.PASSED, duration_s=0.5),)),),
    plan_digest=PLAN.expected_digest,
    exits=(WorkerExit(worker="main", returncode=0, ended_by=EndedBy.ITSELF, finished_session=True, duration_s=1.0),),
)
JUNIT = '<testsuite name="s" tests="1"><testcase classname="c" name="t" time="0.1"/></testsuite>'
HUGE_BYTES = 3 << 30


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project whose run passes, and beside it the verdict of yesterday, which passed."""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\n[tool.ci-tools]\nenv-file = ".env"\n')
    (tmp_path / ".env").write_text("A=1\n")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "plan.json").write_text(render_plan(PLAN))
    (tmp_path / "run" / "shard-1-of-1.json").write_text(dumps(REPORT))
    (tmp_path / "junit.xml").write_text(JUNIT)
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("GITHUB_", "CI_TOOLS_"))]:
        monkeypatch.delenv(name)
    assert main(["baseline", "update", "run"]) == 0
    assert gate()[:2] == (0, "passed")


def gate(*more: str) -> tuple[int, str, str]:
    """The exit code, the decision that was written, and what was wrong around the tests or with a report."""
    code = main(["gate", *(more or ("run",)), "--output", "out"])
    verdict = json.loads(Path("out/verdict.json").read_text())
    assert code == verdict["exit_code"]
    assert verdict["headline"].partition(" – ")[0] in Path("out/summary.md").read_text()
    details = [line for rule in verdict["rules"] if not rule["holds"] for line in rule["details"]]
    return code, verdict["decision"], "\n".join([*(error["what"] for error in verdict["errors"]), *details])


def cut(path: Path) -> None:
    """Take its end away."""
    path.write_bytes(path.read_bytes()[:-3])


def of_another_version(path: Path) -> None:
    """Make it a file of a version to come."""
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": 99}))


def in_place(make: Callable[[Path], object]) -> Callable[[Path], None]:
    """Take the file away and put something else there."""

    def change(path: Path) -> None:
        path.unlink()
        make(path)

    return change


def huge(path: Path) -> None:
    """More bytes than anybody may be asked to hold."""
    with path.open("wb") as stream:
        stream.truncate(HUGE_BYTES)


BREAKS = {
    "empty": in_place(lambda path: path.write_bytes(b"")),
    "cut": cut,
    "wrong": in_place(lambda path: path.write_text("[1, 2]")),
    "version": of_another_version,
    "binary": in_place(lambda path: path.write_bytes(bytes(range(256)))),
    "huge": huge,
    "folder": in_place(Path.mkdir),
    "dangling": in_place(lambda path: path.symlink_to("nowhere")),
    "fifo": in_place(os.mkfifo) if hasattr(os, "mkfifo") else in_place(Path.mkdir),
    "denied": lambda path: path.chmod(0),
}
CODES = {"ci-baseline.json": 2, "pyproject.toml": 2, ".env": 2, "run/plan.json": 11, "run/shard-1-of-1.json": 11}
ERRORS = {2: "error", 11: "incomplete"}
HARMLESS = {(".env", "empty"), (".env", "cut"), (".env", "wrong"), ("pyproject.toml", "empty")}
"""An empty configuration is one, and an env file may hold any lines."""
CASES = [
    pytest.param(name, how, marks=[pytest.mark.slow] if how == "huge" else [])  # its bytes are hashed
    for name in CODES
    for how in BREAKS
    if (name, how) not in HARMLESS and not (how == "version" and name in {".env", "pyproject.toml"})
]


@pytest.mark.parametrize(("name", "how"), CASES)
def test_a_broken_file_is_a_verdict(name: str, how: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is configured ends as error, what other jobs sent as incomplete; the file is named, and the old verdict is gone."""
    if how == "denied" and (os.name == "nt" or os.geteuid() == 0):
        pytest.skip("nobody denies root anything")
    BREAKS[how](Path(name))
    code, decision, said = gate()
    assert (code, decision) == (CODES[name], ERRORS[CODES[name]])
    assert Path(name).name in said
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("gone",), "'gone' is not there"),
        (("run", "--plan", "gone.json"), "gone.json is not there, expected a file"),
        (("run", "--junit", "gone.xml"), "JUnit file 'gone.xml' is not there"),
        (("run", "--profile", "strict"), "profile 'strict' is not there"),
        (("--junit", "run"), "JUnit file 'run' is not there"),
        (("run", "--needs", "NEEDS"), "needs is '', expected GitHub's `needs` as JSON"),
        (("--profile", "release"), "there is nothing to judge"),
    ],
)
def test_a_wrong_request_is_a_verdict(arguments: tuple[str, ...], word: str) -> None:
    """A path that leads nowhere, an unknown profile and an empty variable end as error with exit code 2 and say what to do."""
    code, decision, said = gate(*arguments)
    assert (code, decision, word in said, "hint: " in said) == (2, "error", True, True)


@pytest.mark.parametrize("text", ["{", "[]", '{"tests": {}}', '{"tests": 3}'])
def test_needs_that_cannot_be_read_end_as_error(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What GitHub said of the jobs before, mangled on the way, is no answer; the verdict on it can be verified."""
    monkeypatch.setenv("NEEDS", text)
    assert gate("run", "--needs", "NEEDS")[:2] == (2, "error")
    assert main(["verify", "out/verdict.json"]) == 0


def test_an_error_can_be_verified() -> None:
    """A verdict on a broken baseline and plan is sound as long as they stay as broken as they were."""
    Path("ci-baseline.json").write_text("{")
    cut(Path("run/plan.json"))
    gate()
    assert main(["verify", "out/verdict.json"]) == 0
    Path("ci-baseline.json").write_text("}")
    assert main(["verify", "out/verdict.json"]) == 10


def test_a_fault_of_ours_is_a_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the gate itself breaks down, the verdict is error with exit code 1 and the traceback lies beside it."""
    monkeypatch.setattr("ci_tools.pipeline.gate.gather", lambda *_, **__: 1 // 0)
    code, decision, said = gate()
    assert (code, decision, "ZeroDivisionError" in said) == (1, "error", True)
    assert "ZeroDivisionError" in Path("out/fault.txt").read_text()


def test_a_verdict_that_cannot_be_written_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """A file where the folder should be: exit code 2, the verdict that would have been, and what to do."""
    Path("taken").write_text("")
    assert main(["gate", "run", "--output", "taken"]) == 2
    assert "error: the verdict (PASS 1/1 passed) cannot be written to 'taken': " in capsys.readouterr().err


def test_a_run_with_a_broken_baseline_has_its_verdict() -> None:
    """`ci-tools run` says it in its verdict too: what the tests said is not lost for it."""
    Path("tests").mkdir()
    Path("tests/test_a.py").write_text("def test_a():\n    assert 'a'\n")
    Path("ci-baseline.json").write_text("{")
    assert main(["run", "--workers", "1"]) == 2
    verdict = json.loads(Path("ci-artifacts/latest/verdict.json").read_text())
    assert (verdict["decision"], verdict["counts"]["passed"]) == ("error", 1)


@pytest.mark.skipif(os.name == "nt", reason="a POSIX shell closes and fills its output")
@pytest.mark.parametrize("output", [">&-", ">&- 2>&-", "> /dev/full", "| true"])
def test_nobody_listening_changes_no_verdict(tmp_path: Path, output: str) -> None:
    """Without a console, with a full disk behind it, or when its reader has gone, the exit code is the verdict's."""
    if "/dev/full" in output and not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    (tmp_path / "bad.xml").write_text(JUNIT.replace("/></testsuite>", "><failure/></testcase></testsuite>"))
    command = f"{shlex.quote(sys.executable)} -m ci_tools gate bad.xml --output out"
    script = f"{{ {command}; echo $? > code; }} {output}" if "|" in output else f"{command} {output}; echo $? > code"
    subprocess.run(["sh", "-c", script], cwd=tmp_path, check=True, capture_output=True, timeout=60)
    assert ((tmp_path / "code").read_text(), json.loads((tmp_path / "out" / "verdict.json").read_text())["exit_code"]) == (
        "10\n",
        10,
    )


def test_evidence_of_another_commit_is_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The verdict is of the evidence's commit, and a note names both; of the same commit nothing is said."""
    commit = "c0ffee" + "0" * 34
    (tmp_path / "run" / "plan.json").write_text(render_plan(replace(PLAN, commit=commit)))
    (tmp_path / "run" / "shard-1-of-1.json").write_text(dumps(replace(REPORT, commit=commit)))
    for checkout, notes in (
        (commit, []),
        ("beef" * 10, ["the reports are of commit c0ffee000000, this checkout is beefbeefbeef"]),
    ):
        monkeypatch.setenv("GITHUB_SHA", checkout)  # what counts where there is no git
        gate()
        verdict = json.loads(Path("out/verdict.json").read_text())
        said = [note.partition(": only")[0] for note in verdict["notes"] if "checkout" in note]
        assert (verdict["commit"], said) == (commit, notes)
