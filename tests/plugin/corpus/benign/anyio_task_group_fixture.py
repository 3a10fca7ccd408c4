"""A task group of anyio that a fixture keeps open around its test."""

import anyio
import pytest

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
async def group():
    async with anyio.create_task_group() as group:
        yield group
        group.cancel_scope.cancel()


async def test_it(group):
    group.start_soon(anyio.sleep_forever)
    with anyio.move_on_after(0.01):
        await anyio.sleep(5)
    assert await anyio.to_thread.run_sync(int, "1") == 1
