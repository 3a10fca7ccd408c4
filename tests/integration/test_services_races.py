"""Races for ports: many starts at once where ports are few and one is a stranger's."""

import contextlib
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import redis

from ci_tools.model.service import ServiceKind, ServiceSpec
from ci_tools.services.provision import provide

STRANGER_AND_OURS = """
import os, sys, threading
from pathlib import Path
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from ci_tools.model.service import ServiceKind, ServiceSpec
from ci_tools.services.provision import provide

first, last, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
spec = ServiceSpec(kind=ServiceKind.REDIS, port=first, port_range=(first, last))
sys.stdin.readline()
with provide([spec], environ={"PATH": ""}, folder=None) as provision:
    endpoint = provision.slots[0].endpoints[0]
    with redis.Redis.from_url(endpoint.url, retry=Retry(NoBackoff(), 0)) as client:
        client.flushall()
        is_ours = client.info("server")["process_id"] == endpoint.provenance.pid
    print(endpoint.port, is_ours, flush=True)
    sys.stdin.readline()
"""


@pytest.mark.parametrize("turn", [1, *(pytest.param(turn, marks=pytest.mark.slow) for turn in range(2, 6))])
def test_sixteen_starts_at_once_over_24_ports_never_meet_a_stranger(tmp_path: Path, turn: int) -> None:
    """Sixteen processes, 24 ports, a stranger on the preferred one: sixteen servers of their own, the stranger untouched."""
    first = 21000 + turn * 100
    found = Path(tempfile.gettempdir())
    with contextlib.ExitStack() as stack:
        planted = stack.enter_context(
            provide([ServiceSpec(kind=ServiceKind.REDIS, port=first)], environ={"PATH": ""}, folder=tmp_path)
        )
        stranger = planted.slots[0].endpoints[0]
        assert first == stranger.port
        client = stack.enter_context(redis.Redis.from_url(stranger.url))
        client.set("precious", "1")
        seen = client.info("stats")["total_connections_received"]
        argv = [sys.executable, "-c", STRANGER_AND_OURS, str(first), str(first + 23), str(found)]
        starts = [
            stack.enter_context(subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
            for _ in range(16)
        ]
        for one in starts:
            assert one.stdin is not None
            one.stdin.write("go\n")
            one.stdin.flush()
        answers = [(one.stdout.readline() if one.stdout else "").split() for one in starts]
        counted = client.info("stats")["total_connections_received"]
        for one in starts:
            one.communicate("done\n", timeout=20)
        assert [one.returncode for one in starts] == [0] * 16
        assert [is_ours for _, is_ours in answers] == ["True"] * 16
        ports = {int(port) for port, _ in answers}
        assert len(ports) == 16
        assert ports <= set(range(first + 1, first + 24))
        assert (seen, b"1") == (counted, client.get("precious"))
