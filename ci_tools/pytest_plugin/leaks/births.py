"""When processes were started, on one clock with our own: process numbers begin again, so they tell nothing of age."""

import os
import sys
import time

if sys.platform == "linux":
    _TICKS = os.sysconf("SC_CLK_TCK")
    _NS = 1_000_000_000
    _START_AFTER_NAME = 19
    """Which of the fields behind the name in ``/proc/PID/stat`` is the start (proc_pid_stat(5): the 22nd of all)."""

    def now() -> float:
        """The present in seconds, cut to the grain of ``birth_of``: whoever is started from now on is not older."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) * _TICKS // _NS / _TICKS

    def birth_of(pid: int) -> float | None:
        """When it was started, in seconds; None when it is gone or nobody says."""
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - asked of every process there is
                return int(file.read().rpartition(b")")[2].split()[_START_AFTER_NAME]) / _TICKS
        except (OSError, ValueError, IndexError):
            return None

else:

    def now() -> float:
        """The present in seconds: whoever is started from now on is not older."""
        return time.time()

    def birth_of(pid: int) -> float | None:
        """When it was started, in seconds; None when it is gone or nobody says."""
        import psutil  # noqa: PLC0415 - only where a test has started a child

        try:
            return psutil.Process(pid).create_time()
        except psutil.Error:
            return None
