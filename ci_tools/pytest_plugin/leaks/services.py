"""What a test leaves on the servers that it declares and that are this worker's own: see ``traces`` for the kinds.

One question for each such test and server, after its tear-down; the answer is the next test's "before". A test in which a
wider fixture was set up or torn down is not judged: what changed may be the fixture's, by right.
"""

import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytest

from ci_tools.model.case import Leak, Phase
from ci_tools.model.service import ServiceKind
from ci_tools.pytest_plugin.clock import CLOCK
from ci_tools.pytest_plugin.failures import Project
from ci_tools.pytest_plugin.guard import Guard
from ci_tools.pytest_plugin.leaks.finding import Findings
from ci_tools.pytest_plugin.leaks.traces import (
    HINTS,
    KEY,
    KINDS,
    SUBSCRIPTION,
    Probe,
    Trace,
    connection_of,
    is_of_this_process,
    listener_of,
    made_of,
)
from ci_tools.pytest_plugin.owners import frames_of_site
from ci_tools.pytest_plugin.ownership import Ownership, unowned
from ci_tools.pytest_plugin.position import test_id_of
from ci_tools.pytest_plugin.provisioning import Provisioning
from ci_tools.pytest_plugin.reach import holder_of, keeper_of
from ci_tools.pytest_plugin.selection import services_of

__all__ = ["KINDS", "ServiceGuard"]

SETTLE_S = 0.2
"""A session that was told to end gets this long, only where something looks left."""
_POLL_S = 0.01
_MOST_KEYS_NAMED = 5
_PROBED = {kind.value: kind for kind in (ServiceKind.REDIS, ServiceKind.POSTGRES)}


class ServiceGuard(Guard):
    """Compares the servers before and after a test that declares them."""

    begins_in = (Phase.SETUP,)
    ends_in = (Phase.TEARDOWN,)
    follows_function_fixtures = False

    def __init__(
        self,
        ownership: Ownership,
        findings: Findings,
        project: Project,
        provisioning: Provisioning,
        say_asked: Callable[[str], None] | None,
    ) -> None:
        self._ownership = ownership
        self._findings = findings
        self._project = project
        self._provisioning = provisioning
        self._say_asked = say_asked
        self._probes: dict[str, Probe] = {}
        self._known: dict[str, Mapping[str, Trace]] = {}
        self._asked: list[str] = []
        self._is_shared_change = False

    def begin_phase(self, item: pytest.Item, phase: Phase) -> None:
        """The first test that declares a service finds out what was there before it."""
        if phase is not Phase.SETUP:
            return
        self._is_shared_change = False
        declared = services_of(item)
        self._asked = [name for name in declared if name in _PROBED and self._probe(name) is not None] if declared else []
        for name in self._asked:
            if name not in self._known:
                self._look(name)

    def begin_fixture(self, fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest) -> None:
        """What a wider fixture leaves is there for others."""
        self._is_shared_change = True

    def finish_fixture(self, fixturedef: pytest.FixtureDef[object]) -> None:
        """And what it takes back when it ends was its own."""
        self._is_shared_change = True

    def end_phase(self, item: pytest.Item, phase: Phase, error: BaseException | None) -> BaseException | None:
        """After the tear-down the servers are as they were."""
        if phase is Phase.TEARDOWN:
            for name in self._asked:
                self._compare(name, item)
        return error

    def remove(self) -> None:
        """Close our connections."""
        for probe in self._probes.values():
            probe.close()
        self._probes.clear()

    def _probe(self, name: str) -> Probe | None:
        known = self._probes.get(name)
        endpoint = self._provisioning.counted(_PROBED[name]) if known is None else None
        if endpoint is not None:
            # The probes are imported where a test declares their service.
            if name == ServiceKind.REDIS:
                from ci_tools.pytest_plugin.leaks.redis_traces import RedisProbe  # noqa: PLC0415 - as said

                known = RedisProbe(endpoint, with_keys=self._findings.is_on(KEY))
            else:
                from ci_tools.pytest_plugin.leaks.postgres_traces import PostgresProbe  # noqa: PLC0415 - as said

                known = PostgresProbe(endpoint, is_alone=self._provisioning.is_alone(ServiceKind.POSTGRES))
            self._probes[name] = known
        return known

    @unowned()
    def _look(self, name: str) -> Mapping[str, Trace] | None:
        found = self._probes[name].look()
        if self._say_asked is not None:
            self._say_asked(name)  # what a test did is counted by the server, and this is not the test
        if found is None:
            self._known.pop(name, None)
        else:
            self._known[name] = found
        return found

    def _compare(self, name: str, item: pytest.Item) -> None:
        before = self._known.get(name)
        now = self._look(name)
        if now is None or before is None:
            return
        if self._is_shared_change:
            self._probes[name].accept()
            self._look(name)
            return
        new = [key for key in now if key not in before]
        deadline = CLOCK.monotonic() + SETTLE_S
        while new and CLOCK.monotonic() < deadline:
            threading.Event().wait(_POLL_S)
            now = self._look(name) or {}
            new = [key for key in new if key in now]
        if new:
            self._report([now[key] for key in new], item)
            self._look(name)

    def _report(self, traces: list[Trace], item: pytest.Item) -> None:
        keys = [trace for trace in traces if trace.kind == KEY]
        if keys:
            more = f" and {len(keys) - _MOST_KEYS_NAMED} more" if len(keys) > _MOST_KEYS_NAMED else ""
            names = ", ".join(trace.what.rpartition(": ")[2] for trace in keys[:_MOST_KEYS_NAMED])
            what = f"{len(keys)} key(s) without expiry left in redis: {names}{more}"
            self._findings.add(Leak(kind=KEY, what=what, owner=test_id_of(item), hint=HINTS[KEY]), partial(self._take, keys))
        for trace in traces:
            if trace.kind == KEY or not is_of_this_process(trace):
                continue
            listener = listener_of(trace.port) if trace.kind == SUBSCRIPTION else None
            connection = made_of(listener, self._ownership) or connection_of(trace, self._ownership)
            kept = self._kept(listener or (connection.thing if connection is not None else None), item)
            if trace.kind == SUBSCRIPTION and kept is not None:
                continue  # somebody who lives longer listens
            is_over = connection is not None and connection.owner in self._ownership.over()
            created, stack = frames_of_site(connection.made.site, self._project) if connection and is_over else (None, "")
            owner = connection.owner.label if connection is not None and is_over else test_id_of(item)
            leak = Leak(
                kind=trace.kind, what=trace.what, created=created, created_stack=stack, owner=owner, hint=HINTS[trace.kind]
            )
            if self._findings.is_on(trace.kind):
                self._findings.add(leak, partial(self._take, [trace], kept))

    @unowned()
    def _take(self, traces: list[Trace], kept: object = None) -> str:
        return next((note for note in [trace.take(kept) for trace in traces] if note), "")

    def _kept(self, thing: object, item: pytest.Item) -> Any:  # noqa: ANN401 - a client's own
        """What of the session lives on in a fixture or a module: its listener, or its connection."""
        if thing is None:
            return None
        values = self._ownership.living_values()
        is_kept = any(thing is value for value in values) or holder_of(thing, values) or keeper_of(thing, {str(item.path)})
        return thing if is_kept else None
