"""A pytest plugin's own tests run pytest in their process: the inner run is no part of the outer one."""

import sys

import pytest

pytest_plugins = ("pytester",)
INNER = """
import logging
import os


def test_inner():
    logging.getLogger("corpus.inner").setLevel(10)


def test_inner_that_fails(tmp_path):
    assert not tmp_path
"""


@pytest.mark.parametrize("number", range(2))
def test_it(pytester, number):
    pytester.makepyfile(INNER)
    result = pytester.runpytest_inprocess("-p", "no:xdist")
    result.assert_outcomes(passed=1, failed=1)
    assert not (pytester.path / "ci-artifacts").exists()


def test_by_main(tmp_path, capsys):
    path = tmp_path / "test_of_main.py"
    path.write_text("def test_it():\n    pass\n")
    try:
        assert (
            pytest.main(
                [
                    "-q",
                    "--import-mode=importlib",
                    "-p",
                    "no:xdist",
                    "-p",
                    "no:cacheprovider",
                    "--rootdir",
                    str(tmp_path),
                    str(path),
                ]
            )
            == 0
        )
    finally:
        sys.modules.pop("test_of_main", None)
