"""Databases of a PostgreSQL: cloned from a template, dropped, asked; by anybody who knows an endpoint of the server."""

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Self
from urllib.parse import parse_qsl, quote, urlsplit

from ci_tools.errors import ServiceError
from ci_tools.model.service import Endpoint, Provenance, ServiceKind
from ci_tools.services import pgwire, readiness

URL_VARIABLE = "DATABASE_URL"
PLAIN_TEMPLATE = "template1"

_CLONE_TIMEOUT_S = 60.0
_WITH_STRATEGY = 15  # CREATE DATABASE … STRATEGY came with 15
_MAINTENANCE_DATABASE = "postgres"
_NOT_FOR_US = frozenset({"3D000", "42501"})  # no such database; no right to connect to it


class Databases:
    """The databases of one server, made and dropped over a connection that is kept: a new one is a fifth of a clone's time.

    What fails is a ServiceError that says what was being done. As a context manager it closes its connection.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._kept: pgwire.PostgresConnection | None = None
        self._owner_pid = os.getpid()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def clone(self, name: str, *, template: str = PLAIN_TEMPLATE) -> Endpoint:
        """Create a database as a copy of ``template``, which nobody may be connected to; its endpoint.

        Copied as files where the server knows how (15 and later): with durability off that is faster than through the log.
        """
        with self._session(f"database {name} cannot be created", template) as connection:
            has_strategy = int(re.split(r"\D", connection.parameters["server_version"])[0]) >= _WITH_STRATEGY
            strategy = " STRATEGY FILE_COPY" if has_strategy else ""
            connection.query(f"CREATE DATABASE {pgwire.quote_name(name)} TEMPLATE {pgwire.quote_name(template)}{strategy}")
        return at(self._endpoint, name)

    def drop(self, name: str) -> None:
        """Drop a database, ending whoever is connected to it; one that is not there is no error."""
        with self._session(f"database {name} cannot be dropped", name) as connection:
            connection.query(f"DROP DATABASE IF EXISTS {pgwire.quote_name(name)} WITH (FORCE)")

    def close(self) -> None:
        """Close the connection; the next call opens another one."""
        kept = self._take()
        if kept is not None:
            kept.close()

    @contextlib.contextmanager
    def _session(self, what: str, name: str) -> Iterator[pgwire.PostgresConnection]:
        """A connection; kept afterwards, unless it broke, or is in the way of others who clone ``name`` or look at their own."""
        connection: pgwire.PostgresConnection | None = None
        is_sound = False
        try:
            connection = self._take() or self._connect()
            yield connection
            is_sound = True
        except (OSError, pgwire.PostgresError) as error:
            is_sound = isinstance(error, pgwire.PostgresError) and bool(error.code)
            raise ServiceError(
                f"{what} on {self._endpoint.host}:{self._endpoint.port}: {readiness.explain(error)}",
                hint="the account needs the right CREATEDB, and a template nobody else is connected to",
            ) from error
        finally:
            if connection is not None:
                if is_sound and connection.database == _MAINTENANCE_DATABASE != name:
                    self._kept = connection
                else:
                    connection.close()

    def _take(self) -> pgwire.PostgresConnection | None:
        """The kept connection, where the server has not ended it meanwhile; a forked child leaves its parent's alone."""
        kept, self._kept = self._kept, None
        if kept is None or os.getpid() != self._owner_pid:
            return None
        if kept.is_quiet():
            return kept
        kept.close()
        return None

    def _connect(self) -> pgwire.PostgresConnection:
        """To the maintenance database, so that the endpoint's own can be dropped; to its own where there is no other."""
        target = replace(target_of(self._endpoint), database=_MAINTENANCE_DATABASE)
        self._owner_pid = os.getpid()
        if os.access(self._endpoint.socket_path, os.W_OK):
            # Who may enter the home of a server of ours is trusted there: no password, no time for one.
            connection = pgwire.connect(replace(target, socket_path=self._endpoint.socket_path))
        else:
            try:
                connection = pgwire.connect(target)
            except pgwire.PostgresError as error:
                if error.code not in _NOT_FOR_US:
                    raise
                connection = pgwire.connect(target_of(self._endpoint))
        connection.set_timeout(_CLONE_TIMEOUT_S)
        return connection


def clone(endpoint: Endpoint, name: str, *, template: str = PLAIN_TEMPLATE) -> Endpoint:
    """``Databases.clone`` once."""
    with Databases(endpoint) as found:
        return found.clone(name, template=template)


def drop(endpoint: Endpoint, name: str) -> None:
    """``Databases.drop`` once."""
    with Databases(endpoint) as found:
        found.drop(name)


def recreate(endpoint: Endpoint, *, template: str = PLAIN_TEMPLATE) -> None:
    """Make the endpoint's own database as new: dropped, whoever is connected, and cloned again."""
    with Databases(endpoint) as found:
        found.drop(endpoint.database)
        found.clone(endpoint.database, template=template)


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
    options = dict(parse_qsl(urlsplit(endpoint.url).query))
    mode = options.get("sslmode", "")
    return pgwire.Target(
        host=endpoint.host,
        port=endpoint.port,
        user=endpoint.username,
        password=endpoint.password,
        database=endpoint.database,
        tls=pgwire.Tls(mode) if mode in list(pgwire.Tls) else pgwire.Tls.NONE,
        authorities=options.get("sslrootcert", ""),
        timeout_s=timeout_s,
        session=session,
    )
