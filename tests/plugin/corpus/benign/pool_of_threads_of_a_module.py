"""A pool of threads of multiprocessing that a module keeps, and one that is left with `with`."""

from multiprocessing.pool import ThreadPool

_POOL: ThreadPool | None = None


def _pool() -> ThreadPool:
    global _POOL
    _POOL = _POOL or ThreadPool(1)
    return _POOL


def test_kept() -> None:
    """The pool outlives the test by right."""
    assert _pool().apply(len, ([1],)) == 1


def test_left() -> None:
    """This one has ended."""
    with ThreadPool(1) as pool:
        assert pool.apply(len, ([1],)) == 1
