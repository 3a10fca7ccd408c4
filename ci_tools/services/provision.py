"""Provision: every service that is wanted, one piece of it for each worker; stopped in reverse."""

import contextlib
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, Self

from ci_tools.errors import ServiceError
from ci_tools.model.service import Endpoint, Isolation, Provenance, Provider, ServiceKind, ServiceSpec
from ci_tools.model.worker import Slot
from ci_tools.services import leftovers
from ci_tools.services.discovery import discover_redis
from ci_tools.services.redis import DEFAULT_PORT, RedisServer, redis_endpoint
from ci_tools.services.variables import adopted_variable

DATABASE = "ci_tools_{number}"
"""What a worker's own database of a PostgreSQL of ours is called."""

__all__ = ["Provision", "ServiceError", "provide"]


class _Server(Protocol):
    def start(self) -> Endpoint: ...

    def stop(self) -> None: ...


class Provision:
    """Running services. As a context manager it stops them, last first, and leaves adopted ones as they were."""

    def __init__(self, slots: tuple[Slot, ...], stack: contextlib.ExitStack) -> None:
        self.slots = slots
        self._stack = stack

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def provenances(self) -> tuple[Provenance, ...]:
        """Where each server came from, in the order of the slots; a shared one once."""
        return tuple(dict.fromkeys(endpoint.provenance for slot in self.slots for endpoint in slot.endpoints))

    def close(self) -> None:
        """Stop what was started here, and clear away what dead runs left; twice is the same as once."""
        self._stack.close()
        leftovers.prune()


def provide(
    specs: Sequence[ServiceSpec], *, environ: Mapping[str, str], folder: Path | None, slots: int = 1, is_ci: bool = False
) -> Provision:
    """Adopt or start every service of ``specs`` for ``slots`` workers; logs go into ``folder``, or end with their servers.

    A service that cannot be had is a ServiceError, never a skip. On an error nothing is left running.
    """
    with contextlib.ExitStack() as stack:
        try:
            columns = [_provide_one(spec, stack, environ=environ, folder=folder, slots=slots) for spec in specs]
        except ServiceError as error:
            raise _in_ci(error) if is_ci else error from error.__cause__
        made = tuple(_slot(number, [column[number] for column in columns]) for number in range(slots))
        return Provision(made, stack.pop_all())


def _in_ci(error: ServiceError) -> ServiceError:
    return ServiceError(
        error.what,
        details=[*error.details, "in CI a missing service is an error, never a skip"],
        hint=error.hint,
    )


def _slot(index: int, endpoints: list[Endpoint]) -> Slot:
    environment = {name: value for endpoint in endpoints for name, value in endpoint.environment.items()}
    return Slot(number=index + 1, endpoints=tuple(endpoints), environment=environment)


def _provide_one(
    spec: ServiceSpec, stack: contextlib.ExitStack, *, environ: Mapping[str, str], folder: Path | None, slots: int
) -> tuple[Endpoint, ...]:
    match spec.kind:
        case ServiceKind.REDIS:
            return _provide_redis(spec, stack, environ=environ, folder=folder, slots=slots)
        case ServiceKind.POSTGRES:
            return _provide_postgres(spec, stack, environ=environ, folder=folder, slots=slots)


def _is_adopted(spec: ServiceSpec, environ: Mapping[str, str]) -> bool:
    return bool(environ.get(adopted_variable(spec.kind))) and (not spec.providers or Provider.ADOPTED in spec.providers)


def _not_adopted(spec: ServiceSpec) -> list[str]:
    if spec.providers and Provider.ADOPTED not in spec.providers:
        return []
    return [f"adopted: {adopted_variable(spec.kind)} is not set"]


