"""A function's early returns are found by its own text alone where that is possible, whatever stands around it."""

import textwrap
from pathlib import Path
from types import CodeType

import pytest

from ci_tools.pytest_plugin import returns
from ci_tools.pytest_plugin.returns import early_lines

PLAIN = """
    # before
    def test_it(more):
        if more:
            return  # line 4
        assert more
    AFTER = 1
"""
METHOD = '''
    class TestIt:
        @staticmethod
        @property
        def test_it(more):
            text = """
    flush left
    """
            if more: return None  # line 8
            assert (
                more
            )
'''
INNER_LAST = """
    def test_it(more):
        if more:
            return  # line 3
        assert more
        def inner():
            more()
            return
"""
COMMENT_LAST = """
    async def test_it(more):
        async with more as it:
            return  # line 3
        assert it(
            1,
        )  # the end
        # and more
    def test_other(): return
"""
AFTER_ASSERTION = """
    def test_it(more):
        assert more
        if more:
            return
        more()
"""


def _code(path: Path, text: str) -> CodeType:
    path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
    pending = [compile(path.read_bytes(), str(path), "exec")]
    while pending:
        code = pending.pop()
        if code.co_name == "test_it":
            return code
        pending.extend(one for one in code.co_consts if isinstance(one, CodeType))
    raise AssertionError(text)


@pytest.mark.parametrize(
    ("text", "lines"),
    [(PLAIN, {4}), (METHOD, {8}), (INNER_LAST, {3}), (COMMENT_LAST, {3}), (AFTER_ASSERTION, set())],
    ids=["plain", "method", "inner last", "comment last", "after an assertion"],
)
def test_early_returns_are_found_by_line(tmp_path: Path, text: str, lines: set[int]) -> None:
    """Lines count from the file's begin."""
    assert early_lines(_code(tmp_path / "test_it.py", text)) == lines


def test_a_file_of_another_encoding_is_read_as_a_whole(tmp_path: Path) -> None:
    """The function's own text does not say its encoding."""
    path = tmp_path / "test_it.py"
    text = 'def test_it(more):\n    if more:\n        return\n    assert more == "é"\n'
    code = _code(path, text)
    path.write_bytes(f"# -*- coding: latin-1 -*-\n{text}".encode("latin-1"))
    assert early_lines(code.replace(co_firstlineno=2)) == {4}


def test_of_a_long_file_only_the_function_is_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole files cost more than the tests of some suites."""
    code = _code(tmp_path / "test_it.py", PLAIN)
    monkeypatch.setattr(returns, "_functions", lambda filename: pytest.fail(f"{filename} was parsed"))
    assert early_lines(code) == {4}
