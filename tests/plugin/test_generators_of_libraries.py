"""An async generator that a library begins for itself is its own affair; what a test begins of it is the test's."""

import os
from pathlib import Path

from suites import run_suite, write_suite

from ci_tools.model.case import Outcome

LIBRARY = """
import contextlib

KEPT = []


async def numbers():
    for number in range(10):
        yield number


async def first():
    generator = numbers()
    KEPT.append(generator)
    async for number in generator:
        return number


@contextlib.asynccontextmanager
async def lent():
    yield 0
"""
SUITE = """
import contextlib

import pytest
import streams

KEPT = []


@pytest.mark.asyncio
async def test_of_the_library():
    assert await streams.first() == 0


@pytest.mark.asyncio
async def test_of_its_own():
    generator = streams.numbers()
    KEPT.append(generator)
    async for number in generator:  # begun here
        break


@pytest.mark.asyncio
async def test_never_left():
    manager = streams.lent()
    KEPT.append(manager)
    await manager.__aenter__()  # begun here


@pytest.mark.asyncio
async def test_never_left_by_its_stack():
    stack = contextlib.AsyncExitStack()
    KEPT.append(stack)
    await stack.enter_async_context(streams.lent())  # begun here


@pytest.mark.asyncio
async def test_done_with():
    async for number in streams.numbers():
        pass
    async with streams.lent(), contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(streams.lent())
"""


def test_only_what_the_test_has_begun_is_its_own(tmp_path: Path) -> None:
    """The line is told that begins it, also through contextlib, which does it for whoever enters a context."""
    library, suite = tmp_path / "library", tmp_path / "suite"
    library.mkdir()
    (library / "streams.py").write_text(LIBRARY, encoding="utf-8")
    suite.mkdir()
    write_suite(suite, {"test_it.py": SUITE})
    run = run_suite(suite, "-q", environ={"PYTHONPATH": os.pathsep.join((str(library), os.environ.get("PYTHONPATH", "")))})
    outcomes = {test_id.partition("::")[2]: outcome for test_id, outcome in run.outcomes.items()}
    assert outcomes == {
        "test_of_the_library": Outcome.PASSED,
        "test_of_its_own": Outcome.ERROR,
        "test_never_left": Outcome.ERROR,
        "test_never_left_by_its_stack": Outcome.ERROR,
        "test_done_with": Outcome.PASSED,
    }, run.output
    found = [(one.leak.owner.partition("::")[2], one.leak.kind, one.leak.created and one.leak.created.line) for one in run.leaks]
    lines = [number for number, line in enumerate(SUITE.splitlines(), 1) if "# begun here" in line]
    names = ["test_of_its_own", "test_never_left", "test_never_left_by_its_stack"]
    assert found == [(name, "generator", line) for name, line in zip(names, lines, strict=True)]
