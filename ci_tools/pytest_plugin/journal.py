"""The journal's writer: one line per event, given to the kernel at once, so that it survives any way to die."""

import os
import threading
import weakref
from collections.abc import Callable
from pathlib import Path

from ci_tools.model.journal import STACKS_SUFFIX, CostsMeasured, Event, TestsCollected, render_event


def journal_name(*, shard_slug: str, worker: str, pid: int) -> str:
    """The file name of one process: ``journal-2-of-4-gw1-4123.jsonl``."""
    return f"journal-{shard_slug}-{worker}-{pid}.jsonl"


_WRITE = os.write  # a test may put a fake in its place
_OPEN: "weakref.WeakSet[Journal]" = weakref.WeakSet()


class Journal:
    """An append-only file of events, written by the process that opened it and by no child of its.

    ``mask`` takes the secrets out of a line before it is written: whoever is killed can do it no more.
    """

    def __init__(self, path: Path, mask: Callable[[str], str] = str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._mask = mask
        # O_APPEND and one write for a whole line: lines of several threads never mix, and nothing waits in a buffer.
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o644)
        self._is_open = True
        self._lock = threading.Lock()
        _OPEN.add(self)

    @property
    def stacks_path(self) -> Path:
        """Where the dead man's switch writes."""
        return self.path.with_suffix(STACKS_SUFFIX)

    def write(self, *events: Event) -> None:
        """Put events down that belong together."""
        self.write_text("".join([self._line(event) + "\n" for event in events]))

    def _line(self, event: Event) -> str:
        line = render_event(event)
        # Megabytes of test IDs and figures: nothing in them that may be masked.
        return line if isinstance(event, (TestsCollected, CostsMeasured)) else self._mask(line)

    def write_text(self, text: str) -> None:
        """Put rendered events down, each with its newline, which hold nothing but IDs and figures.

        A closed journal, a forked child and a full disk take nothing.
        """
        if not self._is_open:
            return
        line = text.encode("ascii")
        try:
            written = _WRITE(self._descriptor, line)
            while written < len(line):  # a signal or a full pipe cut it: rare enough to accept a torn line
                line = line[written:]
                written = _WRITE(self._descriptor, line)
        except OSError:
            # The code under test closed our descriptor: open the file again, once, and go on.
            self._reopen(line)

    def close(self) -> None:
        """Write nothing any more."""
        if self._is_open:
            self._is_open = False
            try:
                os.close(self._descriptor)
            except OSError:
                return

    def _reopen(self, line: bytes) -> None:
        with self._lock:
            try:
                self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o644)
                _WRITE(self._descriptor, line)
            except OSError:
                return

    def silence(self) -> None:
        """In a forked child: what is written there is no part of this process's story."""
        self._is_open = False


def _silence_all() -> None:
    for journal in tuple(_OPEN):
        journal.silence()


if hasattr(os, "register_at_fork"):  # told once, instead of asking for the process's number at each line
    os.register_at_fork(after_in_child=_silence_all)
