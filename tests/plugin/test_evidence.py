"""What a test declares is measured on the server, with every kind of client; declared and untouched is red."""

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path

import pytest
from suites import SuiteRun, run_suite, write_suite

from ci_tools.model.case import Outcome, Phase
from ci_tools.model.journal import PhaseFinished, TestFinished

REDIS = """
import asyncio
import os

import pytest
import redis
import redis.asyncio

pytestmark = pytest.mark.service("redis")
URL = os.environ.get("REDIS_URL")


@pytest.fixture
def client():
    with redis.Redis.from_url(os.environ["REDIS_URL"], lib_name=None, lib_version=None, protocol=2) as client:
        client.set("a", 1)
        yield client
        client.delete("a")
        client.delete("a")


def test_sync(client):
    for _ in range(3):
        client.get("a")


async def speak():
    client = redis.asyncio.Redis.from_url(os.environ["REDIS_URL"], lib_name=None, lib_version=None, protocol=2)
    async with client:
        await client.set("b", "x" * 10_000)


def test_asyncio():
    asyncio.run(speak())


def test_uvloop():
    uvloop = pytest.importorskip("uvloop")
    uvloop.run(speak())


def test_untouched():
    pass


def test_untouched_again():
    pass
"""

POSTGRES = """
import asyncio
import os

import pytest

asyncpg = pytest.importorskip("asyncpg")
psycopg = pytest.importorskip("psycopg")
pytestmark = pytest.mark.service("postgres")


@pytest.fixture(scope="module")
def kept():
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("SELECT 1")
        yield connection


async def speak():
    connection = await asyncpg.connect(os.environ["DATABASE_URL"])
    for _ in range(4):
        await connection.execute("SELECT 1")
    await connection.close()


def test_asyncpg():
    asyncio.run(speak())


def test_asyncpg_on_uvloop():
    uvloop = pytest.importorskip("uvloop")
    uvloop.run(speak())


def test_psycopg():
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        for _ in range(3):
            connection.execute("SELECT 1")


def test_connects_and_asks_nothing():
    psycopg.connect(os.environ["DATABASE_URL"]).close()


def test_makes_the_kept_one(kept):
    assert kept.execute("SELECT 1").fetchone() == (1,)


def test_uses_the_kept_one(kept):
    assert kept.execute("SELECT 1, repeat('x', 5000)").fetchone()[0] == 1


def test_leaves_the_kept_one_alone(kept):
    pass


def test_untouched():
    pass
"""


def _properties(run: SuiteRun) -> Mapping[str, Mapping[str, str]]:
    ended = (event for event in run.events if isinstance(event, TestFinished))
    return {event.test_id.partition("::test_")[2]: event.properties for event in ended}


def _outcomes(run: SuiteRun) -> dict[str, str]:
    return {test_id.partition("::test_")[2]: outcome.value for test_id, outcome in run.outcomes.items()}


def test_redis_is_counted_by_its_server(tmp_path: Path) -> None:
    """Commands by phase are exact, connections and bytes too, for sync, asyncio and uvloop; an untouched test measures zero."""
    write_suite(tmp_path, {"test_it.py": REDIS})
    run = run_suite(tmp_path, "-q", "-o", "junit_family=xunit2", "--junitxml", str(tmp_path / "junit.xml"))
    expected = dict.fromkeys(("sync", "asyncio", "uvloop"), "passed") | dict.fromkeys(("untouched", "untouched_again"), "failed")
    assert _outcomes(run) == expected, run.output
    told = _properties(run)
    # With the AUTH of a new connection.
    assert told["sync"]["redis_commands"] == "5"
    assert told["sync"]["redis_commands_by_phase"] == "setup 2, call 3, teardown 2"
    assert told["asyncio"]["redis_connections"] == told["uvloop"]["redis_connections"] == "1"
    assert 10_000 < int(told["asyncio"]["redis_bytes"]) < 11_000
    zero = {"redis_commands": "0", "redis_connections": "0", "redis_bytes": "0"}
    assert {name: told["untouched_again"][name] for name in zero} == zero
    assert "declared redis, 0 commands" in run.output
    call = [event for event in run.events if isinstance(event, PhaseFinished) and event.phase is Phase.CALL]
    assert (call[0].counts or {})["redis_commands"] == 3
    case = next(case for case in ET.parse(tmp_path / "junit.xml").iter("testcase") if case.get("name") == "test_sync")  # noqa: S314 - as above
    assert {one.get("name"): one.get("value") for one in case.iter("property")}["redis_commands"] == "5"


