"""Who says green: files that prove nothing never pass, and honest files of twenty-six producers give no false alarm.

The whole way from bytes to verdict: read, merge, find causes, judge.
"""

from dataclasses import replace
from pathlib import Path

import pytest

from ci_tools.model.codec import dumps, loads
from ci_tools.model.policy import PROFILES
from ci_tools.model.verdict import Decision, Verdict
from ci_tools.policy.judge import judge
from ci_tools.reports.causes import find_causes
from ci_tools.reports.ctrf import read_ctrf
from ci_tools.reports.foreign import read_junit
from ci_tools.reports.merge import merge
from ci_tools.reports.stream import merge_junit

PRODUCERS = Path(__file__).parents[1] / "golden" / "reports" / "producers"
NOW = 1_795_000_000.0

CASE = '<testcase classname="c" name="t" time="0.1"/>'
U = '<testcase classname="c" name="u">'
Z = "</testcase></testsuite>"
BARE = '<testcase classname="tests.test_a" name="test_x" time="0.1" />'


def verdict_of(*paths: Path, profile: str = "default") -> Verdict:
    """The verdict on these files."""
    report = merge([], [read_junit(path) for path in paths])
    return judge(report, PROFILES[profile], now=NOW, profile=profile, causes=find_causes(report))


def file_of(tmp_path: Path, text: str) -> Path:
    """A file with this text."""
    path = tmp_path / "junit.xml"
    path.write_text(text, encoding="utf-8")
    return path


