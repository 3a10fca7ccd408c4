"""A thread below the threading module ends, or is about to."""

import _thread
import threading


def test_ends() -> None:
    """Waits for it."""
    done = threading.Event()
    number = _thread.start_new_thread(lambda event: event.set(), (done,))
    assert done.wait(5)
    assert isinstance(number, int)


def test_takes_names() -> None:
    """And keywords for the function."""
    done = threading.Event()
    _thread.start_new_thread(lambda *, event: event.set(), (), {"event": done})
    assert done.wait(5)
