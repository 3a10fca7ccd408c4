"""Probe: one question to a service in its own protocol, by anybody who knows its endpoint."""

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from ci_tools.model.service import Endpoint, ServiceKind
from ci_tools.services import databases, pgwire

_TIMEOUT_S = 2.0


def is_ready(endpoint: Endpoint) -> bool:
    """Whether the service answers at its endpoint, with its password, within 2 s."""
    match endpoint.kind:
        case ServiceKind.REDIS:
            return _is_redis_ready(endpoint)
        case ServiceKind.POSTGRES:
            return _is_postgres_ready(endpoint)


def _is_postgres_ready(endpoint: Endpoint) -> bool:
    try:
        with pgwire.connect(databases.target_of(endpoint, timeout_s=_TIMEOUT_S)) as connection:
            return connection.value("SELECT 1") == "1"
    except (OSError, pgwire.PostgresError):
        return False


def _is_redis_ready(endpoint: Endpoint) -> bool:
    client = redis.Redis.from_url(
        endpoint.url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S, retry=Retry(NoBackoff(), 0)
    )
    with client:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