@pytest.mark.parametrize(
    ("guards", "is_exact"),
    [("", True), ('[tool.ci-tools.services.postgres.options]\nshared_preload_libraries = ""', False)],
    ids=["our server", "a server that counts no statements"],
)
def test_postgres_is_counted_by_its_server(tmp_path: Path, guards: str, is_exact: bool) -> None:
    """Statements are seen of asyncpg, uvloop and C clients, on new and on kept connections; a bare connect is no statement."""
    write_suite(tmp_path, {"test_it.py": POSTGRES}, guards=guards)
    run = run_suite(tmp_path, "-q", timeout_s=120)
    outcomes = _outcomes(run)
    hollow = {"connects_and_asks_nothing", "leaves_the_kept_one_alone", "untouched"}
    assert {name for name, outcome in outcomes.items() if outcome == "failed"} == hollow, run.output
    assert len(outcomes) == 8
    told = _properties(run)
    expected = {"asyncpg": 4, "asyncpg_on_uvloop": 4, "psycopg": 3, "uses_the_kept_one": 1}
    counted = {name: int(told[name]["postgres_statements"]) for name in expected}
    assert counted == expected if is_exact else all(1 <= counted[name] <= expected[name] for name in expected), counted
    assert told["asyncpg"]["postgres_connections"] == "1"
    assert int(told["uses_the_kept_one"]["postgres_bytes"]) > 5000
    assert told["untouched"]["postgres_statements"] == told["untouched"]["postgres_bytes"] == "0"
    assert "postgres_bytes" not in told["psycopg"]
    assert "declared postgres, 0 statements" in run.output


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
    outcomes = _outcomes(run)
    assert {name for name, outcome in outcomes.items() if outcome != "passed"} == {"untouched_http", "untouched_websocket"}, (
        run.output
    )
    told = _properties(run)
    requests = {name: told[name]["http_requests"] for name in ("urllib", "httpx", "httpx_asyncio", "aiohttp", "untouched_http")}
    assert requests == {"urllib": "1", "httpx": "3", "httpx_asyncio": "1", "aiohttp": "1", "untouched_http": "0"}
    assert int(told["websockets"]["websocket_frames"]) >= 2
    assert told["refused"]["websocket_frames"] == "1"  # the answer to the opening handshake
    assert "declared http, 0 requests" in run.output
    assert "declared websocket, 0 frames" in run.output
    assert (tmp_path / "after").read_text(encoding="utf-8") == "False"


STOOD_IN = """
from unittest import mock

import fakeredis
import pytest
import redis

pytestmark = pytest.mark.service("redis")


@pytest.fixture
def client():
    return fakeredis.FakeRedis()


def test_fixture(client):
    client.set("a", 1)


@mock.patch("redis.Redis")
def test_patched(kind):
    redis.Redis().get("a")


def test_patched_for_a_while(monkeypatch):
    monkeypatch.setattr(redis, "Redis", mock.MagicMock())
    redis.Redis().get("a")


def test_made_and_dropped():
    client = mock.MagicMock()
    client.get("a")
"""
FAKEREDIS = "class FakeRedis:\n    def set(self, *_): ...\n"


def test_a_stand_in_is_named(tmp_path: Path) -> None:
    """What stood in for a declared service is named with the place where it was seen."""
    write_suite(tmp_path, {"test_it.py": STOOD_IN, "fakeredis.py": FAKEREDIS})
    run = run_suite(tmp_path, "-q")
    assert set(_outcomes(run).values()) == {"failed"}
    for said in (
        "fakeredis.FakeRedis (fixture client) stood in",
        "(a patch of the test) stood in",
        "(redis.Redis is patched) stood in",
        "MagicMock (in the test's text) stood in",
    ):
        assert said in run.output, run.output


MISUSED = """
import socket
import urllib.parse

import pytest


@pytest.mark.service("reddis")
def test_misspelt():
    pass


@pytest.mark.service("reddis")
def test_misspelt_again():
    pass


@pytest.mark.service
def test_nameless():
    pass


@pytest.mark.service("redis")
def test_refused(redis_url):
    url = urllib.parse.urlparse(redis_url)
    with socket.create_connection((url.hostname, url.port)) as connection:
        connection.sendall(b"PING\\r\\n")
        assert b"NOAUTH" in connection.recv(100)
"""


def test_where_warnings_are_errors_an_unknown_service_costs_its_own_test_only(tmp_path: Path) -> None:
    """The test is red for its mark, the one behind it is not; a process of the test's own is a known name."""
    lines = "import pytest", *(f"@pytest.mark.service({name!r})\ndef test_{name}(): pass" for name in ("reddis", "process"))
    write_suite(tmp_path, {"test_it.py": "\n".join((*lines, "def test_plain(): pass"))})
    run = run_suite(tmp_path, "-q", "-W", "error")
    red = {name.rpartition("::")[2]: outcome for name, outcome in run.outcomes.items()}
    assert red == {"test_reddis": Outcome.ERROR, "test_process": Outcome.PASSED, "test_plain": Outcome.PASSED}, run.output
    assert "declared service 'reddis' is not measured: known are redis" in run.output


def test_a_declaration_that_says_nothing_is_told(tmp_path: Path) -> None:
    """An unknown service is a warning, once; a mark without a name is red, and so is who was refused, with what to look at."""
    write_suite(tmp_path, {"test_it.py": MISUSED})
    run = run_suite(tmp_path, "-q")
    assert run.outcomes == {
        "test_it.py::test_misspelt": Outcome.PASSED,
        "test_it.py::test_misspelt_again": Outcome.PASSED,
        "test_it.py::test_nameless": Outcome.ERROR,
        "test_it.py::test_refused": Outcome.FAILED,
    }, run.output
    unknown = "declared service 'reddis' is not measured: known are redis, postgres, http, websocket"
    assert run.output.count(unknown) == 1
    assert 'the mark `service` names no service; write @pytest.mark.service("redis")' in run.output
    assert "1 connection(s) asked nothing that it carried out: was the password given?" in run.output


def test_a_folder_declares(tmp_path: Path) -> None:
    """What the configuration says of a folder holds for each test below it, as the mark does, and for no other."""
    files = {
        "tests/real/deep/test_it.py": "import os\n\n\ndef test_it():\n    assert os.environ['REDIS_URL']\n",
        "tests/other/test_other.py": "def test_other():\n    pass\n",
    }
    write_suite(tmp_path, files, guards='[tool.ci-tools.guards.services]\n"tests/real" = ["redis"]')
    run = run_suite(tmp_path, "-q")
    assert run.outcomes == {
        "tests/real/deep/test_it.py::test_it": Outcome.FAILED,
        "tests/other/test_other.py::test_other": Outcome.PASSED,
    }, run.output
    assert "declared redis, 0 commands" in run.output
