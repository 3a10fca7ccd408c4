"""Settings: the only reader of the environment, a table of rules for each setting and environment."""

import dataclasses
import difflib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from agent_platform.errors import ConfigError

SECRET_BYTES = 32
"""The shortest key that HS256 takes without weakening it, and the shortest simulation key, in bytes."""

_WEAK = re.compile(r"test|dev|secret|change|example|placeholder|password|dummy|your|xxx|^(.)\1*$", re.IGNORECASE)
_ALIASES = {"dev": "development", "local": "development", "testing": "test", "stg": "staging", "stage": "staging"}
_ALIASES |= {"prod": "production", "live": "production"}


class Environment(StrEnum):
    """The environments that exist; there is no default."""

    DEVELOPMENT = "development"
    TEST = "test"
    STAGING = "staging"
    PRODUCTION = "production"


_LOCAL = frozenset({Environment.DEVELOPMENT, Environment.TEST})
_PUBLIC = frozenset({Environment.STAGING, Environment.PRODUCTION})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one user and one process may have; times in seconds."""

    engines_per_user: int = 2
    agents_per_engine: int = 3
    concurrent_runs: int = 50
    connections_per_user: int = 3
    run_timeout_s: float = 30.0
    tool_timeout_s: float = 10.0
    cancel_grace_s: float = 2.0
    idle_engine_s: float = 300.0
    sweep_s: float = 60.0
    lease_s: float = 45.0
    message_bytes: int = 8192
    queue_size: int = 256
    shutdown_grace_s: float = 5.0
    startup_timeout_s: float = 5.0
    token_life_s: float = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything the platform is told from outside. Secrets do not show in its repr."""

    environment: Environment
    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    jwt_secret: str = field(repr=False)
    simulation_key: str = field(default="", repr=False)
    oauth_client_id: str = ""
    oauth_client_secret: str = field(default="", repr=False)
    allowed_origins: tuple[str, ...] = ()
    database_schema: str = ""
    redis_namespace: str = "agents"
    host: str = "127.0.0.1"
    port: int = 8000
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def load(cls, environment: Mapping[str, str], env_file: Path | None = None) -> "Settings":
        """The settings that these variables describe; ConfigError lists every problem.

        ``env_file`` is read only when given; what ``environment`` says wins over it.
        """
        problems: list[str] = []
        from_file = _read_env_file(env_file, problems) if env_file is not None else {}
        values = {key: value for key, value in {**from_file, **environment}.items() if key in _KNOWN and value != ""}
        name = values.get("ENVIRONMENT", "")
        if name not in set(Environment):
            known = ", ".join(Environment)
            near = _ALIASES.get(name.lower())
            problems.insert(0, f"ENVIRONMENT: {name!r} is no environment, {f'say {near!r}' if near else f'allowed: {known}'}")
            raise ConfigError("environment unknown", problems)
        where = Environment(name)
        for rule in RULES:
            problems.extend(f"{rule.key}: {problem}" for problem in rule.problems(values.get(rule.key), where))
        limits = _read_limits(values, problems)
        if problems:
            raise ConfigError(where, problems)
        text = {rule.key: values.get(rule.key) or rule.defaults.get(where, "") for rule in RULES}
        return cls(
            environment=where,
            database_url=text["DATABASE_URL"],
            redis_url=text["REDIS_URL"],
            jwt_secret=text["JWT_SECRET"],
            simulation_key=text["E2E_OAUTH_SIMULATION_KEY"],
            oauth_client_id=text["OAUTH_CLIENT_ID"],
            oauth_client_secret=text["OAUTH_CLIENT_SECRET"],
            allowed_origins=tuple(origin.strip() for origin in text["ALLOWED_ORIGINS"].split(",") if origin.strip()),
            database_schema=text["DATABASE_SCHEMA"],
            redis_namespace=text["REDIS_NAMESPACE"],
            host=text["HOST"],
            port=int(text["PORT"]),
            limits=limits,
        )


