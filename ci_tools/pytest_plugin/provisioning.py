"""Provisioning: where this process's services answer, given by the order's slot or, under bare pytest, started when needed."""

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ci_tools.errors import CIToolsError
from ci_tools.model.case import Phase
from ci_tools.model.service import Endpoint, Isolation, ServiceKind, ServiceSpec
from ci_tools.pytest_plugin.assignment import may_be_configured
from ci_tools.pytest_plugin.guard import Guard
from ci_tools.pytest_plugin.marks import SERVICE
from ci_tools.pytest_plugin.ownership import unowned
from ci_tools.pytest_plugin.selection import services_of
from ci_tools.pytest_plugin.slots import Claim

if TYPE_CHECKING:
    from ci_tools.services.redis import RedisServer

_KINDS = {kind.value: kind for kind in ServiceKind}
_LOCAL = frozenset({"127.0.0.1", "::1", "localhost"})
_HOST_AND_PORT = 2


class Provisioning(Guard):
    """The services of one process. Nothing is started before a test or fixture needs it; all is stopped at the end."""

    mark = SERVICE
    begins_in = (Phase.SETUP,)

    def __init__(self, root: Path, claim: Claim | None) -> None:
        self._root = root
        self._claim = claim
        self._endpoints: dict[ServiceKind, Endpoint] = {}
        self._exclusive: set[ServiceKind] = set()
        self._specs: tuple[ServiceSpec, ...] | None = None
        self._stack = ExitStack()
        self.own_servers = 0
        """How many servers tests have been given for themselves: their use is not counted."""
        if claim is not None:
            for endpoint in claim.slot.endpoints:
                self._endpoints[endpoint.kind] = endpoint
                # PostgreSQL counts by database, Redis only by server.
                if claim.owns(endpoint) if endpoint.kind is ServiceKind.POSTGRES else claim.exclusive(endpoint):
                    self._exclusive.add(endpoint.kind)

    def endpoint(self, kind: ServiceKind) -> Endpoint:
        """Where the service answers; started now if nobody has, with its environment set. UsageError when it cannot be had."""
        known = self._endpoints.get(kind)
        if known is not None:
            return known
        from ci_tools.services.provision import provide  # noqa: PLC0415 - most processes start no service

        try:
            with unowned():
                provision = self._stack.enter_context(
                    provide([self._spec(kind)], environ=os.environ, folder=None, slots=1),
                )
        except CIToolsError as error:
            raise pytest.UsageError(str(error)) from error
        slot = provision.slots[0]
        with unowned():  # for the rest of the process: no fixture's and no test's
            os.environ.update(slot.environment)
        self._endpoints[kind] = slot.endpoints[0]
        self._exclusive.add(kind)
        return slot.endpoints[0]

    def counted(self, kind: ServiceKind) -> Endpoint | None:
        """The endpoint whose server (of PostgreSQL: database) only this process talks to: what it counts is ours."""
        return self._endpoints.get(kind) if kind in self._exclusive else None

    def answers_at(self, address: object) -> bool:
        """Whether a socket's address, host and port, is one of a service that runs for this process."""
        if not isinstance(address, tuple) or len(address) < _HOST_AND_PORT:
            return False
        host, port = address[:2]
        for endpoint in self._endpoints.values():  # noqa: SIM110 - a generator costs as much again, for each connection
            if port == endpoint.port and (host == endpoint.host or host in _LOCAL):
                return True
        return False

    def is_alone(self, kind: ServiceKind) -> bool:
        """Whether the whole server is this process's own, so that its settings are changed by nobody else."""
        endpoint = self.counted(kind)
        return endpoint is not None and (self._claim is None or self._claim.exclusive(endpoint))

    def demand_own(self, kind: ServiceKind, fixture: str) -> None:
        """UsageError where workers share one database: a fixture that empties it would take it from under another's test."""
        if self._spec(kind).chosen_isolation is Isolation.SHARED:
            what = (
                f"{fixture} needs a database of this worker's own, and [tool.ci-tools.services.{kind}] has isolation = 'shared'"
            )
            raise pytest.UsageError(f"{what}; choose 'database' or 'server', or let the test clean up what is its own")

    def new_redis(self, name: str) -> "RedisServer":
        """A started server of the caller's own."""
        from ci_tools.services.redis import start_redis  # noqa: PLC0415 - as above

        try:
            with unowned():
                server = start_redis(self._spec(ServiceKind.REDIS), environ=os.environ, folder=None, name=name)
        except CIToolsError as error:
            raise pytest.UsageError(str(error)) from error
        self.own_servers += 1
        return server

    def begin_phase(self, item: pytest.Item, phase: Phase) -> None:
        """Under bare pytest: start what the test declares, before its fixtures ask the environment for it."""
        if self._claim is not None or phase is not Phase.SETUP:
            return
        for name in services_of(item):
            kind = _KINDS.get(name)
            if kind is not None and kind not in self._endpoints and not self._is_given(kind):
                self.endpoint(kind)

    def remove(self) -> None:
        """Stop what was started here."""
        self._stack.close()
        if self._claim is not None:
            self._claim.release()

    def _is_given(self, kind: ServiceKind) -> bool:
        """Whether the person who runs pytest has said where the service is."""
        spec = self._spec(kind)
        usual = {ServiceKind.REDIS: "REDIS_URL", ServiceKind.POSTGRES: "DATABASE_URL"}[kind]
        return bool(os.environ.get(spec.url_variable or usual))

    def _spec(self, kind: ServiceKind) -> ServiceSpec:
        if self._specs is None:
            self._specs = _configured_specs(self._root)
        return next((spec for spec in self._specs if spec.kind is kind), ServiceSpec(kind=kind))


def _configured_specs(root: Path) -> tuple[ServiceSpec, ...]:
    if not may_be_configured(root):
        return ()
    from ci_tools.config.load import load  # noqa: PLC0415 - only where there is a table to read

    return load(root).services
