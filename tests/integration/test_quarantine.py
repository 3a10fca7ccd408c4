"""Quarantine by the real command: what it forgives, until when, and that it never hides anything else."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ci_tools.cli import main

TEST = "tests.test_a::test_bad"
MISSED = "def test_bad():\n>       row['tenant_id']\nE       KeyError: '{key}'\n\ntests/test_a.py:3: KeyError"
PASSING = '<testcase classname="tests.test_a" name="{name}" time="0.1"/>'
FAILING = (
    '<testcase classname="tests.test_a" name="test_bad" time="0.1">'
    "<failure message=\"KeyError: '{key}'\">{text}</failure></testcase>"
)


def day(days: int) -> str:
    """The day so many days from today."""
    return (datetime.now(tz=UTC).date() + timedelta(days=days)).isoformat()


def write_run(*, key: str = "tenant_id", is_red: bool = True) -> None:
    """One JUnit file with a test that passes and one that misses a key, or passes too."""
    text = MISSED.format(key=key).replace(">", "&gt;")
    second = FAILING.format(key=key, text=text) if is_red else PASSING.format(name="test_bad")
    Path("junit.xml").write_text(f'<testsuite name="s" tests="2">{PASSING.format(name="test_ok")}{second}</testsuite>')


def write_entry(signature: str, *, expires: str, profile: str = "", more: str = "") -> None:
    """The project's configuration with one entry of quarantine for the failing test."""
    table = ".".join(filter(None, ("tool.ci-tools.gate", profile)))
    entry = f'test = "{TEST}", signature = "{signature}", owner = "ada", reason = "known", issue = "#7", expires = {expires}'
    Path("pyproject.toml").write_text(f'[project]\nname = "x"\n[{table}]\nquarantine = [{{ {entry} }}]\n{more}')


def gate(*more: str) -> tuple[int, dict[str, list[str]], str]:
    """The exit code, the rules that do not hold with their details, and the only cause's signature."""
    code = main(["gate", "--junit", "junit.xml", "--output", "out", *more])
    verdict = json.loads(Path("out/verdict.json").read_text())
    broken = {rule["rule"]: rule["details"] for rule in verdict["rules"] if not rule["holds"]}
    return code, broken, verdict["causes"][0]["signature"] if verdict["causes"] else ""


@pytest.fixture
def signature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The signature of a project's failing run, which is red without quarantine."""
    monkeypatch.chdir(tmp_path)
    Path("pyproject.toml").write_text('[project]\nname = "x"\n')
    write_run()
    code, broken, signature = gate()
    assert (10, {"failures-within-limit"}) == (code, {*broken})
    return signature


@pytest.mark.parametrize(("days", "code"), [(1, 0), (0, 0), (-1, 10)])
def test_an_entry_forgives_up_to_its_last_day(days: int, code: int, signature: str) -> None:
    """An expired one forgives nothing, and breaks a rule of its own."""
    write_entry(signature, expires=day(days))
    found, broken, _ = gate()
    assert (code, {"failures-within-limit", "quarantine-valid"} if code else set()) == (found, {*broken})
    assert not code or day(days) in "\n".join(broken["quarantine-valid"])


def test_another_failure_of_the_test_is_red(signature: str) -> None:
    """The test *and* its signature are forgiven."""
    write_entry(signature, expires=day(9))
    write_run(key="user_id")
    code, broken, other = gate()
    assert (10, True) == (code, "failures-within-limit" in broken)
    assert other != signature


def test_a_test_that_passes_again_asks_for_its_entry_to_be_lifted(signature: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It is said by name, and is no reason to fail."""
    write_entry(signature, expires=day(9))
    write_run(is_red=False)
    capsys.readouterr()
    code, broken, _ = gate()
    said = capsys.readouterr().out + Path("out/summary.md").read_text()
    assert (0, {}) == (code, broken)
    assert TEST in said
    assert "lift" in said


@pytest.mark.parametrize(("more", "code"), [("quarantine-cap = 1", 0), ("quarantine-cap = 0", 10)])
def test_the_cap_limits_what_is_forgiven(more: str, code: int, signature: str) -> None:
    """None at all at a cap of 0."""
    write_entry(signature, expires=day(9), more=more)
    assert code == gate()[0]


def test_a_release_has_no_quarantine(signature: str) -> None:
    """Whatever the gate's own table lets through elsewhere."""
    write_entry(signature, expires=day(9))
    assert gate()[0] == 0
    code, broken, _ = gate("--profile", "release")
    assert (True, True) == (code != 0, "failures-within-limit" in broken)
