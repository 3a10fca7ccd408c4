"""The WebSocket: who gets in, what is answered, and how a stream is completed after a break."""

import asyncio
import socket
from pathlib import Path

import pytest
import websockets
from websockets.client import ClientProtocol
from websockets.frames import Frame
from websockets.http11 import Response
from websockets.typing import Subprotocol
from websockets.uri import parse_uri
from witness import Witness

from agent_platform.agents import Agent, AgentRegistry, Job
from agent_platform.testing import DEADLINE_S, LiveServer, create_test_app


def bearer(token: str) -> dict[str, str]:
    """The header that carries a token."""
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.service("redis", "database", "http", "websocket")
async def test_a_bearer_header_opens_a_socket(live: LiveServer) -> None:
    """A program sends its token as a header, and the first message says whose connection it is."""
    ada = await live.sign_in("ada@example.com")
    async with live.ws(ada.token) as client:
        assert [{"type": "connection_ready", "user_id": ada.user_id}] == client.received
    assert (101, {}) == await live.handshake(headers=bearer(ada.token))


@pytest.mark.service("redis", "database", "http", "websocket")
async def test_a_subprotocol_carries_a_browsers_token(live: LiveServer) -> None:
    """A browser sends its token as a subprotocol; the server answers only the real one."""
    ada = await live.sign_in("ada@example.com")
    offered = [Subprotocol("agent.v1"), Subprotocol(f"bearer.{ada.token}")]
    url = f"ws://127.0.0.1:{live.port}/ws"
    async with websockets.connect(url, subprotocols=offered, proxy=None) as connection:
        assert "agent.v1" == connection.subprotocol
        assert ada.token not in str(connection.response.headers if connection.response else "")


@pytest.mark.service("redis", "database", "http", "websocket")
async def test_what_cannot_be_understood_is_answered(live: LiveServer, witness: Witness) -> None:
    """Broken, unknown, oversized and unanswerable messages each get an error, and the connection lives on."""
    ada = await live.sign_in("ada@example.com")
    async with live.ws(ada.token) as client:
        for text in ("{", "[" * 8000, "[]", '{"type": "shout"}', '{"type": "ping", "filler": "' + "x" * 8192 + '"}'):
            await client.connection.send(text)
        await client.connection.send(b"\x00")
        await client.send({"type": "run.start", "agent": "nobody", "input": {}, "ref": "r1"})
        await client.send({"type": "run.start", "agent": "failing", "input": {}, "thread_id": "a:b", "ref": "r2"})
        errors = [await client.next("error") for _ in range(8)]
        await client.send({"type": "ping"})
        await client.next("pong")
    expected = [
        "a message that is not JSON",
        "a message that is not JSON",
        "a message that is a list",
        "message type 'shout' with these fields is unknown",
        "a message of 8222 bytes",
        "a binary message",
        "agent 'nobody' is unknown",
        "thread_id is 'a:b'",
    ]
    assert expected == [error["message"] for error in errors]
    assert ["bad_request"] * 7 + ["invalid_context"] == [error["code"] for error in errors]
    assert [None] * 6 + ["r1", "r2"] == [error["ref"] for error in errors]
    assert "known: admin, failing, research, sleeper" == errors[6]["hint"]
    assert [] == await witness.rows(ada.user_id)


@pytest.mark.service("redis", "database", "http", "websocket")
async def test_a_fourth_connection_is_refused_until_one_closes(live: LiveServer, witness: Witness) -> None:
    """A user's fourth socket is refused with 429 in the handshake; a closed one makes room."""
    ada = await live.sign_in("ada@example.com")
    async with live.ws(ada.token), live.ws(ada.token):
        async with live.ws(ada.token):
            status, refusal = await live.handshake(headers=bearer(ada.token))
            assert (429, "all 3 conns of this user are in use") == (status, refusal["message"])
        async with asyncio.timeout(DEADLINE_S):
            while await witness.leases("conns", ada.user_id) > 2:
                pass
        assert 101 == (await live.handshake(headers=bearer(ada.token)))[0]


@pytest.mark.service("redis", "database", "http", "websocket")
async def test_resuming_yields_exactly_what_was_missed(live: LiveServer, witness: Witness) -> None:
    """A client that left in the middle of a run gets the events after the last one it has, once each, in order."""
    ada = await live.sign_in("ada@example.com")
    async with live.ws(ada.token) as client:
        run_id = await client.start("research", topic="tides")
        seen = [await client.receive() for _ in range(3)]
    await live.settled()
    async with live.ws(ada.token) as client:
        await client.send({"type": "resume", "run_id": run_id, "after_seq": 3})
        await client.next("replay_done", run_id=run_id)
        missed = [message for message in client.received if "seq" in message]
    assert [1, 2, 3] == [event["seq"] for event in seen]
    assert seen + missed == await witness.events(run_id)
    assert "agent_completed" == missed[-1]["type"]


