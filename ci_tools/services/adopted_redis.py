"""Adopted Redis: somebody else's server, used by leasing databases of it, or accounts with a prefix where these are taken.

Nothing in it is ever emptied but a leased database and what begins with a leased prefix.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

import redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError, ResponseError
from redis.retry import Retry

from ci_tools.errors import ServiceError
from ci_tools.model.service import Endpoint, Isolation, Provenance, Provider, ServiceKind, ServiceSpec
from ci_tools.services import prefixes, readiness, remains
from ci_tools.services.leases import LEASE_S, Leases
from ci_tools.services.prefixes import PrefixAccount
from ci_tools.services.redis import URL_VARIABLE, version_of
from ci_tools.services.variables import PREFIX_VARIABLE, adopted_variable
from ci_tools.services.versions import fits

_ADOPT_TIMEOUT_S = 5.0
_USUAL_DATABASES = 16
_USUAL_PORT = 6379
_LINES_SHOWN = 8
_VARIABLE = adopted_variable(ServiceKind.REDIS)
_SCHEMES = ("redis", "rediss")

T = TypeVar("T")


class AdoptedRedis:
    """Leased parts of a server that is not ours. Closing empties them and gives them back."""

    def __init__(self, url: str, spec: ServiceSpec) -> None:
        self._spec = spec
        self._url = _parse_url(url)
        try:
            self._registry = self._client(0)
        except ValueError as error:
            raise self._refused(error) from error
        self._leases = Leases(self._registry)
        self._databases: list[int] = []
        self._accounts: list[PrefixAccount] = []
        began = time.perf_counter()
        info = self._first_answer(lambda: self._registry.info("server"))
        self._redis_version = info.get("redis_version", "")
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
            self._registry.close()
            raise ServiceError(
                f"the adopted redis on {self._where} is version {self._provenance.version}, wanted {spec.version}",
                hint=f"widen `version` of the service, or let {_VARIABLE} name another server",
            )

    def close(self) -> None:
        """Empty and give back what is leased. ServiceError when a lease was lost on the way."""
        self._leases.stop()
        lost = [f"database {index}" for index in self._databases if not self._give_back(str(index), self._flush)]
        lost += [f"account {one.name}" for one in self._accounts if not self._give_back(one.name, self._remove)]
        self._databases.clear()
        self._accounts.clear()
        self._registry.close()
        if lost:
            raise ServiceError(
                f"the lease of {', '.join(lost)} on {self._where} was lost during the run",
                details=["somebody removed it, or the server was out of reach for longer than the lease"],
                hint="results of this run may be mixed with another's: run again",
            )

    def endpoints(self, slots: int) -> tuple[Endpoint, ...]:
        """One endpoint a slot: a leased database or prefix each, or one for all when they share."""
        self._remove_what_the_dead_left()
        if self._spec.chosen_isolation is Isolation.SHARED:
            return (self._lease_one(),) * slots
        return tuple(self._lease_one() for _ in range(slots))

    @property
    def _port(self) -> int:
        return self._url.port or _USUAL_PORT

    @property
    def _where(self) -> str:
        return f"{self._url.hostname}:{self._port}"

    @property
    def _named(self) -> str:
        """The database that the URL names; empty for 0, where the leases stand."""
        return self._url.path.strip("/").lstrip("0")

    def _lease_one(self) -> Endpoint:
        refused: list[str] = []
        index = self._lease_database(refused)
        if index is not None:
            return self._endpoint(index)
        account = None if self._named else self._lease_account(refused)
        if account is not None:
            return self._endpoint(0, account)
        shown = refused
        if len(refused) > _LINES_SHOWN:
            shown = [*refused[: _LINES_SHOWN - 1], f"… and {len(refused) - _LINES_SHOWN} more", refused[-1]]
        raise ServiceError(
            f"no database of the adopted redis on {self._where} is free and empty",
            details=shown,
            hint="empty one yourself, end the other run, or start the server with `--databases 1024`; nothing was deleted",
        )

    def _lease_database(self, refused: list[str]) -> int | None:
        for index in self._candidates():
            name = str(index)
            if name in self._leases:
                continue
            if not self._call(lambda name=name: self._leases.acquire(name)):  # type: ignore[misc]  # mypy knows no defaults of lambdas
                refused.append(
                    f"database {index}: leased by another run (a killed one's lease ends by itself after {LEASE_S:g} s)"
                )
                continue
            try:
                with self._client(index) as client:
                    reason = self._reason_against(name, client)
                if not reason:
                    self._leases.mark(name)
            except ResponseError as error:  # fewer databases than usual, on a server that does not say how many
                self._leases.release(name)
                refused.append(f"database {index}: {error}")
                return None
            except RedisError as error:
                raise self._refused(error) from error
            if reason:
                self._leases.release(name)
                refused.append(f"database {index}: {reason}")
                continue
            self._databases.append(index)
            return index
        return None

    def _reason_against(self, name: str, client: "redis.Redis") -> str:
        """Why a database that is leased now cannot be used: others' keys. What a killed run left in it is removed."""
        keys = client.dbsize()
        if not keys:
            return ""
        until = self._leases.marked_until(name)
        why = "" if until is None else remains.clear(client, until)
        return f"not empty ({keys} keys{'; ' if why else ''}{why})" if until is None or why else ""

    def _lease_account(self, refused: list[str]) -> PrefixAccount | None:
        """An account with a prefix of its own in database 0; the lease comes first, so that nobody takes it for a dead run's."""
        try:
            reason = prefixes.refusal(self._registry, self._redis_version)
            if reason:
                refused.append(f"no account in their stead: {reason}")
                return None
            account = prefixes.new_account()
            self._leases.acquire(account.name)
        except ResponseError as error:
            refused.append(f"no account in their stead: {error}")
            return None
        except RedisError as error:
            raise self._refused(error) from error
        try:
            prefixes.create(self._registry, account, self._redis_version)
        except ResponseError as error:
            self._leases.release(account.name)
            refused.append(f"no account in their stead: {error}")
            return None
        except RedisError as error:
            raise self._refused(error) from error
        self._accounts.append(account)
        return account

    def _candidates(self) -> range:
        """The database that the URL names, alone; else all but 0."""
        if self._named:
            return range(int(self._named), int(self._named) + 1)
        try:
            count = int(self._registry.config_get("databases").get("databases") or _USUAL_DATABASES)
        except ResponseError:
            count = _USUAL_DATABASES
        return range(1, count)

    def _remove_what_the_dead_left(self) -> None:
        """Accounts of ours that nobody holds a lease of, with their keys. Whoever may not see accounts has none."""
        try:
            for name in prefixes.names(self._registry):
                if self._leases.acquire(name):
                    prefixes.remove(self._registry, name)
                    self._leases.release(name)
        except ResponseError:
            return
        except RedisError as error:
            raise self._refused(error) from error

    def _give_back(self, name: str, clear: Callable[[str], None]) -> bool:
        """Clear and release what is ours still; whether it was."""
        try:
            if not self._leases.is_ours(name):
                return False
            clear(name)
            self._leases.release(name)
        except RedisError:
            return False
        return True

    def _flush(self, index: str) -> None:
        with self._client(int(index)) as client:
            client.flushdb()

    def _remove(self, name: str) -> None:
        prefixes.remove(self._registry, name)

    def _endpoint(self, index: int, account: PrefixAccount | None = None) -> Endpoint:
        user = account.name if account else unquote(self._url.username or "")
        password = account.password if account else unquote(self._url.password or "")
        host = f"[{self._url.hostname}]" if ":" in (self._url.hostname or "") else self._url.hostname
        secret = f"{quote(user, safe='')}:{{}}@" if password else ""
        address = f"{secret}{host}:{self._port}"
        url = urlunsplit(self._url._replace(netloc=address.format(quote(password, safe="")), path=f"/{index}"))
        prefix = account.prefix if account else ""
        return Endpoint(
            kind=ServiceKind.REDIS,
            url=url,
            masked_url=f"{self._url.scheme}://{address.format('***')}/{index}",
            host=self._url.hostname or "",
            port=self._port,
            provenance=self._provenance,
            username=user,
            password=password,
            database=str(index),
            prefix=prefix,
            environment={
                self._spec.url_variable or URL_VARIABLE: url,
                **({PREFIX_VARIABLE: prefix} if prefix else {}),
            },
        )

    def _client(self, index: int) -> "redis.Redis":
        return redis.Redis.from_url(
            urlunsplit(self._url._replace(path=f"/{index}")),
            decode_responses=True,
            encoding_errors="surrogateescape",  # others' keys may be no text
            socket_timeout=_ADOPT_TIMEOUT_S,
            socket_connect_timeout=_ADOPT_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )

    def _first_answer(self, ask: Callable[[], T]) -> T:
        """The first answer of a server that may be starting still."""
        deadline = time.monotonic() + min(self._spec.start_timeout_s, _ADOPT_TIMEOUT_S)
        pause = threading.Event()
        while True:
            try:
                return ask()
            except (AuthenticationError, ResponseError, TypeError) as error:  # TypeError: an option that the client has not
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

    def _refused(self, error: Exception) -> ServiceError:
        return ServiceError(
            f"the adopted redis on {self._where} cannot be used: {_explain(error)}",
            details=[f"adopted because {_VARIABLE} is set; it was not asked for anything else"],
            hint=f"start that server, correct {_VARIABLE}, or unset it to have one started",
        )


