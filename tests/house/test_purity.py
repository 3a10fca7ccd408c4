"""The pure rooms touch nothing: run on real values where files, sockets, processes, clock, chance and environment raise.

import-linter sees imports only; this sees ``open()``, ``datetime.now()`` and what libraries do. The flow runs in a child
process (this file as a script), once to let imports and caches happen, and once with the traps armed.
"""

import datetime as dt
import importlib
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

PROJECT = Path(__file__).resolve().parents[2]
_TOUCHING = ("open", "socket.", "subprocess.", "os.", "shutil.", "tempfile.", "glob.", "pathlib.", "urllib.")
_CLOCKS = ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "localtime", "gmtime", "sleep")
_CHANCES = ("random", "randint", "randrange", "choice", "choices", "shuffle", "sample", "getrandbits", "uniform")


class TouchError(BaseException):
    """Not an Exception: nothing on the way may swallow it."""


class Trap:
    """Raises as soon as the world outside is touched while it is armed."""

    def __init__(self) -> None:
        self.is_armed = False

    def set(self) -> None:
        """Before anything of the house is imported, so that ``from time import time`` gets the trap too."""
        sys.addaudithook(self._audit)
        for module, names in ((time, _CLOCKS), (random, _CHANCES)):
            self._replace(module, names)
        self._replace(os, ("getcwd", "getpid", "urandom", "getenv", "stat"))
        dt.datetime = _trapped_datetime(self)  # type: ignore[misc] # that is the trap
        getitem = os._Environ.__getitem__
        os._Environ.__getitem__ = self._guard(getitem, "os.environ")  # type: ignore[method-assign] # as above

    def touch(self, what: str) -> None:
        """Say who touched what."""
        if self.is_armed:
            raise TouchError(what)

    def _audit(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.is_armed and event.startswith(_TOUCHING):
            raise TouchError(f"{event} {arguments[:1]!r}")

    def _replace(self, module: ModuleType, names: tuple[str, ...]) -> None:
        for name in names:
            setattr(module, name, self._guard(getattr(module, name), f"{module.__name__}.{name}"))

    def _guard(self, original: Callable[..., object], what: str) -> Callable[..., object]:
        def guarded(*arguments: object, **named: object) -> object:
            self.touch(what)
            return original(*arguments, **named)

        return guarded


def _trapped_datetime(trap: Trap) -> type[dt.datetime]:
    class Trapped(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> "Trapped":
            trap.touch("datetime.now")
            return super().now(tz)

        @classmethod
        def today(cls) -> "Trapped":
            trap.touch("datetime.today")
            return super().today()

    return Trapped


def main() -> int:
    """Run the flow twice, the second time with the traps armed."""
    trap = Trap()
    trap.set()
    for room in ("reports", "summary"):
        sys.path.insert(0, str(PROJECT / "tests/unit" / room))
    sys.path.insert(0, str(Path(__file__).parent))
    flow = importlib.import_module("pure_flow").flow
    first = flow()
    trap.is_armed = True
    try:
        again = flow()
    finally:
        trap.is_armed = False
    sys.stdout.write("; ".join(again) if first == again else f"not the same twice: {first} and {again}")
    return 0 if first == again else 1


FAULTS = {
    "a file": ("policy/judge.py", "judge", "open('/dev/null').close()", "open"),
    "a socket": ("reports/merge.py", "merge", "import socket; socket.socket().close()", "socket."),
    "the clock": ("sharding/static.py", "partition", "import time; time.time()", "time.time"),
    "the date": ("summary/html.py", "render_html", "import datetime; datetime.datetime.now(datetime.UTC)", "datetime.now"),
    "chance": ("reports/causes.py", "find_causes", "import random; random.random()", "random.random"),
    "a process": ("workers/command.py", "command", "import subprocess; subprocess.run(['true'])", "subprocess."),
    "the environment": ("summary/terminal.py", "render_verdict", "import os; os.environ['PATH']", "os.environ"),
}


def _run(package: Path) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, __file__], cwd=package, env=environ, text=True, capture_output=True, timeout=60, check=False
    )


def test_the_pure_rooms_touch_nothing() -> None:
    """Plan, merge, causes, verdict, every page and the worker's command are made from values alone, the same twice."""
    done = _run(PROJECT)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "order-1-of-3-1.json; incomplete; 20 cases; 2 causes"


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_touch_is_found(fault: str, tmp_path: Path) -> None:
    """A function of a pure room that touches the world is stopped, and what it touched is said."""
    name, function, act, said = FAULTS[fault]
    shutil.copytree(PROJECT / "ci_tools", tmp_path / "ci_tools", ignore=shutil.ignore_patterns("__pycache__"))
    path = tmp_path / "ci_tools" / name
    planted = (
        f"\n_{function} = {function}\ndef {function}(*args, **kwargs):\n    {act}\n    return _{function}(*args, **kwargs)\n"
    )
    path.write_text(path.read_text(encoding="utf-8") + planted, encoding="utf-8")
    done = _run(tmp_path)
    last = done.stderr.strip().splitlines()[-1:]
    assert (done.returncode, [said in line and "TouchError" in line for line in last]) == (1, [True]), done.stdout + done.stderr


if __name__ == "__main__":
    sys.exit(main())
