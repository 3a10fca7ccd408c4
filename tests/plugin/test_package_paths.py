"""The import path of pytest itself: importing a package is no test's doing."""

from pathlib import Path

from suites import run_suite, write_suite

from ci_tools.model.case import Outcome

TEST = "def test_a():\n    pass\n"
LEAKING = "import sys\n\n\ndef test_a():\n    sys.path.insert(0, '/nowhere')\n"


def test_the_first_test_of_a_package_is_not_accused(tmp_path: Path) -> None:
    """Before it pytest puts the package's folder in front of sys.path once more; a test that puts another there is named."""
    files = {"tests/pkg/__init__.py": "", "tests/pkg/test_pkg.py": TEST, "tests/unit/test_unit.py": TEST}
    write_suite(tmp_path, {**files, "tests/unit/test_wrong.py": LEAKING})
    run = run_suite(tmp_path, "tests", "-p", "no:randomly")
    assert run.outcomes == {
        "tests/pkg/test_pkg.py::test_a": Outcome.PASSED,
        "tests/unit/test_unit.py::test_a": Outcome.PASSED,
        "tests/unit/test_wrong.py::test_a": Outcome.ERROR,
    }