NOT_GREEN = {
    "zero tests in the file": '<testsuites><testsuite name="s" tests="0" failures="0" errors="0"/></testsuites>',
    "no suite at all": "<testsuites/>",
    "empty file": "",
    "all tests skipped": f'<testsuite name="s" tests="1"><testcase classname="c" name="t"><skipped/>{Z}',
    "declares 3 bad results, contains a passing case": f'<testsuite tests="5" failures="2" errors="1">{CASE}</testsuite>',
    "declares 0 failures, contains one": (
        '<testsuite name="s" tests="1" failures="0" errors="0" skipped="0" time="1">'
        f'<testcase classname="c" name="t"><failure message="no"/>{Z}'
    ),
    "skipped and error together": (f'<testsuite>{CASE}{U}<skipped/><error message="failed on teardown"/>{Z}'),
    "error of the suite": f'<testsuites><testsuite name="s">{CASE}<error message="no database"/></testsuite></testsuites>',
    "failing test in a nested suite": (f'<testsuite name="s">{CASE}<testsuite name="in">{U}<failure/>{Z}</testsuite>'),
    "truncated file": f'<testsuite name="s" tests="2">{CASE}{U}<fai',
    "truncated between cases": f'<testsuite name="s" tests="2">{CASE}',
    "failing case at the root": '<testsuites><testcase classname="c" name="t"><failure/></testcase></testsuites>',
    "status only in an attribute": f'<testsuite>{CASE}<testcase classname="c" name="u" status="failed"/></testsuite>',
    "run again three times, failed three times": (
        f'<testsuites name="pytest tests"><testsuite name="pytest">{BARE}{BARE}'
        f'<testcase classname="tests.test_a" name="test_x"><failure message="no"/>{Z}</testsuites>'
    ),
    "a package that does not compile": f'<testsuites errors="1"><testsuite name="s">{CASE}</testsuite></testsuites>',
    "HTML error page": "<!DOCTYPE html><html><head><title>502</title></head><body>Bad Gateway</body></html>",
    "XHTML error page": "<html xmlns='http://www.w3.org/1999/xhtml'><body>Bad Gateway</body></html>",
    "a session that was ended in the middle": f'<testsuite name="pytest">{CASE}<testcase classname="" name=""/></testsuite>',
    "a file that could not be imported": (
        '<testsuites name="pytest tests"><testsuite name="pytest" errors="1">'
        f'{BARE}<testcase classname="" name="tests.test_b"><error message="collection failure">E   ImportError: x</error>'
        "</testcase></testsuite></testsuites>"
    ),
    "a failure element nobody knows": f"<testsuite>{CASE}{U}<Failure>no</Failure>{Z}",
    "outcome only in an attribute": f'<testsuite>{CASE}<testcase classname="c" name="u" outcome="Failed"/></testsuite>',
    "state only in an attribute": f'<testsuite>{CASE}<testcase classname="c" name="u" state="error"/></testsuite>',
    "success only in an attribute": f'<testsuite>{CASE}<testcase name="u" executed="True" success="False"/></testsuite>',
    "only the suite says that it failed": f'<testsuite name="s" status="failed">{CASE}</testsuite>',
    "a fatal element": f"<testsuite>{CASE}{U}<fatal>out of memory</fatal>{Z}",
    "an aborted element": f"<testsuite>{CASE}{U}<aborted/>{Z}",
    "a failure in what was printed": f"<testsuite>{CASE}{U}<system-out><failure/></system-out>{Z}",
    "a failure among the properties": f"<testsuite>{CASE}{U}<properties><failure/></properties>{Z}",
    "a suite that did not compile": (
        f'<testsuites><testsuite name="a" tests="0" errors="1"/><testsuite name="s">{CASE}</testsuite></testsuites>'
    ),
    "declares failures under another name": f'<testsuite tests="2" failed="1">{CASE}</testsuite>',
    "declares failures in capitals": f'<testsuite tests="2" Failures="1">{CASE}</testsuite>',
    "declares failures with a separator": f'<testsuite tests="2" failures="1,000">{CASE}</testsuite>',
    "declares a negative number of failures": f'<testsuite tests="2" failures="-1">{CASE}</testsuite>',
    "declares failures in words": f'<testsuite tests="2" failures="many">{CASE}</testsuite>',
    "declares more failures than there are numbers": f'<testsuite tests="2" failures="{"9" * 400}">{CASE}</testsuite>',
    "one ID twice, failed and passed": (
        f'<testsuite name="s"><testcase classname="c" name="t"><failure/></testcase>{CASE}</testsuite>'
    ),
    "one ID of pytest twice, failed and passed": (
        '<testsuites name="pytest tests"><testsuite name="pytest"><testcase classname="tests.test_a" name="test_x"><failure/>'
        f"</testcase>{BARE}</testsuite></testsuites>"
    ),
    "QtTest's unexpected pass": f'<testsuite>{CASE}<testcase name="u" result="xpass"/></testsuite>',
    "unexpected success as an element": f"<testsuite>{CASE}{U}<unexpectedSuccess/>{Z}",
    "PHPUnit's warning": f'<testsuite>{CASE}{U}<warning type="PHPUnit\\Framework\\Warning">No tests found</warning>{Z}',
    "cucumber's ambiguous": f'<testsuite>{CASE}<testcase name="u" status="ambiguous"/></testsuite>',
    "ginkgo's panic": f'<testsuite>{CASE}<testcase name="u" status="panicked"/></testsuite>',
    "bazel's timeout": f'<testsuite>{CASE}<testcase name="u" status="run" result="timeout"/></testsuite>',
    "success as a figure": f'<testsuite>{CASE}<testcase name="u" success="0"/></testsuite>',
    "failed as a truth": f'<testsuite>{CASE}<testcase name="u" failed="true"/></testsuite>',
    "failures counted by case": f'<testsuite>{CASE}<testcase name="u" failures="1" errors="0"/></testsuite>',
    "a fatal of the suite": f"<testsuite>{CASE}<fatal>no memory</fatal></testsuite>",
    "a case in capitals": f'<testsuite>{CASE}<TestCase name="u"><Failure/></TestCase></testsuite>',
    "a case with a hyphen": f'<testsuite>{CASE}<test-case name="u" result="Passed"/></testsuite>',
    "failsafe's summary": '<failsafe-summary result="255"><completed>3</completed><failures>1</failures></failsafe-summary>',
    "CppUnit": '<TestRun><FailedTests><FailedTest id="1"/></FailedTests><SuccessfulTests/></TestRun>',
    "QtTest's own": '<TestCase name="t"><TestFunction name="a"><Incident type="fail"/></TestFunction></TestCase>',
    "robot's own": '<robot><suite><test name="a"><status status="FAIL"/></test></suite></robot>',
    "two documents in one file": f"<testsuite>{CASE}</testsuite><testsuite>{U}<failure/>{Z}",
    "TAP": "1..2\nok 1 - a\nnot ok 2 - b\n",
    "xunit.net": (
        '<assemblies><assembly name="a.dll" total="2" passed="1" failed="1"><collection><test name="x" result="Pass"/>'
        '<test name="y" result="Fail"/></collection></assembly></assemblies>'
    ),
    "NUnit 3": '<test-run result="Failed" failed="1"><test-suite><test-case name="b" result="Failed"/></test-suite></test-run>',
    "NUnit 2": '<test-results total="1"><test-suite><results><test-case success="True"/></results></test-suite></test-results>',
    "TRX": '<TestRun xmlns="http://x/2010"><Results><UnitTestResult testName="a" outcome="Passed"/></Results></TestRun>',
    "TestNG": '<testng-results failed="0" passed="1"><suite name="s"/></testng-results>',
    "CTest's own": '<Site><Testing><Test Status="passed"><Name>a</Name></Test></Testing></Site>',
    "a report inside a page": f"<html><body><testsuites><testsuite>{CASE}</testsuite></testsuites></body></html>",
    "a program that CTest could not find": (
        f'<testsuite name="Linux-c++">{CASE}<testcase classname="c" name="u" status="notrun">'
        f'<skipped message="Unable to find executable"/>{Z}'
    ),
    "a test of CTest whose fixture failed": (
        f'<testsuite name="Linux-c++">{CASE}<testcase classname="c" name="u" status="notrun">'
        f'<skipped message="Fixture dependency failed"/>{Z}'
    ),
    "xdist lost its worker": f"""<testsuite>{CASE}{U}<error message="worker 'gw1' crashed"/>{Z}""",
}


