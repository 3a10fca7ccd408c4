"""A shard refuses a plan that is not its own before anything runs, and says in what they differ."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

FILES = ("tests/test_a.py", "tests/test_b.py", "more/test_c.py")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project of three files in two folders, and the plan of one folder for one shard."""
    (tmp_path / "pyproject.toml").write_text("[tool.ci-tools]\n[tool.pytest.ini_options]\n", encoding="utf-8")
    for name in FILES:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(
            "def test_one():\n    pass\n\n\nclass TestTwo:\n    def test_two(self):\n        pass\n", encoding="utf-8"
        )
    return tmp_path


def _ci_tools(root: Path, *arguments: str, addopts: str = "") -> tuple[int, str]:
    """Exit code of one verb, and all that it said."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("CI", "GITHUB_", "PYTEST_"))}
    env |= {"PYTEST_ADDOPTS": addopts} if addopts else {}
    argv = [sys.executable, "-m", "ci_tools", *arguments]
    done = subprocess.run(argv, cwd=root, env=env, capture_output=True, text=True, check=False, timeout=150)
    return done.returncode, done.stdout + done.stderr


def _plan(root: Path, *paths: str) -> None:
    code, said = _ci_tools(root, "plan", "--output", "plan.json", *paths)
    assert code == 0, said


def test_other_paths_than_the_plans_are_refused(root: Path) -> None:
    """Paths that the plan was not made of are no reason to run what the plan says instead."""
    _plan(root, "tests")
    code, said = _ci_tools(root, "run", "--plan", "plan.json", "--shard", "1/1", "more")
    assert (code, "was made of 'tests', here is 'more'" in said) == (2, True), said
    assert said.count("error:") == 1, said


def test_a_filter_of_the_environment_is_a_filter(root: Path) -> None:
    """A file without a test for the plan's -k is in no shard: one without that -k would be green, with nothing of it run."""
    (root / "tests/test_b.py").write_text("def test_three():\n    pass\n", encoding="utf-8")
    code, said = _ci_tools(root, "plan", "--output", "plan.json", "tests/test_a.py", "tests/test_b.py", addopts="-k 'one or two'")
    assert (code, "2 test(s)" in said) == (0, True), said
    code, said = _ci_tools(root, "run", "--plan", "plan.json", "--shard", "1/1")
    assert (code, "was made with '-k one or two', here is no filter" in said) == (2, True), said
    code, said = _ci_tools(root, "run", "--plan", "plan.json", "--shard", "1/1", "-k", "one or two")
    assert (code, "2/2 passed" in said) == (0, True), said


@pytest.mark.parametrize("paths", [(), ("./tests/test_b.py::TestTwo", "tests/test_a.py")])
def test_the_plans_own_paths_are_taken(root: Path, paths: tuple[str, ...]) -> None:
    """A plan of a class and a file runs these, whether the shard repeats the paths or not."""
    _plan(root, "tests/test_a.py", "tests/test_b.py::TestTwo")
    code, said = _ci_tools(root, "run", "--plan", "plan.json", "--shard", "1/1", *paths)
    assert (code, "3/3 passed" in said) == (0, True), said


def test_a_plan_of_another_commit_is_refused(root: Path) -> None:
    """The plan holds its commit; a shard that stands on another one names both and runs nothing."""
    identity = ("-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false")
    for words in (("init", "--quiet"), ("commit", "--quiet", "--allow-empty", "-m", "one")):
        subprocess.run(["git", *identity, *words], cwd=root, check=True, capture_output=True, timeout=30)
    _plan(root, "tests")
    assert _ci_tools(root, "run", "--plan", "plan.json", "--shard", "1/1")[0] == 0
    words = ("commit", "--quiet", "--allow-empty", "-m", "two")
    subprocess.run(["git", *identity, *words], cwd=root, check=True, capture_output=True, timeout=30)
    code, said = _ci_tools(root, "run", "--plan", "plan.json", "--shard", "1/1")
    assert (code, "plan.json was made for commit " in said, ", here is " in said, "0 tests" in said) == (2, True, True, True), (
        said
    )


def test_a_file_renamed_since_the_plan_is_named(root: Path) -> None:
    """The shard says which of its files are gone; pytest would only say that its arguments are wrong."""
    _plan(root, "tests")
    (root / "tests/test_b.py").rename(root / "tests/test_new.py")
    code, said = _ci_tools(root, "run", "--plan", "plan.json", "--shard", "1/1")
    assert (code, "1 of its 2 file(s) are not here" in said, "missing:    tests/test_b.py" in said) == (2, True, True), said
