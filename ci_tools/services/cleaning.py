"""Cleaning: what one test left in a part that is its worker's alone, taken away before the next."""

from ci_tools.errors import ServiceError
from ci_tools.model.service import Endpoint
from ci_tools.services import readiness, resp

_TIMEOUT_S = 10.0


def empty_redis(endpoint: Endpoint, *, whole_server: bool = False) -> None:
    """Empty the endpoint's own database, or what begins with its prefix; nothing else on that server is touched.

    ``whole_server`` empties all databases: for a server of ours that nobody else talks to.
    Raises ServiceError when the server does not answer, or refuses.
    """
    try:
        if endpoint.prefix:
            _clear_prefix(endpoint)
            return
        with resp.connect_to(endpoint, _TIMEOUT_S) as connection:
            if endpoint.password:
                connection.ask("AUTH", *([endpoint.username] if endpoint.username else []), endpoint.password)
            connection.ask("SELECT", endpoint.database or "0")
            connection.ask("FLUSHALL" if whole_server else "FLUSHDB")
    except (OSError, resp.RespError) as error:
        raise ServiceError(
            f"redis on {endpoint.masked_url} cannot be emptied: {readiness.explain(error)}",
            hint="a test may have stopped it or changed its password: give such a test `redis_server`, a server of its own",
        ) from error


def _clear_prefix(endpoint: Endpoint) -> None:
    import redis  # noqa: PLC0415 - only an adopted server gives prefixes, and the client takes 0.1 s to import

    from ci_tools.services import prefixes  # noqa: PLC0415 - as above

    try:
        with redis.Redis.from_url(
            endpoint.url, decode_responses=True, encoding_errors="surrogateescape", socket_timeout=_TIMEOUT_S
        ) as client:
            prefixes.clear(client, endpoint.prefix)
    except redis.RedisError as error:
        raise OSError(str(error)) from error
