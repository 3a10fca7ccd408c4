"""Services: what is wanted (spec), where it answers (endpoint), where it came from (provenance)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class ServiceKind(StrEnum):
    """The services that the toolkit can provide."""

    REDIS = "redis"
    POSTGRES = "postgres"


class Provider(StrEnum):
    """The ways to provide a service, in the order in which they are tried."""

    ADOPTED = "adopted"
    NATIVE = "native"
    EMBEDDED = "embedded"
    DOWNLOADED = "downloaded"
    CONTAINER = "container"


class Isolation(StrEnum):
    """What each worker gets of a service: a server of its own, a database of a shared one, or everything shared."""

    SERVER = "server"
    DATABASE = "database"
    SHARED = "shared"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSpec:
    """What tests need. ``port`` is preferred, not demanded; ``version`` a PEP 440 range (``>=7,<10``), empty for any.

    ``isolation`` None is what suits the kind: a server for each worker of Redis, a database of one server for Postgres.
    ``image`` is what a container is made of; empty: the kind's usual one.
    ``port_range`` (first, last) limits where a server of ours may listen when the preferred port is taken; empty: anywhere.
    """

    kind: ServiceKind
    port: int | None = None
    version: str = ""
    isolation: Isolation | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    url_variable: str = ""
    providers: tuple[Provider, ...] = ()
    path: str = ""
    start_timeout_s: float = 20.0
    port_range: tuple[int, ...] = ()
    image: str = ""

    @property
    def chosen_isolation(self) -> Isolation:
        """What each worker gets. Redis' pub/sub crosses its databases, so only a server isolates; Postgres' do isolate."""
        return self.isolation or (Isolation.SERVER if self.kind is ServiceKind.REDIS else Isolation.DATABASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a service came from, for the terminal, the report and the verdict."""

    kind: ServiceKind
    provider: Provider
    version: str
    reason: str
    path: str = ""
    sha256: str = ""
    host: str = "127.0.0.1"
    port: int = 0
    pid: int = 0
    start_ms: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a service answers. ``url`` holds the password: never print it whole (``masked_url`` is for people)."""

    kind: ServiceKind
    url: str = field(repr=False)
    masked_url: str
    host: str
    port: int
    provenance: Provenance
    username: str = ""
    password: str = field(default="", repr=False)
    database: str = ""
    prefix: str = ""
    """How every key and channel must begin, where a part of a database is all that we were given; empty: no such limit."""
    socket_path: str = ""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What a test process gets in its environment, e.g. ``{"REDIS_URL": url}``."""
