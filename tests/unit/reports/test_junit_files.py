"""JUnit files: what is written can be read by anybody, and what anybody writes has one meaning."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from junitparser import JUnitXml, xunit2
from lxml import etree
from report_sample import case, failure, plan_of, shard_report

from ci_tools.model.case import Attempt, Case, Failure, Frame, Leak, Outcome, Phase
from ci_tools.model.report import CollectionError, ShardReport
from ci_tools.reports import junit
from ci_tools.reports.elements import Limits, clean
from ci_tools.reports.foreign import read_junit
from ci_tools.reports.junit import address_of, write_junit
from ci_tools.reports.merge import merge

TEST = "tests/unit/test_a.py::TestKind::test_one[a::b]"


def written(tmp_path: Path, report: ShardReport) -> Path:
    """The report as a file."""
    path = tmp_path / "junit.xml"
    write_junit(report, path)
    return path


def read(tmp_path: Path, text: str | bytes, name: str = "junit.xml", limits: Limits | None = None) -> ShardReport:
    """What a file with this content says."""
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_junit(path, limits=limits) if limits else read_junit(path)


def outcomes(report: ShardReport) -> dict[str, str]:
    """Test ID → outcome."""
    return {item.test_id: item.outcome.value for item in report.cases}


# Written.


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


# Read: one meaning for each strange thing.

PYTEST = '<testsuites name="pytest tests"><testsuite name="pytest">'
ENDS = "</testsuite></testsuites>"


def suite(inner: str, attributes: str = 'tests="1"') -> str:
    """A suite of some producer."""
    return f'<testsuites><testsuite name="s" {attributes}>{inner}</testsuite></testsuites>'


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        ('<testcase name="t" classname="c"><skipped/><error message="late"/></testcase>', "error"),
        ('<testcase name="t" classname="c"><skipped type="todo"/><failure/></testcase>', "skipped"),
        ('<testcase name="t" classname="c"><failure/><error/></testcase>', "failed"),
        ('<testcase name="t" classname="c" status="failed"/>', "failed"),
        ('<testcase name="t" classname="c" status="run" result="timeout"/>', "failed"),
        ('<testcase name="t" classname="c" status="notrun"/>', "skipped"),
        ('<testcase name="t" classname="c" status="disabled"/>', "skipped"),
        ('<testcase name="t" classname="c" status="notrun"><skipped message="SKIP_RETURN_CODE=77"/></testcase>', "skipped"),
        ('<testcase name="t" classname="c" status="notrun"><skipped message="Unable to find executable"/></testcase>', "error"),
        ('<testcase name="t" classname="c" status="run" result="completed"/>', "passed"),
        ('<testcase name="t" classname="c"><Failure>no</Failure></testcase>', "failed"),
        ('<testcase name="t" classname="c"><rerunFailure/></testcase>', "failed"),
        ('<testcase name="t" classname="c"><skipped type="pytest.xfail"/></testcase>', "xfailed"),
        ('<testcase name="t" classname="c"><error message="worker \'gw1\' crashed while running \'t\'"/></testcase>', "crashed"),
        (
            '<testcase name="t" classname="c"><failure message="Failed: Timeout (&gt;1.0s) from pytest-timeout."/></testcase>',
            "timed_out",
        ),
    ],
)
def test_one_case_one_meaning(tmp_path: Path, inner: str, expected: str) -> None:
    """Errors and failures win over skips, except a todo's; a status without a child counts."""
    assert outcomes(read(tmp_path, suite(inner))) == {"c::t": expected}


def test_nested_suites_are_read(tmp_path: Path) -> None:
    """A failing test in a suite in a suite is there."""
    inner = '<testsuite name="in"><testcase name="t" classname="c"><failure/></testcase></testsuite>'
    assert outcomes(read(tmp_path, suite(inner))) == {"c::t": "failed"}


def test_cases_at_the_root_are_read(tmp_path: Path) -> None:
    """A case directly under the root belongs to no suite and counts."""
    assert outcomes(read(tmp_path, '<testsuites><testcase name="t" classname="c"><failure/></testcase></testsuites>')) == {
        "c::t": "failed"
    }


