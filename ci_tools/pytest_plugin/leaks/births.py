"""When processes were started, on one clock with our own: process numbers begin again, so they tell nothing of age."""

import os
import sys
import time

if sys.platform == "linux":
    _TICKS = os.sysconf("SC_CLK_TCK")
    _NS = 1_000_000_000
    _FLAGS, _START = 6, 19
    """Which of the fields behind the name in ``/proc/PID/stat`` these are (proc_pid_stat(5): the 9th and the 22nd of all)."""
    _OF_KERNEL = 0x0020_0000
    """The flag of the kernel's own threads, which come and go all the time (``PF_KTHREAD`` in linux/sched.h)."""

    def now() -> float:
        """The present in seconds, cut to the grain of ``birth_of``: whoever is started from now on is not older."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) * _TICKS // _NS / _TICKS

    def birth_of(pid: int) -> float | None:
        """When it was started, in seconds; None when it is gone, nobody says, or it is the kernel's own."""
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - asked of every process there is
                fields = file.read().rpartition(b")")[2].split()
            return None if int(fields[_FLAGS]) & _OF_KERNEL else int(fields[_START]) / _TICKS
        except (OSError, ValueError, IndexError):
            return None

    def may_have_inherited(pid: int, text: bytes) -> bool:
        """Whether it may have this in its environment: it has, or is just becoming its program and has none yet."""
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123 - as above
                environment = file.read()
        except OSError:
            return False
        return not environment or text in environment

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

    def may_have_inherited(pid: int, text: bytes) -> bool:  # noqa: ARG001 - one question for all systems
        """Whether it may have this in its environment: here there is no cheaper way than to ask psutil for all of it."""
        return True
