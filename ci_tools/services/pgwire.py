"""PostgreSQL's protocol on a raw socket: as much of it as a probe and a CREATE DATABASE need, without a driver.

Protocol 3.0 with simple queries; no password, a clear one, or SCRAM-SHA-256; TLS where the URL asks for it.
"""

import base64
import hashlib
import hmac
import secrets
import select
import socket
import ssl
import struct
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Self

STARTING_UP = "57P03"
"""The SQLSTATE of a server that will soon be ready."""

_PROTOCOL = 196608  # 3.0
_TLS_REQUEST = 80877103
_MOST_SELECTABLE = 1024  # FD_SETSIZE of most systems
_MECHANISM = "SCRAM-SHA-256"


class _Asks(IntEnum):
    """What the server may ask for while we sign in; other numbers are ways that we do not know."""

    NOTHING = 0
    CLEAR = 3
    SASL = 10
    SASL_CONTINUE = 11
    SASL_FINAL = 12


Row = tuple[str | None, ...]


class PostgresError(Exception):
    """The server answered with an error. ``code`` is its SQLSTATE, empty when it is not PostgreSQL's protocol at all."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class Tls(StrEnum):
    """What is asked of the connection, by the names of ``sslmode``."""

    NONE = ""
    REQUIRE = "require"
    """Encrypted; whose certificate it is is asked only where ``authorities`` says whom to believe."""
    VERIFY_CA = "verify-ca"
    VERIFY_FULL = "verify-full"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where to connect and as whom. ``socket_path`` is preferred to host and port when it is not empty."""

    host: str
    port: int
    user: str
    password: str
    database: str
    socket_path: str = ""
    tls: Tls = Tls.NONE
    authorities: str = ""
    """A file of certificates that are trusted; empty for the system's."""
    timeout_s: float = 5.0
    session: str = "ci-tools"


class PostgresConnection:
    """One session. Made by ``connect``."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._answers = connected.makefile("rb")
        self.database = ""
        self.parameters: dict[str, str] = {}
        """What the server said of itself at sign-in, like ``server_version``."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the session."""
        try:
            self._socket.sendall(b"X\0\0\0\4")
        except OSError:
            pass  # whoever hung up first, the session is over
        finally:
            self._answers.close()
            self._socket.close()

    def query(self, sql: str) -> list[Row]:
        """The rows of one simple query, values as text. PostgresError for an error, OSError when the connection breaks."""
        self._send(b"Q", sql.encode() + b"\0")
        rows: list[Row] = []
        failure: PostgresError | None = None
        while True:
            kind, body = self._receive()
            match kind:
                case b"D":
                    rows.append(_row(body))
                case b"E":
                    failure = _error(body)
                case b"Z":
                    break
        if failure is not None:
            raise failure
        return rows

    def value(self, sql: str) -> str:
        """The single value of a query."""
        return self.query(sql)[0][0] or ""

    def is_quiet(self) -> bool:
        """Whether the server has said nothing since the last answer; what it says unasked is mostly that it ended the session."""
        return self._socket.fileno() < _MOST_SELECTABLE and not select.select([self._socket], [], [], 0)[0]

    def set_timeout(self, timeout_s: float) -> None:
        """How long the next queries may take; a CREATE DATABASE takes longer than a connect."""
        self._socket.settimeout(timeout_s)

    def start_up(self, target: Target) -> None:
        """Sign in and wait until the server is ready for queries."""
        self.database = target.database
        words = {"user": target.user, "database": target.database, "application_name": target.session, "client_encoding": "UTF8"}
        body = b"".join(f"{name}\0{value}\0".encode() for name, value in words.items()) + b"\0"
        self._socket.sendall(struct.pack("!ii", len(body) + 8, _PROTOCOL) + body)
        scram: _Scram | None = None
        while True:
            kind, body = self._receive()
            match kind:
                case b"R":
                    scram = self._authenticate(body, target, scram)
                case b"S":
                    name, value = body.decode().split("\0")[:2]
                    self.parameters[name] = value
                case b"E":
                    raise _error(body)
                case b"Z":
                    return

    def _authenticate(self, body: bytes, target: Target, scram: "_Scram | None") -> "_Scram | None":
        asked = struct.unpack("!i", body[:4])[0]
        match asked:
            case _Asks.NOTHING:
                return scram
            case _Asks.CLEAR:
                self._send(b"p", target.password.encode() + b"\0")
            case _Asks.SASL if _MECHANISM.encode() in body[4:].split(b"\0"):
                scram = _Scram(target.password)
                first = scram.first()
                self._send(b"p", _MECHANISM.encode() + b"\0" + struct.pack("!i", len(first)) + first)
            case _Asks.SASL_CONTINUE if scram is not None:
                self._send(b"p", scram.answer(body[4:]))
            case _Asks.SASL_FINAL if scram is not None:
                scram.verify(body[4:])
            case _:
                raise PostgresError(f"the server asks for a way to sign in (number {asked}) that ci-tools does not know")
        return scram

    def _send(self, kind: bytes, body: bytes) -> None:
        self._socket.sendall(kind + struct.pack("!i", len(body) + 4) + body)

    def _receive(self) -> tuple[bytes, bytes]:
        head = self._answers.read(5)
        if len(head) < 5:  # noqa: PLR2004 - one byte of kind, four of length
            raise ConnectionResetError("the connection ended in the middle of an answer")
        kind, length = head[:1], struct.unpack("!i", head[1:])[0]
        if kind not in b"RSKZTDCENIA" or length < 4:  # noqa: PLR2004 - the length counts itself
            raise PostgresError(f"{head!r} is not PostgreSQL's protocol")
        body = self._answers.read(length - 4)
        if len(body) < length - 4:
            raise ConnectionResetError("the connection ended in the middle of an answer")
        return kind, body