@pytest.mark.parametrize("name", NOT_GREEN)
def test_what_proves_nothing_never_passes(tmp_path: Path, name: str) -> None:
    """None of these files passes, under no profile, and its exit code is that of an answer, not of a fault."""
    path = file_of(tmp_path, NOT_GREEN[name])
    verdicts = [verdict_of(path, profile=profile) for profile in PROFILES]
    assert all(verdict.decision in {Decision.FAILED, Decision.INCOMPLETE} for verdict in verdicts)
    assert {verdict.exit_code for verdict in verdicts} <= {10, 11}


@pytest.mark.parametrize("name", NOT_GREEN)
def test_one_bad_file_among_good_ones_never_passes(tmp_path: Path, name: str) -> None:
    """A good file beside it does not outweigh a bad one; a file of skips alone is no fault beside it."""
    says_nothing = {"all tests skipped"}
    verdict = verdict_of(PRODUCERS / "pytest.xml", file_of(tmp_path, NOT_GREEN[name]))
    assert (verdict.decision is Decision.PASSED) == (name in says_nothing)


CTRF_NOT_GREEN = {
    "no test": '{"results": {"summary": {"tests": 0}, "tests": []}}',
    "counts and no test": '{"results": {"summary": {"tests": 3, "passed": 3}}}',
    "all skipped": '{"results": {"tests": [{"name": "a", "status": "skipped"}]}}',
    "a summary that hides a failure": (
        '{"results": {"summary": {"tests": 2, "passed": 2, "failed": 0}, "tests": [{"name": "a", "status": "passed"},'
        ' {"name": "b", "status": "failed"}]}}'
    ),
    "a failure in the summary alone": (
        '{"results": {"summary": {"tests": 2, "failed": 1}, "tests": [{"name": "a", "status": "passed"}]}}'
    ),
    "a failure in the summary alone, as text": (
        '{"results": {"summary": {"tests": 2, "failed": "1"}, "tests": [{"name": "a", "status": "passed"}]}}'
    ),
    "a failure in the summary alone, as a fraction": (
        '{"results": {"summary": {"tests": 2, "failed": 1.0}, "tests": [{"name": "a", "status": "passed"}]}}'
    ),
    "failures that are no count": '{"results": {"summary": {"failed": [1]}, "tests": [{"name": "a", "status": "passed"}]}}',
    "others in the summary alone": '{"results": {"summary": {"other": 1}, "tests": [{"name": "a", "status": "passed"}]}}',
    "a flake in the summary alone": '{"results": {"summary": {"flaky": 1}, "tests": [{"name": "a", "status": "passed"}]}}',
    "a status nobody knows": '{"results": {"tests": [{"name": "a", "status": "PASSED"}]}}',
    "a status said twice": '{"results": {"tests": [{"name": "a", "status": "failed", "status": "passed"}]}}',
    "tests said twice": (
        '{"results": {"tests": [{"name": "a", "status": "failed"}], "tests": [{"name": "a", "status": "passed"}]}}'
    ),
    "one ID twice": '{"results": {"tests": [{"name": "a", "status": "passed"}, {"name": "a", "status": "failed"}]}}',
    "cut": '{"results": {"tests": [{"name": "a", "status": "passed"}]}',
    "deeper than anybody reads": "[" * 200_000,
    "more values than anybody holds": '{"results": {"tests": [' + "[]," * 1_000_001 + "[]]}}",
    "another tool's JSON": '{"stats": {"unexpected": 0}, "suites": []}',
    "half characters": '{"results": {"tests": [{"name": "a\\ud800", "status": "failed", "message": "\\udfff"}]}}',
}


