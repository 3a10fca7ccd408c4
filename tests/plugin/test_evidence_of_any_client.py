"""Whatever a test speaks with, it has spoken: connections of unknown clients, and children that ask in its place."""

from pathlib import Path

from suites import outcomes_by_name, properties_by_name, run_suite, write_suite

SERVER = """
import http.server
import threading

import pytest


class Hello(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"hi")

    def log_message(self, *_):
        pass


@pytest.fixture(scope="session")
def port():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hello) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()
"""

ANY_CLIENT = """
import asyncio
import contextlib
import socket
import subprocess
import sys
import urllib.request

import pytest

QUESTION = b"GET / HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n"
pytestmark = pytest.mark.service("http")


async def ask(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(QUESTION)
    assert b"200" in await reader.read()
    writer.close()
    await writer.wait_closed()


def test_socket(port):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as link:
        link.sendall(QUESTION)
        assert b"200" in link.recv(100)


def test_streams(port):
    asyncio.run(ask(port))


def test_httpcore(port):
    import httpcore

    with httpcore.ConnectionPool() as pool:
        assert pool.request("GET", f"http://127.0.0.1:{port}/").status == 200


def test_nonblocking(port):
    with socket.socket() as link:
        link.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            link.connect(("127.0.0.1", port))
        link.settimeout(20)
        link.sendall(QUESTION)
        assert b"200" in link.recv(100)


def test_child(port):
    text = f"import urllib.request as one; one.urlopen('http://127.0.0.1:{port}/').read()"
    subprocess.run([sys.executable, "-c", text], check=True, timeout=60)


def test_untouched(port):
    pass


@pytest.fixture
def closed_port():
    with socket.socket() as link:  # bound, and nobody listens
        link.bind(("127.0.0.1", 0))
        yield link.getsockname()[1]


def test_nobody_answers(closed_port):
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", closed_port), timeout=20)
    with pytest.raises(OSError):
        asyncio.run(ask(closed_port))


def test_uvloop_comes_late(port):
    uvloop = pytest.importorskip("uvloop")
    uvloop.run(ask(port))


def test_uvloop(port):
    uvloop = pytest.importorskip("uvloop")
    uvloop.run(ask(port))


def test_untouched_beside_uvloop(port):
    pass


@pytest.mark.service("websocket")
def test_asked_over_http_only(port):
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"http://127.0.0.1:{port}/") as answer:
        assert answer.read() == b"hi"


@pytest.mark.service("redis")
def test_spoke_to_redis_only(redis_url):
    import redis

    with redis.Redis.from_url(redis_url) as client:
        client.ping()


@pytest.fixture(scope="module")
def kept(port):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as link:
        yield link


def test_connects_for_others_too(kept):
    pass


def test_speaks_over_what_another_connected(kept):
    kept.sendall(QUESTION)
    assert b"200" in kept.recv(100)


def test_everything_is_put_back(request):
    places = "socket.socket.__dict__.get('connect'), asyncio.selector_events.BaseSelectorEventLoop.sock_connect.__module__"
    assert socket.socket.connect.__wrapped__ is not None
    request.config.add_cleanup(lambda: open("after", "w").write(str(eval(places))))
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"http://127.0.0.1:{request.getfixturevalue('port')}/").close()
"""


def test_whatever_connects_is_evidence(tmp_path: Path) -> None:
    """Sockets, streams, uvloop, clients that nobody counts, and children; not what spoke to nobody, or to another service."""
    write_suite(tmp_path, {"conftest.py": SERVER, "test_it.py": ANY_CLIENT})
    run = run_suite(tmp_path, "-q", timeout_s=120)
    red = {name for name, outcome in outcomes_by_name(run).items() if outcome != "passed"}
    expected = {"untouched", "nobody_answers", "untouched_beside_uvloop", "asked_over_http_only", "spoke_to_redis_only"}
    assert red == expected, run.output
    assert "declared websocket, 0 frames" in run.output
    told = properties_by_name(run)
    connections = {name: told[name]["http_connections"] for name in ("socket", "streams", "httpcore", "uvloop", "untouched")}
    assert connections == {"socket": "1", "streams": "1", "httpcore": "1", "uvloop": "1", "untouched": "0"}
    assert (tmp_path / "after").read_text(encoding="utf-8") == "(None, 'asyncio.selector_events')"


PROCESSES = """
import asyncio
import multiprocessing
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.service("process")


def test_subprocess():
    for _ in range(3):
        subprocess.run([sys.executable, "-c", ""], check=True, timeout=60)


def test_asyncio():
    async def main():
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
        assert await asyncio.wait_for(child.wait(), 60) == 0

    asyncio.run(main())


def test_multiprocessing():
    child = multiprocessing.get_context("spawn").Process(target=int)
    child.start()
    child.join(60)


@pytest.fixture
def program():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        yield child
        child.communicate(b"\\n", timeout=60)


def test_fixture(program):
    assert program.poll() is None


def test_untouched():
    pass


@pytest.fixture(scope="module")
def kept_program():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        yield child
        child.communicate(b"\\n", timeout=60)


def test_begins_it(kept_program):
    pass


def test_may_have_spoken_to_it(kept_program):
    pass
"""


def test_a_declared_process_is_one_that_the_test_starts(tmp_path: Path) -> None:
    """Starts are counted by whatever means; what a wider fixture's child was asked nobody knows, and nobody is accused of it."""
    write_suite(tmp_path, {"test_it.py": PROCESSES})
    run = run_suite(tmp_path, "-q", timeout_s=120)
    assert {name for name, outcome in outcomes_by_name(run).items() if outcome != "passed"} == {"untouched"}, run.output
    assert "declared process, 0 starts" in run.output
    told = properties_by_name(run)
    starts = {name: told[name]["process_starts"] for name in ("subprocess", "asyncio", "multiprocessing", "fixture", "untouched")}
    assert starts == {"subprocess": "3", "asyncio": "1", "multiprocessing": "1", "fixture": "1", "untouched": "0"}
