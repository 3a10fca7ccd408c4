"""Loops by hand, closed in several ways."""

import asyncio
import contextlib

import pytest


@pytest.fixture(scope="module")
def loop():
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def test_of_a_fixture(loop):
    assert loop.run_until_complete(asyncio.sleep(0, 1)) == 1


def test_closing():
    with contextlib.closing(asyncio.new_event_loop()) as loop:
        assert loop.run_until_complete(asyncio.sleep(0, 1)) == 1


def test_runner():
    with asyncio.Runner() as runner:
        assert runner.run(asyncio.sleep(0, 1)) == 1
        assert runner.run(asyncio.sleep(0, 2)) == 2


def test_run():
    assert asyncio.run(asyncio.sleep(0, 1)) == 1


def test_policy():
    policy = asyncio.get_event_loop_policy()
    asyncio.set_event_loop_policy(asyncio.DefaultEventLoopPolicy())
    asyncio.set_event_loop_policy(policy)
