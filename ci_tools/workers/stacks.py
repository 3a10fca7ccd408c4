"""The stacks of a process that says nothing any more, asked for from outside."""

import contextlib
import signal
import sys
import time
from pathlib import Path

import psutil

_DUMP_S = 1.0
_SETTLE_S = 0.05


def dump_stacks(pid: int, output: Path) -> str:
    """What the process's faulthandler writes into ``output`` when it is aborted; empty where there is no such signal.

    pytest switches faulthandler on. Its C code needs neither the GIL nor the main thread, so this works when nothing else does.
    The process is gone afterwards, as far as SIGABRT ends it.
    """
    if sys.platform == "win32":
        return ""
    try:
        before = output.stat().st_size
        psutil.Process(pid).send_signal(signal.SIGABRT)
    except (OSError, psutil.Error):
        return ""
    deadline = time.monotonic() + _DUMP_S
    with contextlib.suppress(psutil.Error):
        while time.monotonic() < deadline and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(_SETTLE_S)
    with output.open("rb") as stream:
        stream.seek(before)
        return stream.read().decode("utf-8", "replace").strip()
