"""Static shards against their peers: CPU of the heaviest shard, evenness, planning, and the plugin's own cost.

    python benchmarks/sharding.py [cpu] [even] [plan] [overhead] [--venv FOLDER] [--shards 8] [--heaviest ROUNDS]

Peers run in the same call, in an environment made for it (networkx, numpy and pytest-split from the package index; the toolkit
installed as a user has it). CPU is what the operating system counted for the child processes that ran. Everything printed is a
ratio beside its figures. The exit code is 1 when a ratio is above its limit.

pytest-split cuts the suite and does nothing else. So its shards are compared with ours while the guards and the journal are off;
beside it stands the ratio of a shard as `ci-tools run` starts it, with every guard and the journal.
"""

import argparse
import heapq
import json
import math
import os
import random
import re
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
from ci_tools.model.plan import parse_plan, render_plan
from ci_tools.model.shard import Plan, ShardRef
from ci_tools.model.worker import Collected, WorkerOrder
from ci_tools.sharding.durations import parse_durations
from ci_tools.sharding.static import orders_for, partition
from ci_tools.sharding.timings import Timings, digest, from_pairs
from ci_tools.workers.command import command, order_name

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("networkx==3.6.1", "numpy", "pytest", "pytest-split==0.11.0")
SUITE = "networkx"
OFF = GuardPolicy(timeout_s=0.0, collection_s=0.0, leaks={}, evidence=GuardMode.OFF, is_journal_on=False)
KINDS = {"all off": OFF, "as installed": GuardPolicy()}
"""Shards of ours: without guards and journal, as pytest-split has none; and with all that is on by default."""
LIMITS = {8: 0.55, 16: 0.5}
"""Heaviest shard's CPU over that of pytest-split's, by the number of shards, everything off."""
PLANNED, PLAN_S, PLAN_MIB = 100_000, 2.0, 300
"""A suite of so many tests is planned within these CPU seconds and this memory, the interpreter's own included."""
MOST_OVERHEAD = 1.01
SMALL, LARGE = 2_000, 4_000
"""Tests of the two suites from whose instructions the cost of one test is told."""
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
    parser.add_argument(
        "--heaviest",
        type=int,
        default=0,
        metavar="ROUNDS",
        help="run the predicted heaviest shard of each only, alternately, so often",
    )
    options = parser.parse_args()
    parts = options.parts or ["cpu", "even", "plan", "overhead"]
    is_kept = True
    with tempfile.TemporaryDirectory(prefix="ci-tools-bench-") as temporary:
        folder = Path(temporary)
        python = make_venv(options.venv or folder / "venv") if set(parts) != {"plan"} else Path(sys.executable)
        if {"cpu", "even"} & set(parts):
            bench = Bench(python, folder, make_project(python, folder))
            durations = options.durations or folder / "kept.json"
            if not durations.exists():
                shutil.copyfile(bench.store_durations(), durations)
            pairs = parse_durations(durations.read_bytes())
            collected = bench.collect()
            describe(collected, pairs)
            if "even" in parts:
                even(collected, pairs)
            if "cpu" in parts:
                is_kept &= bench.cpu(collected, pairs, options.shards, options.heaviest)
        if "plan" in parts:
            planning()
        if "overhead" in parts:
            is_kept &= overhead(python, folder)
    return 0 if is_kept else 1


def make_venv(folder: Path) -> Path:
    """The Python of an environment with the suite, the peer and this checkout, compiled as an installer leaves them."""
    python = folder / "bin" / "python"
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    if not python.exists():
        run([uv, "venv", "-q", "--python", sys.executable, str(folder)])
    install = [uv, "pip", "install", "-q", "--compile-bytecode", "--python", str(python), "--reinstall-package", "ci-tools"]
    run([*install, *PACKAGES, str(ROOT)])
    run([str(python), "-m", "compileall", "-q", str(folder / "lib")])  # also where the environment forbids an installer to
    return python


def make_project(python: Path, folder: Path) -> Path:
    """The suite in a project of its own: beside libraries, in their folder, all of them would pass for the project's code."""
    code = "import networkx, pathlib; print(pathlib.Path(networkx.__file__).parent)"
    source = subprocess.check_output([python, "-c", code], text=True).strip()
    project = folder / "project"
    shutil.copytree(source, project / SUITE, ignore=shutil.ignore_patterns("__pycache__"))
    (project / "pyproject.toml").write_text("[tool.pytest.ini_options]\n", encoding="utf-8")
    run([str(python), "-m", "compileall", "-q", str(project)])
    return project


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