def test_a_result_outside_any_case_becomes_one(tmp_path: Path) -> None:
    """An error of the suite itself is an error case of its own."""
    report = read(tmp_path, suite('<error message="no database"/><testcase name="t" classname="c"/>'))
    assert outcomes(report) == {"s::<error of the suite>": "error", "c::t": "passed"}


def test_a_namespace_means_nothing(tmp_path: Path) -> None:
    """A namespaced report is read like any other."""
    text = f'<testsuites xmlns="http://x/y"><testsuite name="s"><testcase name="t" classname="c"><failure/></testcase>{ENDS}'
    assert outcomes(read(tmp_path, text)) == {"c::t": "failed"}


@pytest.mark.parametrize(
    ("text", "seconds", "is_strange"),
    [
        ("1.5", 1.5, False),
        ("1,234.5", 1234.5, False),
        ("1,5", 1.5, False),
        ("", 0.0, False),
        (".25", 0.25, False),
        ("2e-3", 0.002, False),
    ]
    + [(text, 0.0, True) for text in ("-5", "NaN", "inf", "1e400", "abc", "PT1.5S", "٣")],
)
def test_times_have_one_meaning(tmp_path: Path, text: str, seconds: float, is_strange: bool) -> None:
    """A lone comma is a decimal mark; what is no time is 0 and said."""
    report = read(tmp_path, suite(f'<testcase name="t" classname="c" time="{text}"/>'))
    assert (report.cases[0].duration_s, bool(report.warnings)) == (seconds, is_strange)


@pytest.mark.parametrize(
    ("declared", "encoding"),
    [("utf-16", "utf-16"), ("", "utf-16"), ("", "utf-8-sig"), ("iso-8859-1", "latin-1"), ("windows-1252", "cp1252")],
)
def test_encodings(tmp_path: Path, declared: str, encoding: str) -> None:
    """UTF-8 and UTF-16 with and without a mark, Latin-1 and Windows code pages are read."""
    head = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""
    text = f'{head}<testsuite name="s"><testcase name="caf\u00e9" classname="c"/></testsuite>'
    report = read(tmp_path, text.encode(encoding))
    assert (outcomes(report), report.corrupt) == ({"c::caf\u00e9": "passed"}, ())


def test_one_name_twice_is_two_tests(tmp_path: Path) -> None:
    """Producers that reuse names lose no test: each counts, no pass hides a failure."""
    report = read(tmp_path, suite('<testcase name="t" classname="c"><failure/></testcase><testcase name="t" classname="c"/>'))
    assert outcomes(report) == {"c::t": "failed", "c::t#2": "passed"}


def test_rerunfailures_bare_passes_prove_nothing(tmp_path: Path) -> None:
    """pytest-rerunfailures leaves a bare pass for each failed attempt: three of three failed is failed, two of three flaky."""
    bare = '<testcase classname="tests.test_a" name="test_x" time="0.1"/>'
    bad = '<testcase classname="tests.test_a" name="test_x" time="0.1"><failure message="no"/></testcase>'
    failed = read(
        tmp_path, f'<testsuites name="pytest tests"><testsuite name="pytest">{bare}{bare}{bad}</testsuite></testsuites>'
    )
    flaky = read(
        tmp_path, f'<testsuites name="pytest tests"><testsuite name="pytest">{bare}{bare}{bare}</testsuite></testsuites>'
    )
    assert [(item.outcome.value, len(item.attempts), item.is_flaky) for item in (*failed.cases, *flaky.cases)] == [
        ("failed", 3, False),
        ("passed", 3, True),
    ]


def test_failure_and_teardown_error_are_one_test(tmp_path: Path) -> None:
    """Pytest's two cases for a test that failed and then broke in tear-down are one case with two failures."""
    text = (
        f'{PYTEST}<testcase classname="tests.test_a" name="test_x"><failure message="assert 0"/></testcase>'
        '<testcase classname="tests.test_a" name="test_x"><error message="failed on teardown with &quot;late&quot;"/></testcase>'
        f"{ENDS}"
    )
    (only,) = read(tmp_path, text).cases
    assert (only.outcome, [item.phase for item in only.attempts[0].failures]) == (Outcome.FAILED, [Phase.CALL, Phase.TEARDOWN])