@pytest.mark.parametrize(
    "said",
    ['failures="0" errors="0"', 'failed="false"', 'success="1"', 'passed="yes"', 'error=""', 'status="run" result="completed"'],
)
def test_what_a_case_denies_is_no_failure(tmp_path: Path, said: str) -> None:
    """Figures of nothing and truths that are good are no alarm, nor is a warning of anybody but PHPUnit."""
    text = f'<testsuite>{CASE}<testcase name="u" {said}><warning type="lint">slow</warning>{Z}'
    assert verdict_of(file_of(tmp_path, text)).decision is Decision.PASSED


@pytest.mark.parametrize("name", CTRF_NOT_GREEN)
def test_no_lying_ctrf_passes(tmp_path: Path, name: str) -> None:
    """A CTRF file whose summary, keys or statuses contradict its tests is an answer of no, never a pass or a crash."""
    path = tmp_path / "ctrf.json"
    path.write_text(CTRF_NOT_GREEN[name], encoding="utf-8")
    report = merge((), [read_ctrf(path)])
    assert judge(report, PROFILES["default"], now=NOW, causes=find_causes(report)).exit_code in {10, 11}


@pytest.mark.parametrize("name", NOT_GREEN)
def test_no_merge_makes_anything_green(tmp_path: Path, name: str) -> None:
    """What proves nothing still proves nothing after being merged as a stream, alone and twice."""
    merge_junit([file_of(tmp_path, NOT_GREEN[name])], tmp_path / "once.xml")
    merge_junit([tmp_path / "once.xml"], tmp_path / "twice.xml")
    assert [verdict_of(tmp_path / file).exit_code in {10, 11} for file in ("once.xml", "twice.xml")] == [True, True]


def test_a_flake_stays_one_when_its_file_is_merged(tmp_path: Path) -> None:
    """pytest-rerunfailures' bare passes are known for what they are in a merged file too, whatever its suite is called."""
    named = f'<testsuites name="pytest tests"><testsuite name="mine">{BARE}{BARE}</testsuite></testsuites>'
    merge_junit([PRODUCERS / "surefire.xml", file_of(tmp_path, named)], tmp_path / "merged.xml")
    assert verdict_of(tmp_path / "merged.xml").counts["flaky"] == verdict_of(file_of(tmp_path, named)).counts["flaky"] == 1


def test_a_matrix_in_one_file_is_not_flaky(tmp_path: Path) -> None:
    """Two sessions of pytest in one file that ran the same test are two passes, no rerun."""
    session = f'<testsuite name="pytest">{BARE}</testsuite>'
    verdict = verdict_of(file_of(tmp_path, f'<testsuites name="pytest tests">{session}{session}</testsuites>'))
    assert (verdict.decision, verdict.counts["passed"], verdict.counts["flaky"]) == (Decision.PASSED, 2, 0)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_read(tmp_path: Path, encoding: str) -> None:
    """A shell's UTF-16 without a byte order mark and without a declaration says what it says: one good, one bad."""
    (tmp_path / "good.xml").write_bytes(f'<testsuite name="s">{CASE}</testsuite>'.encode(encoding))
    (tmp_path / "bad.xml").write_bytes(f'<testsuite name="s">{CASE}{U}<failure/>{Z}'.encode(encoding))
    assert [verdict_of(tmp_path / name).exit_code for name in ("good.xml", "bad.xml")] == [0, 10]


EXPECTED = {
    "bazel": {"passed": 1},
    "behave": {"passed": 1, "skipped": 1},
    "ctest": {"passed": 1, "skipped": 2},
    "cucumber": {"passed": 1},
    "cypress": {"passed": 1},
    "googletest": {"passed": 1, "skipped": 2},
    "gotestsum": {"passed": 3, "skipped": 1},
    "green": {"passed": 2, "skipped": 1},
    "jest-junit": {"passed": 2, "skipped": 1},
    "mocha-junit": {"passed": 1, "skipped": 1},
    "mocha-xunit": {"passed": 1, "skipped": 2},
    "nextest": {"passed": 2},
    "nextest-flaky": {"flaky": 1},
    "node-test": {"passed": 2, "skipped": 2},
    "nose2": {"passed": 2, "skipped": 2},
    "phpunit": {"passed": 2, "skipped": 1},
    "playwright": {"passed": 1, "skipped": 1},
    "pytest": {"passed": 3, "skipped": 1, "xfailed": 1},
    "pytest-rerunfailures": {"passed": 2, "flaky": 1},
    "pytest-xunit1": {"passed": 2},
    "robot-xunit": {"passed": 2, "skipped": 1},
    "subunit2junitxml": {"passed": 3, "skipped": 1},
    "surefire": {"passed": 3, "skipped": 1},
    "surefire-flaky": {"passed": 1, "flaky": 1},
    "unittest-xml-reporting": {"passed": 2, "skipped": 1},
    "vitest": {"passed": 2, "skipped": 1},
}


