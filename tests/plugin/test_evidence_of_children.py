"""A test that leaves the talking to a child process has touched its service all the same: the server counts, whoever asks."""

from pathlib import Path

from suites import run_suite, write_suite

from ci_tools.model.journal import TestFinished

SUITE = """
import asyncio
import multiprocessing
import os
import subprocess
import sys

import pytest

REDIS = '''
import os, redis
with redis.Redis.from_url(os.environ["REDIS_URL"], lib_name=None, lib_version=None, protocol=2) as client:
    for _ in range(3):
        client.set("a", 1, ex=60)
'''
POSTGRES = '''
import os, psycopg
with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
    for _ in range(3):
        connection.execute("SELECT 1")
'''


def speak(text):
    exec(text)


@pytest.mark.service("redis")
def test_subprocess():
    subprocess.run([sys.executable, "-c", REDIS], check=True, timeout=60)


@pytest.mark.service("redis")
def test_asyncio_subprocess():
    async def main():
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", REDIS)
        assert await asyncio.wait_for(child.wait(), 60) == 0

    asyncio.run(main())


@pytest.mark.service("redis")
@pytest.mark.parametrize("way", [way for way in ("fork", "spawn") if way in multiprocessing.get_all_start_methods()])
def test_multiprocessing(way):
    child = multiprocessing.get_context(way).Process(target=speak, args=(REDIS,))
    child.start()
    child.join(60)
    assert child.exitcode == 0


@pytest.mark.service("redis", "postgres")
def test_each_by_a_child():
    for text in (REDIS, POSTGRES):
        subprocess.run([sys.executable, "-c", text], check=True, timeout=60)


@pytest.mark.service("redis", "postgres")
def test_one_by_a_child():
    subprocess.run([sys.executable, "-c", REDIS], check=True, timeout=60)


@pytest.mark.service("redis")
def test_silent_child():
    subprocess.run([sys.executable, "-c", "import os; os.environ['REDIS_URL']"], check=True, timeout=60)
"""


def test_what_children_ask_is_counted(tmp_path: Path) -> None:
    """Of subprocess, asyncio, fork and spawn; each service by itself, and a child that asks nothing is no evidence."""
    write_suite(tmp_path, {"test_it.py": SUITE})
    run = run_suite(tmp_path, "-q", timeout_s=180)
    ended = [event for event in run.events if isinstance(event, TestFinished)]
    told = {event.test_id.partition("::test_")[2]: event for event in ended}
    red = {name for name, event in told.items() if event.outcome != "passed"}
    assert red == {"one_by_a_child", "silent_child"}, run.output
    speaking = set(told) - {"silent_child"}
    counted = {name: told[name].properties["redis_commands"] for name in speaking}
    assert counted == dict.fromkeys(speaking, "4"), "with the AUTH of the child's connection"
    assert told["each_by_a_child"].properties["postgres_statements"] == "3"
    assert told["silent_child"].properties["redis_commands"] == "0"
    assert "declared postgres, 0 statements" in run.output
    assert run.leaks == []