def test_a_surefire_flake_is_flaky(tmp_path: Path) -> None:
    """A pass with a flakyFailure inside is a pass after a failure."""
    report = read(
        tmp_path,
        suite(
            '<testcase name="t" classname="c"><flakyFailure message="no"><stackTrace>at c.t</stackTrace></flakyFailure>'
            "</testcase>"
        ),
    )
    assert [(item.outcome, item.is_flaky, item.attempts[0].failures[0].text) for item in report.cases] == [
        (Outcome.PASSED, True, "at c.t")
    ]


def test_the_node_id_is_found_again(tmp_path: Path) -> None:
    """Pytest's dotted address becomes the node ID, exactly where the file is given."""
    text = (
        f'{PYTEST}<testcase classname="tests.unit.test_a.TestKind" name="test_one[x]"/>'
        f'<testcase classname="tests.odd_place.TestKind" file="tests/odd_place.py" name="test_two"/>{ENDS}'
    )
    assert list(outcomes(read(tmp_path, text))) == [
        "tests/unit/test_a.py::TestKind::test_one[x]",
        "tests/odd_place.py::TestKind::test_two",
    ]


def test_a_frame_is_found_in_the_text(tmp_path: Path) -> None:
    """The last place that pytest's traceback names is where it broke."""
    text = suite(
        '<testcase name="t" classname="c"><failure message="boom">tests/test_a.py:3: in test\n    f()\n'
        "src/f.py:9: ValueError</failure></testcase>"
    )
    (item,) = read(tmp_path, text).cases
    assert item.attempts[0].failures[0].frame == Frame(path="src/f.py", line=9)


def test_a_type_is_found_in_the_message(tmp_path: Path) -> None:
    """A failure without a type attribute has the type its message begins with."""
    (item,) = read(tmp_path, suite('<testcase name="t" classname="c"><failure message="ValueError: bad"/></testcase>')).cases
    assert [(found.type_name, found.message) for found in item.attempts[0].failures] == [("ValueError", "ValueError: bad")]
    assert isinstance(item.attempts[0].failures[0], Failure)


# Hostile.


def whole(report: ShardReport) -> bool:
    """Whether a file was taken for whole."""
    return not report.corrupt