class Bench:
    """The suite in its project, and what runs there."""

    def __init__(self, python: Path, folder: Path, project: Path) -> None:
        self.python = python
        self.folder = folder
        self.project = project

    def make_cold(self) -> None:
        """No compiled test modules, as on a fresh runner; libraries stay compiled, as an installer leaves them."""
        for cache in (self.project / SUITE).rglob("tests/__pycache__"):
            shutil.rmtree(cache)

    def store_durations(self) -> Path:
        """Three serial runs of the suite and each test's median: both sides plan with the same figures."""
        (self.folder / "cpu_durations.py").write_text(CPU_DURATIONS, encoding="utf-8")
        argv = [str(self.python), "-m", "pytest", *QUIET, "-p", "no:ci_tools", "-p", "cpu_durations", SUITE]
        runs: list[dict[str, float]] = []
        for number in range(RUNS):
            path = self.folder / f"durations-{number}.json"
            env = {**environment(), "PYTHONPATH": str(self.folder), "CPU_DURATIONS": str(path)}
            print(f"serial run {number + 1} of {SUITE}: {run(argv, cwd=self.project, env=env):.1f} CPU s", flush=True)
            runs.append(json.loads(path.read_text("utf-8")))
        path = self.folder / "durations.json"
        path.write_text(
            json.dumps({test_id: statistics.median(run[test_id] for run in runs) for test_id in runs[0]}), encoding="utf-8"
        )
        return path

    def collect(self) -> Collected:
        """What our worker collects."""
        target = self.folder / "collected.json"
        order = WorkerOrder(run_id="bench", journal_dir=str(self.folder), collect_to=str(target), guard=OFF)
        path = self.folder / "order.json"
        path.write_text(dumps(order), encoding="utf-8")
        wanted = command(str(path), python=str(self.python), paths=(SUITE,), pytest_args=QUIET, environ=environment())
        run(wanted.argv, cwd=self.project, env=dict(wanted.env))
        return loads(Collected, target.read_text("utf-8"))

    def cpu(self, collected: Collected, pairs: Sequence[tuple[str, float]], count: int, rounds: int) -> bool:
        """CPU of shards of ours and of pytest-split's least_duration, run alternately; whether the heaviest keeps its limit."""
        first = partition(collected, from_pairs(pairs), count, commit="bench")
        plan = partition(collected, from_pairs(self.own_durations(first)), count, commit="bench")
        durations = self.folder / "shard-durations.json"
        durations.write_text(json.dumps(dict(pairs)), encoding="utf-8")
        predicted = longest_first(dict(pairs), collected.test_ids, count)
        chosen = [(shard.ref, split) for shard, split in zip(plan.shards, range(1, count + 1), strict=True)]
        if rounds:
            heaviest = max(plan.shards, key=lambda shard: shard.predicted_s).ref
            chosen = [(heaviest, 1 + predicted.index(max(predicted)))] * rounds
        figures: dict[str, list[float]] = {kind: [] for kind in ("pytest-split", *KINDS)}
        for ref, split in chosen:
            self.make_cold()
            figures["pytest-split"].append(self.run_split(durations, count, split))
            for kind, guard in KINDS.items():
                self.make_cold()
                figures[kind].append(self.run_ours(plan, ref, guard))
            self.check_finished(plan.shard(ref).test_ids)
            latest = ", ".join(f"{kind} {values[-1]:.1f}" for kind, values in figures.items())
            print(f"  shard {ref}, CPU s: {latest}", flush=True)
        self.show(figures, count, rounds)
        parts = int(plan.facts["file_parts"])
        print(f"  {parts} imports of {len(collected.paths)} files; each test of these shards finished once", flush=True)
        pick = min if rounds else max
        limit = LIMITS.get(count, math.inf)
        return pick(figures["all off"]) / pick(figures["pytest-split"]) <= limit

    @staticmethod
    def show(figures: Mapping[str, Sequence[float]], count: int, rounds: int) -> None:
        """The heaviest shard of all, or the least of the rounds of the predicted heaviest, which other work disturbed least."""
        pick, what = (min, f"predicted heaviest shard, least of {rounds}") if rounds else (max, "heaviest shard")
        peers = figures["pytest-split"]
        print(f"N = {count}, {what}: pytest-split {pick(peers):.1f} CPU s")
        for kind in KINDS:
            ratio = pick(figures[kind]) / pick(peers)
            is_limited = kind == "all off" and count in LIMITS
            word = f", at most {LIMITS[count]}: {'kept' if ratio <= LIMITS[count] else 'missed'}" if is_limited else ""
            pairs = zip(figures[kind], peers, strict=True)
            whole = statistics.median(ours / peer for ours, peer in pairs) if rounds else sum(figures[kind]) / sum(peers)
            which = "median of the rounds" if rounds else "all shards together"
            print(f"  {kind:12}: {pick(figures[kind]):.1f} CPU s, ratio {ratio:.3f}{word}; {which} {whole:.3f}")

    def own_durations(self, plan: Plan) -> list[tuple[str, float]]:
        """Each test's CPU seconds in shards of ours, as timings are learned from run to run.

        A test that allocates much runs faster in a process that has not imported the whole suite: its garbage collector has less
        to look at. pytest-split's shards import everything, as the serial run did, so that run's figures are right for them.
        """
        learned: dict[str, float] = {}
        (self.folder / "cpu_durations.py").write_text(CPU_DURATIONS, encoding="utf-8")
        for shard in plan.shards:
            path = self.folder / f"own-{shard.ref.slug}.json"
            environ = {"PYTHONPATH": str(self.folder), "CPU_DURATIONS": str(path)}
            self.run_ours(plan, shard.ref, OFF, environ, "-p", "cpu_durations")
            learned |= json.loads(path.read_text("utf-8"))
        return sorted(learned.items())

    def check_finished(self, planned: Sequence[str]) -> None:
        """Each planned test finished once, by the journal of the shard that has just run; the journal goes."""
        finished: Counter[str] = Counter()
        for journal in self.folder.glob("journal-*.jsonl"):
            events = parse_journal(journal.read_text("utf-8"))
            finished.update(event.test_id for event in events if isinstance(event, TestFinished))
            journal.unlink()
        if finished != Counter(planned):
            wrong = sorted(set(planned) ^ finished.keys())[:5]
            raise SystemExit(f"{len(planned)} tests were planned, {finished.total()} finished: {wrong}")

    def run_ours(
        self, plan: Plan, ref: ShardRef, guard: GuardPolicy, environ: Mapping[str, str] = MappingProxyType({}), *more: str
    ) -> float:
        """CPU of one shard as its worker runs it."""
        order = WorkerOrder(
            run_id="bench", journal_dir=str(self.folder), shard=str(ref), files=orders_for(plan, ref), guard=guard
        )
        path = self.folder / order_name(order)
        path.write_text(dumps(order), encoding="utf-8")
        paths = [file.path for file in order.files or ()]
        wanted = command(
            str(path), python=str(self.python), paths=paths, pytest_args=(*QUIET, *more), environ={**environment(), **environ}
        )
        if wanted.argument_path:
            Path(wanted.argument_path).write_text(wanted.argument_text, encoding="utf-8")
        return run(wanted.argv, cwd=self.project, env=dict(wanted.env))

    def run_split(self, durations: Path, count: int, index: int) -> float:
        """CPU of one group of pytest-split, without our plugin."""
        argv = [str(self.python), "-m", "pytest", *QUIET, "-p", "no:ci_tools", "--splits", str(count), "--group", str(index)]
        argv += ["--splitting-algorithm", "least_duration", f"--durations-path={durations}", SUITE]
        return run(argv, cwd=self.project, env=environment())


