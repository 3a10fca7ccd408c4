"""The guard on Windows: a job object whose only handle this process holds, with kill-on-close.

When this process is gone the system closes the handle and ends every process of the job. The child is started
suspended and runs only once it is in the job, so there is no moment in which our death would leave it behind.
Folders to clean up stay until ``ci-tools services reap``: nothing of ours is left alive to remove them.
"""

import sys

if sys.platform == "win32":
    import contextlib
    import ctypes
    import os
    import signal
    import subprocess
    from collections.abc import Mapping, Sequence
    from ctypes import wintypes
    from dataclasses import dataclass
    from pathlib import Path

    import psutil

    NAME = "ci-tools-guard"
    """No process has this name here: the system is the guard."""

    _END_TIMEOUT_S = 10.0  # for a killed process to be gone
    _CREATE_SUSPENDED = 0x00000004
    _JOB_OBJECT_EXTENDED_LIMIT_INFORMATION = 9
    _JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE = 0x00002000
    _PROCESS_SET_QUOTA_AND_TERMINATE = 0x0100 | 0x0001
    _KILLED = 1

    class _BasicLimits(ctypes.Structure):
        _fields_ = (
            ("PerProcessUserTimeLimit", ctypes.c_int64),
            ("PerJobUserTimeLimit", ctypes.c_int64),
            ("LimitFlags", wintypes.DWORD),
            ("MinimumWorkingSetSize", ctypes.c_size_t),
            ("MaximumWorkingSetSize", ctypes.c_size_t),
            ("ActiveProcessLimit", wintypes.DWORD),
            ("Affinity", ctypes.c_size_t),
            ("PriorityClass", wintypes.DWORD),
            ("SchedulingClass", wintypes.DWORD),
        )

    class _ExtendedLimits(ctypes.Structure):
        _fields_ = (
            ("BasicLimitInformation", _BasicLimits),
            ("IoInfo", ctypes.c_uint64 * 6),
            ("ProcessMemoryLimit", ctypes.c_size_t),
            ("JobMemoryLimit", ctypes.c_size_t),
            ("PeakProcessMemoryUsed", ctypes.c_size_t),
            ("PeakJobMemoryUsed", ctypes.c_size_t),
        )

    _kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    _kernel.CreateJobObjectW.restype = wintypes.HANDLE
    _kernel.CreateJobObjectW.argtypes = (ctypes.c_void_p, wintypes.LPCWSTR)
    _kernel.SetInformationJobObject.argtypes = (wintypes.HANDLE, ctypes.c_int, ctypes.c_void_p, wintypes.DWORD)
    _kernel.OpenProcess.restype = wintypes.HANDLE
    _kernel.OpenProcess.argtypes = (wintypes.DWORD, wintypes.BOOL, wintypes.DWORD)
    _kernel.AssignProcessToJobObject.argtypes = (wintypes.HANDLE, wintypes.HANDLE)
    _kernel.TerminateJobObject.argtypes = (wintypes.HANDLE, wintypes.UINT)
    _kernel.CloseHandle.argtypes = (wintypes.HANDLE,)

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Launched:
        """A child and the job that it runs in."""

        child: subprocess.Popen[bytes]
        job: int

        @property
        def pid(self) -> int:
            """The child's pid."""
            return self.child.pid

        @property
        def guard_pid(self) -> int:
            """No process guards: the system itself does."""
            return 0

    def launch(
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        output: Path,
        end_signal: str,  # noqa: ARG001 - Windows knows one way to end a job; asked with Ctrl-Break, see ask()
        grace_s: float,  # noqa: ARG001 - the system ends the job at once
        cleanup: tuple[Path, ...],  # noqa: ARG001 - see the module's text
        user: int | None,  # noqa: ARG001 - POSIX only
        group: int | None,  # noqa: ARG001 - POSIX only
    ) -> Launched:
        """Start the child suspended, put it into a job that dies with us, and let it run."""
        job = _new_job()
        child: subprocess.Popen[bytes] | None = None
        try:
            with output.open("ab") as sink:
                child = subprocess.Popen(
                    list(argv),
                    stdin=subprocess.DEVNULL,
                    stdout=sink,
                    stderr=subprocess.STDOUT,
                    cwd=cwd,
                    env=dict(env),
                    creationflags=_CREATE_SUSPENDED | subprocess.CREATE_NEW_PROCESS_GROUP,
                )
            _assign(job, child.pid)
            psutil.Process(child.pid).resume()
        except BaseException:
            if child is not None:
                child.kill()
                child.wait(_END_TIMEOUT_S)
            _kernel.CloseHandle(job)
            raise
        return Launched(child=child, job=job)

    def returncode(launched: Launched) -> int | None:
        """The child's return code; None while it runs."""
        return launched.child.poll()

    def wait(launched: Launched, timeout_s: float) -> int | None:
        """The return code, or None when the child still runs after ``timeout_s``."""
        try:
            return launched.child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def ask(launched: Launched, end_signal: str) -> None:  # noqa: ARG001 - one way to ask on Windows
        """Send Ctrl-Break to the child's group; a server without a console does not hear it and is killed after the grace."""
        with contextlib.suppress(OSError):
            os.kill(launched.pid, signal.CTRL_BREAK_EVENT)

    def kill(launched: Launched) -> None:
        """End every process of the job."""
        _kernel.TerminateJobObject(launched.job, _KILLED)

    def reap(launched: Launched) -> int:
        """The return code of the child that was ended."""
        return launched.child.wait(_END_TIMEOUT_S)

    def release(launched: Launched) -> None:
        """Close the job."""
        _kernel.CloseHandle(launched.job)

    def may_have_children(pid: int) -> bool:  # noqa: ARG001 - whoever asks has to look
        """Nothing cheaper tells than psutil."""
        return True

    def guard_pids() -> set[int]:
        """No process guards on Windows."""
        return set()

    def _new_job() -> int:
        job = _kernel.CreateJobObjectW(None, None)
        if not job:
            raise ctypes.WinError(ctypes.get_last_error())
        limits = _ExtendedLimits()
        limits.BasicLimitInformation.LimitFlags = _JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
        is_set = _kernel.SetInformationJobObject(
            job, _JOB_OBJECT_EXTENDED_LIMIT_INFORMATION, ctypes.byref(limits), ctypes.sizeof(limits)
        )
        if not is_set:
            error = ctypes.WinError(ctypes.get_last_error())
            _kernel.CloseHandle(job)
            raise error
        return int(job)

    def _assign(job: int, pid: int) -> None:
        handle = _kernel.OpenProcess(_PROCESS_SET_QUOTA_AND_TERMINATE, False, pid)  # noqa: FBT003 - the system call's own argument
        if not handle:
            raise ctypes.WinError(ctypes.get_last_error())
        try:
            if not _kernel.AssignProcessToJobObject(job, handle):
                raise ctypes.WinError(ctypes.get_last_error())
        finally:
            _kernel.CloseHandle(handle)
