"""Redis' protocol on a raw socket: as much of it as a probe needs, without a client library's retries."""

import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qs, urlsplit

from ci_tools.model.service import Endpoint

if TYPE_CHECKING:
    import ssl

_TLS_SCHEME = "rediss"
_NO = ("0", "f", "false", "n", "no")


class RespError(Exception):
    """The server answered with an error, or with something that is not Redis' protocol."""


class RespConnection:
    """One connection that asks and waits for the answer."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._answers = connected.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._answers.close()
        self._socket.close()

    def ask(self, *words: str) -> str:
        """The answer to one command as text. RespError for an error, OSError when the connection breaks."""
        encoded = [word.encode() for word in words]
        self._socket.sendall(b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded))
        line = self._answers.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionResetError("the connection ended in the middle of an answer")
        mark, text = line[:1], line[1:-2].decode(errors="replace")
        match mark:
            case b"+" | b":":
                return text
            case b"$":
                return self._answers.read(int(text) + 2)[:-2].decode(errors="replace")
            case b"-":
                raise RespError(text)
            case _:
                raise RespError(f"{line[:60]!r} is not Redis' protocol")

    def info(self, section: str) -> Mapping[str, str]:
        """One section of INFO."""
        lines = self.ask("INFO", section).splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)


def connect_tcp(host: str, port: int, timeout_s: float) -> RespConnection:
    """Connect to host and port; OSError with the platform's own errno when that fails."""
    return RespConnection(socket.create_connection((host, port), timeout=timeout_s))


def connect_to(endpoint: Endpoint, timeout_s: float) -> RespConnection:
    """Connect to where a Redis answers: by its unix socket where it has one, and with TLS where its URL demands it."""
    if endpoint.socket_path:
        return connect_unix(endpoint.socket_path, timeout_s)
    parts = urlsplit(endpoint.url)
    if parts.scheme != _TLS_SCHEME:
        return connect_tcp(endpoint.host, endpoint.port, timeout_s)
    plain = socket.create_connection((endpoint.host, endpoint.port), timeout=timeout_s)
    try:
        return RespConnection(_tls_context(parse_qs(parts.query)).wrap_socket(plain, server_hostname=endpoint.host))
    except BaseException:
        plain.close()
        raise


def connect_unix(path: str, timeout_s: float) -> RespConnection:
    """Connect to a unix socket."""
    connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connected.settimeout(timeout_s)
    try:
        connected.connect(path)
    except BaseException:
        connected.close()
        raise
    return RespConnection(connected)


def _tls_context(asked: Mapping[str, list[str]]) -> "ssl.SSLContext":
    """What the options of a URL ask for, named as redis-py names them."""
    import ssl  # noqa: PLC0415 - few servers speak TLS, and every start asks one

    def option(name: str) -> str | None:
        return asked.get(f"ssl_{name}", [None])[0]

    context = ssl.create_default_context(cafile=option("ca_certs"), capath=option("ca_path"))
    is_verified = option("cert_reqs") not in ("none", "optional")
    context.check_hostname = is_verified and (option("check_hostname") or "true").lower() not in _NO
    if not is_verified:
        context.verify_mode = ssl.CERT_NONE
    certificate = option("certfile")
    if certificate:
        context.load_cert_chain(certificate, option("keyfile"), option("password"))
    return context