def describe(collected: Collected, pairs: Sequence[tuple[str, float]]) -> None:
    """The suite in one line."""
    seconds = [duration for _, duration in pairs]
    print(
        f"{SUITE}: {len(collected.test_ids)} tests in {len(collected.paths)} files, {sum(seconds):.1f} s,"
        f" longest {max(seconds):.2f} s, collected in {collected.duration_s:.1f} s",
        flush=True,
    )


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
    began = time.process_time()
    text = render_plan(plan)
    written = time.process_time() - began
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    if parse_plan(text) != plan:
        raise SystemExit("the plan's file says something else than the plan")
    read = time.process_time() - began
    limit = f" (at most {PLAN_S:g} s and {PLAN_MIB} MiB)" if tests == PLANNED else ""
    print(
        f"{tests:9,} tests: {seconds:.2f} CPU s, {memory / 1024:.0f} MiB in all{limit},"
        f" {(memory - before) / 1024:.0f} MiB for the plan and its file,"
        f" heaviest / bound {float(plan.facts['heaviest_s']) / float(plan.facts['bound_s']):.3f},"
        f" plan.json {len(text) / 1e6:.2f} MB written in {written:.2f} s, read in {read:.2f} s, timings {digest(timings)[:15]}"
    )


def overhead(python: Path, folder: Path) -> bool:
    """What the plugin adds to 20,000 trivial tests: everything off, and its journal; whether the first keeps its limit.

    In instructions, where valgrind is there: the same in every run, whatever else the machine does. Else in CPU seconds.
    """
    kinds = {
        "without the plugin": ("-p", "no:ci_tools"),
        "plugin, all off": ("--ci-tools-journal=off",),
        "plugin, journal": (f"--ci-tools-journal={folder / 'journal'}",),
    }
    measure = count_instructions if shutil.which("valgrind") else measure_cpu
    costs = measure(python, folder, kinds)
    base = costs["without the plugin"]
    ratio = costs["plugin, all off"] / base
    for kind, cost in costs.items():
        print(f"  {kind:18}: ratio {cost / base:.4f}")
    print(f"  all off, at most {MOST_OVERHEAD}: {'kept' if ratio <= MOST_OVERHEAD else 'missed'}", flush=True)
    return ratio <= MOST_OVERHEAD


