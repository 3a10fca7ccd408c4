"""What clients say of a server's answer: one answer in one form, whichever library passed it on. Pure."""

import re

STATUS = "HTTPStatus"
"""The type that stands for a server's refusal by status, in every client."""

UNRESOLVED = "socket.gaierror"
"""A host name that nobody knows."""

_CLIENTS = frozenset({"aiohttp", "http", "httpcore", "httpx", "redis", "requests", "urllib", "urllib3", "valkey"})
_ANSWERED = re.compile(
    r"(?:(?:Client|Server) error|Redirect response) '(?P<httpx>\d{3}) [^']*' for url '(?P<httpxurl>[^']*)'"
    r"|(?P<requests>\d{3}) (?:Client|Server) Error: .*? for url: (?P<requestsurl>\S+)"
    r"|(?P<aiohttp>\d{3}), message=(?:'[^']*'|\"[^\"]*\"), url=(?:URL\()?'(?P<aiohttpurl>[^']*)'"
    r"|HTTP Error (?P<urllib>\d{3}): .*"
)
_HUNG_UP = re.compile(
    r"Server disconnected|.*Remote end closed connection|.*RemoteDisconnected|peer closed connection|Server closed the connection"
)
_NAMELESS_HOST = re.compile(
    r".*(\[Errno -?\d+\] (?:Name or service not known|Temporary failure in name resolution|nodename nor servname"
    r"|getaddrinfo failed|No address associated)[^'\")>]*)",
    re.DOTALL,
)
_ASKED = re.compile(r"host='([^']+)', port=(\d+)")
_RESOLVED = re.compile(r"resolve ('[^']+')")
_OF_PIPELINE = re.compile(r"\ACommand # \d+ \(.{0,400}?\) of pipeline caused error: ", re.DOTALL)


def unified(type_name: str, message: str) -> tuple[str, str]:
    """Type and message of a client's exception, where it only tells what the server did; others as they are."""
    module, _, name = type_name.partition(".")
    if module not in _CLIENTS:
        return type_name, message
    if module in {"redis", "valkey"}:
        return f"redis.{name}", _OF_PIPELINE.sub("", message)
    if found := _ANSWERED.match(message):
        kind = next(kind for kind in ("httpx", "requests", "aiohttp", "urllib") if found[kind])
        url = found[f"{kind}url"] if kind != "urllib" else ""
        return STATUS, f"HTTP status {found[kind]} for {url}" if url else f"HTTP status {found[kind]}"
    if _HUNG_UP.match(message):
        return "Disconnected", "the server hung up without an answer"
    if unknown := _NAMELESS_HOST.match(message):
        return UNRESOLVED, f"{unknown[1]}{_host_in(message)}"
    return f"httpx.{name}" if module == "httpcore" else type_name, message


def _host_in(message: str) -> str:
    if asked := _ASKED.search(message):
        return f" at {asked[1]}:{asked[2]}"
    named = _RESOLVED.search(message)
    return f" of {named[1]}" if named else ""
