"""A pool of threads of multiprocessing is neither closed nor terminated; it is told once, not once for each of its threads.

kind: thread
outcome: error
"""

from multiprocessing.pool import ThreadPool

KEPT = []


def test_offender() -> None:
    """Uses the pool and forgets it."""
    pool = ThreadPool(2)  # made here
    KEPT.append(pool)
    assert pool.apply(len, ([1],)) == 1


def test_innocent() -> None:
    """Nothing is wrong here."""