def count_instructions(python: Path, folder: Path, kinds: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """Instructions of 20,000 trivial tests, on the line through two smaller suites: what a process costs, and a test more."""
    print(f"20,000 trivial tests, instructions, from suites of {SMALL:,} and {LARGE:,}:")
    suites = {tests: trivial_suite(folder, tests) for tests in (SMALL, LARGE)}
    totals: dict[str, float] = {}
    for kind, arguments in kinds.items():
        counts = {tests: instructions([str(python), "-m", "pytest", *QUIET, *arguments], suites[tests]) for tests in suites}
        each = (counts[LARGE] - counts[SMALL]) / (LARGE - SMALL)
        start = counts[SMALL] - SMALL * each
        totals[kind] = start + 20_000 * each
        print(f"  {kind:18}: {each / 1e6:.4f} M a test, {start / 1e6:.0f} M for the process", flush=True)
    return totals


def instructions(argv: Sequence[str], cwd: Path) -> int:
    """What valgrind counts for one process."""
    counter = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    done = subprocess.run([*counter, *argv], cwd=cwd, env=environment(), capture_output=True, text=True, check=False)
    found = re.search(r"I\s+refs:\s+([\d,]+)", done.stderr)
    if done.returncode or found is None:
        raise SystemExit(f"{' '.join(argv)} ended with {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return int(found[1].replace(",", ""))


def measure_cpu(python: Path, folder: Path, kinds: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """The least CPU seconds of five runs of 20,000 trivial tests, run alternately."""
    print("20,000 trivial tests, the least CPU of 5 (no valgrind here, which would count instructions):")
    suite = trivial_suite(folder, 20_000)
    figures: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(5):
        for kind, arguments in kinds.items():
            figures[kind].append(run([str(python), "-m", "pytest", *QUIET, *arguments], cwd=suite, env=environment()))
    for kind, values in figures.items():
        print(f"  {kind:18}: {min(values):.2f} s, median {statistics.median(values):.2f} s", flush=True)
    return {kind: min(values) for kind, values in figures.items()}


def trivial_suite(folder: Path, tests: int) -> Path:
    """Tests that do nothing, 200 a file, in a project whose table switches every guard off."""
    suite = folder / f"trivial-{tests}"
    suite.mkdir()
    for number in range(tests // 200):
        source = "\n".join(f"def test_{index}():\n    pass" for index in range(200))
        (suite / f"test_{number}.py").write_text(source, encoding="utf-8")
    leaks = ", ".join(f"{kind} = 'off'" for kind in LEAK_KINDS)
    (suite / "pyproject.toml").write_text(
        f"[tool.pytest.ini_options]\n[tool.ci-tools.guards]\ntimeout = 0\nevidence = 'off'\nleaks = {{{leaks}}}\n",
        encoding="utf-8",
    )
    return suite


if __name__ == "__main__":
    raise SystemExit(main())
