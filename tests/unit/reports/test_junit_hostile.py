"""JUnit files that are broken or hostile: never whole, never a crash."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from junit_texts import outcomes, read, suite, whole, written
from lxml import etree
from report_sample import case, shard_report

from ci_tools.model.case import Outcome
from ci_tools.reports.elements import Limits
from ci_tools.reports.foreign import read_junit

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


def test_many_properties_are_cut(tmp_path: Path) -> None:
    """A thousand properties in one place are enough; the rest is said."""
    inner = "".join(f'<property name="p{number}" value="x"/>' for number in range(9))
    report = read(
        tmp_path,
        suite(f'<testcase name="a" classname="c"><properties>{inner}</properties></testcase>'),
        limits=Limits(properties=3),
    )
    assert (len(report.cases[0].attempts[0].properties), len(report.warnings)) == (3, 1)
