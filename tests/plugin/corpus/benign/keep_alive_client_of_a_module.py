"""A module has one HTTP client for the life of the process, which keeps its connection alive."""

import socket
import threading
from collections.abc import Iterator

import httpx
import pytest

CLIENT = httpx.Client(trust_env=False)


def serve(listener: socket.socket) -> None:
    """Serve empty pages to one client until it is gone or refused."""
    line, _ = listener.accept()
    with line:
        while line.recv(65536):
            line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage")
            if CLIENT.is_closed:
                return


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server for the module, which outlives the client's connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        CLIENT.close()
        thread.join()


@pytest.mark.parametrize("number", range(3))
def test_it(url: str, number: int) -> None:
    """Asks."""
    assert CLIENT.get(url).text == "page"
