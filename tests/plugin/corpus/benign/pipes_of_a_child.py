"""A child's pipes are closed with it."""

import subprocess
import sys


def test_it() -> None:
    """Speaks with a child."""
    with subprocess.Popen([sys.executable, "-c", "print(input())"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.communicate(b"1\n") == (b"1\n", None)
