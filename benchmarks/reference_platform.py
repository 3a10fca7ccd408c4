"""What the reference platform takes for real work, as ratios against a bare echo and against one user alone, in one run.

Run: ``python benchmarks/reference_platform.py [--rounds N] [--limits FILE]``. Real sockets, real Redis, SQLite. Ends with
1 when a ratio is above its limit in ``benchmarks/reference_platform.toml``.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
import tomllib
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from statistics import median, quantiles

import websockets

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples" / "agent_platform" / "src"))

from agent_platform.testing import LiveServer, create_test_app
from ci_tools.model.service import Provider, ServiceKind, ServiceSpec
from ci_tools.services.provision import provide

USERS, RUNS, MESSAGES = 20, 40, 200
LIMITS = Path(__file__).with_suffix(".toml")


async def echo() -> tuple[float, float]:
    """Seconds of a bare echo's round trip: the median and the 95th percentile."""
    async with (
        websockets.serve(_return_all, "127.0.0.1", 0) as server,
        websockets.connect(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", proxy=None) as client,
    ):
        taken = []
        for _ in range(MESSAGES):
            began = time.perf_counter()
            await client.send('{"type": "ping"}')
            await client.recv()
            taken.append(time.perf_counter() - began)
        return median(taken), quantiles(taken, n=20)[-1]


async def _return_all(connection: websockets.ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def ping(live: LiveServer, token: str) -> float:
    """Seconds of the median round trip of the platform's smallest message."""
    async with live.ws(token) as client:
        taken = []
        for _ in range(MESSAGES):
            began = time.perf_counter()
            await client.send({"type": "ping"})
            await client.next("pong")
            taken.append(time.perf_counter() - began)
        return median(taken)


async def alone(live: LiveServer, token: str) -> tuple[float, float]:
    """Seconds of forty runs one after another, and the 95th percentile of an event's way to the client."""
    delays: list[float] = []
    async with live.ws(token) as client:
        began = time.perf_counter()
        for turn in range(RUNS):
            await client.start("research", topic=f"topic {turn}")
            while (message := await client.receive())["type"] != "agent_completed":
                delays.append(time.time() - datetime.fromisoformat(message["ts"]).timestamp())
        return time.perf_counter() - began, quantiles(delays, n=20)[-1]


async def together(live: LiveServer) -> float:
    """Seconds of forty runs of twenty users at once."""
    users = [await live.sign_in(f"user{number}@example.com") for number in range(USERS)]
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(live.ws(user.token)) for user in users]
        began = time.perf_counter()
        pairs = [(client, await client.start("research", topic=str(turn))) for turn in range(RUNS // USERS) for client in clients]
        for client, run_id in pairs:
            await client.events(run_id)
        return time.perf_counter() - began


async def measure(rounds: int) -> dict[str, list[float]]:
    """The ratios of each round."""
    ratios: dict[str, list[float]] = {"ping": [], "event-delay": [], "twenty-users": []}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            async with LiveServer(create_test_app(workdir=Path(folder))) as live:
                ada = await live.sign_in("ada@example.com")
                (bare, rare), answered = await echo(), await ping(live, ada.token)
                one_by_one, delay = await alone(live, ada.token)
                ratios["ping"].append(answered / bare)
                ratios["event-delay"].append(delay / rare)
                ratios["twenty-users"].append(await together(live) / one_by_one)
    return ratios


def main() -> int:
    """Measure, print medians beside their limits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often everything is measured")
    parser.add_argument("--limits", type=Path, default=LIMITS, help="the ratios that may not be passed")
    arguments = parser.parse_args()
    limits = tomllib.loads(arguments.limits.read_text(encoding="utf-8"))
    redis = ServiceSpec(kind=ServiceKind.REDIS, providers=(Provider.EMBEDDED,))
    with provide([redis], environ=dict(os.environ), folder=None) as provision:
        os.environ["REDIS_URL"] = provision.slots[0].endpoints[0].url
        ratios = asyncio.run(measure(arguments.rounds))
    above = [name for name, values in ratios.items() if median(values) > limits[name]]
    for name, values in ratios.items():
        kept = "above its limit" if name in above else "kept"
        print(f"{name:<14} {median(values):6.2f} x   ({min(values):.2f} to {max(values):.2f}), at most {limits[name]:g}: {kept}")
    return 1 if above else 0


if __name__ == "__main__":
    sys.exit(main())
