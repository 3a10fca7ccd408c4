"""The suites whose cost is compared, and the clock that stands around their tests."""

EMPTY = """
import asyncio

import pytest


@pytest.mark.asyncio
@pytest.mark.parametrize("number", range({tests}))
async def test_it(number):
    await asyncio.sleep(0)
"""
WORK = """
import asyncio
import os

import pytest
import redis.asyncio


@pytest.mark.asyncio
@pytest.mark.parametrize("number", range({tests}))
async def test_it(number):
    async with redis.asyncio.Redis.from_url(os.environ["BENCH_REDIS_URL"], max_connections=4) as client:
        for part in range(10):
            await asyncio.gather(*(asyncio.create_task(client.set(f"{{part}}-{{key}}", key)) for key in range(1)))
            await asyncio.gather(*(asyncio.create_task(asyncio.sleep(0)) for _ in range(9)))
        for key in range(190):
            await client.get(str(key))
"""
NOTHING = "def test_it():\n    pass\n"
CLOCK = """
import gc
import json
import os
import time

import pytest

BEGAN = []
TESTS = []
CUT = os.environ.get("BENCH_TESTS")
WITHOUT = os.environ.get("BENCH_WITHOUT")
if CUT:
    gc.disable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    if WITHOUT:
        items[:] = [item for item in items if WITHOUT not in item.fixturenames]
    if CUT:
        del items[int(CUT):]


def pytest_collection_finish():
    BEGAN.append(time.process_time())


def pytest_runtest_logstart(nodeid):
    TESTS.append((nodeid, time.process_time()))


def pytest_sessionfinish():
    end = time.process_time()
    with open("seconds.txt", "w") as file:
        file.write(str(end - BEGAN[0]))
    ends = [began for _, began in TESTS[1:]] + [end]
    with open("tests.json", "w") as file:
        json.dump({nodeid: after - began for (nodeid, began), after in zip(TESTS, ends)}, file)
"""
