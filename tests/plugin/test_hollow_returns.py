"""A test that leaves through a bare return before its first assertion passes, and is said to be hollow."""

from pathlib import Path

import pytest
from suites import run_suite, write_suite

from ci_tools.model.journal import TestFinished

SUITE = """
import asyncio
import sys

import pytest

HAS_IT = False


def test_returns_early():
    if not HAS_IT:
        return
    assert HAS_IT


@pytest.mark.asyncio
async def test_returns_early_async():
    await asyncio.sleep(0)
    if not HAS_IT:
        return
    assert HAS_IT


class TestOfAClass:
    @pytest.mark.parametrize("number", [1, 2])
    def test_returns_early_in_a_class(self, number):
        if number == 1:
            return None
        assert number == 2


def test_goes_on():
    if HAS_IT:
        return
    assert not HAS_IT


def test_returns_after_it_asserted():
    assert not HAS_IT
    if not HAS_IT:
        return
    assert HAS_IT


def test_calls_others_that_return_early():
    def inner():
        if not HAS_IT:
            return
        assert HAS_IT

    inner()
    assert not HAS_IT


def test_has_a_tracer_of_its_own():
    if HAS_IT:
        return
    seen = []
    sys.settrace(lambda *arguments: seen.append(1))
    (lambda: None)()
    sys.settrace(None)
    assert seen
"""


@pytest.mark.parametrize("arguments", [(), ("-W", "error")], ids=["", "warnings are errors"])
def test_an_early_return_is_said(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """It is among the test's properties with its line, for the gate, and fails nobody; whoever asserts is not accused."""
    write_suite(tmp_path, {"test_it.py": SUITE})
    run = run_suite(tmp_path, "-q", *arguments)
    told = {
        event.test_id.rpartition("::")[2]: event.properties.get("hollow", "")
        for event in run.events
        if isinstance(event, TestFinished)
    }
    assert run.returncode == 0, run.output
    assert {name: text for name, text in told.items() if text} == {
        "test_returns_early": "returned at line 12, before its first assertion",
        "test_returns_early_async": "returned at line 20, before its first assertion",
        "test_returns_early_in_a_class[1]": "returned at line 28, before its first assertion",
    }
