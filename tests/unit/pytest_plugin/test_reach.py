"""What a living fixture's value holds is told from what merely shares its event loop."""

import asyncio
from collections.abc import Iterator

import pytest

from ci_tools.pytest_plugin.reach import MOST_OBJECTS, holder_of


class Pool:
    """Holds things the way clients do."""

    def __init__(self, **held: object) -> None:
        self.__dict__.update(held)


@pytest.fixture(name="loop")
def _loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def test_the_way_to_a_held_object_is_said() -> None:
    """The answer names the types on the way."""
    target = object()
    way = holder_of(target, [Pool(connections=[{"first": target}])]).split(" → ")
    assert (way[0], way[-2:]) == ("Pool", ["list", "dict"])  # from 3.13 on without the instance's own dict between


def test_a_closure_holds() -> None:
    """A function holds what its closure holds."""
    target = object()
    assert holder_of(target, [lambda: target]).startswith("function")


def test_an_event_loop_does_not_hold(loop: asyncio.AbstractEventLoop) -> None:
    """From a loop every task can be reached: that is no ownership."""
    task = loop.create_task(asyncio.sleep(3600))
    loop.run_until_complete(asyncio.sleep(0))
    assert holder_of(task, [Pool(loop=loop)]) == ""
    assert holder_of(task, [Pool(loop=loop, tasks={task})]).endswith("set")
    task.cancel()
    loop.run_until_complete(asyncio.gather(task, return_exceptions=True))


def test_a_module_does_not_hold() -> None:
    """From a function's globals everything can be reached."""
    assert holder_of(TARGET, [test_a_module_does_not_hold]) == ""


TARGET = object()


def test_the_walk_is_bounded() -> None:
    """A value that reaches millions of objects costs a bounded look."""
    target = object()
    deep: list[object] = [target]
    for _ in range(2 * MOST_OBJECTS):
        deep = [deep]
    assert holder_of(target, [deep]) == ""
