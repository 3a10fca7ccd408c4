"""A forked child ends with os._exit(0), as children do."""

import os

import pytest


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX")
def test_it() -> None:
    """Forks and waits."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
