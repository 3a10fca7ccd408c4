"""What the guards cost, as ratios of CPU time against bare pytest with pytest-asyncio.

Run: ``python benchmarks/guards.py [--tests N] [--rounds N]``. Every variant runs in a process of its own, the variants
take turns, and the least CPU time of all rounds counts: on a shared machine anything else measures the neighbours.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

EMPTY = """
import asyncio

import pytest


@pytest.mark.asyncio
@pytest.mark.parametrize("number", range({tests}))
async def test_it(number):
    await asyncio.sleep(0)
"""
WORK = """
import asyncio
import os

import pytest
import redis.asyncio


@pytest.mark.asyncio
@pytest.mark.parametrize("number", range({tests}))
async def test_it(number):
    async with redis.asyncio.Redis.from_url(os.environ["BENCH_REDIS_URL"], max_connections=4) as client:
        for part in range(10):
            await asyncio.gather(*(asyncio.create_task(client.set(f"{{part}}-{{key}}", key)) for key in range(1)))
            await asyncio.gather(*(asyncio.create_task(asyncio.sleep(0)) for _ in range(30)))
        for key in range(190):
            await client.get(str(key))
"""
NOTHING = "def test_it():\n    pass\n"
INI = """
[tool.pytest.ini_options]
asyncio_default_fixture_loop_scope = "{scope}"
asyncio_default_test_loop_scope = "{scope}"
{guards}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way to run the same suite."""

    name: str
    arguments: tuple[str, ...] = ()
    guards: str = ""


KINDS = ("task", "thread", "process", "environment")
OFF = "leaks = { " + ", ".join(f'{kind} = "off"' for kind in KINDS) + " }"
STATELESS = 'leaks = { environment = "off" }'
BARE = Variant(name="bare pytest-asyncio", arguments=("-p", "no:ci_tools", "-p", "no:timeout"))
VARIANTS = (
    BARE,
    Variant(name="pytest-timeout alone", arguments=("-p", "no:ci_tools", "--timeout", "60")),
    Variant(name="deadline only", arguments=("--ci-tools-journal", "off"), guards=OFF),
    Variant(name="journal and deadline", guards=OFF),
    Variant(name="deadline and leaks", arguments=("--ci-tools-journal", "off")),
    Variant(name="all but process state", guards=STATELESS),
    Variant(name="all guards"),
)


def cpu_seconds(folder: Path, arguments: Sequence[str], environ: Mapping[str, str]) -> float:
    """User and system time of one pytest, its children included."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:valkey", "-p", "no:cacheprovider", *arguments]
    # As on a user's machine: without its cache pytest would rewrite every module of every plugin each time.
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with subprocess.Popen(command, cwd=folder, env={**inherited, **environ}, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode} in {folder}")
    return usage.ru_utime + usage.ru_stime


def compare(title: str, suite: str, *, scope: str, tests: int, rounds: int, environ: Mapping[str, str]) -> None:
    """Print each variant's least time per test and its ratio to the bare one, start-up taken off."""
    print(f"\n{title}: {tests} tests, {scope} loops, best of {rounds}")
    with tempfile.TemporaryDirectory() as name:
        folders = {}
        for number, variant in enumerate(VARIANTS):
            for kind, text in (("suite", suite), ("start", NOTHING)):
                folder = Path(name) / f"{number}-{kind}"
                folder.mkdir()
                guards = f"[tool.ci-tools.guards]\n{variant.guards}" if variant.guards else ""
                (folder / "pyproject.toml").write_text(INI.format(scope=scope, guards=guards), encoding="utf-8")
                (folder / "test_it.py").write_text(text.format(tests=tests), encoding="utf-8")
                folders[variant.name, kind] = folder
        best: dict[tuple[str, str], float] = {}
        for _ in range(rounds):
            for variant in VARIANTS:
                for kind in ("start", "suite"):
                    key = variant.name, kind
                    seconds = cpu_seconds(folders[key], variant.arguments, environ)
                    best[key] = min(seconds, best.get(key, seconds))
    bare = best[BARE.name, "suite"] - best[BARE.name, "start"]
    for variant in VARIANTS:
        net = best[variant.name, "suite"] - best[variant.name, "start"]
        start_ms = (best[variant.name, "start"] - best[BARE.name, "start"]) * 1000
        print(f"  {variant.name:24} x{net / bare:5.3f}  {net / tests * 1e6:8.0f} us/test  start-up {start_ms:+6.0f} ms")


def main() -> None:
    """Run both comparisons."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tests", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=["empty", "work"], default=None)
    parser.add_argument("--scopes", nargs="+", default=["function", "session"])
    options = parser.parse_args()
    if options.only != "work":
        for scope in options.scopes:
            compare("empty async tests", EMPTY, scope=scope, tests=options.tests, rounds=options.rounds, environ={})
    if options.only != "empty":
        from ci_tools.model.service import ServiceKind, ServiceSpec  # noqa: PLC0415 - only this part needs a server
        from ci_tools.services.redis import start_redis  # noqa: PLC0415 - as above

        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            with start_redis(ServiceSpec(kind=ServiceKind.REDIS), environ=os.environ, folder=folder) as server:
                environ = {"BENCH_REDIS_URL": server.url}
                tests = max(20, options.tests // 20)
                compare("tests with Redis work", WORK, scope="function", tests=tests, rounds=options.rounds, environ=environ)


if __name__ == "__main__":
    main()
