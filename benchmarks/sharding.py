"""Static shards against their peers: CPU of the heaviest shard, evenness, planning, and the plugin's own cost.

    python benchmarks/sharding.py [cpu] [even] [plan] [overhead] [--venv FOLDER] [--shards 8]

Peers run in the same call, in an environment made for it (networkx, numpy and pytest-split from the package index).
CPU is what the operating system counted for the child processes that ran. Everything printed is a ratio beside its figures.
"""

import argparse
import heapq
import json
import math
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from ci_tools.model.codec import dumps, loads
from ci_tools.model.guard import LEAK_KINDS, GuardMode, GuardPolicy
from ci_tools.model.journal import TestFinished, parse_journal
from ci_tools.model.shard import Plan, ShardRef
from ci_tools.model.worker import Collected, WorkerOrder
from ci_tools.sharding.durations import parse_durations
from ci_tools.sharding.static import orders_for, partition
from ci_tools.sharding.timings import Timings, digest, from_pairs
from ci_tools.workers.command import command, order_name

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("networkx==3.6.1", "numpy", "pytest", "pytest-split==0.11.0")
SUITE = "networkx"
GUARD = GuardPolicy(timeout_s=0.0, leaks={}, evidence=GuardMode.OFF)
QUIET = ("-q", "-p", "no:cacheprovider", "--no-header", "--no-summary")
RUNS = 3
"""Serial runs behind the durations: one alone says more about what else the machine did."""
TRIALS = 150
NOISE = 0.3
UNKNOWN = 0.1


