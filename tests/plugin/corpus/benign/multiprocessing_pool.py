"""A pool of forked processes that is closed."""

import multiprocessing


def test_it() -> None:
    """Uses two processes."""
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(abs, [-1, 2]) == [1, 2]
        pool.close()
        pool.join()
