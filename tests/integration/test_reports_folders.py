"""Folders of runs through the real verbs: what is missing, cut, old or contradictory, and what `verify` sees of a change.

Every file is written as `ci-tools run` writes it; `gate` and `verify` are asked by their command line.
"""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ci_tools.cli import main
from ci_tools.model.case import Attempt, Case, Failure, Outcome, Phase
from ci_tools.model.codec import dumps, loads
from ci_tools.model.journal import PhaseFinished, SessionFinished, TestFinished, TestsCollected, TestStarted, WorkerStarted
from ci_tools.model.journal import render_event as line
from ci_tools.model.plan import render_plan
from ci_tools.model.report import EndedBy, ShardReport, WorkerExit
from ci_tools.model.shard import Plan, Shard, ShardRef, Unit, digest_of
from ci_tools.model.verdict import Verdict

RUN, COMMIT, AT = "run-1", "c0ffee", 1_795_000_000.0
TESTS = {index: tuple(f"tests/test_{index}.py::test_{name}" for name in "ab") for index in (1, 2)}
EVERY = [test_id for ids in TESTS.values() for test_id in ids]
PLAN = Plan(
    commit=COMMIT,
    shards=tuple(
        Shard(ref=ShardRef(index=index, count=2), units=(Unit(path=f"tests/test_{index}.py", test_ids=ids),))
        for index, ids in TESTS.items()
    ),
    expected_digest=digest_of(EVERY),
)


def report_of(index: int, outcome: Outcome = Outcome.PASSED, *, attempt: int = 1) -> ShardReport:
    """What the supervisor of one shard writes."""
    label = f"{index}/2"
    failures = () if outcome.is_green else (Failure(phase=Phase.CALL, type_name="ValueError", message="boom"),)
    made = Attempt(outcome=outcome, shard=label, run_attempt=attempt, duration_s=0.5, call_s=0.4, failures=failures)
    code = int(not outcome.is_green)
    exit_ = WorkerExit(worker="main", returncode=code, ended_by=EndedBy.ITSELF, finished_session=True, duration_s=2.0)
    return ShardReport(
        run_id=RUN,
        shard=label,
        cases=tuple(Case(test_id=test_id, attempts=(made,)) for test_id in TESTS[index]),
        run_attempt=attempt,
        commit=COMMIT,
        plan_digest=PLAN.expected_digest,
        expected_digest=digest_of(TESTS[index]),
        exits=(exit_,),
        started_at=AT,
        duration_s=2.0,
        facts={"tool": "1.0", "python": "3.11.7"},
    )


def journal_of(index: int) -> bytes:
    """The journal of that shard's one worker."""
    start = WorkerStarted(at=AT, run_id=RUN, worker="main", pid=7, shard=f"{index}/2", commit=COMMIT, tool="1.0")
    events = [line(start), line(TestsCollected(at=AT, count=2, digest="", test_ids=TESTS[index]))]
    for test_id in TESTS[index]:
        events.append(line(TestStarted(at=AT, test_id=test_id)))
        phases = (
            PhaseFinished(at=AT, test_id=test_id, phase=phase, result="passed", duration_s=0.1) for phase in list(Phase)[1:]
        )
        events.extend(line(phase) for phase in phases)
        events.append(line(TestFinished(at=AT, test_id=test_id, outcome=Outcome.PASSED, duration_s=0.3)))
    events.append(line(SessionFinished(at=AT, exit_status=0, finished=2)))
    return "".join(f"{event}\n" for event in events).encode()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the artifacts of a green run of two shards: the second was killed before it wrote its report."""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\nversion = "0"\n')
    for index in TESTS:
        (tmp_path / f"s{index}").mkdir()
    (tmp_path / "plan.json").write_text(render_plan(PLAN))
    (tmp_path / "s1" / "shard-1-of-2.json").write_text(dumps(report_of(1)))
    (tmp_path / "s2" / "journal-2-of-2-main-7.jsonl").write_bytes(journal_of(2))
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("GITHUB_", "CI_TOOLS_"))]:
        monkeypatch.delenv(name)
    return tmp_path


def gate(*folders: str, plan: str = "plan.json", out: str = "out") -> int:
    """The exit code of the gate on these folders."""
    return main(["gate", *folders, *(["--plan", plan] if plan else []), "--output", out])


def verify(path: str = "out/verdict.json") -> int:
    """The exit code of verify."""
    return main(["verify", path])


def verdict() -> Verdict:
    """What the gate wrote."""
    return loads(Verdict, Path("out/verdict.json").read_bytes())


def broken() -> list[str]:
    """The rules that do not hold in it."""
    return [rule.rule for rule in verdict().rules if not rule.holds]


def test_a_green_run_passes_and_is_sound(folder: Path) -> None:
    """One shard's report and another's journals are the whole run."""
    assert (gate("s1", "s2"), broken(), verify()) == (0, [], 0)


def test_the_parent_folder_may_hold_the_output(folder: Path) -> None:
    """Judging a folder into which the verdict goes, twice, reads nothing that the gate wrote itself."""
    codes = [gate("."), gate(".")]
    names = {item.path for item in verdict().inputs}
    assert (codes, names) == ([0, 0], {"../plan.json", "../s1/shard-1-of-2.json", "../s2/journal-2-of-2-main-7.jsonl"})


def other_shard(path: Path) -> None:
    """Make the report another shard's."""
    path.write_bytes(path.read_bytes().replace(b'"1/2"', b'"2/2"'))


