"""The verb merge: what it takes for its inputs, and what it says of those that hold nothing."""

from pathlib import Path

import pytest

from ci_tools.__main__ import main


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project, in which the commands run."""
    (tmp_path / "pyproject.toml").write_text("[tool.ci-tools]\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_merge_into_its_own_folder_takes_no_merge_for_an_input(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Merged again into the folder it reads, the result is the same; another file of that name is never overwritten."""
    reports = folder / "reports"
    reports.mkdir()
    for name in ("a", "b"):
        (reports / f"{name}.xml").write_text(f'<testsuite name="s"><testcase name="{name}" classname="c"/></testsuite>')
    merged = []
    for _ in range(3):
        assert main(["merge", "reports", "--output", "reports"]) == 0
        merged.append((reports / "junit.xml").read_bytes())
    assert (len(set(merged)), merged[0].count(b"<testcase")) == (1, 2)
    own = (reports / "a.xml").read_bytes()
    (reports / "junit.xml").write_bytes(own)
    assert main(["merge", "reports", "--output", "reports"]) == 2
    assert "would be overwritten" in capsys.readouterr().err
    assert (reports / "junit.xml").read_bytes() == own


def test_a_merge_of_nothing_says_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty folder is named under the counts: it is what a gate would break on."""
    (folder / "empty").mkdir()
    (folder / "ctrf.json").write_text('{"results": {"tests": [{"name": "u", "status": "passed"}]}}')
    assert main(["merge", "empty", "ctrf.json", "--output", "merged"]) == 0
    said = capsys.readouterr().out
    assert ("folder 'empty' holds no report" in said, "from 1 report(s)" in said) == (True, True)
