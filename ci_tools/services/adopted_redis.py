"""Adopted servers: somebody else's Redis, used by leasing databases of it. Nothing in it is ever flushed but a lease."""

import contextlib
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

import redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, LockError, RedisError, ResponseError
from redis.retry import Retry

from ci_tools.errors import ServiceError
from ci_tools.model.service import Endpoint, Isolation, Provenance, Provider, ServiceKind, ServiceSpec
from ci_tools.services import readiness
from ci_tools.services.redis import URL_VARIABLE, version_of
from ci_tools.services.variables import adopted_variable
from ci_tools.services.versions import fits

if TYPE_CHECKING:
    from redis.lock import Lock

LEASE_S = 30.0
LEASE_KEY = "ci-tools:lease:{index}"
"""Where a lease is written, in database 0: SET NX with a random token, and a time to live that a heartbeat renews."""

_ADOPT_TIMEOUT_S = 5.0
_USUAL_DATABASES = 16
_VARIABLE = adopted_variable(ServiceKind.REDIS)
_SCHEMES = ("redis", "rediss")

T = TypeVar("T")


class AdoptedRedis:
    """Leased databases of a server that is not ours. Closing empties the leased databases and gives them back."""

    def __init__(self, url: str, spec: ServiceSpec) -> None:
        self._spec = spec
        self._url = _parse_url(url)
        self._leases: dict[int, Lock] = {}
        self._lost: set[int] = set()
        self._stopped = threading.Event()
        self._heart: threading.Thread | None = None
        self._registry = self._client(0)
        began = time.perf_counter()
        info = self._first_answer(lambda: self._registry.info("server"))
        self._provenance = Provenance(
            kind=ServiceKind.REDIS,
            provider=Provider.ADOPTED,
            version=version_of(info),
            reason=f"{_VARIABLE} is set",
            host=self._url.hostname or "",
            port=self._port,
            start_ms=round((time.perf_counter() - began) * 1000, 1),
        )
        if not fits(self._provenance.version, spec.version):
            raise ServiceError(
                f"the adopted redis on {self._where} is version {self._provenance.version}, wanted {spec.version}",
                hint=f"widen `version` of the service, or let {_VARIABLE} name another server",
            )

    def close(self) -> None:
        """Empty and give back what is leased. ServiceError when a lease was lost on the way."""
        self._stopped.set()
        if self._heart is not None:
            self._heart.join(LEASE_S)
        for index, lease in self._leases.items():
            try:
                if index in self._lost or not lease.owned():
                    self._lost.add(index)
                    continue
                with self._client(index) as client:
                    client.flushdb()
                lease.release()
            except RedisError:
                self._lost.add(index)
        self._leases.clear()
        self._registry.close()
        if self._lost:
            raise ServiceError(
                f"the lease of database {', '.join(map(str, sorted(self._lost)))} on {self._where} was lost during the run",
                details=["somebody removed it, or the server was out of reach for longer than the lease"],
                hint="results of this run may be mixed with another's: run again",
            )

    def endpoints(self, slots: int) -> tuple[Endpoint, ...]:
        """One endpoint a slot: a leased database each, or one for all when they share."""
        if self._spec.chosen_isolation is Isolation.SHARED:
            return (self._endpoint(self._lease_one()),) * slots
        return tuple(self._endpoint(self._lease_one()) for _ in range(slots))

    @property
    def _port(self) -> int:
        return self._url.port or 6379

    @property
    def _where(self) -> str:
        return f"{self._url.hostname}:{self._port}"

    def _lease_one(self) -> int:
        refused = []
        for index in self._candidates():
            if index in self._leases:
                continue
            lease = self._registry.lock(LEASE_KEY.format(index=index), timeout=LEASE_S, blocking=False, thread_local=False)
            if not self._call(lease.acquire):
                refused.append(f"database {index}: leased by another run")
                continue
            with self._client(index) as client:
                keys = self._call(client.dbsize)
            if keys:
                lease.release()
                refused.append(f"database {index}: not empty ({keys} keys)")
                continue
            self._leases[index] = lease
            self._beat()
            return index
        shown = refused if len(refused) <= 8 else [*refused[:8], f"… and {len(refused) - 8} more"]  # noqa: PLR2004 - a screenful
        raise ServiceError(
            f"no database of the adopted redis on {self._where} is free and empty",
            details=shown,
            hint="empty one yourself, end the other run, or start the server with `--databases 1024`; nothing was deleted",
        )

    def _candidates(self) -> range:
        """The database that the URL names, alone; else all but 0, where the leases stand."""
        named = self._url.path.strip("/")
        if named not in ("", "0"):
            return range(int(named), int(named) + 1)
        try:
            count = int(self._registry.config_get("databases").get("databases") or _USUAL_DATABASES)
        except ResponseError:
            count = _USUAL_DATABASES
        return range(1, count)

    def _endpoint(self, index: int) -> Endpoint:
        url = self._url_of(index)
        user = quote(self._url.username or "", safe="")
        host = f"[{self._url.hostname}]" if ":" in (self._url.hostname or "") else self._url.hostname
        secret = f"{user}:***@" if self._url.password else ""
        return Endpoint(
            kind=ServiceKind.REDIS,
            url=url,
            masked_url=f"{self._url.scheme}://{secret}{host}:{self._port}/{index}",
            host=self._url.hostname or "",
            port=self._port,
            provenance=self._provenance,
            username=self._url.username or "",
            password=self._url.password or "",
            database=str(index),
            environment={URL_VARIABLE: url, **({self._spec.url_variable: url} if self._spec.url_variable else {})},
        )

    def _url_of(self, index: int) -> str:
        return urlunsplit(self._url._replace(path=f"/{index}"))

    def _client(self, index: int) -> "redis.Redis":
        return redis.Redis.from_url(
            self._url_of(index),
            decode_responses=True,
            socket_timeout=_ADOPT_TIMEOUT_S,
            socket_connect_timeout=_ADOPT_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )

    def _beat(self) -> None:
        if self._heart is None:
            self._heart = threading.Thread(target=self._renew, name="ci-tools-lease-heartbeat", daemon=True)
            self._heart.start()

    def _renew(self) -> None:
        while not self._stopped.wait(LEASE_S / 3):
            for index, lease in list(self._leases.items()):
                try:
                    lease.reacquire()
                except LockError:
                    self._lost.add(index)
                except RedisError:
                    continue  # out of reach for now; the lease outlives two missed heartbeats

    def _first_answer(self, ask: Callable[[], T]) -> T:
        """The first answer of a server that may be starting still."""
        deadline = time.monotonic() + min(self._spec.start_timeout_s, _ADOPT_TIMEOUT_S)
        pause = threading.Event()
        while True:
            try:
                return ask()
            except (AuthenticationError, ResponseError) as error:
                raise self._refused(error) from error
            except RedisError as error:
                if time.monotonic() >= deadline:
                    raise self._refused(error) from error
            pause.wait(0.05)

    def _call(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except RedisError as error:
            raise self._refused(error) from error

    def _refused(self, error: RedisError) -> ServiceError:
        return ServiceError(
            f"the adopted redis on {self._where} cannot be used: {readiness.explain(_origin(error))}",
            details=[f"adopted because {_VARIABLE} is set; it was not asked for anything else"],
            hint=f"start that server, correct {_VARIABLE}, or unset it to have one started",
        )


def _parse_url(url: str) -> SplitResult:
    with contextlib.suppress(ValueError):
        parts = urlsplit(url)
        is_number = parts.path.strip("/").isdecimal() or not parts.path.strip("/")
        if parts.scheme in _SCHEMES and parts.hostname and parts.port != 0 and is_number:
            return parts
    raise ServiceError(
        f"{_VARIABLE} is not the URL of a Redis",
        details=["expected: redis://[[user]:password@]host[:port][/database] or rediss://…"],
        hint=f"correct {_VARIABLE}, or unset it to have a server started",
    )


def _origin(error: BaseException) -> BaseException:
    """The system's error below a client's, where there is one."""
    cause = error.__cause__ or error.__context__
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno is not None:
            return cause
        cause = cause.__cause__ or cause.__context__
    return error
