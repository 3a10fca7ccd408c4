"""A child with a terminal of its own runs on: pty.fork() goes past os.fork().

kind: process
outcome: error
says: os.forkpty
"""

import os
import pty
import signal
import threading


def test_offender() -> None:
    """Closes the terminal, and the child does not care."""
    child, terminal = pty.fork()  # made here
    if child == 0:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        os.write(1, b"x")
        threading.Event().wait(600)
        os._exit(0)
    assert os.read(terminal, 1) == b"x"
    os.close(terminal)


def test_innocent() -> None:
    """Nothing is wrong here."""
