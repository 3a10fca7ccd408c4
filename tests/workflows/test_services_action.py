"""The services action in a stranger's job, executed with act on this host (simulated: see act_host)."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from act_host import Host

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif(sys.platform != "linux", reason="act's host mode is tried on Linux only"),
]

JOB = """
on: push
jobs:
  use:
    runs-on: ubuntu-24.04
    steps:
      - uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1
      - uses: acme/ci-tools/.github/actions/setup@v1
      - id: redis
        name: Bring up
        uses: acme/ci-tools/.github/actions/services@v1
        with: {{name: {name}}}
      - name: Speak to it
        shell: bash
        env:
          URL: ${{{{ steps.redis.outputs.url }}}}
          VERSION: ${{{{ steps.redis.outputs.version }}}}
          PORT: ${{{{ steps.redis.outputs.port }}}}
          LOG: ${{{{ steps.redis.outputs.log }}}}
          PROVIDER: ${{{{ steps.redis.outputs.provider }}}}
          PROVENANCE: ${{{{ steps.redis.outputs.provenance }}}}
        run: |
          python - <<'END'
          import json, os, redis
          assert os.environ["REDIS_URL"] == os.environ["URL"]
          client = redis.Redis.from_url(os.environ["URL"])
          info = client.info("server")
          assert str(info["tcp_port"]) == os.environ["PORT"], info["tcp_port"]
          assert os.environ["VERSION"] in {{info["redis_version"], info.get("valkey_version")}}
          assert client.set("a", "b") and client.get("a") == b"b"
          assert os.path.exists(os.environ["LOG"])
          provenance = json.loads(os.environ["PROVENANCE"])
          told = [provenance["provider"], provenance["version"], str(provenance["port"])]
          assert told == [os.environ[name] for name in ("PROVIDER", "VERSION", "PORT")], told
          END
      - name: Stop
        if: always()
        shell: bash
        run: ci-tools services down
"""


@pytest.fixture(name="host")
def _host(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path)
    host.publish()
    yield host
    # Whatever the job did, no server outlives the test.
    stop = [sys.executable, "-m", "ci_tools", "services", "down", "--project", str(host.stranger)]
    subprocess.run(stop, check=False, capture_output=True, timeout=30)


def test_a_job_gets_a_real_redis(host: Host) -> None:
    """Later steps get a server that answers, by output and by environment; stopped at the end, nothing is left."""
    host.write(
        {"pyproject.toml": '[project]\nname = "stranger"\nversion = "1"\n', ".github/workflows/ci.yml": JOB.format(name="redis")}
    )
    result = host.run()
    assert result.code == 0, result.tail()
    assert [result.results_of(step) for step in ("Bring up", "Speak to it", "Stop")] == [["success"]] * 3
    assert "***" in result.log


@pytest.mark.slow
def test_an_unknown_service_is_refused(host: Host) -> None:
    """A misspelt name fails the step with what was expected."""
    host.write(
        {"pyproject.toml": '[project]\nname = "stranger"\nversion = "1"\n', ".github/workflows/ci.yml": JOB.format(name="rdis")}
    )
    result = host.run()
    assert result.results_of("Bring up") == ["failure"]
    assert "expected redis or postgres" in result.log