def connect(target: Target) -> PostgresConnection:
    """A session. OSError with the platform's errno when nobody is there, PostgresError when the server refuses."""
    connected = _open(target)
    connection = PostgresConnection(connected)
    try:
        connection.start_up(target)
    except BaseException:
        connection.close()
        raise
    return connection


def quote_name(name: str) -> str:
    """An identifier for SQL text."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """A string literal for SQL text."""
    return "'" + text.replace("'", "''") + "'"


def scram_verifier(password: str, *, iterations: int = 4096) -> str:
    """What PostgreSQL stores of a password, so that the password itself is in no statement and no log."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    stored = hashlib.sha256(_hmac(salted, b"Client Key")).digest()
    server = _hmac(salted, b"Server Key")
    return f"{_MECHANISM}${iterations}:{_base64(salt)}${_base64(stored)}:{_base64(server)}"


class _Scram:
    """The client's side of SCRAM-SHA-256 (RFC 5802, 7677), without channel binding."""

    def __init__(self, password: str) -> None:
        self._password = password
        self._first = f"n=,r={secrets.token_urlsafe(18)}"
        self._server_signature = b""

    def first(self) -> bytes:
        return f"n,,{self._first}".encode()

    def answer(self, challenge: bytes) -> bytes:
        parts = dict(part.split("=", 1) for part in challenge.decode().split(","))
        if not parts["r"].startswith(self._first.removeprefix("n=,r=")):
            raise PostgresError("the server answered somebody else's challenge")
        salted = hashlib.pbkdf2_hmac("sha256", self._password.encode(), base64.b64decode(parts["s"]), int(parts["i"]))
        client_key = _hmac(salted, b"Client Key")
        final = f"c=biws,r={parts['r']}"
        signed = f"{self._first},{challenge.decode()},{final}".encode()
        signature = _hmac(hashlib.sha256(client_key).digest(), signed)
        proof = bytes(one ^ other for one, other in zip(client_key, signature, strict=True))
        self._server_signature = _hmac(_hmac(salted, b"Server Key"), signed)
        return f"{final},p={_base64(proof)}".encode()

    def verify(self, final: bytes) -> None:
        if final != b"v=" + _base64(self._server_signature).encode():
            raise PostgresError("the server does not know the password that it accepted")


def _open(target: Target) -> socket.socket:
    if target.socket_path:
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connected.settimeout(target.timeout_s)
        try:
            connected.connect(target.socket_path)
        except BaseException:
            connected.close()
            raise
        return connected
    connected = socket.create_connection((target.host, target.port), timeout=target.timeout_s)
    return _secured(connected, target) if target.tls else connected


def _secured(connected: socket.socket, target: Target) -> socket.socket:
    try:
        connected.sendall(struct.pack("!ii", 8, _TLS_REQUEST))
        if connected.recv(1) == b"S":
            return _tls_context(target).wrap_socket(connected, server_hostname=target.host)
    except BaseException:
        connected.close()
        raise
    connected.close()
    raise PostgresError("the URL asks for TLS and the server has none")


def _tls_context(target: Target) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=target.authorities or None)
    context.check_hostname = target.tls is Tls.VERIFY_FULL
    if target.tls is Tls.REQUIRE and not target.authorities:
        context.verify_mode = ssl.CERT_NONE
    return context


def _row(body: bytes) -> Row:
    values: list[str | None] = []
    position = 2
    for _ in range(struct.unpack("!h", body[:2])[0]):
        length = struct.unpack("!i", body[position : position + 4])[0]
        position += 4
        if length < 0:
            values.append(None)
        else:
            values.append(body[position : position + length].decode())
            position += length
    return tuple(values)


def _error(body: bytes) -> PostgresError:
    fields = {field[:1]: field[1:].decode(errors="replace") for field in body.split(b"\0") if field}
    return PostgresError(fields.get(b"M", "an error without words"), fields.get(b"C", ""))


def _hmac(key: bytes, text: bytes) -> bytes:
    return hmac.digest(key, text, "sha256")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