def _no_problem(_: str) -> str:
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What one setting must be, in which environment. A check answers with a problem, or with nothing."""

    key: str
    required: frozenset[Environment] = frozenset()
    forbidden: frozenset[Environment] = frozenset()
    defaults: Mapping[Environment, str] = field(default_factory=dict)
    check: Callable[[str], str] = _no_problem
    public_check: Callable[[str], str] = _no_problem
    """Staging and production only: these rules never fire in development or test."""

    def problems(self, value: str | None, where: Environment) -> list[str]:
        """What is wrong with ``value`` in this environment."""
        if value is None:
            return [f"missing, required in {where}"] if where in self.required else []
        if where in self.forbidden:
            return [f"set, but it must be absent in {where}: whoever holds it can sign in as anyone"]
        problem = self.check(value) or (self.public_check(value) if where in _PUBLIC else "")
        return [problem] if problem else []


def _database(value: str) -> str:
    scheme = value.split(":", 1)[0]
    allowed = ("sqlite+aiosqlite", "postgresql+asyncpg")
    if scheme not in allowed:
        return f"driver {scheme!r}, allowed: {' or '.join(allowed)}"
    in_memory = scheme.startswith("sqlite") and urlsplit(value).path in {"", "/", "/:memory:"}
    return "in memory, where each connection has its own, expected sqlite+aiosqlite:///file" if in_memory else ""


def _public_database(value: str) -> str:
    if not value.startswith("postgresql+asyncpg:"):
        return "not PostgreSQL, allowed: postgresql+asyncpg://user:password@host/database"
    return _not_loopback(value)


def _redis(value: str) -> str:
    scheme = value.split(":", 1)[0]
    return "" if scheme in {"redis", "rediss"} else f"scheme {scheme!r}, allowed: redis or rediss"


def _public_redis(value: str) -> str:
    return _not_loopback(value) or ("" if urlsplit(value).password else "no password, expected redis://:password@host:port/0")


def _not_loopback(value: str) -> str:
    host = urlsplit(value).hostname or ""
    try:
        is_here = ip_address(host).is_loopback or ip_address(host).is_unspecified
    except ValueError:  # a name
        is_here = host.rstrip(".") in {"", "localhost"} or host.rstrip(".").endswith(".localhost")
    return f"host {host!r} is this machine, expected the service's own host" if is_here else ""


def _long_secret(value: str) -> str:
    length = len(value.encode())
    return "" if length >= SECRET_BYTES else f"{length} bytes long, at least {SECRET_BYTES} expected"


def _strong_secret(value: str) -> str:
    return (
        "weak or a test value, expected a random one (python -c 'import secrets; print(secrets.token_urlsafe(48))')"
        if (_WEAK.search(value))
        else ""
    )


def _no_placeholder(value: str) -> str:
    return "a placeholder, expected the value of the identity provider" if _WEAK.search(value) else ""


def _origins(value: str) -> str:
    wrong = [origin for origin in value.split(",") if urlsplit(origin.strip()).scheme not in {"http", "https"}]
    return f"{wrong[0].strip()!r} is no origin, expected https://host[:port], separated by commas" if wrong else ""


def _port(value: str) -> str:
    highest_port = 65535
    return "" if value.isdigit() and int(value) <= highest_port else f"{value!r} is no port, expected 0 to {highest_port}"


def _schema(value: str) -> str:
    return "" if re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", value) else f"{value!r}, expected 1 to 63 of a-z, 0-9 and _"


def _name(value: str) -> str:
    return "" if re.fullmatch(r"[a-z0-9_-]{1,48}", value) else f"{value!r}, expected 1 to 48 of a-z, 0-9, _ and -"


_EVERYWHERE = frozenset(Environment)

RULES = (
    Rule(
        key="DATABASE_URL",
        required=_EVERYWHERE - {Environment.DEVELOPMENT},
        defaults={Environment.DEVELOPMENT: "sqlite+aiosqlite:///agent_platform.sqlite3"},
        check=_database,
        public_check=_public_database,
    ),
    Rule(
        key="REDIS_URL",
        required=_PUBLIC,
        defaults={Environment.DEVELOPMENT: "redis://127.0.0.1:6380/0", Environment.TEST: "redis://127.0.0.1:6381/0"},
        check=_redis,
        public_check=_public_redis,
    ),
    Rule(key="JWT_SECRET", required=_EVERYWHERE, check=_long_secret, public_check=_strong_secret),
    Rule(key="OAUTH_CLIENT_ID", required=_PUBLIC, public_check=_no_placeholder),
    Rule(key="OAUTH_CLIENT_SECRET", required=_PUBLIC, public_check=_no_placeholder),
    Rule(key="ALLOWED_ORIGINS", required=_PUBLIC, check=_origins),
    Rule(key="E2E_OAUTH_SIMULATION_KEY", forbidden=frozenset({Environment.PRODUCTION}), public_check=_long_secret),
    Rule(key="DATABASE_SCHEMA", check=_schema),
    Rule(key="REDIS_NAMESPACE", defaults=dict.fromkeys(Environment, "agents"), check=_name),
    Rule(key="HOST", defaults=dict.fromkeys(Environment, "127.0.0.1")),
    Rule(key="PORT", defaults=dict.fromkeys(Environment, "8000"), check=_port),
)

_LIMIT_KEYS = {limit.name.upper(): limit for limit in dataclasses.fields(Limits)}
_KNOWN = frozenset({"ENVIRONMENT", *(rule.key for rule in RULES), *_LIMIT_KEYS})


def _read_limits(values: Mapping[str, str], problems: list[str]) -> Limits:
    limits: dict[str, float] = {}
    for key, limit in _LIMIT_KEYS.items():
        if key not in values:
            continue
        try:
            number = int(values[key]) if limit.type is int else float(values[key])
        except ValueError:
            number = 0
        if number <= 0 or not math.isfinite(number):
            problems.append(f"{key}: {values[key]!r}, expected a {'whole number' if limit.type is int else 'number'} above 0")
        limits[limit.name] = number
    return Limits(**limits)  # type: ignore[arg-type] # int(…) above where the field is an int


def _read_env_file(path: Path, problems: list[str]) -> dict[str, str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        problems.append(f"{path}: cannot be read ({error.strerror}), expected a file of KEY=value lines")
        return {}
    values = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        key, separator, value = line.strip().partition("=")
        if not separator or key not in _KNOWN:
            near = difflib.get_close_matches(key, sorted(_KNOWN), n=1)
            remedy = f"did you mean {near[0]!r}?" if near else "README.md lists the settings"
            problems.append(f"{path.name}:{number}: {key!r} is no setting, {remedy}")
        values[key] = value.strip().strip("\"'")
    return values
