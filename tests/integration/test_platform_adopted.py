"""The reference platform on servers that are not ours: what CI does with service containers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ci_tools.model.service import ServiceKind, ServiceSpec
from ci_tools.services.postgres import start_postgres
from ci_tools.services.redis import start_redis

PLATFORM = Path(__file__).resolve().parents[2] / "examples" / "agent_platform"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_platform_is_green_on_adopted_servers(tmp_path: Path) -> None:
    """Both configurations pass on a given Redis and a given PostgreSQL, and neither server holds anything more afterwards."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("CI_TOOLS_", "PYTEST_"))}
    with (
        start_redis(ServiceSpec(kind=ServiceKind.REDIS), environ={"PATH": ""}, folder=None) as redis_server,
        start_postgres(ServiceSpec(kind=ServiceKind.POSTGRES), environ=inherited, folder=None) as postgres_server,
    ):
        given = {"CI_TOOLS_REDIS_URL": redis_server.url, "CI_TOOLS_POSTGRES_URL": postgres_server.url}
        done = subprocess.run(
            [sys.executable, "-m", "ci_tools", "run", "--project", str(PLATFORM), "--artifacts", str(tmp_path)],
            env={**inherited, **given},
            text=True,
            capture_output=True,
            timeout=500,
            check=False,
        )
        assert 0 == done.returncode, done.stdout + done.stderr
        verdict = json.loads((tmp_path / "latest" / "verdict.json").read_text(encoding="utf-8"))
        assert {"adopted"} == {service["provider"] for service in verdict["services"]}
        assert ("passed", 216) == (verdict["decision"], verdict["counts"]["passed"])