def _provide_redis(
    spec: ServiceSpec, stack: contextlib.ExitStack, *, environ: Mapping[str, str], folder: Path | None, slots: int
) -> tuple[Endpoint, ...]:
    if _is_adopted(spec, environ):
        from ci_tools.services.adopted_redis import AdoptedRedis  # noqa: PLC0415 - the client library takes 0.1 s to import

        adopted = AdoptedRedis(environ[adopted_variable(spec.kind)], spec)
        stack.callback(adopted.close)
        return adopted.endpoints(slots)
    tried = _not_adopted(spec)
    binary = discover_redis(spec, environ=environ, tried=tried)
    count = slots if spec.chosen_isolation is Isolation.SERVER else 1
    servers = [
        RedisServer(
            spec,
            binary,
            log=folder / f"redis-{number}.log" if folder else None,
            tried=tried,
            port=(spec.port or DEFAULT_PORT) if number == 1 else None,
        )
        for number in range(1, count + 1)
    ]
    for server in servers:
        stack.callback(server.stop)
    endpoints = _start_together(servers)
    match spec.chosen_isolation:
        case Isolation.SERVER:
            return tuple(endpoints)
        case Isolation.SHARED:
            return (endpoints[0],) * slots
        case Isolation.DATABASE:
            one = endpoints[0]
            return tuple(
                redis_endpoint(spec, one.provenance, password=one.password, socket_path=one.socket_path, database=index)
                for index in range(slots)
            )


def _provide_postgres(
    spec: ServiceSpec, stack: contextlib.ExitStack, *, environ: Mapping[str, str], folder: Path | None, slots: int
) -> tuple[Endpoint, ...]:
    if _is_adopted(spec, environ):
        from ci_tools.services.adopted_postgres import AdoptedPostgres  # noqa: PLC0415 - few runs adopt

        adopted = AdoptedPostgres(environ[adopted_variable(spec.kind)], spec)
        stack.callback(adopted.close)
        return adopted.endpoints(slots)
    from ci_tools.services import databases, postgres  # noqa: PLC0415 - who wants no PostgreSQL does not wait for its imports

    tried = _not_adopted(spec)
    installation = postgres.find_installation(spec, environ=environ, tried=tried)
    count = slots if spec.chosen_isolation is Isolation.SERVER else 1
    servers = [
        postgres.PostgresServer(
            spec,
            installation,
            log=folder / f"postgres-{number}.log" if folder else None,
            tried=tried,
            port=(spec.port or postgres.DEFAULT_PORT) if number == 1 else None,
        )
        for number in range(1, count + 1)
    ]
    for server in servers:
        stack.callback(server.stop)
    endpoints = _start_together(servers)
    match spec.chosen_isolation:
        case Isolation.SERVER:
            return tuple(databases.clone(one, DATABASE.format(number=1)) for one in endpoints)
        case Isolation.SHARED:
            return (databases.clone(endpoints[0], DATABASE.format(number=1)),) * slots
        case Isolation.DATABASE:
            with databases.Databases(endpoints[0]) as found:
                return tuple(found.clone(DATABASE.format(number=number)) for number in range(1, slots + 1))


def _start_together(servers: Sequence[_Server]) -> list[Endpoint]:
    """Start all at once: most of a start is waiting. When one cannot, or we are interrupted, none is waited for."""
    first, *others = servers
    # Bare threads: a pool is imported longer than a server takes to start.
    starts = [_Start(server) for server in others]
    try:
        for start in starts:
            start.start()
        return [first.start(), *(start.result() for start in starts)]
    except BaseException:
        for server in servers:
            server.stop()
        for start in starts:
            if start.ident is not None:
                start.join()
        raise


class _Start(threading.Thread):
    """The start of one server beside others."""

    def __init__(self, server: _Server) -> None:
        super().__init__(name="ci-tools-start", daemon=True)
        self._server = server
        self._endpoint: Endpoint | None = None
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._endpoint = self._server.start()
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
            self._error = error

    def result(self) -> Endpoint:
        """Where it answers; what kept it from that is raised."""
        self.join()
        if self._endpoint is None:
            raise self._error or RuntimeError("a start ended with neither a server nor an error")
        return self._endpoint
