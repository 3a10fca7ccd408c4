"""What a start of a server does not wait for: each of these imports takes a good part of the time that a server takes."""

import subprocess
import sys

HEAVY = ("psutil", "redis", "asyncio", "filelock", "pooch", "ctypes", "ci_tools.config.schema", "concurrent.futures")


def test_importing_the_way_to_a_redis_loads_nothing_heavy() -> None:
    """Up to the moment when the server's process is there, nothing that takes 5 ms or more to import is imported."""
    code = f"import sys, ci_tools.services.provision; print(*sorted(set(sys.modules) & set({HEAVY!r})))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert ran.stdout.split() == []
