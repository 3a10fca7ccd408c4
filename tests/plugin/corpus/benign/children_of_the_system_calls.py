"""Children of os.posix_spawn, os.spawnlp, os.system, os.popen and pty.fork that have ended and were waited for."""

import os
import pty


def test_spawned() -> None:
    """Each is waited for, by the test or by the function itself."""
    child = os.posix_spawn("/bin/true", ["true"], os.environ)
    assert os.waitpid(child, 0)[1] == 0
    assert os.spawnlp(os.P_WAIT, "true", "true") == 0


def test_shells() -> None:
    """Nothing is left in their background."""
    assert os.system("true") == 0
    with os.popen("echo hello") as stream:
        assert stream.read() == "hello\n"


def test_terminal() -> None:
    """The child ends before its terminal does."""
    child, terminal = pty.fork()
    if child == 0:
        os._exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
    os.close(terminal)