def changed(**fields: object) -> Callable[[Path], None]:
    """A report whose fields were changed."""

    def change(path: Path) -> None:
        path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))

    return change


def cut(path: Path) -> None:
    """Half a file."""
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


SHARD_FAULTS: dict[str, Callable[[Path], None]] = {
    "cut": cut,
    "empty": lambda path: path.write_bytes(b"") and None,
    "deep": lambda path: path.write_bytes(b"[" * 300_000) and None,
    "noise": lambda path: path.write_bytes(bytes(range(256))) and None,
    "the other shard": other_shard,
    "another run": changed(run_id="run-0"),
    "another commit": changed(commit="beef"),
    "another plan": changed(plan_digest="sha256:0"),
    "other tests": changed(expected_digest="sha256:0"),
    "another version of the tool": changed(facts={"tool": "0.9"}),
    "no worker's end": changed(exits=[]),
    "no test": changed(cases=[]),
    "a time that never ends": changed(duration_s=float("inf")),
    "a time that is none": changed(started_at=float("nan")),
    "a time of four hundred digits": changed(duration_s=10**400),
    "a time beyond every calendar": changed(started_at=1e300),
}


@pytest.mark.parametrize("fault", SHARD_FAULTS)
def test_a_faulty_shard_report_never_passes(folder: Path, fault: str) -> None:
    """A report that is cut, strange or of something else is an answer of no, and a sound one."""
    SHARD_FAULTS[fault](folder / "s1" / "shard-1-of-2.json")
    assert (gate("s1", "s2") in {10, 11}, verify()) == (True, 0)