def main() -> int:
    """Run the parts that were asked for, all of them by default."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=["cpu", "even", "plan", "overhead"], default=[])
    parser.add_argument("--venv", type=Path, help="environment to make or to use again; default: a temporary one")
    parser.add_argument(
        "--durations", type=Path, help="file of CPU seconds by test to use, or to keep them in; default: a new one"
    )
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--heaviest-only", action="store_true", help="run the predicted heaviest shard of each only")
    options = parser.parse_args()
    parts = options.parts or ["cpu", "even", "plan", "overhead"]
    with tempfile.TemporaryDirectory(prefix="ci-tools-bench-") as temporary:
        folder = Path(temporary)
        python = make_venv(options.venv or folder / "venv") if set(parts) != {"plan"} else Path(sys.executable)
        if {"cpu", "even"} & set(parts):
            durations = options.durations or folder / "kept.json"
            if not durations.exists():
                shutil.copyfile(store_durations(python, folder), durations)
            pairs = parse_durations(durations.read_bytes())
            collected = collect(python, folder)
            describe(collected, pairs)
            if "even" in parts:
                even(collected, pairs)
            if "cpu" in parts:
                cpu(python, folder, collected, pairs, options.shards, heaviest_only=options.heaviest_only)
        if "plan" in parts:
            planning()
        if "overhead" in parts:
            overhead(python, folder)
    return 0


def make_venv(folder: Path) -> Path:
    """The Python of an environment with the suite, the peer and this checkout."""
    python = folder / "bin" / "python"
    if not python.exists():
        uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
        run([uv, "venv", "-q", "--python", sys.executable, str(folder)])
        run([uv, "pip", "install", "-q", "--compile-bytecode", "--python", str(python), *PACKAGES, "-e", str(ROOT)])
    return python


def site(python: Path) -> Path:
    """Where the suite lies; test IDs start there."""
    code = "import networkx, pathlib; print(pathlib.Path(networkx.__file__).parents[1])"
    return Path(subprocess.check_output([python, "-c", code], text=True).strip())


def make_cold(python: Path) -> None:
    """No compiled test modules, as on a fresh runner; libraries stay compiled, as an installer leaves them."""
    for cache in (site(python) / SUITE).rglob("tests/__pycache__"):
        shutil.rmtree(cache)


def run(argv: Sequence[str], *, cwd: Path | None = None, env: dict[str, str] | None = None) -> float:
    """CPU seconds (user and system) of a command and all that it waited for."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in {0, 1}:
        raise SystemExit(
            f"{' '.join(map(str, argv))[:300]} ended with {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    return (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)


def environment() -> dict[str, str]:
    """Cold imports: what a shard compiles it may not keep for the next one."""
    return {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"}


CPU_DURATIONS = """
import json, os, pytest, time
from collections import defaultdict

seconds = defaultdict(float)

@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    began = time.process_time()
    try:
        return (yield)
    finally:
        seconds[item.nodeid] += time.process_time() - began

def pytest_sessionfinish():
    with open(os.environ["CPU_DURATIONS"], "w") as stream:
        json.dump(seconds, stream, sort_keys=True, indent=0)
"""
"""Durations in CPU seconds, in pytest-split's form: a busy machine stretches the clock for some files and not for others."""


def store_durations(python: Path, folder: Path) -> Path:
    """Three serial runs of the suite and each test's median: both sides plan with the same figures."""
    (folder / "cpu_durations.py").write_text(CPU_DURATIONS, encoding="utf-8")
    argv = [str(python), "-m", "pytest", *QUIET, "-p", "no:ci_tools", "-p", "cpu_durations", SUITE]
    runs: list[dict[str, float]] = []
    for number in range(RUNS):
        path = folder / f"durations-{number}.json"
        env = {**environment(), "PYTHONPATH": str(folder), "CPU_DURATIONS": str(path)}
        print(f"serial run {number + 1} of {SUITE}: {run(argv, cwd=site(python), env=env):.1f} CPU s", flush=True)
        runs.append(json.loads(path.read_text("utf-8")))
    path = folder / "durations.json"
    path.write_text(
        json.dumps({test_id: statistics.median(run[test_id] for run in runs) for test_id in runs[0]}), encoding="utf-8"
    )
    return path


def collect(python: Path, folder: Path) -> Collected:
    """What our worker collects."""
    target = folder / "collected.json"
    order = WorkerOrder(run_id="bench", journal_dir=str(folder), collect_to=str(target), guard=GUARD)
    (folder / "order.json").write_text(dumps(order), encoding="utf-8")
    wanted = command(str(folder / "order.json"), python=str(python), paths=(SUITE,), pytest_args=QUIET, environ=environment())
    run(wanted.argv, cwd=site(python), env=dict(wanted.env))
    return loads(Collected, target.read_text("utf-8"))


def describe(collected: Collected, pairs: Sequence[tuple[str, float]]) -> None:
    """The suite in one line."""
    seconds = [duration for _, duration in pairs]
    print(
        f"{SUITE}: {len(collected.test_ids)} tests in {len(collected.paths)} files, {sum(seconds):.1f} s,"
        f" longest {max(seconds):.2f} s, collected in {collected.duration_s:.1f} s",
        flush=True,
    )


def cpu(
    python: Path, folder: Path, collected: Collected, pairs: Sequence[tuple[str, float]], count: int, *, heaviest_only: bool
) -> None:
    """CPU of every shard of ours and of pytest-split's least_duration, run alternately; the heaviest of each."""
    first = partition(collected, from_pairs(pairs), count, commit="bench")
    plan = partition(collected, from_pairs(own_durations(python, folder, first)), count, commit="bench")
    durations = folder / "shard-durations.json"
    durations.write_text(json.dumps(dict(pairs)), encoding="utf-8")
    refs = [shard.ref for shard in plan.shards]
    predicted = longest_first(dict(pairs), collected.test_ids, count)
    chosen = [(ref, split) for ref, split in zip(refs, range(1, count + 1), strict=True)]
    if heaviest_only:
        heaviest = max(plan.shards, key=lambda shard: shard.predicted_s).ref
        chosen = [(heaviest, 1 + predicted.index(max(predicted)))]
    ours, peers = [], []
    for ref, split in chosen:
        make_cold(python)
        ours.append(run_ours(python, folder, plan, ref))
        make_cold(python)
        peers.append(run_split(python, durations, count, split))
        print(f"  shard {ref}: ours {ours[-1]:.1f} CPU s, pytest-split {peers[-1]:.1f} CPU s", flush=True)
    parts = int(plan.facts["file_parts"])
    finished = Counter(finished_in(folder))
    planned = {test_id for ref, _ in chosen for test_id in plan.shard(ref).test_ids}
    if finished.keys() != planned or set(finished.values()) != {1}:
        raise SystemExit(
            f"{len(planned)} tests were planned, {finished.total()} finished: {sorted(planned ^ finished.keys())[:5]}"
        )
    print(
        f"N = {count}: heaviest shard {max(ours):.1f} against {max(peers):.1f} CPU s: ratio {max(ours) / max(peers):.2f}"
        f"; all shards {sum(ours):.1f} against {sum(peers):.1f}: ratio {sum(ours) / sum(peers):.2f}"
        f"; {parts} imports of {len(collected.paths)} files; {len(planned)} tests planned, each finished once",
        flush=True,
    )


def own_durations(python: Path, folder: Path, plan: Plan) -> list[tuple[str, float]]:
    """Each test's CPU seconds in shards of ours, as timings are learned from run to run.

    A test that allocates much runs faster in a process that has not imported the whole suite: its garbage collector has less
    to look at. pytest-split's shards import everything, as the serial run did, so that run's figures are right for them.
    """
    learned: dict[str, float] = {}
    (folder / "cpu_durations.py").write_text(CPU_DURATIONS, encoding="utf-8")
    for shard in plan.shards:
        path = folder / f"own-{shard.ref.slug}.json"
        run_ours(python, folder, plan, shard.ref, {"PYTHONPATH": str(folder), "CPU_DURATIONS": str(path)}, "-p", "cpu_durations")
        learned |= json.loads(path.read_text("utf-8"))
    for journal in folder.glob("journal-*"):
        journal.unlink()
    return sorted(learned.items())


def finished_in(folder: Path) -> list[str]:
    """Every test that finished, from the journals of all shards."""
    return [
        event.test_id
        for journal in folder.glob("journal-*.jsonl")
        for event in parse_journal(journal.read_text("utf-8"))
        if isinstance(event, TestFinished)
    ]


def run_ours(
    python: Path, folder: Path, plan: Plan, ref: ShardRef, environ: Mapping[str, str] = MappingProxyType({}), *more: str
) -> float:
    """CPU of one shard as its worker runs it, with the plugin and its journal."""
    order = WorkerOrder(run_id="bench", journal_dir=str(folder), shard=str(ref), files=orders_for(plan, ref), guard=GUARD)
    path = folder / order_name(order)
    path.write_text(dumps(order), encoding="utf-8")
    paths = [file.path for file in order.files or ()]
    wanted = command(
        str(path), python=str(python), paths=paths, pytest_args=(*QUIET, *more), environ={**environment(), **environ}
    )
    if wanted.argument_path:
        Path(wanted.argument_path).write_text(wanted.argument_text, encoding="utf-8")
    return run(wanted.argv, cwd=site(python), env=dict(wanted.env))


def run_split(python: Path, durations: Path, count: int, index: int) -> float:
    """CPU of one group of pytest-split, without our plugin."""
    argv = [str(python), "-m", "pytest", *QUIET, "-p", "no:ci_tools", "--splits", str(count), "--group", str(index)]
    argv += ["--splitting-algorithm", "least_duration", f"--durations-path={durations}", SUITE]
    return run(argv, cwd=site(python), env=environment())


def even(collected: Collected, pairs: Sequence[tuple[str, float]]) -> None:
    """Makespan over its bound: with exact timings, then with noise and unknown tests, beside longest-first per test."""
    exact = {**dict.fromkeys(collected.test_ids, 0.001), **dict(pairs)}
    print("makespan / bound, exact timings (files as units | longest first per test):")
    for count in (2, 4, 8, 16):
        plan = partition(bare(collected), from_pairs(exact.items()), count, commit="bench")
        peer = max(longest_first(exact, exact, count)) / bound(exact, count)
        print(f"  N = {count:2}: {ratio(plan, exact, count):.3f} | {peer:.3f}")
    print(f"makespan / bound of {TRIALS} trials, noise ±{NOISE:.0%}, {UNKNOWN:.0%} of the tests unknown, mean (95th percentile):")
    for count in (2, 4, 8, 16):
        ours, peers = [], []
        for trial in range(TRIALS):
            rng = random.Random(trial)  # noqa: S311 - noise, the same in every call
            truth = {test_id: seconds * rng.uniform(1 - NOISE, 1 + NOISE) for test_id, seconds in sorted(exact.items())}
            known = {test_id: seconds for test_id, seconds in sorted(exact.items()) if rng.random() >= UNKNOWN}
            plan = partition(bare(collected), from_pairs(known.items()), count, commit="bench")
            ours.append(ratio(plan, truth, count))
            mean = statistics.fmean(known.values())
            guessed = {test_id: known.get(test_id, mean) for test_id in exact}
            groups = longest_first_groups(guessed, count)
            peers.append(max(sum(truth[test_id] for test_id in group) for group in groups) / bound(truth, count))
        print(f"  N = {count:2}: {spread(ours)} | {spread(peers)}", flush=True)


def bare(collected: Collected) -> Collected:
    """The collection without its own time: evenness of tests alone is compared."""
    return Collected(test_ids=collected.test_ids, paths=collected.paths, groups=collected.groups)


def ratio(plan: Plan, truth: dict[str, float], count: int) -> float:
    """The heaviest shard's true seconds over the bound."""
    return max(sum(truth[test_id] for test_id in shard.test_ids) for shard in plan.shards) / bound(truth, count)


def bound(truth: dict[str, float], count: int) -> float:
    """No partition is faster: a fair part, or the longest test."""
    return max(sum(truth.values()) / count, *truth.values())


def spread(values: Sequence[float]) -> str:
    """Mean and 95th percentile."""
    return f"{statistics.fmean(values):.3f} ({sorted(values)[math.ceil(0.95 * len(values)) - 1]:.3f})"


def longest_first_groups(durations: dict[str, float], count: int) -> list[list[str]]:
    """pytest-split's least_duration: every test alone, longest first to the least loaded group."""
    groups: list[list[str]] = [[] for _ in range(count)]
    heap = [(0.0, index) for index in range(count)]
    for test_id in sorted(durations, key=lambda name: (-durations[name], name)):
        load, index = heapq.heappop(heap)
        groups[index].append(test_id)
        heapq.heappush(heap, (load + durations[test_id], index))
    return groups


def longest_first(durations: dict[str, float], test_ids: Sequence[str] | dict[str, float], count: int) -> list[float]:
    """Seconds of each group of longest first per test."""
    known = {test_id: durations.get(test_id, 0.001) for test_id in test_ids}
    return [sum(known[test_id] for test_id in group) for group in longest_first_groups(known, count)]


def planning() -> None:
    """Time and memory of a plan, its timings' digest included, for suites of growing size; each in a process of its own."""
    print("planning (50 tests a file, 8 shards, all timed):")
    for tests in (10_000, 100_000, 1_000_000):
        code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import sharding; sharding.plan_once({tests})"
        print("  " + subprocess.check_output([sys.executable, "-c", code], text=True).strip(), flush=True)


def plan_once(tests: int) -> None:
    """Print what planning this many tests takes."""
    rng = random.Random(1)  # noqa: S311 - durations, the same in every call
    paths = {
        f"tests/unit/area_{n % 40}/test_{n}.py": tuple(
            f"tests/unit/area_{n % 40}/test_{n}.py::TestX::test_{i}[{i}]" for i in range(50)
        )
        for n in range(tests // 50)
    }
    collected = Collected(test_ids=tuple(test_id for ids in paths.values() for test_id in ids), paths=paths)
    timings: Timings = from_pairs((test_id, rng.lognormvariate(-5, 2)) for test_id in collected.test_ids)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    plan = partition(collected, timings, 8, commit="bench")
    seconds = time.process_time() - began
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    text = dumps(plan)
    written = time.process_time() - began
    print(
        f"{tests:9,} tests: {seconds:.2f} CPU s, {memory / 1024:.0f} MiB in all, {(memory - before) / 1024:.0f} MiB for the plan,"
        f" heaviest / bound {float(plan.facts['heaviest_s']) / float(plan.facts['bound_s']):.3f},"
        f" plan.json {len(text) / 1e6:.1f} MB in {written:.2f} s, timings {digest(timings)[:15]}"
    )


def overhead(python: Path, folder: Path) -> None:
    """CPU of 20,000 trivial tests: without the plugin, with it and everything off, with its journal."""
    suite = folder / "trivial"
    suite.mkdir()
    for number in range(100):
        source = "\n".join(f"def test_{index}():\n    pass" for index in range(200))
        (suite / f"test_{number}.py").write_text(source, encoding="utf-8")
    leaks = ", ".join(f"{kind} = 'off'" for kind in LEAK_KINDS)
    (suite / "pyproject.toml").write_text(
        f"[tool.pytest.ini_options]\n[tool.ci-tools.guards]\ntimeout = 0\nevidence = 'off'\nleaks = {{{leaks}}}\n",
        encoding="utf-8",
    )
    kinds = {
        "without the plugin": ("-p", "no:ci_tools"),
        "plugin, all off": ("--ci-tools-journal=off",),
        "plugin, journal": (f"--ci-tools-journal={folder / 'journal'}",),
    }
    figures: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(5):
        for kind, arguments in kinds.items():
            figures[kind].append(run([str(python), "-m", "pytest", *QUIET, *arguments], cwd=suite, env=environment()))
    base = statistics.median(figures["without the plugin"])
    print("20,000 trivial tests, CPU, median of 5 (least):")
    for kind, values in figures.items():
        best = min(values) / min(figures["without the plugin"])
        print(
            f"  {kind:18}: {statistics.median(values):.2f} s, ratio {statistics.median(values) / base:.3f} ({best:.3f})",
            flush=True,
        )


if __name__ == "__main__":
    raise SystemExit(main())
