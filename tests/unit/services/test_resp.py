import socket
from collections.abc import Iterator

import pytest

from ci_tools.services import resp


@pytest.fixture
def ends() -> Iterator[tuple[resp.RespConnection, socket.socket]]:
    """A connection and the server's end of it."""
    ours, theirs = socket.socketpair()
    ours.settimeout(1)
    with resp.RespConnection(ours) as connection, theirs:
        yield connection, theirs


def test_a_command_is_an_array_of_bulk_strings(ends: tuple[resp.RespConnection, socket.socket]) -> None:
    """Lengths count bytes, not characters."""
    connection, server = ends
    server.sendall(b"+OK\r\n")
    connection.ask("AUTH", "grün")
    assert server.recv(100) == b"*2\r\n$4\r\nAUTH\r\n$5\r\ngr\xc3\xbcn\r\n"


@pytest.mark.parametrize(("answer", "text"), [(b"+PONG\r\n", "PONG"), (b":7\r\n", "7"), (b"$5\r\na\r\nbc\r\n", "a\r\nbc")])
def test_answers_become_text(ends: tuple[resp.RespConnection, socket.socket], answer: bytes, text: str) -> None:
    """Simple strings, integers and bulk strings are read whole."""
    connection, server = ends
    server.sendall(answer)
    assert text == connection.ask("PING")


def test_info_is_a_mapping(ends: tuple[resp.RespConnection, socket.socket]) -> None:
    """INFO's lines become names and values; a value may hold colons."""
    connection, server = ends
    body = b"# Server\r\nredis_version:7.2.4\r\nconfig_file:C:\\x\r\n"
    server.sendall(b"$%d\r\n%s\r\n" % (len(body), body))
    assert connection.info("server") == {"redis_version": "7.2.4", "config_file": "C:\\x"}


def test_an_error_answer_is_an_error(ends: tuple[resp.RespConnection, socket.socket]) -> None:
    """``-ERR`` raises with the server's words."""
    connection, server = ends
    server.sendall(b"-WRONGPASS no\r\n")
    with pytest.raises(resp.RespError, match="WRONGPASS no"):
        connection.ask("AUTH", "x")


def test_another_protocol_is_an_error(ends: tuple[resp.RespConnection, socket.socket]) -> None:
    """A web server's answer is named, not read as Redis'."""
    connection, server = ends
    server.sendall(b"HTTP/1.1 400 Bad Request\r\n")
    with pytest.raises(resp.RespError, match="HTTP"):
        connection.ask("PING")


def test_a_closed_connection_is_an_os_error(ends: tuple[resp.RespConnection, socket.socket]) -> None:
    """A server that hangs up in the middle is not ready: OSError, which a probe repeats."""
    connection, server = ends
    server.sendall(b"+PO")
    server.shutdown(socket.SHUT_WR)
    with pytest.raises(OSError, match="middle"):
        connection.ask("PING")
