"""JUnit files that we write: anybody can read them, and read again they are the same."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from junit_texts import TEST, outcomes, read, written
from junitparser import JUnitXml, xunit2
from report_sample import case, failure, plan_of, shard_report

from ci_tools.model.case import Attempt, Case, Leak, Outcome, Phase
from ci_tools.model.report import CollectionError
from ci_tools.reports import junit
from ci_tools.reports.elements import clean
from ci_tools.reports.foreign import read_junit
from ci_tools.reports.junit import address_of, write_junit
from ci_tools.reports.merge import merge


def test_a_case_has_pytests_address() -> None:
    """File, classname and name are what pytest itself would write."""
    assert address_of(TEST) == ("tests/unit/test_a.py", "tests.unit.test_a.TestKind", "test_one[a::b]")


def test_every_outcome_comes_back(tmp_path: Path) -> None:
    """All nine outcomes survive being written and read."""
    cases = tuple(case(f"tests/test_a.py::test_{outcome.value}", outcome, reason="why") for outcome in Outcome)
    report = read_junit(written(tmp_path, shard_report("1/1", *cases)))
    assert outcomes(report) == {item.test_id: item.outcome.value for item in cases}
    assert report.corrupt == ()


def test_the_report_knows_where_it_came_from(tmp_path: Path) -> None:
    """Run, shard, attempt, configuration, commit and digests are properties of the suite and come back."""
    one = replace(case(TEST, shard="2/4", run_attempt=3), configuration="postgres")
    report = shard_report("2/4", one, run_attempt=3, configuration="postgres", commit="c0ffee", plan_digest="sha256:1")
    back = read_junit(written(tmp_path, report))
    keys = ("run_id", "shard", "run_attempt", "configuration", "commit", "plan_digest", "expected_digest")
    assert [getattr(back, key) for key in keys] == [getattr(report, key) for key in keys]


def test_counts_are_those_of_junitparser(tmp_path: Path) -> None:
    """The declared counts are what junitparser counts anew: one final result for each case, errors apart."""
    both = replace(
        case(TEST, Outcome.FAILED),
        attempts=(Attempt(outcome=Outcome.FAILED, failures=(failure(), failure("late", phase=Phase.TEARDOWN))),),
    )
    cases = [case(f"tests/test_a.py::test_{outcome.value}", outcome) for outcome in Outcome]
    error = CollectionError(path="tests/test_b.py", failure=failure("No module named 'x'", "ModuleNotFoundError"))
    path = written(tmp_path, shard_report("1/1", both, *cases, collection_errors=(error,)))
    document = JUnitXml.fromfile(str(path))
    declared = [(suite.tests, suite.failures, suite.errors, suite.skipped) for suite in document]
    document.update_statistics()
    assert declared == [(suite.tests, suite.failures, suite.errors, suite.skipped) for suite in document] == [(11, 4, 4, 2)]


def test_a_flaky_pass_keeps_its_failed_attempts(tmp_path: Path) -> None:
    """Earlier attempts are flakyFailure elements, which junitparser reads, and the case comes back flaky."""
    flaky = Case(
        test_id=TEST, attempts=(Attempt(outcome=Outcome.FAILED, failures=(failure(),)), Attempt(outcome=Outcome.PASSED, number=2))
    )
    path = written(tmp_path, shard_report("1/1", flaky))
    (element,) = next(iter(xunit2.JUnitXml.fromfile(str(path))))
    assert [type(item) for item in element.interim_result] == [xunit2.FlakyFailure]
    assert [item.is_flaky for item in read_junit(path).cases] == [True]


def test_a_test_that_failed_three_times_has_three_attempts(tmp_path: Path) -> None:
    """Earlier attempts of a failed test are rerunFailure elements and come back as attempts."""
    failed = Attempt(outcome=Outcome.FAILED, failures=(failure(),))
    path = written(tmp_path, shard_report("1/1", Case(test_id=TEST, attempts=(failed, failed, failed))))
    (back,) = read_junit(path).cases
    assert [attempt.outcome.value for attempt in back.attempts] == ["failed", "failed", "failed"]


def test_a_failure_outside_the_call_names_its_phase(tmp_path: Path) -> None:
    """Set-up errors are wrapped as pytest wraps them, and unwrapped again."""
    broken = case(TEST, Outcome.ERROR, failures=(failure("no server", "ConnectionError", phase=Phase.SETUP),))
    path = written(tmp_path, shard_report("1/1", broken))
    assert 'message="failed on setup with &quot;no server&quot;"' in path.read_text()
    (back,) = read_junit(path).cases
    assert [(item.phase, item.type_name, item.message) for item in back.attempts[0].failures] == [
        (Phase.SETUP, "ConnectionError", "no server")
    ]


def test_a_broken_file_comes_back_as_one(tmp_path: Path) -> None:
    """A file that could not be collected is an error case for others and a collection error for us."""
    error = CollectionError(
        path="tests/test_b.py",
        failure=failure("No module named 'x'", "ModuleNotFoundError", text="E   ModuleNotFoundError: No module named 'x'"),
    )
    back = read_junit(written(tmp_path, shard_report("1/1", case(TEST), collection_errors=(error,))))
    assert [(item.path, item.failure.type_name, item.failure.message) for item in back.collection_errors] == [
        ("tests/test_b.py", "ModuleNotFoundError", "No module named 'x'")
    ]


def test_a_report_knows_where_it_came_from_wherever_that_stands(tmp_path: Path) -> None:
    """A file of ours is its shard also with the properties behind the cases; with a second suite it is a file like any other."""
    text = written(tmp_path, shard_report("2/4", case(TEST, shard="2/4"), plan_digest="sha256:1")).read_text("utf-8")
    head, properties, tail = re.split(r"(?<=\n)( *<properties>.*?ci_tools.*?</properties>\n)", text, maxsplit=1, flags=re.DOTALL)
    behind = read(tmp_path, head + tail.replace("</testsuite>", f"{properties}</testsuite>"))
    beside = read(tmp_path, text.replace("</testsuites>", '<testsuite name="s"/></testsuites>'))
    found = [(one.shard, one.plan_digest, one.cases[0].attempts[0].shard) for one in (behind, beside)]
    assert [("2/4", "sha256:1", "2/4"), ("file:junit.xml", "", "file:junit.xml")] == found


def test_a_merged_run_has_one_suite_for_each_shard(tmp_path: Path) -> None:
    """Every shard, also one that sent nothing, is a suite with its tests."""
    plan = plan_of(["tests/test_a.py::test_one"], ["tests/test_a.py::test_two"])
    run = merge([plan], [shard_report("1/2", case("tests/test_a.py::test_one", shard="1/2"))])
    path = tmp_path / "run.xml"
    write_junit(run, path)
    assert [(suite.name, suite.tests, suite.errors) for suite in JUnitXml.fromfile(str(path))] == [
        ("default 1/2", 1, 0),
        ("default 2/2", 1, 1),
    ]


@given(st.text(), st.text())
def test_any_text_can_be_written(tmp_path_factory: pytest.TempPathFactory, name: str, message: str) -> None:
    """Control characters, lone surrogates, colours and markup never make a file that cannot be read."""
    path = tmp_path_factory.mktemp("any") / "junit.xml"
    broken = case(f"tests/test_a.py::test[{name}]", Outcome.FAILED, failures=(failure(message, text=message),))
    write_junit(shard_report("1/1", broken), path)
    back = read_junit(path)
    assert ([item.outcome for item in back.cases], back.corrupt) == ([Outcome.FAILED], ())
    kept = " ".join(clean(f"tests/test_a.py::test[{name}]").split())
    assert [" ".join(item.test_id.split()) for item in back.cases] == [kept]


def test_colours_are_taken_out() -> None:
    """ANSI sequences go as a whole, not only their escape character."""
    assert clean("\x1b[1;31mred\x1b[0m \x00text") == "red text"


def test_a_name_without_a_file_is_only_a_name() -> None:
    """A test ID that is no node ID has no classname to invent."""
    assert address_of("checkout works") == ("checkout works", "", "checkout works")


def test_leaks_and_stacks_are_in_the_text(tmp_path: Path) -> None:
    """What outlived a test, and where it stood when time ran out, can be read in the file."""
    attempt = Attempt(
        outcome=Outcome.TIMED_OUT, failures=(failure("slow"),), leaks=(Leak(kind="task", what="Task-3"),), stacks="File a.py"
    )
    text = written(tmp_path, shard_report("1/1", Case(test_id=TEST, attempts=(attempt,)))).read_text()
    assert ("leaked task: Task-3" in text, "File a.py" in text) == (True, True)


def test_a_case_without_attempts_is_lost(tmp_path: Path) -> None:
    """A case that nobody reported is an error of its own type."""
    back = read_junit(written(tmp_path, shard_report("1/1", Case(test_id=TEST, attempts=()))))
    assert outcomes(back) == {TEST: "lost"}


def test_a_plain_pass_is_written_as_any_other_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The short way for tests that passed writes what the long way writes, whatever they are called and take."""
    names = ["t.py::C::test_a[x-1/2~]", "t::test", "test", "a b.py::test_'q'", "t.py::a[{}|^`]", "C::m", "", *'&<>"\t\n\x7fä\\']
    cases = [case(f"{name}", duration_s=seconds) for name in names for seconds in (0.0, 0.0004, 1.23456, 1e-9, 12345678.9)]
    flaky = Case(test_id="t.py::a", attempts=(*case("t.py::a", Outcome.FAILED).attempts, *case("t.py::a").attempts))
    report = shard_report("1/1", *cases, flaky, case("t.py::b", properties={"markers": "smoke"}), case("t.py::c", Outcome.ERROR))
    short = written(tmp_path, report).read_bytes()
    taken = [one for one in report.cases if junit._plain_text(one)]
    monkeypatch.setattr(junit, "_plain_text", lambda _: b"")
    assert (written(tmp_path, report).read_bytes() == short, len(taken)) == (True, 5 * 8)
