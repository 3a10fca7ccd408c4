"""What the guards cost, as ratios of CPU time against bare pytest with pytest-asyncio.

Run: ``python benchmarks/guards.py [--tests N] [--rounds N] [--only empty|work|reference|start] [--brief] [--check]``.

Every variant runs in a process of its own, and the variants take turns in one run. What is compared is the CPU time that
the process itself measures around its tests, so that start-up and collection do not blur it; the ratio is taken within a
round, and the median of all rounds counts: on a shared machine a single figure measures the neighbours.

Where valgrind is installed, the processor's instructions are counted too: of a short run and a longer one after the same
collection, so that their difference is the tests' alone. That ratio hardly varies, and it decides whether a bound is kept;
without valgrind the CPU's does. Instructions say nothing of what the kernel does, nor of the garbage collector, which is off
while they are counted because its few turns would fall on either run.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from guarded.suites import CLOCK, EMPTY, NOTHING, WORK

INI = """
[tool.pytest.ini_options]
asyncio_default_fixture_loop_scope = "{scope}"
asyncio_default_test_loop_scope = "{scope}"
{guards}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way to run the same suite, and the ratio that it must not exceed (0: none promised)."""

    name: str
    arguments: tuple[str, ...] = ()
    guards: str = ""
    bound: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """The suite whose instructions are counted, and of how many tests in the short run and in the longer one."""

    suite: str
    few: int
    many: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one pytest took, in seconds of CPU: its tests alone, and the whole process with its children."""

    tests_s: float
    total_s: float


def modes(*on: str) -> str:
    """The ``leaks`` table with these kinds on and all others off."""
    from ci_tools.model.guard import LEAK_KINDS  # noqa: PLC0415 - the project is installed, and this is the one place of its kinds

    return "leaks = { " + ", ".join(f'{kind} = "{"error" if kind in on else "off"}"' for kind in LEAK_KINDS) + " }"


GROUPS = {
    "tasks": ("task",),
    "exceptions": ("exception",),
    "coroutines, generators, timers": ("coroutine", "generator", "timer"),
    "threads": ("thread",),
    "processes": ("process",),
    "sockets, files, descriptors": ("connection", "file", "descriptor"),
    "temporary files": ("temporary",),
    "patches": ("patch",),
    "process state": ("environment",),
}
STATE = ("environment", "patch")
STATELESS = tuple(kind for kinds in GROUPS.values() for kind in kinds if kind not in STATE)
NO_JOURNAL = ("--ci-tools-journal", "off")
IDLE = Variant(name="all off", arguments=NO_JOURNAL, guards=f'evidence = "off"\ntimeout = 0\n{modes()}')
BARE = Variant(name="bare pytest-asyncio", arguments=("-p", "no:ci_tools", "-p", "no:timeout"))
DEADLINE = Variant(name="deadline, evidence", arguments=NO_JOURNAL, guards=modes())
EMPTY_BOUNDS = {"all but state": 1.10, "all guards": 1.20}
WORK_BOUND = 1.05
REFERENCE_BOUND = 1.02
START_BOUND_MS = 30.0
REFERENCE = Path(__file__).resolve().parents[1] / "examples" / "agent_platform"


def variants(bounds: Mapping[str, float]) -> tuple[Variant, ...]:
    """Bare, each guard by itself on top of the deadline, then all together."""
    each = tuple(Variant(name=f"+ {name}", arguments=NO_JOURNAL, guards=modes(*kinds)) for name, kinds in GROUPS.items())
    return (
        BARE,
        Variant(name="pytest-timeout alone", arguments=("-p", "no:ci_tools", "--timeout", "60")),
        DEADLINE,
        *each,
        Variant(name="+ journal", guards=modes()),
        Variant(name="all but state", guards=modes(*STATELESS), bound=bounds.get("all but state", 0.0)),
        Variant(name="all guards", bound=bounds.get("all guards", 0.0)),
    )


def pytest_command(arguments: Sequence[str]) -> list[str]:
    """One pytest with the clock."""
    return [sys.executable, "-m", "pytest", "-q", "-p", "no:valkey", "-p", "no:cacheprovider", "-p", "clock", *arguments]