@pytest.mark.service("redis", "database", "http", "websocket")
async def test_a_second_tab_sees_the_whole_run(tmp_path: Path) -> None:
    """A tab that is opened in the middle of a run gets the same stream as the first, from its beginning."""
    second_tab_is_open = asyncio.Event()

    async def wait(job: Job) -> object:
        await job.think(1, "before")
        await second_tab_is_open.wait()
        await job.think(2, "after")
        return None

    registry = AgentRegistry(Agent(name="waiter", run=wait))
    async with LiveServer(create_test_app(registry=registry, workdir=tmp_path)) as live:
        ada = await live.sign_in("ada@example.com")
        async with live.ws(ada.token) as first:
            run_id = await first.start("waiter")
            await first.next("agent_thinking")
            async with live.ws(ada.token) as second:
                second_tab_is_open.set()
                events = await first.events(run_id)
                assert events == await second.events(run_id)
    assert [1, 2, 3, 4] == [event["seq"] for event in events]


@pytest.mark.service("redis", "database", "http", "websocket")
async def test_a_slow_consumer_is_let_go(tmp_path: Path) -> None:
    """A client that never reads loses hub entry and slot at once, before the close that it cannot take in is over."""
    loop = asyncio.get_running_loop()

    async def talk(job: Job) -> object:
        for step in range(60):
            await job.think(step, "x" * 2000)
        return None

    app = create_test_app(registry=AgentRegistry(Agent(name="noisy", run=talk)), workdir=tmp_path, QUEUE_SIZE="64")
    async with LiveServer(app) as live, Witness(live.settings) as witness:
        ada = await live.sign_in("ada@example.com")
        async with live.ws(ada.token) as client:
            run_id = await client.start("noisy")
            await client.events(run_id)
        async with asyncio.timeout(DEADLINE_S):
            while await witness.leases("conns", ada.user_id):
                pass
        protocol = ClientProtocol(parse_uri(f"ws://127.0.0.1:{live.port}/ws"))
        with socket.socket() as raw:
            raw.setblocking(False)  # noqa: FBT003 - the signature is the socket module's
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            await loop.sock_connect(raw, ("127.0.0.1", live.port))
            request = protocol.connect()
            request.headers.update(bearer(ada.token))
            protocol.send_request(request)
            await loop.sock_sendall(raw, b"".join(protocol.data_to_send()))
            answers: list[object] = []
            async with asyncio.timeout(DEADLINE_S):
                while not any(isinstance(answer, Response) for answer in answers):
                    protocol.receive_data(await loop.sock_recv(raw, 512))
                    answers += protocol.events_received()
                assert 1 == await witness.leases("conns", ada.user_id)
                while await witness.leases("conns", ada.user_id):  # each replay is larger than any queue of frames
                    protocol.send_text(f'{{"type": "resume", "run_id": "{run_id}", "after_seq": 0}}'.encode())
                    await loop.sock_sendall(raw, b"".join(protocol.data_to_send()))
                assert [] == live.platform.bridge.sockets
                assert protocol.close_rcvd is None
                assert live.open_connections >= 1
                while protocol.close_rcvd is None:  # now it reads: the reason comes behind everything else
                    data = await loop.sock_recv(raw, 1 << 16)
                    assert data != b"", "the connection ended without a close frame"
                    protocol.receive_data(data)
                    answers += protocol.events_received()
        assert 4429 == protocol.close_rcvd.code
        assert [] != [answer for answer in answers if isinstance(answer, Frame)]


@pytest.mark.service("redis", "database", "http", "websocket")
async def test_a_foreign_page_opens_no_socket(tmp_path: Path) -> None:
    """Where origins are listed a browser on another page is refused with 403, whatever token it holds."""
    async with LiveServer(create_test_app(workdir=tmp_path, ALLOWED_ORIGINS="https://app.example.com")) as live:
        ada = await live.sign_in("ada@example.com")
        statuses = {}
        for origin in ("https://app.example.com", "https://evil.example.com", "https://app.example.com.evil.org", "null"):
            statuses[origin] = (await live.handshake(headers={**bearer(ada.token), "Origin": origin}))[0]
        assert [101, 403, 403, 403] == list(statuses.values())
        assert 101 == (await live.handshake(headers=bearer(ada.token)))[0]
