"""Time and memory of a plan."""

import random
import resource
import subprocess
import sys
import time
from pathlib import Path

from shards.suite import verdict

from ci_tools.model.plan import parse_plan, render_plan
from ci_tools.model.worker import Collected
from ci_tools.sharding.static import partition
from ci_tools.sharding.timings import Timings, digest, from_pairs

PLANNED, PLAN_S, PLAN_MIB = 100_000, 2.0, 300
"""A suite of so many tests is planned within these CPU seconds and this memory, the interpreter's own included."""


def planning() -> bool:
    """Time and memory of a plan, its timings' digest included, for suites of growing size; each in a process of its own."""
    print("planning (50 tests a file, 8 shards, all timed):")
    are_met = []
    for tests in (10_000, 100_000, 1_000_000):
        code = f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r})"
        code += f"; from shards.planning import plan_once; raise SystemExit(not plan_once({tests}))"
        done = subprocess.run([sys.executable, "-c", code], text=True, check=False, stdout=subprocess.PIPE)
        are_met.append(done.returncode == 0)
        print("  " + done.stdout.strip(), flush=True)
    return all(are_met)


def plan_once(tests: int) -> bool:
    """Print what planning this many tests takes; whether that is within its limits."""
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
    is_limited = tests == PLANNED
    in_time = f" ({verdict(seconds, PLAN_S)})" if is_limited else ""
    in_room = f" ({verdict(memory / 1024, PLAN_MIB)})" if is_limited else ""
    print(
        f"{tests:9,} tests: {seconds:.2f} CPU s{in_time}, {memory / 1024:.0f} MiB in all{in_room},"
        f" {(memory - before) / 1024:.0f} MiB for the plan and its file,"
        f" heaviest / bound {float(plan.facts['heaviest_s']) / float(plan.facts['bound_s']):.3f},"
        f" plan.json {len(text) / 1e6:.2f} MB written in {written:.2f} s, read in {read:.2f} s, timings {digest(timings)[:15]}"
    )
    return not is_limited or (seconds <= PLAN_S and memory / 1024 <= PLAN_MIB)
