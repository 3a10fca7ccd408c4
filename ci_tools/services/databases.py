"""Databases of a PostgreSQL: cloned from a template, dropped, asked; by anybody who knows an endpoint of the server."""

import os
import re
from dataclasses import replace
from urllib.parse import parse_qs, quote, urlsplit

from ci_tools.errors import ServiceError
from ci_tools.model.service import Endpoint, Provenance, ServiceKind
from ci_tools.services import pgwire, readiness

URL_VARIABLE = "DATABASE_URL"
PLAIN_TEMPLATE = "template1"

_CLONE_TIMEOUT_S = 60.0
_WITH_STRATEGY = 15  # CREATE DATABASE … STRATEGY came with 15
_MAINTENANCE_DATABASE = "postgres"
_NOT_FOR_US = frozenset({"3D000", "42501"})  # no such database; no right to connect to it
_TLS_MODES = frozenset({"require", "verify-ca", "verify-full"})


def clone(endpoint: Endpoint, name: str, *, template: str = PLAIN_TEMPLATE) -> Endpoint:
    """Create a database as a copy of ``template``, which nobody may be connected to; its endpoint.

    Copied as files where the server knows how (15 and later): with durability off that is faster than through the log.
    """
    with _Session(endpoint, f"database {name} cannot be created") as connection:
        has_strategy = int(re.split(r"\D", connection.parameters["server_version"])[0]) >= _WITH_STRATEGY
        strategy = " STRATEGY FILE_COPY" if has_strategy else ""
        connection.query(f"CREATE DATABASE {pgwire.quote_name(name)} TEMPLATE {pgwire.quote_name(template)}{strategy}")
    return at(endpoint, name)


def drop(endpoint: Endpoint, name: str) -> None:
    """Drop a database of the server, ending whoever is connected to it; one that is not there is no error."""
    with _Session(endpoint, f"database {name} cannot be dropped") as connection:
        connection.query(f"DROP DATABASE IF EXISTS {pgwire.quote_name(name)} WITH (FORCE)")


def recreate(endpoint: Endpoint, *, template: str = PLAIN_TEMPLATE) -> None:
    """Make the endpoint's own database as new: dropped, whoever is connected, and cloned again."""
    drop(endpoint, endpoint.database)
    clone(endpoint, endpoint.database, template=template)


def at(endpoint: Endpoint, database: str) -> Endpoint:
    """The endpoint of another database of the same server."""
    return endpoint_of(
        endpoint.provenance,
        user=endpoint.username,
        password=endpoint.password,
        database=database,
        socket_path=endpoint.socket_path,
        url_variable=next(iter(endpoint.environment), ""),
        query=urlsplit(endpoint.url).query,
    )


def endpoint_of(
    provenance: Provenance,
    *,
    user: str,
    password: str,
    database: str,
    socket_path: str = "",
    url_variable: str = "",
    query: str = "",
) -> Endpoint:
    """The endpoint of a database."""
    host = f"[{provenance.host}]" if ":" in provenance.host else provenance.host
    where = f"{host}:{provenance.port}/{quote(database, safe='')}{'?' if query else ''}{query}"
    secret = f":{quote(password, safe='')}" if password else ""
    url = f"postgresql://{quote(user, safe='')}{secret}@{where}"
    return Endpoint(
        kind=ServiceKind.POSTGRES,
        url=url,
        masked_url=f"postgresql://{quote(user, safe='')}{':***' if secret else ''}@{where}",
        host=provenance.host,
        port=provenance.port,
        provenance=provenance,
        username=user,
        password=password,
        database=database,
        socket_path=socket_path,
        environment={url_variable or URL_VARIABLE: url},
    )


def target_of(endpoint: Endpoint, *, timeout_s: float = 5.0, session: str = "ci-tools") -> pgwire.Target:
    """How to connect to an endpoint: by TCP, as tests do, with TLS where the URL's ``sslmode`` demands it.

    ``session`` is the name under which the server lists the connection.
    """
    modes = parse_qs(urlsplit(endpoint.url).query).get("sslmode", [])
    return pgwire.Target(
        host=endpoint.host,
        port=endpoint.port,
        user=endpoint.username,
        password=endpoint.password,
        database=endpoint.database,
        with_tls=any(mode in _TLS_MODES for mode in modes),
        timeout_s=timeout_s,
        session=session,
    )


class _Session:
    """A connection whose every failure is a ServiceError that says what was being done."""

    def __init__(self, endpoint: Endpoint, what: str) -> None:
        self._endpoint = endpoint
        self._what = what

    def __enter__(self) -> pgwire.PostgresConnection:
        try:
            self._connection = self._connect()
        except (OSError, pgwire.PostgresError) as error:
            raise self._failure(error) from error
        self._connection.set_timeout(_CLONE_TIMEOUT_S)
        return self._connection

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        self._connection.close()
        if isinstance(error, (OSError, pgwire.PostgresError)):
            raise self._failure(error) from error

    def _connect(self) -> pgwire.PostgresConnection:
        """From the maintenance database, so that the endpoint's own can be dropped; from its own where there is no other."""
        target = replace(target_of(self._endpoint), database=_MAINTENANCE_DATABASE)
        if os.access(self._endpoint.socket_path, os.W_OK):
            # Who may enter the home of a server of ours is trusted there: no password, no time for one.
            return pgwire.connect(replace(target, socket_path=self._endpoint.socket_path))
        try:
            return pgwire.connect(target)
        except pgwire.PostgresError as error:
            if error.code not in _NOT_FOR_US:
                raise
            return pgwire.connect(target_of(self._endpoint))

    def _failure(self, error: BaseException) -> ServiceError:
        return ServiceError(
            f"{self._what} on {self._endpoint.host}:{self._endpoint.port}: {readiness.explain(error)}",
            hint="the account needs the right CREATEDB, and a template nobody else is connected to",
        )
