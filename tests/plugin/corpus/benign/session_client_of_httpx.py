"""An httpx.AsyncClient of the session talks to a server of the module."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
import pytest_asyncio


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def address():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(address):
    async with httpx.AsyncClient(base_url=address) as client:
        yield client


@pytest.mark.asyncio(loop_scope="module")
async def test_one(client):
    assert (await client.get("/")).text == "ok"


@pytest.mark.asyncio(loop_scope="module")
async def test_two(client):
    assert (await client.get("/")).text == "ok"
