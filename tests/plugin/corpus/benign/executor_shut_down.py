"""An executor that is left properly."""

from concurrent.futures import ThreadPoolExecutor


def test_it() -> None:
    """Leaves nothing."""
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(abs, [-1, 2])) == [1, 2]
