"""CTRF files: statuses, attempts, dishonest summaries and hostile JSON."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_tools.model.case import Attempt, Case, Outcome
from ci_tools.model.report import RunReport, ShardReport
from ci_tools.model.verdict import Decision, Verdict
from ci_tools.reports.ctrf import read_ctrf
from ci_tools.summary.ctrf import render_ctrf


def read(tmp_path: Path, *tests: object, **summary: object) -> ShardReport:
    """What a CTRF file with these tests says."""
    counted = {"tests": len(tests), "passed": 0, "failed": 0, "start": 1000, "stop": 3500, **summary}
    path = tmp_path / "ctrf.json"
    path.write_text(json.dumps({"reportFormat": "CTRF", "results": {"tool": {"name": "x"}, "summary": counted, "tests": tests}}))
    return read_ctrf(path)


@pytest.mark.parametrize(
    ("row", "outcome"),
    [
        ({"status": "passed"}, "passed"),
        ({"status": "failed", "message": "no"}, "failed"),
        ({"status": "skipped"}, "skipped"),
        ({"status": "pending"}, "skipped"),
        ({"status": "other", "rawStatus": "timedOut"}, "failed"),
        ({"status": "other", "rawStatus": "odd"}, "error"),
        ({"status": "other", "rawStatus": "todo"}, "skipped"),
        ({"status": "other", "rawStatus": "xfailed"}, "xfailed"),
        ({"status": "other", "rawStatus": "passed"}, "error"),
        ({"status": "failed", "rawStatus": "timed_out"}, "timed_out"),
        ({"status": "failed", "rawStatus": "passed"}, "failed"),
        ({"status": "passed", "rawStatus": "timedOut"}, "failed"),
        ({"status": "skipped", "rawStatus": "failed"}, "failed"),
        ({"status": "skipped", "rawStatus": "pending"}, "skipped"),
        ({"status": "passed", "rawStatus": "expected"}, "passed"),
        ({"status": "PASSED"}, "error"),
        ({}, "error"),
    ],
)
def test_statuses(tmp_path: Path, row: dict[str, object], outcome: str) -> None:
    """Only the word *passed* is a pass; what nobody knows is an error."""
    (case,) = read(tmp_path, {"name": "t", "suite": "s", "duration": 1500, **row}).cases
    assert (case.test_id, case.outcome.value, case.duration_s) == ("s::t", outcome, 1.5)


def test_attempts_and_flaky(tmp_path: Path) -> None:
    """RetryAttempts are attempts; flaky without them is one failed attempt; a failed test is never flaky."""
    rows = (
        {"name": "a", "status": "passed", "retryAttempts": [{"attempt": 1, "status": "failed", "message": "no"}]},
        {"name": "b", "status": "passed", "flaky": True},
        {"name": "c", "status": "failed", "flaky": True},
    )
    report = read(tmp_path, *rows)
    assert [(case.is_flaky, len(case.attempts)) for case in report.cases] == [(True, 2), (True, 2), (False, 1)]


@pytest.mark.parametrize("said", [{"flaky": "true"}, {"flaky": 1}, {"rawStatus": "flaky"}, {"retries": "2"}])
def test_whoever_says_flaky_is_believed(tmp_path: Path, said: dict[str, object]) -> None:
    """In whatever type: a plain pass is what nobody says anything else of."""
    flaky, plain = read(
        tmp_path, {"name": "a", "status": "passed", **said}, {"name": "b", "status": "passed", "flaky": False, "retries": 0}
    ).cases
    assert (flaky.is_flaky, plain.is_flaky) == (True, False)


@pytest.mark.parametrize("duration", [-5, "1.5", None, True, 10**400, [1]])
def test_times_that_are_none(tmp_path: Path, duration: object) -> None:
    """A duration that is no time is 0."""
    (case,) = read(tmp_path, {"name": "t", "status": "passed", "duration": duration}).cases
    assert case.duration_s == 0.0


def test_names(tmp_path: Path) -> None:
    """File, suites and name make the identity; the same name again is another test; no name at all is corrupt."""
    report = read(
        tmp_path,
        {"name": "t", "suite": ["a", "b"], "filePath": "x.ts", "status": "passed"},
        {"name": "t", "suite": ["a", "b"], "filePath": "x.ts", "status": "failed"},
        {"status": "passed"},
    )
    assert ([case.test_id for case in report.cases], len(report.corrupt)) == (["x.ts::a::b::t", "x.ts::a::b::t#2"], 1)


def test_what_we_wrote_is_read_as_it_was(tmp_path: Path) -> None:
    """Every outcome and attempt of ours comes back; the attempts before the last stand apart from it, as the format has it."""
    attempts = {outcome.value: (Attempt(outcome=outcome),) for outcome in Outcome}
    attempts["flaky"] = (Attempt(outcome=Outcome.TIMED_OUT), Attempt(outcome=Outcome.FAILED), Attempt(outcome=Outcome.PASSED))
    cases = tuple(Case(test_id=f"t.py::{name}", attempts=made) for name, made in attempts.items())
    verdict = Verdict(decision=Decision.FAILED, exit_code=10, headline="FAIL", rules=())
    path = tmp_path / "ctrf.json"
    path.write_text("".join(render_ctrf(verdict, RunReport(run_id="r", cases=cases))))
    report = read_ctrf(path)
    assert {case.test_id: [attempt.outcome for attempt in case.attempts] for case in report.cases} == {
        **{f"t.py::{name}": [attempt.outcome for attempt in made] for name, made in attempts.items()},
        "t.py::flaky": [Outcome.FAILED, Outcome.FAILED, Outcome.PASSED],
    }
    assert (report.corrupt, report.warnings) == ((), ())


def test_dishonest_summaries(tmp_path: Path) -> None:
    """More failures declared than there are is corrupt; another count of tests is only said."""
    row = {"name": "t", "status": "passed"}
    assert read(tmp_path, row, failed=1).corrupt == ("ctrf.json declares 1 failures, 0 are in it",)
    report = read(tmp_path, row, tests=5)
    assert (report.corrupt, len(report.warnings), report.declared_tests, report.duration_s) == ((), 1, 5, 2.5)


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", "{", "[" * 100_000, '{"results": {"tests": [1, "x"]}}', '{"results": {"tests": []}}', "\x00"]
)
def test_hostile_files(tmp_path: Path, text: str) -> None:
    """What is no CTRF, or holds no test, is corrupt and raises nothing."""
    path = tmp_path / "ctrf.json"
    path.write_text(text)
    assert read_ctrf(path).corrupt != ()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32-be"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    """With a mark or without, in every encoding of JSON."""
    path = tmp_path / "ctrf.json"
    path.write_text('{"results": {"tests": [{"name": "größe 🎲", "status": "passed"}]}}', encoding=encoding)
    report = read_ctrf(path)
    assert ([case.test_id for case in report.cases], report.corrupt) == (["größe 🎲"], ())


def test_what_stands_before_the_cut_is_read(tmp_path: Path) -> None:
    """Whoever wrote the file was killed: its tests so far are there, and the file is corrupt."""
    path = tmp_path / "ctrf.json"
    path.write_text('{"results": {"tests": [{"name": "a", "status": "failed"}, {"name": "b", "status": "pas')
    report = read_ctrf(path)
    assert ([case.outcome.value for case in report.cases], len(report.corrupt)) == (["failed"], 1)


def test_what_nobody_asks_for_is_passed_over(tmp_path: Path) -> None:
    """Steps, attachments and environments of any shape, tests among them, are no results; a status that is an object is none."""
    inner = {"results": {"tests": [{"name": "no", "status": "failed"}]}, "tests": [[{"name": "no"}]]}
    row = {"name": "t", "status": "passed", "extra": inner, "steps": [inner], "message": {"deep": [inner]}}
    report = read(tmp_path, row, {"name": "u", "status": {"name": "passed"}}, environment=inner)
    assert ([(case.test_id, case.outcome.value) for case in report.cases], report.corrupt) == (
        [("t", "passed"), ("u", "error")],
        (),
    )


@pytest.mark.parametrize(
    "text",
    [
        '{"results": {"tests": [{"name": "a", "status": "failed", "status": "passed"}]}}',
        '{"results": {"tests": [{"name": "a", "status": "failed"}], "tests": [{"name": "b", "status": "passed"}]}}',
        '{"results": {"tests": [{"name": "a", "status": "failed"}]}, "results": {"tests": [{"name": "b", "status": "passed"}]}}',
        '{"results": {"tests": [{"name": "a", "status": "passed", "suite": [[], []], "suite": "x"}]}}',
        '{"results": {"tests": [{"name": "a", "status": "passed"}]}} {}',
        '{"results": {"tests": [{"name": "a", "status": "passed", "x": ' + "[" * 70 + "]" * 70 + "}]}}",
        '{"results": {"tests": [{"name": "a", "status": "passed", "retryAttempts": [' + "{}," * 1000 + "{}]}]}}",
    ],
    ids=["status", "tests", "results", "suite", "more", "depth", "attempts"],
)
def test_what_can_be_read_in_two_ways_is_corrupt(tmp_path: Path, text: str) -> None:
    """A key that is there twice, a second value, and more than there may be."""
    path = tmp_path / "ctrf.json"
    path.write_text(text)
    assert read_ctrf(path).corrupt != ()


HOSTILE = {
    "figures": ('{"results":{"x":[', "1234,", "1]}}"),
    "texts": ('{"results":{"tests":[', '"ab",', "{}]}}"),
    "objects": ('{"results":{"summary":{"tests":[', "{},", "1]}}}"),
    "keys": ('{"results":{"summary":{', '"other":1,', '"tests":1}}}'),
    "a text": ('{"results":{"tests":[{"name":"', "xxxxx", '"}]}}'),
    "a wide text": ('{"results":{"tests":[{"name":"\U0001f3b2', "xxxxx", '"}]}}'),
    "a number": ('{"results":{"summary":{"tests":', "12345", "}}}"),
    "white space": ("", "     ", "{}"),
    "suites": ('{"results":{"tests":[{"name":"a","suite":[', '"ab",', '""]}]}}'),
    "attempts": ('{"results":{"tests":[{"name":"a","retryAttempts":[', '{"status":"failed"},', "{}]}]}}"),
}
PEAK = """
import re, sys
from pathlib import Path
from ci_tools.reports.ctrf import read_ctrf
assert read_ctrf(Path(sys.argv[1])).corrupt
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) >> 10)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process, without that of who started it, is told by Linux")
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_never_held(tmp_path: Path, name: str) -> None:
    """24 MB of anything but tests are not in memory: the reader's peak stays below what an empty Python and a text may take."""
    head, middle, tail = HOSTILE[name]
    path = tmp_path / "ctrf.json"
    with path.open("w") as stream:
        stream.write(head)
        for _ in range(24):
            stream.write(middle * ((1 << 20) // len(middle)))
        stream.write(tail)
    done = subprocess.run([sys.executable, "-c", PEAK, str(path)], stdout=subprocess.PIPE, text=True, timeout=120, check=True)
    assert int(done.stdout) < 64


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A path that cannot be read is a corrupt report."""
    assert read_ctrf(tmp_path / "gone.json").corrupt == ("gone.json cannot be read: No such file or directory",)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "status", "tests", "summary", "duration", "retryAttempts", "suite", "flaky"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_read(tmp_path_factory: pytest.TempPathFactory, inner: object) -> None:
    """Whatever stands where CTRF has results, the reader gives a report."""
    path = tmp_path_factory.mktemp("ctrf") / "ctrf.json"
    path.write_text(json.dumps({"results": inner}))
    report = read_ctrf(path)
    assert report.corrupt or report.cases
