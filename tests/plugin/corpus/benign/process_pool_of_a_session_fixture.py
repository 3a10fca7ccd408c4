"""A session's process pool starts its children when tests give it work."""

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

import pytest


@pytest.fixture(scope="session")
def pool() -> Iterator[ProcessPoolExecutor]:
    """One for all; it has no child yet."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


@pytest.mark.parametrize("number", range(2))
def test_it(pool: ProcessPoolExecutor, number: int) -> None:
    """Gives it work."""
    assert pool.submit(abs, -number).result() == number
