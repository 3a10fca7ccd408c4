"""A thread that needs a moment to be gone."""

import threading


def test_it() -> None:
    """Leaves a thread that ends by itself."""
    threading.Thread(target=threading.Event().wait, args=(0.02,)).start()
