"""A module keeps one executor for the life of the process."""

from concurrent.futures import ThreadPoolExecutor

POOL = ThreadPoolExecutor(2)


def test_it() -> None:
    """Gives it work."""
    assert POOL.submit(sum, [1, 2]).result() == 3
