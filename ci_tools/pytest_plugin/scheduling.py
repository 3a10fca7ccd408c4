"""Scheduling: pytest-xdist's schedulers of whole files, classes and groups, mended where a worker dies.

pytest-xdist 3.8 gives the test that killed its worker to the next worker, and again to the one after it, until no more are
started: nine times with two workers. It hands out units in which nothing is left to run, and waits for their end; and it ends
all with an internal error when two workers die at about the same time.

It reads groups from a suffix that it writes to each test's ID, which pytest 9.2 no longer lets it do: there ``--dist loadgroup``
alone spreads a group over all workers and says nothing. Here they are the plan's.
"""

from collections.abc import Generator, Mapping
from typing import Any

import pytest
from xdist.scheduler import (  # type: ignore[import-untyped] # it ships no types
    LoadFileScheduling,
    LoadGroupScheduling,
    LoadScopeScheduling,
)


class _Scopes(LoadScopeScheduling):  # type: ignore[misc] # as above
    """What killed its worker has had its turn; the rest of its unit goes to another worker."""

    def remove_node(self, node: Any) -> str | None:  # noqa: ANN401 - xdist's WorkerController
        """The test in flight, if the worker died in one; its unit is queued again without it."""
        workload = self.assigned_work.pop(node)
        killer = next(((unit, name) for unit in workload.values() for name, is_over in unit.items() if not is_over), None)
        if killer is None:
            return None
        unit, name = killer
        unit[name] = True
        self.workqueue.update({scope: unit for scope, unit in workload.items() if not all(unit.values())})
        for other in self.assigned_work:
            self._reschedule(other)
        return str(name)

    def _reschedule(self, node: Any) -> None:  # noqa: ANN401 - as above
        """A worker begins its last test only when it has another one, or is told that there is none.

        A worker that is there and has not said yet what it collected gets its work once it has.
        """
        if node not in self.registered_collections:
            return
        super()._reschedule(node)
        while self.workqueue and not node.shutting_down and self._pending_of(self.assigned_work[node]) <= 1:
            self._assign_work_unit(node)


class _Files(_Scopes, LoadFileScheduling):  # type: ignore[misc] # as above
    """The same for whole files."""


class _Suffixes(_Scopes, LoadGroupScheduling):  # type: ignore[misc] # as above
    """The same for groups that are known by their suffix only."""


class _Groups(_Scopes):
    """A group of the plan is what LoadScopeScheduling calls a scope; a test without one is alone in its own."""

    def __init__(self, config: pytest.Config, log: Any, groups: Mapping[str, str]) -> None:  # noqa: ANN401 - xdist's Producer
        super().__init__(config, log)
        self._groups = groups

    def _split_scope(self, nodeid: str) -> str:
        name = nodeid if nodeid in self._groups else nodeid.rpartition("@")[0]
        return f"group {self._groups[name]}" if name in self._groups else nodeid


class Scheduling:
    """Gives the controller its scheduler. One that the user wrote stays, and so do those that have no units."""

    def __init__(self, groups: Mapping[str, str]) -> None:
        self._groups = groups

    @pytest.hookimpl(wrapper=True, optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Generator[None, object, object]:  # noqa: ANN401 - as above
        """Ours in the place of pytest-xdist's own."""
        made = yield
        kind = type(made)
        if kind is LoadGroupScheduling and self._groups:
            return _Groups(config, log, self._groups)
        mended = {LoadScopeScheduling: _Scopes, LoadFileScheduling: _Files, LoadGroupScheduling: _Suffixes}.get(kind)
        return mended(config, log) if mended else made
