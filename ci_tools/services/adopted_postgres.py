"""Adopted PostgreSQL: databases of our own on somebody else's server. Nobody else's database is ever touched.

A lease is an open session that is named like the run's databases: the server itself ends it when we die, and every
other run sees it. A database of ours without such a session was left behind by a dead run and is dropped.
"""

import contextlib
import secrets
import threading
import time
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from ci_tools.errors import ServiceError
from ci_tools.model.service import Endpoint, Isolation, Provenance, Provider, ServiceKind, ServiceSpec
from ci_tools.services import databases, pgwire, readiness
from ci_tools.services.variables import adopted_variable
from ci_tools.services.versions import fits

_PREFIX = "ci_tools_run_"
_LEFT_BY_THE_DEAD = """
SELECT datname FROM pg_database
WHERE datname ~ '^ci_tools_run_[0-9a-f]+(_[0-9]+)+$'
  AND datdba = (SELECT oid FROM pg_roles WHERE rolname = current_user)
  AND substring(datname FROM '^ci_tools_run_[0-9a-f]+') NOT IN (SELECT application_name FROM pg_stat_activity)
"""
_ADOPT_TIMEOUT_S = 5.0
_PAUSE_S = 0.05
_VARIABLE = adopted_variable(ServiceKind.POSTGRES)
_SCHEMES = ("postgresql", "postgres")
_USUAL_PORT = 5432


class AdoptedPostgres:
    """Leased databases of a server that is not ours. Closing drops them."""

    def __init__(self, url: str, spec: ServiceSpec) -> None:
        self._spec = spec
        parts = _parse_url(url)
        began = time.perf_counter()
        self._endpoint = databases.endpoint_of(
            self._provenance(parts, version="", start_ms=0),
            user=unquote(parts.username or "postgres"),
            password=unquote(parts.password or ""),
            database=unquote(parts.path.strip("/")) or unquote(parts.username or "postgres"),
            url_variable=spec.url_variable,
            query=parts.query,
        )
        self._where = f"{self._endpoint.host}:{self._endpoint.port}"
        self._run = f"{_PREFIX}{secrets.token_hex(6)}"
        self._names: list[str] = []
        self._session = self._first_session()
        version = self._session.value("SHOW server_version").split()[0]
        provenance = self._provenance(parts, version=version, start_ms=round((time.perf_counter() - began) * 1000, 1))
        self._endpoint = databases.endpoint_of(
            provenance,
            user=self._endpoint.username,
            password=self._endpoint.password,
            database=self._endpoint.database,
            url_variable=spec.url_variable,
            query=parts.query,
        )
        if not fits(version, spec.version):
            self._session.close()
            raise ServiceError(
                f"the adopted postgres on {self._where} is version {version}, wanted {spec.version}",
                hint=f"widen `version` of the service, or let {_VARIABLE} name another server",
            )

    def close(self) -> None:
        """Drop what was leased. ServiceError when the session that holds the leases was lost on the way."""
        with self._session:
            try:
                self._session.query("SELECT 1")
                for name in self._names:
                    databases.drop(self._endpoint, name)
            except (OSError, pgwire.PostgresError) as error:
                raise ServiceError(
                    f"the session that held the leases on {self._where} was lost: {readiness.explain(error)}",
                    details=[f"left there: {', '.join(self._names)}; the next run drops them"],
                    hint="results of this run may be mixed with another's: run again",
                ) from error

    def endpoints(self, slots: int) -> tuple[Endpoint, ...]:
        """One endpoint a slot: a database each, or one for all when they share."""
        try:
            self._drop_what_the_dead_left()
            if self._spec.chosen_isolation is Isolation.SHARED:
                return (self._lease_one(),) * slots
            return tuple(self._lease_one() for _ in range(slots))
        except (OSError, pgwire.PostgresError) as error:
            raise self._refused(error) from error

    def _lease_one(self) -> Endpoint:
        name = f"{self._run}_{len(self._names) + 1}"
        self._names.append(name)
        return databases.clone(self._endpoint, name)

    def _drop_what_the_dead_left(self) -> None:
        """Databases of this account only: nobody but their owner may drop them, and nobody else sees their sessions."""
        for (name,) in self._session.query(_LEFT_BY_THE_DEAD):
            databases.drop(self._endpoint, name or "")

    def _first_session(self) -> pgwire.PostgresConnection:
        """A session with a server that may be starting still."""
        deadline = time.monotonic() + min(self._spec.start_timeout_s, _ADOPT_TIMEOUT_S)
        pause = threading.Event()
        while True:
            try:
                return pgwire.connect(databases.target_of(self._endpoint, timeout_s=_ADOPT_TIMEOUT_S, session=self._run))
            except pgwire.PostgresError as error:
                if error.code != pgwire.STARTING_UP or time.monotonic() >= deadline:
                    raise self._refused(error) from error
            except OSError as error:
                if time.monotonic() >= deadline:
                    raise self._refused(error) from error
            pause.wait(_PAUSE_S)

    def _provenance(self, parts: SplitResult, *, version: str, start_ms: float) -> Provenance:
        return Provenance(
            kind=ServiceKind.POSTGRES,
            provider=Provider.ADOPTED,
            version=version,
            reason=f"{_VARIABLE} is set",
            host=parts.hostname or "",
            port=parts.port or _USUAL_PORT,
            start_ms=start_ms,
        )

    def _refused(self, error: BaseException) -> ServiceError:
        return ServiceError(
            f"the adopted postgres on {self._where} cannot be used: {readiness.explain(error)}",
            details=[f"adopted because {_VARIABLE} is set; nothing of others was touched"],
            hint=f"start that server, correct {_VARIABLE}, or unset it to have one started",
        )


def _parse_url(url: str) -> SplitResult:
    """The URL with user and password where URLs have them; libpq takes them as options of the query too."""
    with contextlib.suppress(ValueError):
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query))
        user = options.pop("user", unquote(parts.username or ""))
        password = options.pop("password", unquote(parts.password or ""))
        if user or password:
            netloc = f"{quote(user, safe='')}:{quote(password, safe='')}@{parts.netloc.rpartition('@')[2]}"
            parts = parts._replace(netloc=netloc, query=urlencode(options, quote_via=quote, safe="/"))
        if parts.scheme in _SCHEMES and parts.hostname and parts.port != 0 and "/" not in parts.path.removeprefix("/"):
            return parts
    raise ServiceError(
        f"{_VARIABLE} is not the URL of a PostgreSQL",
        details=["expected: postgresql://user[:password]@host[:port]/database[?sslmode=require]"],
        hint=f"correct {_VARIABLE}, or unset it to have a server started",
    )
