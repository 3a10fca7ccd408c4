"""What clients say of a server's answer: one answer in one form, whichever library passed it on. Pure."""

import re

STATUS = "HTTPStatus"
"""The type that stands for a server's refusal by status, in every client."""

UNRESOLVED = "socket.gaierror"
"""A host name that nobody knows."""

UNENCRYPTED = "ssl.SSLError"
"""A connection that TLS could not secure."""

DISCONNECTED = "Disconnected"
"""A server that hung up before it answered."""

CUT_SHORT = "CutShort"
"""A server that hung up in the middle of its answer."""

REDIRECTED = "TooManyRedirects"
"""A server that sends its client round in circles."""

SILENT = "ReadTimeout"
"""A server that was reached and did not answer in time."""

_CLIENTS = frozenset({"aiohttp", "http", "httpcore", "httpx", "redis", "requests", "ssl", "urllib", "urllib3", "valkey"})
_ANSWERED = re.compile(
    r"(?:(?:Client|Server) error|Redirect response) '(?P<httpx>\d{3}) [^']*' for url '(?P<httpxurl>[^']*)'"
    r"|(?P<requests>\d{3}) (?:Client|Server) Error: .*? for url: (?P<requestsurl>\S+)"
    r"|(?P<aiohttp>\d{3}), message=(?:'[^']*'|\"[^\"]*\"), url=(?:URL\()?'(?P<aiohttpurl>[^']*)'"
    r"|HTTP Error (?P<urllib>\d{3}): .*"
)
_HUNG_UP = re.compile(
    r"Server disconnected|.*Remote end closed connection|.*RemoteDisconnected|peer closed connection|Server closed the connection"
)
_CUT_SHORT = re.compile(
    r".*(?:IncompleteRead|without sending complete message body|incomplete chunked read|payload is not completed"
    r"|[Nn]ot enough data (?:for satisfy|to satisfy)|Response ended prematurely|InvalidChunkLength)",
    re.DOTALL,
)
_REDIRECTED = re.compile(r"Exceeded (?:\d+|maximum allowed) redirects|TooManyRedirects\Z")
_READ = re.compile(r".*[Rr]ead timed out|Timeout on reading data|ReadTimeout(?:Error)?\Z", re.DOTALL)
_OF_TLS = re.compile(r".*\[SSL(?:: ([A-Z_0-9]+))?\] ?(.+?)(?: \(_ssl\.c:\d+\)|['\"\])]*\Z)", re.DOTALL)
_FAULTS = (
    (_CUT_SHORT, (CUT_SHORT, "the server hung up in the middle of its answer")),
    (_HUNG_UP, (DISCONNECTED, "the server hung up without an answer")),
    (_REDIRECTED, (REDIRECTED, "too many redirects")),
    (_READ, (SILENT, "timed out")),
)
_NAMELESS_HOST = re.compile(
    r".*?((?:\[Errno -?\d+\] )?(?:Name or service not known|Temporary failure in name resolution|nodename nor servname"
    r"|getaddrinfo failed|No address associated)[^'\")>\].]*)",
    re.DOTALL,
)
_ERRNOS = {"Name or service not known": "[Errno -2]", "Temporary failure in name resolution": "[Errno -3]"}
"""What Linux calls them, for the clients that say only the words."""
_FATAL = re.compile(r"\bFATAL: +(.+)")
_REFUSALS = (
    ("password authentication failed", "InvalidPassword"),
    ("pg_hba.conf", "InvalidAuthorizationSpecification"),
    ('role "', "InvalidAuthorizationSpecification"),
    ('database "', "InvalidCatalogName"),
    ("connection slots", "TooManyConnections"),
    ("too many c", "TooManyConnections"),
    ("starting up", "CannotConnectNow"),
    ("shutting down", "CannotConnectNow"),
)
"""PostgreSQL turns a client away in words; asyncpg names the kind."""
_NO_COLUMN = re.compile(r"table (\w+) has no column named (\w+)|no such column: ([\w.]+)")
_ASKED = re.compile(r"host='([^']+)', port=(\d+)")
_RESOLVED = re.compile(r"resolve ('[^']+')")
_CONNECTED_TO = re.compile(r"connect(?:ing)? to (?:host )?([A-Za-z][\w.-]*):(\d{1,5})\b")
_OF_PIPELINE = re.compile(r"\ACommand # \d+ \(.{0,400}?\) of pipeline caused error: ", re.DOTALL)


def unified(type_name: str, message: str) -> tuple[str, str]:
    """Type and message of a client's exception, where it only tells what the server did; others as they are."""
    module, _, name = type_name.partition(".")
    if module in {"psycopg", "psycopg2"} and (refusal := _FATAL.search(message)):
        kind = next((kind for words, kind in _REFUSALS if words in refusal[1]), "Fatal")
        return f"postgres.{kind}", refusal[1]
    if module == "sqlite3" and (lacking := _NO_COLUMN.match(message)):
        column = f"{lacking[1]}.{lacking[2]}" if lacking[1] else lacking[3]
        return type_name, f"no such column: '{column}'"
    if module not in _CLIENTS:
        return type_name, message
    if module in {"redis", "valkey"} and not (name.endswith("ConnectionError") and _NAMELESS_HOST.match(message)):
        return f"redis.{name}", _OF_PIPELINE.sub("", message)
    if found := _ANSWERED.match(message):
        kind = next(kind for kind in ("httpx", "requests", "aiohttp", "urllib") if found[kind])
        url = found[f"{kind}url"] if kind != "urllib" else ""
        return STATUS, f"HTTP status {found[kind]} for {url}" if url else f"HTTP status {found[kind]}"
    return _fault(name, message) or (f"httpx.{name}" if module == "httpcore" else type_name, message)


def _fault(name: str, message: str) -> tuple[str, str] | None:
    """What kept an answer from its client; None where it is nothing that all clients know."""
    if tls := _OF_TLS.match(message):
        return UNENCRYPTED, f"[SSL: {tls[1] or ''}] {tls[2]}{_host_in(message)}"
    if unknown := _NAMELESS_HOST.match(message):
        words = unknown[1].strip()
        return UNRESOLVED, f"{_ERRNOS[words]} {words}{_host_in(message)}" if words in _ERRNOS else f"{words}{_host_in(message)}"
    for pattern, (fault, said) in _FAULTS:
        if pattern.match(message) or pattern.match(name):
            return fault, said if fault == DISCONNECTED else f"{said}{_host_in(message)}"
    return None


def _host_in(message: str) -> str:
    if asked := _ASKED.search(message):
        return f" at {asked[1]}:{asked[2]}"
    if connected := _CONNECTED_TO.search(message):
        return f" at {connected[1]}:{connected[2]}"
    named = _RESOLVED.search(message)
    return f" of {named[1]}" if named else ""
