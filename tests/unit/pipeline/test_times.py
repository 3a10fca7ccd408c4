"""The verbs ``timings …`` over the files that teams have: good, empty, cut off and of something else."""

from pathlib import Path

import pytest

from ci_tools.errors import DecodeError, UsageError
from ci_tools.pipeline.times import TimingsRequest, combine, from_junit, show
from ci_tools.sharding.timings import Timings, parse_timings

PYTEST = """<testsuites><testsuite name="pytest">
<testcase classname="tests.test_a.TestC" name="test_good[a::b]" time="1.5"/>
<testcase classname="tests.test_a" name="test_bad" time="9"><failure message="no">E</failure></testcase>
<testcase classname="tests.test_a" name="test_skipped" time="0"><skipped/></testcase>
</testsuite></testsuites>"""
SUREFIRE = """<testsuite name="org.acme.CartTest" time="0.5" tests="1">
<properties/><testcase classname="org.acme.CartTest" name="adds" time="0.5"/></testsuite>"""
BROKEN = {
    "empty.xml": ("", "is empty"),
    "cut.xml": ("<testsuite", "line"),
    "other.xml": ("<html/>", "the root <html>"),
    "json.xml": ('{"a": 1}', "does not begin as XML"),
    "none.xml": ("<testsuites/>", "holds no test"),
    "red.xml": ("<testsuite><testcase classname='a' name='b'><failure/></testcase></testsuite>", "no test passed"),
    ".test_durations": ('{"a": "fast"}', "holds ('a', 'fast'), expected seconds by test ID"),
}


def learned(root: Path, *names: str) -> tuple[str, Timings]:
    """What ``from-junit`` says of these files, and what it keeps."""
    (root / "pyproject.toml").write_text("[tool.ci-tools]\n", encoding="utf-8")
    said = from_junit(TimingsRequest(root=root, environ={}, files=tuple(root / name for name in names)))
    return said, parse_timings((root / "ci-artifacts/timings.json").read_bytes())


def test_junit_of_several_makers(tmp_path: Path) -> None:
    """Pytest's and Surefire's files are read whatever they are called, and only tests that passed count."""
    (tmp_path / "junit.xml").write_text(PYTEST, encoding="utf-8")
    (tmp_path / "TEST-cart.report").write_text(SUREFIRE, encoding="utf-8")
    said, timings = learned(tmp_path, "junit.xml", "TEST-cart.report")
    assert {name: timing.duration_s for name, timing in timings.of().items()} == {
        "tests/test_a.py::TestC::test_good[a::b]": 1.5,
        "org.acme.CartTest::adds": 0.5,
    }
    assert said.endswith("timings.json: 2 test(s), 2 learned from 2 file(s)")


def test_what_passed_by_a_rerun_teaches_nothing(tmp_path: Path) -> None:
    """A second execution runs warm: a test that failed first has no duration to learn."""
    flaky = "<testcase classname='tests.test_a' name='test_flaky' time='5'><rerunFailure message='no'>E</rerunFailure></testcase>"
    text = f"<testsuite name='pytest'>{flaky}<testcase classname='tests.test_a' name='test_good' time='1'/></testsuite>"
    (tmp_path / "junit.xml").write_text(text, encoding="utf-8")
    assert learned(tmp_path, "junit.xml")[1].of().keys() == {"tests/test_a.py::test_good"}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_teaches_nothing_is_no_success(tmp_path: Path, name: str) -> None:
    """An empty, cut, foreign or wholly red file is said, and nothing is written."""
    text, said = BROKEN[name]
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(DecodeError) as caught:
        learned(tmp_path, name)
    assert (name in caught.value.what, said in caught.value.what, bool(caught.value.hint)) == (True, True, True)
    assert not (tmp_path / "ci-artifacts/timings.json").exists()


def test_a_broken_file_beside_a_good_one_is_said(tmp_path: Path) -> None:
    """The good ones are learned from, and the others are named with their reason."""
    (tmp_path / "junit.xml").write_text(PYTEST, encoding="utf-8")
    (tmp_path / "empty.xml").touch()
    said, timings = learned(tmp_path, "junit.xml", "empty.xml")
    assert len(timings.of()) == 1
    assert said.splitlines()[1].startswith("  not read: ")
    assert said.endswith("empty.xml is empty")


@pytest.mark.parametrize("verb", [combine, from_junit])
def test_a_folder_is_no_file(tmp_path: Path, verb: object) -> None:
    """A folder, and nothing at all, in a file's place are usage errors that say which."""
    request = TimingsRequest(root=tmp_path, environ={}, files=(tmp_path,))
    with pytest.raises(UsageError, match="is no file"):
        verb(request)  # type: ignore[operator] # both take a request
    with pytest.raises(UsageError, match="no file is given"):
        verb(TimingsRequest(root=tmp_path, environ={}))  # type: ignore[operator] # as above


def test_nothing_kept_is_said(tmp_path: Path) -> None:
    """Before the first run there is nothing to show, and the way to begin is named."""
    with pytest.raises(UsageError, match="cannot be read: No such file") as caught:
        show(TimingsRequest(root=tmp_path, environ={}))
    assert "from-junit" in caught.value.hint
