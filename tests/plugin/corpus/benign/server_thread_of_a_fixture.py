"""A server in a thread, stopped by its fixture."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import urlopen

import pytest


class Hello(BaseHTTPRequestHandler):
    """Answers everything."""

    def do_GET(self) -> None:
        """Say hello."""
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Be quiet."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Serves each request in a thread of its own."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Hello) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("number", range(3))
def test_it(url: str, number: int) -> None:
    """Asks it."""
    with urlopen(url, timeout=5) as answer:
        assert answer.status == 204
