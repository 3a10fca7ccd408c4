"""Threads that are joined."""

import threading


def test_it() -> None:
    """Leaves nothing."""
    threads = [threading.Thread(target=sum, args=([1, 2],)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
