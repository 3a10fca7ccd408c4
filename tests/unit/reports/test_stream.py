"""The streaming merge: every case once, counts made anew, the same bytes when merged again."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from junitparser import JUnitXml
from report_sample import case, shard_report

from ci_tools.model.case import Outcome
from ci_tools.reports.elements import Limits
from ci_tools.reports.foreign import read_junit
from ci_tools.reports.junit import write_junit
from ci_tools.reports.scan import scan
from ci_tools.reports.stream import Merged, merge_junit

PRODUCERS = Path(__file__).parents[2] / "golden" / "reports" / "producers"


def put(folder: Path, name: str, text: str) -> Path:
    """A file of this name."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def results(path: Path) -> list[tuple[str, str]]:
    """Name and outcome of every case, sorted."""
    return sorted((item.test_id.rpartition("::")[2], item.outcome.value) for item in read_junit(path).cases)


def test_every_producers_cases_come_through(tmp_path: Path) -> None:
    """Merging each producer's file alone gives a file that says the same of the same tests."""
    for path in sorted(PRODUCERS.glob("*.xml")):
        out = tmp_path / path.name
        merge_junit([path], out)
        mine, theirs = read_junit(out), read_junit(path)
        assert [item.outcome for item in mine.cases] == [item.outcome for item in theirs.cases], path.name
        assert (mine.corrupt, len(mine.cases)) == ((), len(theirs.cases)), path.name


def test_the_counts_are_those_of_junitparser(tmp_path: Path) -> None:
    """What stands in the start tags is what junitparser counts anew, suite by suite."""
    out = tmp_path / "merged.xml"
    merged = merge_junit(sorted(PRODUCERS.glob("*.xml")), out)
    document = JUnitXml.fromfile(str(out))
    declared = [(suite.tests, suite.failures, suite.errors, suite.skipped) for suite in document]
    document.update_statistics()
    assert declared == [(suite.tests, suite.failures, suite.errors, suite.skipped) for suite in document]
    assert (merged.tests, merged.failures, merged.errors, merged.skipped) == (
        document.tests,
        document.failures,
        document.errors,
        document.skipped,
    )


def test_order_and_repetition_change_nothing(tmp_path: Path) -> None:
    """Inputs in any order, and the same bytes under another name, give the same file."""
    paths = sorted(PRODUCERS.glob("*.xml"))
    copy = put(tmp_path, "zz-copy.xml", paths[0].read_text(encoding="utf-8"))
    one, other = tmp_path / "one.xml", tmp_path / "other.xml"
    merge_junit(paths, one)
    merged = merge_junit([copy, *reversed(paths)], other)
    assert (one.read_bytes() == other.read_bytes(), merged.repeated) == (True, ("zz-copy.xml",))


def test_merging_again_changes_nothing(tmp_path: Path) -> None:
    """A merged file merged alone is the same file, byte for byte."""
    one, two = tmp_path / "one.xml", tmp_path / "two.xml"
    merge_junit(sorted(PRODUCERS.glob("*.xml")), one)
    merge_junit([one], two)
    assert one.read_bytes() == two.read_bytes()


def test_a_broken_file_gives_what_it_has_and_an_error(tmp_path: Path) -> None:
    """The cases before the cut are there, the half one is an error, and so is the file itself."""
    cut = put(
        tmp_path,
        "cut.xml",
        '<testsuite name="s"><testcase classname="c" name="a" time="1"/><testcase classname="c" name="b"><fai',
    )
    out = tmp_path / "out.xml"
    merged = merge_junit([cut], out)
    assert results(out) == [("a", "passed"), ("b", "lost"), ("cut.xml is not whole", "error")]
    assert (merged.errors, len(merged.corrupt)) == (2, 1)


def test_a_page_among_the_files_spoils_nothing_else(tmp_path: Path) -> None:
    """A file that is no report is an error; the other files' cases are all there."""
    page = put(tmp_path, "page.xml", "<!DOCTYPE html><html/>")
    out = tmp_path / "out.xml"
    merged = merge_junit([page, PRODUCERS / "pytest.xml", tmp_path / "gone.xml"], out)
    assert (merged.files, merged.tests, merged.errors) == (3, 7, 2)


def test_one_case_has_one_final_result(tmp_path: Path) -> None:
    """Skipped with an error is an error; failed and broken is one result with both texts."""
    text = (
        '<testsuite name="s"><testcase classname="c" name="a"><skipped/><error message="late">E1</error></testcase>'
        '<testcase classname="c" name="b"><failure message="no">F1</failure><error message="late">E2</error></testcase>'
        "</testsuite>"
    )
    out = tmp_path / "out.xml"
    merged = merge_junit([put(tmp_path, "a.xml", text)], out)
    assert (merged.failures, merged.errors, merged.skipped) == (0, 2, 0)
    assert all(word in out.read_text() for word in ("E1", "E2", "F1"))


