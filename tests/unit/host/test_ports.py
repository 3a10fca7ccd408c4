"""Port reservations, against real sockets."""

import socket
import sys
from collections.abc import Iterator

import pytest

from ci_tools.host import ports

LINUX_ONLY = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a reservation is a look, and the server retries")


@pytest.fixture
def stranger() -> Iterator[socket.socket]:
    """Somebody else's listener on a port of its own."""
    with socket.create_server((ports.LOOPBACK, 0)) as listener:
        yield listener


def listener_like_a_server(port: int) -> socket.socket:
    """What Redis and PostgreSQL do: SO_REUSEADDR, bind, listen."""
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((ports.LOOPBACK, port))
    server.listen()
    return server


def test_a_strangers_port_is_not_reserved(stranger: socket.socket) -> None:
    """A port on which somebody listens gives None, and the listener sees no connection."""
    stranger.setblocking(False)  # noqa: FBT003 - the socket's own signature
    assert ports.reserve(stranger.getsockname()[1]) is None
    with pytest.raises(BlockingIOError):
        stranger.accept()


def test_a_stranger_on_every_address_has_the_port_too() -> None:
    """A listener on 0.0.0.0 keeps us off the same port of 127.0.0.1."""
    with socket.create_server(("0.0.0.0", 0)) as listener:  # noqa: S104 - the stranger's choice
        assert ports.reserve(listener.getsockname()[1]) is None


@LINUX_ONLY
def test_a_reserved_port_is_reserved_once() -> None:
    """Two starts never hold the same port; once released it is free again."""
    with ports.reserve(ports.ANY_PORT) as first:  # type: ignore[union-attr]  # None would fail the test
        assert ports.reserve(first.port) is None
    with ports.reserve(first.port) as again:  # type: ignore[union-attr]  # as above
        assert first.port == again.port


@LINUX_ONLY
def test_the_server_may_bind_what_is_held_for_it() -> None:
    """A server that sets SO_REUSEADDR listens on the reserved port while the reservation is held."""
    with ports.reserve(ports.ANY_PORT) as held, listener_like_a_server(held.port) as server:  # type: ignore[union-attr]
        assert held.port == server.getsockname()[1]


@LINUX_ONLY
def test_others_may_not_bind_what_is_held() -> None:
    """A program that does not share addresses is refused the reserved port."""
    with ports.reserve(ports.ANY_PORT) as held, socket.socket() as other, pytest.raises(OSError, match="in use"):  # type: ignore[union-attr]
        other.bind((ports.LOOPBACK, held.port))


@LINUX_ONLY
def test_closed_connections_of_an_earlier_server_do_not_block_its_port() -> None:
    """A port with a connection in TIME_WAIT is free for a new server."""
    with listener_like_a_server(0) as server:
        port = server.getsockname()[1]
        with socket.create_connection((ports.LOOPBACK, port)) as client:
            accepted, _ = server.accept()
            accepted.close()
            assert client.recv(1) == b""
    with ports.reserve(port) as held:  # type: ignore[union-attr]  # None would fail the test
        assert port == held.port


def test_reservations_prefer_the_preferred_port_and_stay_in_the_range(stranger: socket.socket) -> None:
    """The preferred port comes first unless it is taken; then come those of the range, then nothing."""
    taken = stranger.getsockname()[1]
    with ports.reserve(ports.ANY_PORT) as one:  # type: ignore[union-attr]  # None would fail the test
        free = one.port
    found = []
    for reservation in ports.reservations(free, (taken, taken)):
        with reservation:
            found.append(reservation.port)
    assert [free] == found


def test_without_a_range_any_free_port_follows() -> None:
    """Where the preferred port is taken and no range is set, the system gives a port."""
    with socket.create_server((ports.LOOPBACK, 0)) as listener, next(ports.reservations(listener.getsockname()[1])) as found:
        assert found.port not in (0, listener.getsockname()[1])
