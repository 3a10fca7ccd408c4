"""A future of the module's loop is waited for in the function's: the failure says whose it is.

kind: loop
outcome: failed
says: of fixture answer (module), belongs to another event loop
"""

import asyncio

import pytest
import pytest_asyncio


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def answer() -> asyncio.Future[int]:
    """Belongs to the module's loop."""
    return asyncio.get_running_loop().create_future()


@pytest.mark.asyncio(loop_scope="function")
async def test_offender(answer: asyncio.Future[int]) -> None:
    """Fails."""
    await asyncio.wait_for(answer, 0.1)  # made here


def test_innocent() -> None:
    """An innocent neighbour."""
