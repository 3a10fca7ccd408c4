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
import os
import time

import pytest

BEGAN = []
CUT = os.environ.get("BENCH_TESTS")
WITHOUT = os.environ.get("BENCH_WITHOUT")
if "BENCH_CORE" in os.environ:
    os.sched_setaffinity(0, {int(os.environ["BENCH_CORE"])})
if CUT:
    gc.disable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    if WITHOUT:
        items[:] = [item for item in items if WITHOUT not in item.fixturenames]
    if CUT:
        del items[int(CUT):]


@pytest.hookimpl(trylast=True)
def pytest_collection_finish():
    gc.collect()  # else what was loaded before decides by chance in which run one of its few long turns falls
    BEGAN.append(time.process_time())


def pytest_sessionfinish():
    with open("seconds.txt", "w") as file:
        file.write(str(time.process_time() - BEGAN[0]))
"""