JOURNAL_FAULTS: dict[str, Callable[[bytes], bytes]] = {
    "cut in the middle": lambda data: data[: len(data) // 2],
    "its first line cut": lambda data: data[20:],
    "empty": lambda _: b"",
    "noise": lambda _: bytes(range(256)) * 9,
    "a deep first line": lambda data: b"[" * 200_000 + b"\n" + data,
    "a cut line in the middle": lambda data: data.replace(b'{"event":"TestFinished"', b'{"event":"TestFini\n', 1),
    "of another run": lambda data: data.replace(b"run-1", b"run-0"),
    "of a shard that cannot be": lambda data: data.replace(b"2/2", b"9/2"),
    "of a shard that the plan does not have": lambda data: data.replace(b"2/2", b"2/7"),
    "a time beyond every calendar": lambda data: data.replace(f'"at":{AT}'.encode(), b'"at":1e300'),
    "without its end": lambda data: data[: data.rindex(b'{"event":"SessionFinished"')],
    "ended with a code": lambda data: data.replace(b'"exit_status":0', b'"exit_status":3'),
}


@pytest.mark.parametrize("fault", JOURNAL_FAULTS)
@pytest.mark.parametrize("plan", ["plan.json", ""])
def test_a_faulty_journal_never_passes(folder: Path, fault: str, plan: str) -> None:
    """A journal that is cut, foreign or odd is an answer of no with and without a plan, and a sound one."""
    path = folder / "s2" / "journal-2-of-2-main-7.jsonl"
    path.write_bytes(JOURNAL_FAULTS[fault](path.read_bytes()))
    assert (gate("s1", "s2", plan=plan) in {10, 11, 13}, verify()) == (True, 0)


def test_half_a_character_in_an_id_is_another_test(folder: Path) -> None:
    """A lone surrogate crashes nothing on its way through the artifacts; the planned test of the whole name is lost."""
    path = folder / "s2" / "journal-2-of-2-main-7.jsonl"
    path.write_bytes(path.read_bytes().replace(b"test_b", b"test_\\ud800"))
    assert (gate("s1", "s2"), verdict().counts["lost"], verify()) == (11, 1, 0)


@pytest.mark.parametrize("length", range(0, 100, 5))
def test_a_journal_cut_at_any_twentieth_never_passes(folder: Path, length: int) -> None:
    """Wherever the kill came, the tests that had not ended by then are not passed."""
    path = folder / "s2" / "journal-2-of-2-main-7.jsonl"
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * length // 100])
    assert gate("s1", "s2") in {10, 11, 13}


@pytest.mark.parametrize("plan", ["plan.json", ""])
def test_a_missing_shard_never_passes(folder: Path, plan: str) -> None:
    """One folder of two: also without a plan, for the other's label says that there are two."""
    assert (gate("s1", plan=plan), "shards-present" in broken()) == (11, True)


def test_a_folder_without_anything_in_it_never_passes(folder: Path) -> None:
    """An artifact that was uploaded from nothing is said, beside a whole run too, and verify says the same again."""
    (folder / "empty").mkdir()
    assert (gate("s1", "s2", "empty"), broken(), verify()) == (11, ["house-in-order"], 0)


def test_a_plan_that_was_changed_never_passes(folder: Path) -> None:
    """A plan from which a test was taken, and half a plan."""
    text = render_plan(PLAN)
    fewer = replace(PLAN.shards[0], units=(Unit(path="tests/test_1.py", test_ids=TESTS[1][1:]),))
    (folder / "plan.json").write_text(render_plan(replace(PLAN, shards=(fewer, PLAN.shards[1]))))
    assert gate("s1", "s2") == 11
    (folder / "plan.json").write_text(text[: len(text) // 2])
    assert gate("s1", "s2") == 11


def test_a_job_that_was_run_again_passes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a job that failed with exit 1 and passed when GitHub ran it again the tests are flaky and the run is green.

    The last line counts them apart, too.
    """
    (folder / "s1" / "shard-1-of-2.json").write_text(dumps(report_of(1, Outcome.FAILED)))
    (folder / "again").mkdir()
    (folder / "again" / "shard-1-of-2.json").write_text(dumps(report_of(1, attempt=2)))
    assert (gate("s1", "s2", "again"), verdict().counts["flaky"], verify()) == (0, 2, 0)
    assert "2 passed, 0 failed, 0 skipped, 2 flaky\n" in capsys.readouterr().out
    assert main(["gate", "s1", "s2", "again", "--plan", "plan.json", "--profile", "release", "--output", "out"]) == 10


def test_an_attempt_that_lacks_a_test_loses_it(folder: Path) -> None:
    """A pass of the first attempt does not stand for a test that the second did not run."""
    again = report_of(1, attempt=2)
    (folder / "again").mkdir()
    (folder / "again" / "shard-1-of-2.json").write_text(dumps(replace(again, cases=again.cases[1:])))
    assert (gate("s1", "s2", "again"), verdict().counts["lost"]) == (11, 1)


def test_what_a_file_is_called_does_not_matter(folder: Path) -> None:
    """JUnit under a name without .xml, and UTF-8 with a mark, are read as what they hold."""
    (folder / "results.junit").write_bytes(b'\xef\xbb\xbf<testsuite name="s"><testcase name="t" classname="c"/></testsuite>')
    assert (main(["gate", "--junit", "results.junit", "--output", "out"]), verify()) == (0, 0)


def test_folders_of_junit_are_merged_as_a_stream(folder: Path) -> None:
    """A folder of JUnit files, files beside it and both together give the same junit.xml; a folder of ours gives a report too."""
    (folder / "in" / "deep").mkdir(parents=True)
    for name in ("in/a.xml", "in/deep/b.xml"):
        (folder / name).write_text(f'<testsuite name="s"><testcase name="{name}" classname="c" time="0.5"/></testsuite>')
    merged = []
    for given in (["in"], ["in/a.xml", "in/deep/b.xml"], ["in/a.xml", "in/deep"], ["in"]):
        assert main(["merge", *given, "--output", "in/out"]) == 0
        merged.append((folder / "in" / "out" / "junit.xml").read_bytes())
    assert ([text == merged[0] for text in merged], merged[0].count(b"<testcase")) == ([True] * 4, 2)
    assert not (folder / "in" / "out" / "report.json").exists()
    assert main(["merge", "s1", "s2", "--plan", "plan.json", "--output", "both"]) == 0
    assert (folder / "both" / "report.json").exists()


# verify.


def inputs() -> list[Path]:
    """Every file that the verdict names."""
    return [Path("out") / item.path for item in verdict().inputs]


def everything(folder: Path) -> None:
    """Add a foreign file, a CTRF file and a baseline to the run, and judge it."""
    assert main(["baseline", "update", "s1", "s2", "--plan", "plan.json", "--output", "ci-baseline.json"]) == 0
    (folder / "junit.xml").write_text('<testsuite name="s"><testcase name="t" classname="c"/></testsuite>')
    (folder / "ctrf.json").write_text('{"results": {"tests": [{"name": "u", "status": "passed"}]}}')
    os.environ["NEEDS"] = '{"tests": {"result": "success"}}'
    try:
        main(
            [
                "gate",
                "s1",
                "s2",
                "--plan",
                "plan.json",
                "--junit",
                "junit.xml",
                "ctrf.json",
                "--needs",
                "NEEDS",
                "--output",
                "out",
            ]
        )
    finally:
        del os.environ["NEEDS"]


def test_a_changed_byte_in_any_input_is_noticed(folder: Path) -> None:
    """Plan, baseline, shard report, journal, JUnit, CTRF and needs: first, middle and last byte of each."""
    everything(folder)
    assert (verify(), len(inputs())) == (0, 7)
    for path in inputs():
        data = path.read_bytes()
        for at in (0, len(data) // 2, len(data) - 1):
            path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
            assert verify() == 10, (path, at)
        path.write_bytes(data + b"\n")
        assert verify() == 10, path
        path.unlink()
        assert verify() == 10, path
        path.write_bytes(data)
    assert verify() == 0


def test_a_changed_byte_in_the_verdict_is_noticed(folder: Path) -> None:
    """Any byte of verdict.json, also one that JSON does not need, and a key that is there twice."""
    gate("s1", "s2")
    path = Path("out/verdict.json")
    data = path.read_bytes()
    for at in range(0, len(data), max(1, len(data) // 60)):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert verify() in {10, 11}, at
    for text in (
        data + b"\n",
        b'{"decision":"failed",' + data[1:],
        data[:-1] + b',"note":"approved"}',
        json.dumps(json.loads(data), indent=1).encode(),
    ):
        path.write_bytes(text)
        assert verify() == 10, text[:60]
    path.write_bytes(data)
    assert verify() == 0


def test_a_changed_byte_of_what_was_published_is_noticed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Report, JUnit, CTRF, timings and both summaries: any byte of each. One that is not there is said and no lie."""
    everything(folder)
    names = ["report.json", "summary.md", "timings.json", "junit.xml", "ctrf.json", "summary.html"]
    assert [item.path for item in verdict().published] == names
    for path in (folder / "out" / name for name in names):
        data = path.read_bytes()
        for at in (0, len(data) // 2, len(data) - 1):
            path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
            assert verify() == 10, (path, at)
        path.unlink()
        capsys.readouterr()
        assert (verify(), f"not checked: {path.name} is not here" in capsys.readouterr().out) == (0, True)
        path.write_bytes(data)
    assert verify() == 0


def test_a_verdict_is_sound_elsewhere(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Downloaded to another path, without the project and without a network, it verifies from its files alone."""
    everything(folder)
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "down" / "load"
    shutil.copytree(folder, elsewhere)
    shutil.rmtree(folder / "s1")
    (elsewhere / "pyproject.toml").write_text('[project]\nname = "other"\nversion = "0"\n')
    monkeypatch.chdir(elsewhere)

    def no_network(*_: object) -> None:
        raise OSError("verify works offline")

    monkeypatch.setattr("socket.socket.connect", no_network)
    assert verify() == 0


def test_a_red_verdict_is_sound_too(folder: Path) -> None:
    """Failures, causes and all: judged again it is the same."""
    (folder / "s1" / "shard-1-of-2.json").write_text(dumps(report_of(1, Outcome.FAILED)))
    assert (gate("s1", "s2"), len(verdict().causes), verify()) == (10, 1, 0)


def test_an_empty_file_gives_a_sound_verdict(folder: Path) -> None:
    """A verdict on a file without any test is as it was written when it is read again."""
    (folder / "junit.xml").write_text("<testsuites/>")
    assert (main(["gate", "--junit", "junit.xml", "--output", "out"]), verify()) == (11, 0)
