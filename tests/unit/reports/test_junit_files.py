"""JUnit files that anybody writes: each strange thing has one meaning."""

from pathlib import Path

import pytest
from junit_texts import ENDS, PYTEST, outcomes, read, suite, whole

from ci_tools.model.case import Failure, Frame, Outcome, Phase


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        ('<testcase name="t" classname="c"><skipped/><error message="late"/></testcase>', "error"),
        ('<testcase name="t" classname="c"><skipped type="todo"/><failure/></testcase>', "skipped"),
        ('<testcase name="t" classname="c"><failure/><error/></testcase>', "failed"),
        ('<testcase name="t" classname="c" status="failed"/>', "failed"),
        ('<testcase name="t" classname="c" status="run" result="timeout"/>', "failed"),
        ('<testcase name="t" classname="c" status="Timed-Out"/>', "failed"),
        ('<testcase name="t" classname="c" outcome="not passed"/>', "failed"),
        ('<testcase name="t" classname="c" result="Inconclusive"/>', "skipped"),
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
        ("1.234,5", 1234.5, False),
        ("1,234,567", 1234567.0, False),
        ("1\u202f234,5", 1234.5, False),
        ("1'234.5", 1234.5, False),
        ("", 0.0, False),
        (".25", 0.25, False),
        ("2e-3", 0.002, False),
    ]
    + [(text, 0.0, True) for text in ("-5", "NaN", "inf", "1e400", "abc", "PT1.5S", "٣", "1 5", "1.2.3")],
)
def test_times_have_one_meaning(tmp_path: Path, text: str, seconds: float, is_strange: bool) -> None:
    """A lone comma is a decimal mark, and so is the last of several kinds; what is no time is 0 and said."""
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


@pytest.mark.parametrize(
    ("attributes", "inner", "is_flaky"),
    [
        ("", "<rerun message='no'/>", True),
        ("", "<Retry/>", True),
        ("flaky='true'", "", True),
        ("", "<properties><property name='flaky' value='True'/></properties>", True),
        ("flaky='false'", "", False),
        ("flaky='true'", "<failure/>", False),
        ("", "<system-out><rerun/></system-out>", False),
    ],
)
def test_whoever_says_flaky_is_believed(tmp_path: Path, attributes: str, inner: str, is_flaky: bool) -> None:
    """An attempt that is only hinted at was a failed one: a pass after it is no plain pass; a failure stays a failure."""
    (case_,) = read(tmp_path, suite(f"<testcase name='t' classname='c' {attributes}>{inner}</testcase>")).cases
    assert (case_.is_flaky, case_.outcome is Outcome.FAILED) == (is_flaky, "failure" in inner)


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


def test_a_case_in_a_case_is_two(tmp_path: Path) -> None:
    """A stray nesting hides neither test."""
    report = read(tmp_path, suite('<testcase name="a" classname="c"><failure/><testcase name="b" classname="c"/></testcase>'))
    assert outcomes(report) == {"c::a": "failed", "c::b": "passed"}


def test_tests_that_are_declared_must_be_there_at_all(tmp_path: Path) -> None:
    """A suite that declares tests and holds none of them hides them, beside others too; those it did not run may be left out."""
    full = '<testsuite name="a"><testcase name="a" classname="c"/></testsuite>'
    hiding = ['tests="5"', 'tests="5" skipped="4"', 'tests="2" disabled="1"']
    honest = ['tests="0"', "", 'tests="5" skipped="5"', 'tests="3" skipped="1" disabled="2"']
    wholes = {
        inner: whole(read(tmp_path, f"<testsuites>{full}<testsuite name='b' {inner}/></testsuites>")) for inner in hiding + honest
    }
    assert wholes == {**dict.fromkeys(hiding, False), **dict.fromkeys(honest, True)}


def test_what_stands_behind_a_lie_is_read(tmp_path: Path) -> None:
    """A suite that hides something makes the file corrupt, and every case after it is read all the same, to the last."""
    liar = '<testsuite name="a" failures="1"><testcase name="a" classname="c"/></testsuite>'
    many = "".join(f'<testcase name="t{number}" classname="c" time="0.1"/>' for number in range(5000))
    bad = '<testcase name="z" classname="c"><failure message="no"/></testcase>'
    report = read(
        tmp_path, f"<testsuites>{liar * 60}<testsuite name='b'>{many}{bad}<testcase name='last'/></testsuite></testsuites>"
    )
    assert (len(report.cases), outcomes(report)["c::z"], outcomes(report)["b::last"]) == (5062, "failed", "passed")
    assert len(report.corrupt) == 50


def test_oddities_are_said_up_to_fifty(tmp_path: Path) -> None:
    """A hundred unknown elements say no more than fifty of them."""
    report = read(
        tmp_path, suite('<testcase name="a" classname="c">' + "".join(f"<z{number}/>" for number in range(100)) + "</testcase>")
    )
    assert len(report.warnings) == 50


def test_an_unknown_status_is_said(tmp_path: Path) -> None:
    """A status that nobody has a meaning for decides nothing and is in a warning."""
    report = read(tmp_path, suite('<testcase name="a" classname="c" status="wobbly"/>'))
    assert (outcomes(report), report.warnings) == (
        {"c::a": "passed"},
        ("junit.xml holds status words without a known meaning: wobbly",),
    )
