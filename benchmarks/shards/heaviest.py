"""CPU of the heaviest shard beside pytest-split's, of the processes that ran."""

import json
import math
import shutil
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from shards.evenness import longest_first
from shards.suite import QUIET, SUITE, environment, run, verdict

from ci_tools.model.codec import dumps, loads
from ci_tools.model.guard import GuardMode, GuardPolicy
from ci_tools.model.journal import TestFinished, parse_journal
from ci_tools.model.shard import Plan, ShardRef
from ci_tools.model.worker import Collected, WorkerOrder
from ci_tools.sharding.static import orders_for, partition
from ci_tools.sharding.timings import from_pairs
from ci_tools.workers.command import command, order_name

OFF = GuardPolicy(timeout_s=0.0, collection_s=0.0, leaks={}, evidence=GuardMode.OFF, is_journal_on=False)
KINDS = {"all off": OFF, "as installed": GuardPolicy()}
"""Shards of ours: without guards and journal, as pytest-split has none; and with all that is on by default."""
LIMITS = {8: 0.55, 16: 0.5}
"""Heaviest shard's CPU over that of pytest-split's, by the number of shards, everything off."""
RUNS = 3
"""Serial runs behind the durations: one alone says more about what else the machine did."""

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
            word = f", {verdict(ratio, LIMITS[count])}" if is_limited else ""
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