HOSTILE = {
    "billion laughs": '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><testsuite><testcase name="&b;"/></testsuite>',
    "file entity": '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><testsuite><testcase>&x;</testcase></testsuite>',
    "remote dtd": '<!DOCTYPE a SYSTEM "http://127.0.0.1:9/x.dtd"><testsuite><testcase name="t"/></testsuite>',
    "html page": "<!DOCTYPE html><html><body>502 Bad Gateway</body></html>",
    "html without doctype": "<html><body>502 Bad Gateway</body></html>",
    "empty": "",
    "blank": "  \n",
    "text": "Error: no tests found",
    "json": '{"tests": 1}',
    "truncated": '<testsuite name="s"><testcase name="a"/><testcase name="b"><failu',
    "two roots": '<testsuite><testcase name="a"/></testsuite><testsuite><testcase name="b"/></testsuite>',
    "nameless": '<testsuite><testcase name="" classname=""/></testsuite>',
    "control characters": '<testsuite><testcase name="a"><failure message="\x01">\x02</failure></testcase></testsuite>',
    "surrogate": '<testsuite><testcase name="&#xD800;a"/></testsuite>',
    "undeclared entity": '<testsuite><testcase name="t"><failure>&x;</failure></testcase></testsuite>',
    "utf-7": '<?xml version="1.0" encoding="utf-7"?><testsuite><testcase name="a"/></testsuite>',
    "unclosed comment": '<testsuite><testcase name="a"/><!-- ',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_never_whole(tmp_path: Path, name: str) -> None:
    """Bombs, entities, pages and halves give what they have, no exception, and are marked."""
    report = read(tmp_path, HOSTILE[name])
    assert not whole(report)
    assert "root:" not in str(report.cases)


@pytest.mark.parametrize(
    "data", [b'<testsuite><testcase name="caf\xe9"/><testcase name="b"/></testsuite>', b"\x4c\x6f\xa7\x94" * 9, bytes(range(256))]
)
def test_bytes_that_are_no_text(tmp_path: Path, data: bytes) -> None:
    """Wrongly declared Latin-1, EBCDIC and noise are marked."""
    assert not whole(read(tmp_path, data))


def test_what_stands_before_the_cut_is_kept(tmp_path: Path) -> None:
    """Complete cases of a truncated file count; the half one is lost, never passed."""
    assert outcomes(read(tmp_path, HOSTILE["truncated"])) == {"s::a": "passed", "s::b": "lost"}


def test_cases_after_control_characters_are_kept(tmp_path: Path) -> None:
    """The parser recovers behind characters that XML cannot hold."""
    text = '<testsuite name="s"><testcase name="a"><failure>\x02</failure></testcase><testcase name="b"/></testsuite>'
    assert outcomes(read(tmp_path, text)) == {"s::a": "failed", "s::b": "passed"}


def test_five_thousand_levels_are_refused(tmp_path: Path) -> None:
    """Depth ends at the limit, not in a crash."""
    report = read(tmp_path, "<testsuite>" * 5000 + '<testcase name="a"/>' + "</testsuite>" * 5000)
    assert "is nested deeper than 64 elements" in report.corrupt[0]


def test_limits_are_said(tmp_path: Path) -> None:
    """A file beyond a limit gives what lies within, and says which limit it was."""
    text = '<testsuite name="s">' + "".join(f'<testcase name="{number}"/>' for number in range(9)) + "</testsuite>"
    report = read(tmp_path, text, limits=Limits(cases=4))
    assert (len(report.cases), "holds more than 4 cases" in report.corrupt[0]) == (4, True)
    assert "is larger than 20 bytes" in read(tmp_path, text, limits=Limits(size_bytes=20)).corrupt[0]
    many = suite(f'<testcase name="t" classname="c">{"<flakyFailure/>" * 9}<failure/></testcase>')
    report = read(tmp_path, many, limits=Limits(results=9))
    assert (outcomes(report), "holds more than 9 results" in report.corrupt[0]) == ({"c::t": "lost"}, True)
    long = suite(f'<testcase name="{"n" * 99}" classname="c"><failure message="m">{"x" * 99}</failure></testcase>')
    cut = read(tmp_path, long, limits=Limits(attribute_chars=9, text_chars=9))
    assert ([len(item.attempts[0].failures[0].text) for item in cut.cases], len(cut.warnings)) == ([9], 2)


def test_declared_failures_must_be_there(tmp_path: Path) -> None:
    """A file that declares more failures and errors than it holds is not whole, at any level."""
    case_ = '<testcase name="a" classname="c"/>'
    assert not whole(read(tmp_path, suite(case_, 'tests="5" failures="2" errors="1"')))
    assert not whole(read(tmp_path, f'<testsuites errors="1"><testsuite name="s">{case_}</testsuite></testsuites>'))
    assert whole(read(tmp_path, suite(case_, 'tests="5" failures="0" errors=""')))
    assert whole(read(tmp_path, suite(case_, 'tests="5" failures="0.0" failed="0" error="0"')))


@pytest.mark.parametrize("count", ["abc", "-1", "0x1", "9" * 16])
def test_what_declares_no_count_hides_something(tmp_path: Path, count: str) -> None:
    """Failures declared in anything but figures are failures nobody can count: the file is not whole."""
    assert not whole(read(tmp_path, suite('<testcase name="a" classname="c"/>', f'tests="1" failures="{count}"')))


def test_a_failure_declared_twice_is_one(tmp_path: Path) -> None:
    """A producer that says the same number under two names is not taken at their sum."""
    bad = '<testcase name="a" classname="c"><failure/></testcase>'
    assert whole(read(tmp_path, suite(bad, 'tests="1" failures="1" errors="0" failed="1"')))


def test_an_unknown_child_is_said(tmp_path: Path) -> None:
    """A child of a case that nobody knows decides nothing and is in a warning; what is usual is not."""
    report = read(tmp_path, suite('<testcase name="a" classname="c"><risky/><properties/><system-err/></testcase>'))
    assert (outcomes(report), report.warnings) == (
        {"c::a": "passed"},
        ("junit.xml holds <risky> in a case, which means nothing here",),
    )


@pytest.mark.parametrize(
    ("text", "second"),
    [
        ("2026-11-22T18:44:20", 1795373060.0),
        ("2026-11-22T19:44:20+01:00", 1795373060.0),
        ("Sun, 22 Nov 2026 18:44:20 GMT", 1795373060.0),
        *((text, 0.0) for text in ("", "yesterday", "9999-12-31T23:59:59", "Sun, 99 Nov 2026 99:44:20", "2026-13-01")),
    ],
)
def test_a_file_says_when_it_was(tmp_path: Path, text: str, second: float) -> None:
    """ISO and e-mail dates are the file's time; what is no date, or none that anybody will see, is no time."""
    text = f'<testsuite name="s" timestamp="{text}"><testcase name="a" classname="c"/></testsuite>'
    assert read(tmp_path, text).started_at == second


def test_a_skipped_test_is_no_success(tmp_path: Path) -> None:
    """``success="false"`` beside a word for not run is a skip, as the .NET runners mean it."""
    assert outcomes(read(tmp_path, suite('<testcase name="a" classname="c" result="ignored" success="False"/>'))) == {
        "c::a": "skipped"
    }


def test_another_count_of_tests_is_only_said(tmp_path: Path) -> None:
    """Honest producers miscount tests: the file is whole and the figures are in a warning."""
    report = read(tmp_path, suite('<testcase name="a" classname="c"/>', 'tests="5"'))
    assert (whole(report), report.declared_tests, len(report.warnings)) == (True, 5, 1)


def test_an_unreadable_file_is_corrupt(tmp_path: Path) -> None:
    """A path that cannot be opened is a corrupt report, not an exception."""
    assert "cannot be read" in read_junit(tmp_path / "gone.xml").corrupt[0]


@given(st.binary(max_size=300))
def test_noise_never_raises(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    """Whatever bytes a file holds, reading it gives a report, and one without any case is never whole and green."""
    path = tmp_path_factory.mktemp("noise") / "junit.xml"
    path.write_bytes(data)
    report = read_junit(path)
    assert report.corrupt or report.cases or etree.fromstring(data) is not None


@given(st.integers(min_value=0, max_value=700))
def test_a_file_cut_anywhere_is_never_whole(tmp_path_factory: pytest.TempPathFactory, length: int) -> None:
    """Cut at any byte before its end, a file is marked, and no test passes that did not pass in the whole file."""
    folder = tmp_path_factory.mktemp("cut")
    cases = (
        case("tests/test_a.py::test_1"),
        case("tests/test_a.py::test_2", Outcome.FAILED),
        case("tests/test_a.py::test_3", Outcome.ERROR),
    )
    path = written(folder, shard_report("1/1", *cases))
    data = path.read_bytes().rstrip()
    passed = {item.test_id for item in read_junit(path).cases if item.outcome is Outcome.PASSED}
    path.write_bytes(data[: min(length, len(data) - 1)])
    report = read_junit(path)
    assert not whole(report)
    assert {item.test_id for item in report.cases if item.outcome is Outcome.PASSED} <= passed


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


def test_a_case_in_a_case_is_two(tmp_path: Path) -> None:
    """A stray nesting hides neither test."""
    report = read(tmp_path, suite('<testcase name="a" classname="c"><failure/><testcase name="b" classname="c"/></testcase>'))
    assert outcomes(report) == {"c::a": "failed", "c::b": "passed"}


def test_many_properties_are_cut(tmp_path: Path) -> None:
    """A thousand properties in one place are enough; the rest is said."""
    inner = "".join(f'<property name="p{number}" value="x"/>' for number in range(9))
    report = read(
        tmp_path,
        suite(f'<testcase name="a" classname="c"><properties>{inner}</properties></testcase>'),
        limits=Limits(properties=3),
    )
    assert (len(report.cases[0].attempts[0].properties), len(report.warnings)) == (3, 1)


def test_an_unknown_status_is_said(tmp_path: Path) -> None:
    """A status that nobody has a meaning for decides nothing and is in a warning."""
    report = read(tmp_path, suite('<testcase name="a" classname="c" status="wobbly"/>'))
    assert (outcomes(report), report.warnings) == (
        {"c::a": "passed"},
        ("junit.xml holds status words without a known meaning: wobbly",),
    )


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
