"""What is only shown is what a run has: fixtures and marks of folders."""

from pathlib import Path

from suites import run_suite, write_suite

SUITE = "def test_it(redis_url):\n    pass\n"
FOLDERS = '[tool.ci-tools.guards.services]\n"real" = ["redis"]'


def test_fixtures_are_shown(tmp_path: Path) -> None:
    """``--fixtures`` and ``--fixtures-per-test`` show the plugin's fixtures; nothing is started and no journal written."""
    write_suite(tmp_path, {"test_it.py": SUITE})
    for option in ("--fixtures", "--fixtures-per-test", "--setup-plan", "--collect-only"):
        run = run_suite(tmp_path, "-v", option)
        assert (run.returncode, run.journals) == (0, {}), run.output
        assert "redis_url" in run.output or option == "--collect-only"


def test_marks_of_folders_are_collected(tmp_path: Path) -> None:
    """``-m service`` selects the tests of a folder that declares one."""
    write_suite(tmp_path, {"real/test_it.py": SUITE, "test_other.py": "def test_other():\n    pass\n"}, guards=FOLDERS)
    run = run_suite(tmp_path, "-q", "--collect-only", "-m", "service")
    assert ("real/test_it.py::test_it" in run.output, "test_other" in run.output) == (True, False), run.output
