"""A program that is interrupted, or exits, in the midst of its work: its runner cancels what is left, as it does for real."""

import asyncio
import sys
from typing import NoReturn

import pytest


async def _work() -> None:
    await asyncio.sleep(600)


def test_an_exit_of_a_task() -> None:
    """The exit goes past everything that waits."""

    async def leave() -> NoReturn:
        sys.exit(5)

    async def program() -> None:
        tasks = [asyncio.create_task(_work()), asyncio.create_task(leave())]
        await asyncio.wait(tasks)

    with pytest.raises(SystemExit, match="5"):
        asyncio.run(program())


def test_an_exit_inside_a_group() -> None:
    """The group hands it on with what else there was."""

    async def leave() -> NoReturn:
        sys.exit(5)

    async def program() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(_work())
            group.create_task(leave())

    with pytest.raises(SystemExit, match="5"):
        asyncio.run(program())


def test_an_interrupt() -> None:
    """As if somebody had pressed Ctrl-C."""

    def interrupt() -> NoReturn:
        raise KeyboardInterrupt

    async def program() -> None:
        other = asyncio.create_task(_work())
        asyncio.get_running_loop().call_soon(interrupt)
        asyncio.get_running_loop().call_later(600, print)
        await other

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(program())


def test_an_exit_by_hand() -> None:
    """The same with a runner."""

    async def begin() -> None:
        asyncio.create_task(_work())
        await asyncio.sleep(0)

    with pytest.raises(SystemExit), asyncio.Runner() as runner:
        runner.run(begin())
        sys.exit(3)
