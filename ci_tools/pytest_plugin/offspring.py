"""Offspring: the children that a test starts, by whatever means, as its owners' records have them."""

from collections.abc import Mapping

from ci_tools.model.case import Phase
from ci_tools.pytest_plugin.leaks.detached import pid_of
from ci_tools.pytest_plugin.ownership import Ownership


class Offspring:
    """The meter of a declared ``process``: each start counts; whether a wider fixture's child was spoken to, nobody knows."""

    def __init__(self, ownership: Ownership) -> None:
        self._ownership = ownership
        self._before = 0

    def begin(self) -> bool:
        """Starts from now on are counted."""
        self._before = self.started()
        return True

    def measure(self) -> Mapping[str, int]:
        """Starts since the last ``begin`` or ``measure``."""
        before, self._before = self._before, self.started()
        return {"starts": max(self._before - before, 0)}

    def started(self) -> int:
        """Children started by the running test, by what has ended with it, and by the fixtures that live on."""
        count = 0
        for owner in self._ownership.owners():
            for made in owner.made:  # no generator: a step of one for each thing that a suite's fixtures keep open
                if made.kind == "process":
                    count += 1
        return count

    def is_blind(self, phase: Phase) -> bool:
        """Whether a child of a wider fixture lives."""
        pids = [pid_of(made) for owner in self._ownership.fixtures.values() for made in owner.made if made.kind == "process"]
        if not any(pids):
            return False
        import psutil  # noqa: PLC0415 - only where a fixture has children

        return any(psutil.pid_exists(pid) for pid in pids if pid)

    def close(self) -> None:
        """Nothing is kept open."""
