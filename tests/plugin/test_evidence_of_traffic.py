"""Requests and frames of a service that is not a server of ours are counted where the client sends them."""

from pathlib import Path

from suites import outcomes_by_name, properties_by_name, run_suite, write_suite

TRAFFIC = """
import asyncio
import http.server
import threading
import urllib.request

import httpx
import pytest
import websockets.asyncio.client
import websockets.asyncio.server
import websockets.sync.client


class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"hi")

    def log_message(self, *_):
        pass


@pytest.fixture
def url():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hello) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


@pytest.mark.service("http")
def test_urllib(url):
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url) as answer:
        assert answer.read() == b"hi"


@pytest.mark.service("http")
def test_httpx(url):
    with httpx.Client(trust_env=False) as client:
        assert [client.get(url).text for _ in range(3)] == ["hi"] * 3


@pytest.mark.service("http")
def test_httpx_asyncio(url):
    async def ask():
        async with httpx.AsyncClient(trust_env=False) as client:
            return (await client.get(url)).text

    assert asyncio.run(ask()) == "hi"


@pytest.mark.service("http")
def test_aiohttp_imported_late(url):
    import aiohttp

    async def ask():
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return await answer.text()

    assert asyncio.run(ask()) == "hi"


@pytest.mark.service("http")
def test_aiohttp(url):
    import aiohttp

    async def ask():
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return await answer.text()

    assert asyncio.run(ask()) == "hi"


@pytest.mark.service("websocket")
def test_websockets():
    async def echo(connection):
        async for message in connection:
            await connection.send(message)

    async def speak():
        async with websockets.asyncio.server.serve(echo, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with websockets.asyncio.client.connect(f"ws://127.0.0.1:{port}", proxy=None) as client:
                await client.send("a")
                return await client.recv()

    assert asyncio.run(speak()) == "a"


@pytest.mark.service("websocket")
def test_refused():
    def refuse(connection, request):
        return connection.respond(401, "no")

    async def knock():
        async with websockets.asyncio.server.serve(None, "127.0.0.1", 0, process_request=refuse) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(websockets.exceptions.InvalidStatus):
                await websockets.asyncio.client.connect(f"ws://127.0.0.1:{port}", proxy=None)

    asyncio.run(knock())


@pytest.mark.service("http")
def test_untouched_http(url):
    pass


@pytest.mark.service("websocket")
def test_untouched_websocket():
    pass


def test_methods_are_put_back_at_the_end(request):
    send = httpx.Client.send
    assert send.__wrapped__ is not None
    request.config.add_cleanup(lambda: open("after", "w").write(str(hasattr(httpx.Client.send, "__wrapped__"))))
"""


def test_requests_and_frames_are_counted(tmp_path: Path) -> None:
    """HTTP requests of urllib, httpx and aiohttp and WebSocket frames are counted; a library imported late is no accusation."""
    write_suite(tmp_path, {"test_it.py": TRAFFIC})
    run = run_suite(tmp_path, "-q")
    outcomes = outcomes_by_name(run)
    assert {name for name, outcome in outcomes.items() if outcome != "passed"} == {"untouched_http", "untouched_websocket"}, (
        run.output
    )
    told = properties_by_name(run)
    requests = {name: told[name]["http_requests"] for name in ("urllib", "httpx", "httpx_asyncio", "aiohttp", "untouched_http")}
    assert requests == {"urllib": "1", "httpx": "3", "httpx_asyncio": "1", "aiohttp": "1", "untouched_http": "0"}
    assert int(told["websockets"]["websocket_frames"]) >= 2
    assert told["refused"]["websocket_frames"] == "1"  # the answer to the opening handshake
    assert "declared http, 0 requests" in run.output
    assert "declared websocket, 0 frames" in run.output
    assert (tmp_path / "after").read_text(encoding="utf-8") == "False"
