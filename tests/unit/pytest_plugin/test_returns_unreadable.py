"""A file that Python itself cannot parse at this depth is no error of its tests."""

from pathlib import Path

import pytest

from ci_tools.pytest_plugin.returns import early_lines

TEXT = "def test_it(more):\n    if more:\n        return\n    assert more\n"


@pytest.mark.parametrize("deep", ["-" * 20_000 + "1", "+".join(["1"] * 20_000)], ids=["signs", "sum"])
def test_a_text_that_is_too_deep_says_nothing(tmp_path: Path, deep: str) -> None:
    """The test runs, and is not looked at for early returns."""
    path = tmp_path / "test_deep.py"
    names: dict[str, object] = {}
    exec(compile(TEXT, str(path), "exec"), names)  # noqa: S102 - the function as it was before the file grew
    path.write_text(TEXT.replace("if more:", f"if {deep}:"), encoding="utf-8")
    assert not early_lines(names["test_it"].__code__)  # type: ignore[attr-defined] # a function
