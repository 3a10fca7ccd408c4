"""A session's executor starts its threads when tests give it work."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest


@pytest.fixture(scope="session")
def pool() -> Iterator[ThreadPoolExecutor]:
    """One for all; it has no thread yet."""
    with ThreadPoolExecutor(4) as pool:
        yield pool


@pytest.mark.parametrize("number", range(3))
def test_it(pool: ThreadPoolExecutor, number: int) -> None:
    """Gives it work."""
    assert pool.submit(abs, -number).result() == number