def settings(folder: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """As on a user's machine: without its cache pytest would rewrite every module of every plugin each time."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    path = os.pathsep.join(filter(None, (str(folder), inherited.get("PYTHONPATH", ""))))
    return {**inherited, **environ, "PYTHONPATH": path}


def prepare(folder: Path, variant: Variant, suite: str, scope: str) -> None:
    """Put the suite and its configuration down."""
    folder.mkdir()
    guards = f"[tool.ci-tools.guards]\n{variant.guards}" if variant.guards else ""
    (folder / "pyproject.toml").write_text(INI.format(scope=scope, guards=guards), encoding="utf-8")
    (folder / "test_it.py").write_text(suite, encoding="utf-8")
    (folder / "clock.py").write_text(CLOCK, encoding="utf-8")


def instructions(
    chosen: Sequence[Variant], counted: Counted, *, scope: str, environ: Mapping[str, str]
) -> dict[str, float] | None:
    """Instructions of one test by variant; None where valgrind is not installed."""
    if shutil.which("valgrind") is None:
        return None
    found = {}
    with tempfile.TemporaryDirectory() as name:
        for number, variant in enumerate(chosen):
            folder = Path(name, str(number))
            prepare(folder, variant, counted.suite, scope)
            measure(folder, variant.arguments, environ)  # once for the caches
            totals = [
                count_instructions(folder, variant.arguments, {**environ, "BENCH_TESTS": str(tests), "PYTHONHASHSEED": "0"})
                for tests in (counted.few, counted.many)
            ]
            found[variant.name] = (totals[1] - totals[0]) / (counted.many - counted.few)
    return found


def count_instructions(folder: Path, arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run one pytest there under cachegrind."""
    valgrind = ["valgrind", "--tool=cachegrind", "--cache-sim=no", f"--cachegrind-out-file={folder / 'counts'}"]
    run = subprocess.run(
        [*valgrind, *pytest_command(arguments)],
        cwd=folder,
        env=settings(folder, environ),
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    refs = re.search(r"I *refs: *([\d,]+)", run.stderr)
    if run.returncode != 0 or refs is None:
        raise SystemExit(f"pytest under valgrind ended with {run.returncode} in {folder}\n{run.stdout}{run.stderr}")
    return int(refs[1].replace(",", ""))


def measure(folder: Path, arguments: Sequence[str], environ: Mapping[str, str]) -> Cost:
    """Run one pytest there."""
    command = pytest_command(arguments)
    output = folder / "output.txt"
    with output.open("wb") as told, subprocess.Popen(command, cwd=folder, env=settings(folder, environ), stdout=told) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        last = output.read_text(encoding="utf-8", errors="replace")[-4000:]
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode} in {folder}\n{last}")
    seconds = float((folder / "seconds.txt").read_text(encoding="utf-8"))
    return Cost(tests_s=seconds, total_s=usage.ru_utime + usage.ru_stime)


def rounds_of(
    chosen: Sequence[Variant], suite: str, *, scope: str, rounds: int, environ: Mapping[str, str]
) -> dict[str, list[Cost]]:
    """Every variant once in each round, in turns; the order is reversed every other round."""
    costs: dict[str, list[Cost]] = {variant.name: [] for variant in chosen}
    with tempfile.TemporaryDirectory() as name:
        for number, variant in enumerate(chosen):
            folder = Path(name, str(number))
            prepare(folder, variant, suite, scope)
            measure(folder, variant.arguments, environ)  # once for the caches
        order = list(enumerate(chosen))
        for turn in range(rounds):
            for number, variant in order if turn % 2 == 0 else reversed(order):
                costs[variant.name].append(measure(Path(name, str(number)), variant.arguments, environ))
    return costs


def compare(
    title: str,
    chosen: Sequence[Variant],
    suite: str,
    counted: Counted,
    *,
    scope: str,
    tests: int,
    rounds: int,
    environ: Mapping[str, str],
) -> bool:
    """Print each variant's ratio to the bare one; whether all bounds were kept."""
    costs = rounds_of(chosen, suite, scope=scope, rounds=rounds, environ=environ)
    counts = instructions(chosen, counted, scope=scope, environ=environ)
    bare = [cost.tests_s for cost in costs[BARE.name]]
    decides = "instructions decide" if counts else "without valgrind the CPU decides"
    print(f"\n{title}: {tests} tests, {scope} loops, median of {rounds} rounds (least … most); {decides}")
    is_kept = True
    for variant in chosen:
        seconds = [cost.tests_s for cost in costs[variant.name]]
        ratios = sorted(mine / theirs for mine, theirs in zip(seconds, bare, strict=True))
        ratio = statistics.median(ratios)
        added_us = (statistics.median(seconds) - statistics.median(bare)) / tests * 1e6
        told = f"CPU x{ratio:5.3f} ({ratios[0]:.3f} … {ratios[-1]:.3f}) {added_us:+7.0f} us/test"
        if counts:
            ratio = counts[variant.name] / counts[BARE.name]
            told += f"  instructions x{ratio:5.3f} {counts[variant.name] / 1e6:7.2f} M/test"
        verdict = "" if not variant.bound else f"  bound {variant.bound:.2f} {'kept' if ratio <= variant.bound else 'BROKEN'}"
        is_kept = is_kept and not (variant.bound and ratio > variant.bound)
        print(f"  {variant.name:34} {told}{verdict}")
    return is_kept


def compare_starts(rounds: int) -> bool:
    """Print what the plugin adds to the start of pytest, its end included; whether the bound was kept."""
    chosen = (BARE, IDLE, DEADLINE, Variant(name="all guards"))
    costs = rounds_of(chosen, NOTHING, scope="function", rounds=rounds, environ={})
    bare = [cost.total_s for cost in costs[BARE.name]]
    print(f"\nstart and end of pytest with one test that does nothing, median of {rounds} rounds")
    is_kept = True
    for variant in chosen:
        added_ms = statistics.median(
            (mine.total_s - theirs) * 1000 for mine, theirs in zip(costs[variant.name], bare, strict=True)
        )
        verdict = ""
        if variant is IDLE:
            is_kept = added_ms <= START_BOUND_MS
            verdict = f"  bound {START_BOUND_MS:.0f} ms {'kept' if is_kept else 'BROKEN'}"
        print(f"  {variant.name:34} {added_ms:+7.0f} ms{verdict}")
    return is_kept


def main() -> None:
    """Run the comparisons."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tests", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=["empty", "work", "reference", "start"], default=None)
    parser.add_argument("--scopes", nargs="+", default=["function"])
    parser.add_argument("--brief", action="store_true", help="without each guard by itself")
    parser.add_argument("--check", action="store_true", help="end with 1 when a bound is broken")
    options = parser.parse_args()
    kept = []
    if options.only in (None, "empty"):
        for scope in options.scopes:
            chosen = variants(EMPTY_BOUNDS if scope == "function" else {})
            chosen = tuple(one for one in chosen if not (options.brief and one.name.startswith("+")))
            suite = EMPTY.format(tests=options.tests)
            counted = Counted(suite=EMPTY.format(tests=220), few=20, many=220)
            kept.append(
                compare(
                    "empty async tests",
                    chosen,
                    suite,
                    counted,
                    scope=scope,
                    tests=options.tests,
                    rounds=options.rounds,
                    environ={},
                )
            )
    if options.only in (None, "work"):
        kept.append(compare_work(max(20, options.tests // 20), options.rounds))
    if options.only in (None, "reference"):
        kept.append(compare_reference(options.rounds))
    if options.only in (None, "start"):
        kept.append(compare_starts(2 * options.rounds))
    if options.check and not all(kept):
        raise SystemExit(1)


def compare_work(tests: int, rounds: int) -> bool:
    """Tests of 310 tasks and 200 commands against a server of ours."""
    from ci_tools.model.service import ServiceKind, ServiceSpec  # noqa: PLC0415 - only this part needs a server
    from ci_tools.services.redis import start_redis  # noqa: PLC0415 - as above

    chosen = (BARE, DEADLINE, Variant(name="all guards", bound=WORK_BOUND))
    spec = ServiceSpec(kind=ServiceKind.REDIS)
    with tempfile.TemporaryDirectory() as name, start_redis(spec, environ=os.environ, folder=Path(name)) as server:
        environ = {"BENCH_REDIS_URL": server.url}
        suite = WORK.format(tests=tests)
        counted = Counted(suite=WORK.format(tests=16), few=4, many=16)
        title = "tests with Redis work"
        return compare(title, chosen, suite, counted, scope="function", tests=tests, rounds=rounds, environ=environ)


def compare_reference(rounds: int) -> bool:
    """The reference platform's own suite on SQLite and Redis, each variant side by side with a bare run.

    Its instructions decide nothing: it waits for real answers and turns its loops meanwhile, so that they vary by 4 %. Nor can
    runs be compared that follow each other: the same one takes 7 s of CPU now and 10 s a minute later, here. So two run at the
    same time, each on a core and a Redis of its own, and change cores from pair to pair; what decides is the median of the
    pairs' ratios. The bare run has no plugin of ours, and so three tests that need the plugin's own servers are left out of all.
    """
    from ci_tools.model.service import ServiceKind, ServiceSpec  # noqa: PLC0415 - as in compare_work
    from ci_tools.services.redis import start_redis  # noqa: PLC0415 - as above

    bare = Variant(name="without the plugin", arguments=("-p", "no:ci_tools"))
    chosen = (
        Variant(name="all off", guards=IDLE.guards, arguments=NO_JOURNAL),
        Variant(name="all guards", bound=REFERENCE_BOUND),
    )
    spec = ServiceSpec(kind=ServiceKind.REDIS)
    is_kept = True
    with tempfile.TemporaryDirectory() as name, ExitStack() as servers:
        urls = [
            servers.enter_context(start_redis(spec, environ=os.environ, folder=Path(name, f"redis-{number}"))).url
            for number in range(2)
        ]
        for number, variant in enumerate((bare, *chosen)):
            prepare_reference(Path(name, str(number)), variant)
        print(f"\nthe reference platform's suite beside a bare run, median of {2 * rounds} pairs (least … most)")
        for number, variant in enumerate(chosen, start=1):
            lanes = (Lane(Path(name, "0"), bare, urls[0]), Lane(Path(name, str(number)), variant, urls[1]))
            side_by_side(lanes, swapped=False)  # fills the caches
            pairs = [side_by_side(lanes, swapped=turn % 2 == 1) for turn in range(2 * rounds)]
            ratios = sorted(mine.tests_s / theirs.tests_s for theirs, mine in pairs)
            ratio = statistics.median(ratios)
            verdict = "" if not variant.bound else f"  bound {variant.bound:.2f} {'kept' if ratio <= variant.bound else 'BROKEN'}"
            is_kept = is_kept and not (variant.bound and ratio > variant.bound)
            took = " and ".join(f"{statistics.median(one.tests_s for one in runs):.2f} s" for runs in zip(*pairs, strict=True))
            print(f"  {variant.name:34} CPU x{ratio:5.3f} ({ratios[0]:.3f} … {ratios[-1]:.3f}), {took}{verdict}")
    return is_kept


@dataclass(frozen=True, slots=True)
class Lane:
    """One of two that run at the same time: its folder, how it runs, and its Redis."""

    folder: Path
    variant: Variant
    redis_url: str


def prepare_reference(folder: Path, variant: Variant) -> None:
    """Put the platform down with this variant's guards."""
    shutil.copytree(REFERENCE, folder, ignore=shutil.ignore_patterns("ci-artifacts", "__pycache__", ".*_cache"))
    with (folder / "pyproject.toml").open("a", encoding="utf-8") as settings_file:
        settings_file.write(f"\n[tool.ci-tools.guards]\n{variant.guards}\n")
    (folder / "clock.py").write_text(CLOCK, encoding="utf-8")


def side_by_side(lanes: Sequence[Lane], *, swapped: bool) -> list[Cost]:
    """Run all at the same time, each on a core of its own, and measure each."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if swapped:
        cores.reverse()

    def run(lane: Lane, core: int | None) -> Cost:
        environ = {"REDIS_URL": lane.redis_url, "BENCH_WITHOUT": "redis_server"}
        if core is not None:
            environ["BENCH_CORE"] = str(core)
        # Two that clean up one temporary folder trip each other; inside the project its files would be the project's own.
        temporary = lane.folder.with_name(f"{lane.folder.name}-tmp")
        own = ("-p", "no:randomly", "-n", "0", f"--basetemp={temporary}")
        return measure(lane.folder, (*own, *lane.variant.arguments), environ)

    with ThreadPoolExecutor(len(lanes)) as pool:
        return list(pool.map(run, lanes, [*cores[:1], *cores[-1:]] if len(cores) >= len(lanes) else [None] * len(lanes)))


if __name__ == "__main__":
    main()