def test_the_order_of_cases_is_kept(tmp_path: Path) -> None:
    """Plain passes are handed over many at a time, and never past a case that says more."""
    words = ['status="failed"', *[""] * 6]
    rows = "".join(f'<testcase classname="c" name="n{number}" time="0.1" {words[number % 7]}/>' for number in range(1200))
    text = f'<testsuites><testsuite name="a">{rows}</testsuite><testsuite name="b">{rows}</testsuite></testsuites>'
    source, out = put(tmp_path, "a.xml", text), tmp_path / "out.xml"
    merged = merge_junit([source], out)
    assert [(item.test_id, item.outcome) for item in read_junit(out).cases] == [
        (item.test_id, item.outcome) for item in read_junit(source).cases
    ]
    assert (merged.tests, merged.failures) == (2400, 2 * 172)


def test_few_cases_wait_at_a_time(tmp_path: Path) -> None:
    """A suite of any size is handed over in pieces of 500 and a rest, so that memory stays flat."""
    rows = "".join(f'<testcase classname="c" name="n{number}" time="0.1"/>' for number in range(1700))
    sizes: list[int] = []
    scan(
        put(tmp_path, "a.xml", f'<testsuite name="s">{rows}</testsuite>'),
        lambda _: None,
        on_plain=lambda _, batch: sizes.append(len(batch)),
    )
    assert sizes == [500, 500, 500, 200]


@pytest.mark.parametrize("name", ["a&lt;b", "a&amp;b", "a&quot;b", "caf\u00e9 %s %d", "\U0001f600", "a&#9;b", "x" * 70_000])
def test_names_come_through(tmp_path: Path, name: str) -> None:
    """Markup, percent signs, characters beyond the basic plane and long names are the same behind the merge."""
    rows = "".join(f'<testcase classname="c" name="{name}{number}" time="1,5"/>' for number in range(3))
    source, out = put(tmp_path, "a.xml", f'<testsuite name="s">{rows}</testsuite>'), tmp_path / "out.xml"
    merge_junit([source], out)
    assert [(item.test_id, item.duration_s) for item in read_junit(out).cases] == [
        (item.test_id, item.duration_s) for item in read_junit(source).cases
    ]
    assert JUnitXml.fromfile(str(out)).time == 4.5


def test_outputs_and_properties_come_through(tmp_path: Path) -> None:
    """What a test printed and recorded is kept, up to the limit."""
    text = (
        '<testsuite name="s"><properties><property name="p" value="1"/></properties><testcase classname="c" name="a">'
        '<properties><property name="q" value="&quot;2&quot;"/></properties><system-out>said &lt;it&gt;</system-out></testcase>'
        "</testsuite>"
    )
    out = tmp_path / "out.xml"
    merge_junit([put(tmp_path, "a.xml", text)], out)
    (suite,) = JUnitXml.fromfile(str(out))
    (only,) = suite
    assert ([item.value for item in suite.properties()], only.system_out) == (["1"], "said <it>")
    assert '<property name="q" value="&quot;2&quot;"/>' in out.read_text()


def test_a_failed_merge_leaves_the_old_file(tmp_path: Path) -> None:
    """When writing fails the old file is as it was, and no half file lies beside it."""
    out = tmp_path / "out.xml"
    out.mkdir()
    with pytest.raises(OSError, match=r"out\.xml"):
        merge_junit([PRODUCERS / "pytest.xml"], out)
    assert [path.name for path in tmp_path.iterdir()] == ["out.xml"]


def test_limits_are_kept(tmp_path: Path) -> None:
    """A limit that is hit is an error in the merged file."""
    out = tmp_path / "out.xml"
    merged = merge_junit([PRODUCERS / "pytest.xml"], out, limits=Limits(cases=2))
    assert (merged.tests, merged.errors) == (3, 1)


def test_no_file_gives_an_empty_report(tmp_path: Path) -> None:
    """Merging nothing writes a file that holds nothing and is taken for no proof."""
    out = tmp_path / "out.xml"
    assert merge_junit([], out) == Merged(files=0, tests=0, failures=0, errors=0, skipped=0)
    assert read_junit(out).corrupt == ("out.xml holds no test",)


@given(st.lists(st.tuples(st.text(max_size=12), st.sampled_from(list(Outcome))), max_size=6))
def test_any_report_of_ours_comes_through(
    tmp_path_factory: pytest.TempPathFactory, given_cases: list[tuple[str, Outcome]]
) -> None:
    """Whatever names and outcomes a report of ours has, the merged file says the same."""
    folder = tmp_path_factory.mktemp("stream")
    cases = {f"tests/test_a.py::test[{number}-{name}]": outcome for number, (name, outcome) in enumerate(given_cases)}
    write_junit(shard_report("1/1", *(case(test_id, outcome) for test_id, outcome in cases.items())), folder / "a.xml")
    merge_junit([folder / "a.xml"], folder / "out.xml")
    theirs, mine = read_junit(folder / "a.xml").cases, read_junit(folder / "out.xml").cases
    assert [(item.test_id, item.outcome) for item in mine] == [(item.test_id, item.outcome) for item in theirs]
