"""What tests have made is let go with them: a suite of thousands keeps no more than a suite of ten."""

from pathlib import Path

from suites import run_suite, write_suite

from ci_tools.model.case import Outcome

CONFTEST = """
import collections
import gc


def pytest_sessionfinish():
    gc.collect()
    kinds = (type(one) for one in gc.get_objects())
    kept = collections.Counter(kind.__name__ for kind in kinds if kind.__module__ == "ci_tools.pytest_plugin.owners")
    with open("kept.txt", "w") as file:
        print(kept["Owner"], kept["Made"], kept["GeneratorRecord"], kept["TaskRecord"], file=file)
"""
SUITE = """
import asyncio
import socket
import threading

import pytest
import pytest_asyncio


async def numbers():
    for number in range(3):
        yield number


@pytest_asyncio.fixture
async def link():
    with socket.socket() as link:
        yield link


@pytest.mark.asyncio
@pytest.mark.parametrize("number", range({tests}))
async def test_it(number, link):
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()
    for _ in range(5):
        async for number in numbers():
            await asyncio.create_task(asyncio.sleep(0))
"""


def test_a_longer_suite_keeps_no_more(tmp_path: Path) -> None:
    """Threads, sockets, generators and tasks: of none is anything left when its test is over."""
    kept = []
    for tests in (4, 24):
        folder = tmp_path / str(tests)
        folder.mkdir()
        write_suite(folder, {"conftest.py": CONFTEST, "test_it.py": SUITE.format(tests=tests)})
        run = run_suite(folder, "-q")
        assert list(run.outcomes.values()) == [Outcome.PASSED] * tests, run.output
        kept.append((folder / "kept.txt").read_text(encoding="utf-8").split())
    assert kept[0] == kept[1]
