"""What a person names on the command line is found from where they stand."""

from pathlib import Path

import pytest

from ci_tools.errors import ExitCode, UsageError
from ci_tools.pipeline.project import placed


@pytest.fixture(name="root")
def _root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "tests" / "deep").mkdir(parents=True)
    (root / "tests" / "test_a.py").touch()
    (root / "tests" / "deep" / "test_b.py").touch()
    return root


@pytest.mark.parametrize(
    ("here", "given", "expected"),
    [
        (".", "tests/test_a.py::test_x[a::b c]", "tests/test_a.py::test_x[a::b c]"),
        ("tests", "tests/test_a.py", "tests/test_a.py"),
        (".", "./tests/test_a.py::test_x[./y]", "tests/test_a.py::test_x[./y]"),
        (".", "tests/", "tests"),
        ("tests", "test_a.py::test_x", "tests/test_a.py::test_x"),
        ("tests/deep", "../test_a.py", "tests/test_a.py"),
        ("tests/deep", ".", "."),
        ("..", "project/tests/deep", "tests/deep"),
    ],
)
def test_a_path_is_taken_from_the_root_or_from_here(here: str, given: str, expected: str, root: Path) -> None:
    """What lies below the root is meant first, then what lies below the folder that we stand in."""
    assert (expected,) == placed([given], root, root / here)


def test_an_absolute_path_stays(root: Path) -> None:
    """An absolute path is the same from everywhere."""
    path = str(root / "tests")
    assert (path,) == placed([path], root, root)


def test_what_is_nowhere_is_a_usage_error(root: Path) -> None:
    """A path that is not there ends with exit code 2 and is named, before anything is started."""
    with pytest.raises(UsageError, match=r"'tests/nope\.py' is not there") as caught:
        placed(["tests/nope.py::test_x"], root, root / "tests")
    assert ExitCode.USAGE == caught.value.exit_code
