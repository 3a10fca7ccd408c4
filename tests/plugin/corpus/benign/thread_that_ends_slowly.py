"""A thread that has done its work, and takes a while to let go of what it had for itself."""

import threading

_LOCAL = threading.local()
_DONE = threading.Event()


class _Slow:
    """Says good-bye at length."""

    def __del__(self) -> None:
        threading.Event().wait(0.5)


def _work() -> None:
    _LOCAL.kept = _Slow()
    _DONE.set()


def test_that_waits_for_the_work() -> None:
    """The thread itself is on its way out."""
    threading.Thread(target=_work).start()
    assert _DONE.wait(30)
