"""Tasks in a set that empties itself, and a context variable that is reset."""

import asyncio
import contextvars

import pytest

USER = contextvars.ContextVar("user", default="nobody")
RUNNING = set()


@pytest.mark.asyncio
async def test_tasks():
    for _ in range(3):
        task = asyncio.create_task(asyncio.sleep(0))
        RUNNING.add(task)
        task.add_done_callback(RUNNING.discard)
    await asyncio.sleep(0.01)
    assert not RUNNING


def test_variable():
    token = USER.set("me")
    assert USER.get() == "me"
    USER.reset(token)


@pytest.mark.asyncio
async def test_variable_of_a_task():
    USER.set("the task's")
    assert USER.get() == "the task's"
