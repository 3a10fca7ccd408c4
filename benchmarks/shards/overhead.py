"""What the installed plugin adds to tests that do nothing."""

import re
import shutil
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from shards.suite import QUIET, environment, run, verdict

from ci_tools.model.guard import LEAK_KINDS

MOST_OVERHEAD = 1.01
SMALL, LARGE = 2_000, 4_000
"""Tests of the two suites from whose instructions the cost of one test is told."""


def overhead(python: Path, folder: Path) -> bool:
    """What the plugin adds to 20,000 trivial tests: everything off, and its journal; whether the first is within its limit.

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
    print(f"  all off: {ratio:.4f}, {verdict(ratio, MOST_OVERHEAD)}", flush=True)
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
