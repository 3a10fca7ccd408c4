"""What a start of a server does not wait for: each of these imports takes a good part of the time that a server takes."""

import os
import subprocess
import sys

import psutil
import pytest

from ci_tools.services import leftovers

HEAVY = ("psutil", "redis", "asyncio", "filelock", "pooch", "ctypes", "ci_tools.config.schema", "concurrent.futures")


def test_importing_the_way_to_a_redis_loads_nothing_heavy() -> None:
    """Up to the moment when the server's process is there, nothing that takes 5 ms or more to import is imported."""
    code = f"import sys, ci_tools.services.provision; print(*sorted(set(sys.modules) & set({HEAVY!r})))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert ran.stdout.split() == []


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere only psutil knows when a process began")
def test_four_servers_start_without_anything_heavy() -> None:
    """Several starts share one interpreter: what one of them imports, the others wait for."""
    code = f"""
import sys
from ci_tools.model.service import ServiceKind, ServiceSpec
from ci_tools.services.provision import provide
with provide([ServiceSpec(kind=ServiceKind.REDIS)], environ={{"PATH": ""}}, folder=None, slots=4):
    print(*sorted(set(sys.modules) & set({HEAVY!r})))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.split() == []


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere psutil is what is asked")
def test_when_a_process_began_is_what_psutil_says() -> None:
    """A trace is compared with what psutil says of the process that has its pid now: both must mean the same moment."""
    mine = psutil.Process().create_time()
    assert abs((leftovers._created(os.getpid()) or 0.0) - mine) < 0.02
