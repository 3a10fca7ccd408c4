"""Lifeline: runs an engine's client and holds the client's standard input open for as long as this process lives.

It is a program of its own, run by its path: nothing of ci_tools is imported. When it is killed the kernel closes the pipe.
"""

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def command(engine: Path, arguments: Sequence[str]) -> tuple[str, ...]:
    """The command that runs ``engine`` with ``arguments`` on a lifeline."""
    return (sys.executable, "-I", "-S", str(Path(__file__)), str(engine), *arguments)


def main(argv: Sequence[str]) -> int:
    """Run the client to its end; a signal that asks us to end lets go of the lifeline. The client's exit code."""
    with subprocess.Popen(list(argv), stdin=subprocess.PIPE) as client:
        lifeline = client.stdin

        def let_go(*_: object) -> None:
            if lifeline is not None:
                lifeline.close()

        signal.signal(signal.SIGTERM, let_go)
        signal.signal(signal.SIGINT, let_go)
        return client.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