def test_every_producers_file_is_tried() -> None:
    """The folder of sample files and the table here agree."""
    assert sorted(path.stem for path in PRODUCERS.glob("*.xml")) == sorted(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_honest_files_give_no_false_alarm(name: str) -> None:
    """An honest green file of each producer passes, with the right counts and nothing corrupt."""
    verdict = verdict_of(PRODUCERS / f"{name}.xml")
    assert verdict.decision is Decision.PASSED
    assert {outcome: count for outcome, count in verdict.counts.items() if count} == EXPECTED[name]


@pytest.mark.parametrize("name", ["surefire-flaky", "nextest-flaky", "pytest-rerunfailures"])
def test_a_flaky_file_is_no_plain_pass(name: str) -> None:
    """A flake has its own column in the headline and breaks the release profile's rule."""
    path = PRODUCERS / f"{name}.xml"
    broken = [rule.rule for rule in verdict_of(path, profile="release").rules if not rule.holds]
    assert ("1 flaky" in verdict_of(path).headline, "flaky-within-limit" in broken) == (True, True)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_file_cut_by_a_kill_is_not_whole(tmp_path: Path, name: str) -> None:
    """Every producer's file loses its verdict when it is cut, at any twentieth of it and just before its end."""
    data = (PRODUCERS / f"{name}.xml").read_bytes().rstrip()
    path = tmp_path / f"{name}.xml"
    passed = []
    for length in (*(len(data) * part // 20 for part in range(20)), len(data) - 3):
        path.write_bytes(data[:length])
        if verdict_of(path).decision is Decision.PASSED:
            passed.append(length)
    assert passed == []


# The origin report: 1 passed, 4 failed, 20 errors, called a major success.


def origin() -> str:
    """A JUnit file as pytest would have written it then: 20 set-up errors from 3 causes."""
    refused = "ConnectionRefusedError: [Errno 111] Connect call failed ('127.0.0.1', 6381)"
    factory = "AttributeError: module 'tests.fixtures.service_fixtures' has no attribute 'create_test_app'"
    closed = "RuntimeError: Event loop is closed"
    errors = [refused] * 12 + [factory] * 5 + [closed] * 3
    rows = ['<testcase classname="tests.test_bridge" name="test_infrastructure" time="0.0"/>']
    rows += [
        f'<testcase classname="tests.test_bridge" name="test_failed_{number}" time="0.0">'
        f'<failure message="assert {number} == 0">&gt;   assert events[{number}] == 0\nE   assert {number} == 0\n\n'
        f"tests/test_bridge.py:{number}: AssertionError</failure></testcase>"
        for number in range(1, 5)
    ]
    rows += [
        f'<testcase classname="tests.test_bridge" name="test_error_{number}" time="0.0">'
        f'<error message="failed on setup with &quot;{message}&quot;">E   {message}</error></testcase>'
        for number, message in enumerate(errors)
    ]
    suite = f'<testsuite name="pytest" errors="20" failures="4" skipped="0" tests="25" time="2.1">{"".join(rows)}</testsuite>'
    return f'<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests">{suite}</testsuites>'


def test_the_origin_reports_run_is_not_ready(tmp_path: Path) -> None:
    """1 passed, 4 failed, 20 errors: exit 10, 1/25, errors apart, and the 20 errors are 3 causes in the right order."""
    verdict = verdict_of(file_of(tmp_path, origin()))
    assert (verdict.decision, verdict.exit_code) == (Decision.FAILED, 10)
    assert verdict.headline == "FAIL 1/25 passed – 24 not passing from 7 causes; completeness not proven"
    assert (verdict.counts["passed"], verdict.counts["failed"], verdict.counts["error"]) == (1, 4, 20)
    assert [(cause.errors, cause.title) for cause in verdict.causes if cause.errors] == [
        (12, "ConnectionRefusedError: [Errno 111] Connect call failed ('127.0.0.1', 6381)"),
        (5, "AttributeError: module 'tests.fixtures.service_fixtures' has no attribute 'create_test_app'"),
        (3, "RuntimeError: Event loop is closed"),
    ]


def test_a_verdict_survives_its_json(tmp_path: Path) -> None:
    """The verdict on the origin's file is the same after being written and read."""
    verdict = verdict_of(file_of(tmp_path, origin()))
    assert loads(Verdict, dumps(verdict)) == replace(verdict)
