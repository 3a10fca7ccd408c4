"""Whether green means something: the reference platform's suite against builds of it that are broken on purpose."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from bugs import BUGS, EIGHTEEN, KEEPS_NOTHING, SOURCES, Bug
from junitparser import Failure, JUnitXml, TestCase, TestSuite

PLATFORM = Path(__file__).parents[2] / "examples" / "agent_platform"
SUITE_TIMEOUT_S = 300

pytestmark = [pytest.mark.slow, pytest.mark.timeout(SUITE_TIMEOUT_S + 30)]


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """A copy of the platform, to break."""
    skipped = shutil.ignore_patterns("__pycache__", ".nox", ".venv", "ci-artifacts", ".pytest_cache", "*.sqlite3*")
    return Path(shutil.copytree(PLATFORM, tmp_path / "platform", ignore=skipped))


def plant(bug: Bug, build: Path) -> None:
    """Apply the bug's edits, each to exactly one place."""
    for edit in bug.edits:
        path = build / SOURCES / edit.file
        source = path.read_text(encoding="utf-8")
        assert source.count(edit.old) == 1, f"{edit.file} has {source.count(edit.old)} places like {edit.old!r}, expected 1"
        path.write_text(source.replace(edit.old, edit.new), encoding="utf-8")


def outcomes(build: Path, redis_url: str, tests: Sequence[str]) -> Mapping[str, str]:
    """What the suite of this build says of each of these tests: passed, failed, or error (it never came to its question)."""
    report = build / "junit.xml"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_CURRENT", "PYTEST_XDIST"))}
    wanted = ["-k", " or ".join(tests)]
    process = subprocess.run(  # noqa: PLW1510 - a failing suite is what is expected
        [sys.executable, "-m", "pytest", "tests/integration", "-q", "-p", "no:valkey", f"--junitxml={report}", *wanted],
        cwd=build,
        env={**environment, "REDIS_URL": redis_url},
        capture_output=True,
        text=True,
        timeout=SUITE_TIMEOUT_S,
    )
    assert report.is_file(), f"pytest wrote no report (exit code {process.returncode}): {process.stdout}{process.stderr}"
    suites = JUnitXml.fromfile(str(report))
    cases = [case for suite in suites if isinstance(suite, TestSuite) for case in suite if isinstance(case, TestCase)]
    return {str(case.name): _outcome(case) for case in cases}


def _outcome(case: TestCase) -> str:
    if case.is_passed:
        return "passed"
    return "failed" if any(isinstance(result, Failure) for result in case.result) else "error"


def test_the_untouched_build_passes(build: Path, redis_url: str) -> None:
    """Each of the eighteen, and each test that must notice a bug, passes on the copy as it is."""
    tests = sorted({*EIGHTEEN, *(test for bug in BUGS for test in bug.noticed_by)})
    assert dict.fromkeys(tests, "passed") == outcomes(build, redis_url, tests)


@pytest.mark.parametrize("bug", KEEPS_NOTHING, ids=lambda bug: bug.name)
def test_each_of_the_eighteen_notices_that_nothing_is_kept(bug: Bug, build: Path, redis_url: str) -> None:
    """Not one of the eighteen is green on a build whose Redis or database only pretends."""
    plant(bug, build)
    assert dict.fromkeys(bug.noticed_by, "failed") == outcomes(build, redis_url, bug.noticed_by)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_is_noticed(bug: Bug, build: Path, redis_url: str) -> None:
    """The tests that are there for this bug fail on a build that has it."""
    plant(bug, build)
    assert dict.fromkeys(bug.noticed_by, "failed") == outcomes(build, redis_url, bug.noticed_by)


def test_there_are_eleven_planted_bugs() -> None:
    """The list is the one that the platform's specification asks for, each with a name of its own."""
    assert len(BUGS) == len({bug.name for bug in BUGS}) == 11