def _parse_url(url: str) -> SplitResult:
    """The URL with user, password and database where URLs have them; the client takes them as options of the query too."""
    with contextlib.suppress(ValueError):
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query))
        database = options.pop("db", parts.path.strip("/"))
        user = options.pop("username", unquote(parts.username or ""))
        password = options.pop("password", unquote(parts.password or ""))
        if parts.scheme in _SCHEMES and parts.hostname and parts.port != 0 and (database.isdecimal() or not database):
            secret = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user or password else ""
            where = parts.netloc.rpartition("@")[2]
            return parts._replace(netloc=f"{secret}{where}", path=f"/{database}", query=urlencode(options, safe="/"))
    raise ServiceError(
        f"{_VARIABLE} is not the URL of a Redis",
        details=["expected: redis://[[user]:password@]host[:port][/database] or rediss://…"],
        hint=f"correct {_VARIABLE}, or unset it to have a server started",
    )


def _explain(error: Exception) -> str:
    """The system's error below a client's, where there is one."""
    cause = error.__cause__ or error.__context__
    while cause is not None:
        if isinstance(cause, FileNotFoundError):
            return "a certificate or key that the URL names is no file"
        if isinstance(cause, OSError) and cause.errno is not None:
            return readiness.explain(cause)
        cause = cause.__cause__ or cause.__context__
    return readiness.explain(error)
