from pathlib import Path

import pytest

from ci_tools.pipeline.project import open_project
from ci_tools.pipeline.publish import _path_prefix


@pytest.mark.parametrize(
    ("folder", "workspace", "expected"),
    [("examples/app", ".", "examples/app/"), (".", ".", ""), ("examples/app", "elsewhere", ""), ("examples/app", "", "")],
)
def test_annotations_stand_at_files_of_the_repository(tmp_path: Path, folder: str, workspace: str, expected: str) -> None:
    """Tests are named from the project, GitHub looks for files from the repository: the way between is put before them."""
    root = tmp_path / folder
    root.mkdir(parents=True, exist_ok=True)
    (root / "pyproject.toml").write_text('[project]\nname = "x"\nversion = "1"\n\n[tool.ci-tools]\n', encoding="utf-8")
    environ = {"GITHUB_WORKSPACE": str(tmp_path / workspace)} if workspace else {}
    assert _path_prefix(open_project(root, environ)) == expected
