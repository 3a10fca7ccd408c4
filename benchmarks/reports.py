"""Merging JUnit files and finding causes, beside their peers in the same call.

    python benchmarks/reports.py [merge] [linear] [output] [gate] [causes] [--files 100] [--cases 10000] [--limit 180]

Every candidate is a process of its own; CPU is user and system seconds as the operating system counted them, memory its
largest resident set. Figures of shared machines differ from day to day: the ratios are what is claimed.

    merge    ours ≤ 2 x a bare lxml stream (iterparse → xmlfile), ≤ 1/30 of `junitparser merge`, ≤ 128 MB
             (what junitparser costs grows with the square of the files: it gets --limit seconds of CPU, and where that is
             not enough, the ratio is told as a lower bound, and beside it what its cost for 10, 20 and 40 of the same
             files comes to for all of them)
    linear   1,000 files cost ten times what 100 cost
    output   one case with 100 MB of output: memory stays flat
    gate     100,000 tests of ten shards, one in a hundred failed, judged and published by `ci-tools gate`: ≤ 300 MB, ≤ 12 s
    causes   10,000 failures ≤ 0.5 s
"""

import argparse
import math
import os
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from ci_tools.host.files import write_chunks
from ci_tools.model.case import Attempt, Case, Failure, Outcome, Phase
from ci_tools.model.codec import dumped
from ci_tools.model.report import RunReport, ShardReport
from ci_tools.reports.causes import find_causes

OURS = """
import sys
from pathlib import Path
from ci_tools.reports.stream import merge_junit
merge_junit([Path(name) for name in sys.argv[2:]], Path(sys.argv[1]))
"""

BARE = """
import sys
from lxml import etree
with etree.xmlfile(sys.argv[1], encoding="utf-8") as out, out.element("testsuites"):
    for name in sys.argv[2:]:
        with out.element("testsuite"):
            for _, element in etree.iterparse(name, events=("end",), tag="testcase"):
                out.write(element)
                element.clear(keep_tail=False)
                while element.getprevious() is not None:
                    del element.getparent()[0]
"""

JUNITPARSER = """
import sys
from junitparser.cli import main
sys.exit(main(["merge", *sys.argv[2:], sys.argv[1]]))
"""

READ = """
import sys
from pathlib import Path
from ci_tools.reports.foreign import read_junit
read_junit(Path(sys.argv[2]))
"""

GATE = """
import os, sys
from pathlib import Path
from ci_tools.__main__ import main
os.chdir(Path(sys.argv[1]).parent)
sys.stdout = open(os.devnull, "w")
code = main(["gate", *sys.argv[2:], "--output", sys.argv[1]])
sys.exit(0 if code == 10 else f"the gate ended with {code}, expected 10: tests failed")
"""

PARTS = ("merge", "linear", "output", "gate", "causes")

TRACE_LINES = 40
"""Lines of each failure's traceback; one case in a hundred fails."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one process cost; ``is_whole`` is false for one that was ended at its limit."""

    cpu_s: float
    peak_mb: float
    is_whole: bool = True


def main() -> int:
    """Run the parts that were asked for, all of them by default."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"any of {', '.join(PARTS)}; all when none is named")
    parser.add_argument("--files", type=int, default=100)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--limit", type=int, default=180, help="CPU seconds that junitparser gets; 0 leaves it out")
    options = parser.parse_args()
    parts = options.parts or PARTS
    if unknown := set(parts) - set(PARTS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory(prefix="ci-tools-bench-") as temporary:
        folder = Path(temporary)
        if "merge" in parts:
            bench_merge(folder, options.files, options.cases, limit_s=options.limit)
        if "linear" in parts:
            bench_linear(folder)
        if "output" in parts:
            bench_output(folder)
        if "gate" in parts:
            bench_gate(folder)
    if "causes" in parts:
        bench_causes()
    return 0


def cost_of(code: str, out: Path, names: list[Path], *, limit_s: int = 0) -> Cost:
    """Run ``code`` in a fresh interpreter on these files, ended after ``limit_s`` of CPU (0: never); SystemExit if it fails."""
    head = f"import resource; resource.setrlimit(resource.RLIMIT_CPU, ({limit_s}, {limit_s}))\n" if limit_s else ""
    arguments = [sys.executable, "-c", head + code, str(out), *map(str, names)]
    child = os.posix_spawn(sys.executable, arguments, os.environ)
    _, status, usage = os.wait4(child, 0)
    is_ended = limit_s > 0 and os.WIFSIGNALED(status)
    if status != 0 and not is_ended:
        sys.exit(f"a candidate ended with status {status}: {code.strip().splitlines()[-1]}")
    kilobytes = usage.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    return Cost(usage.ru_utime + usage.ru_stime, kilobytes / 1024, not is_ended)


def best_of(code: str, out: Path, names: list[Path], *, times: int = 3) -> Cost:
    """The cheapest of some runs: what others do on the machine only ever adds."""
    return min((cost_of(code, out, names) for _ in range(times)), key=lambda cost: cost.cpu_s)


def make_files(folder: Path, files: int, cases: int) -> list[Path]:
    """JUnit files as pytest writes them; one case in a hundred has a failure with a traceback."""
    folder.mkdir(exist_ok=True)
    trace = "\n".join(
        f"    step {line} of a traceback through some module, with a &lt;value&gt; in it" for line in range(TRACE_LINES)
    )
    made = []
    for number in range(files):
        path = folder / f"junit-{number:04}.xml"
        rows = "".join(
            f'<testcase classname="tests.unit.test_m{number}_{case // 100}" name="test_{case}" time="0.001">'
            f'<failure message="assert {case} == 1">{trace}</failure></testcase>'
            if case % 100 == 0
            else f'<testcase classname="tests.unit.test_m{number}_{case // 100}" name="test_{case}" time="0.001" />'
            for case in range(cases)
        )
        counts = f'errors="0" failures="{-(-cases // 100)}" skipped="0" tests="{cases}" time="{cases / 1000:.3f}"'
        path.write_text(
            f'<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests"><testsuite name="pytest" {counts} '
            f'timestamp="2026-11-02T09:15:{number % 60:02}+00:00" hostname="h{number}">{rows}</testsuite></testsuites>',
            encoding="utf-8",
        )
        made.append(path)
    return made


def bench_merge(folder: Path, files: int, cases: int, *, limit_s: int) -> None:
    """Ours and a bare lxml stream in turn on the same files, then junitparser as far as it comes."""
    names = make_files(folder / "merge", files, cases)
    size_mb = sum(path.stat().st_size for path in names) / 1e6
    print(f"merge: {files} files x {cases} cases, {size_mb:.0f} MB")
    out = folder / "merged.xml"
    pairs = [(cost_of(OURS, out, names), cost_of(BARE, out, names)) for _ in range(3)]
    ours, bare = (min(costs, key=lambda cost: cost.cpu_s) for costs in zip(*pairs, strict=True))
    ratios = ", ".join(f"{mine.cpu_s / other.cpu_s:.2f}" for mine, other in pairs)
    say("ours", ours)
    say("bare lxml stream", bare, f"ours is {ours.cpu_s / bare.cpu_s:.2f} x of it (claimed: ≤ 2; each pair: {ratios})")
    if limit_s:
        bench_junitparser(names, out, ours, limit_s)
    print(f"  ours peaks at {ours.peak_mb:.0f} MB (claimed: ≤ 128)")


def bench_junitparser(names: list[Path], out: Path, ours: Cost, limit_s: int) -> None:
    """All files within the limit, or a lower bound; and what growth over 10, 20 and 40 files says of all of them."""
    theirs = cost_of(JUNITPARSER, out, names, limit_s=limit_s)
    ratio = f"1/{theirs.cpu_s / ours.cpu_s:.0f}"
    if theirs.is_whole:
        say("junitparser merge", theirs, f"ours is {ratio} of it (claimed: ≤ 1/30)")
        return
    say("junitparser merge", theirs, f"ended at its limit: ours is less than {ratio} of it (claimed: ≤ 1/30)")
    few = [count for count in (10, 20, 40) if count < len(names)]
    if len(few) < 3:  # three points for three coefficients
        return
    costs = [cost_of(JUNITPARSER, out, names[:count]).cpu_s for count in few]
    told = ", ".join(f"{count}: {cost:.1f} s" for count, cost in zip(few, costs, strict=True))
    whole = parabola(few, costs, len(names))
    print(f"    {told}; along a parabola through these {len(names)} files cost {whole:.0f} s, ours 1/{whole / ours.cpu_s:.0f}")


def parabola(counts: list[int], costs: list[float], at: int) -> float:
    """The value at ``at`` of the parabola through three points."""
    return sum(
        cost * math.prod((at - other) / (count - other) for other in counts if other != count)
        for count, cost in zip(counts, costs, strict=True)
    )


def bench_linear(folder: Path) -> None:
    """Ten times the files, ten times the CPU: start-up taken off both."""
    names = make_files(folder / "linear", 1000, 1000)
    out = folder / "merged.xml"
    start, few, many = best_of(OURS, out, []), best_of(OURS, out, names[:100]), best_of(OURS, out, names)
    ratio = (many.cpu_s - start.cpu_s) / (few.cpu_s - start.cpu_s)
    print("linear: 100 and 1,000 files x 1,000 cases")
    say("100 files", few)
    say("1,000 files", many, f"{ratio:.1f} x of 100 files (linear: 10), {many.peak_mb - few.peak_mb:+.0f} MB")


def bench_output(folder: Path) -> None:
    """One case that printed 100 MB: read by the gate and merged."""
    path = folder / "output.xml"
    with path.open("w", encoding="utf-8") as stream:
        stream.write('<testsuite name="s"><testcase classname="c" name="t" time="1"><system-out>')
        for _ in range(1000):
            stream.write(
                "a line of a hundred characters that some service printed while the test was running &amp; went on\n" * 1000
            )
        stream.write("</system-out></testcase></testsuite>")
    print(f"output: one case with {path.stat().st_size / 1e6:.0f} MB of output")
    say("read", cost_of(READ, folder / "none", [path]))
    say("merge", cost_of(OURS, folder / "merged.xml", [path]))


def bench_gate(folder: Path, shards: int = 10, tests: int = 10_000) -> None:
    """The whole gate, from the shards' reports to every file that it publishes, beside the same from JUnit files."""
    place = folder / "gate"
    place.mkdir()
    (place / "pyproject.toml").write_text("[tool.ci-tools]\n", encoding="utf-8")
    reports = []
    for index in range(1, shards + 1):
        cases = tuple(
            Case(
                test_id=f"tests/unit/test_m{index}_{number // 100}.py::test_{number}", attempts=(_attempt(index, shards, number),)
            )
            for number in range(tests)
        )
        report = ShardReport(run_id="bench", shard=f"{index}/{shards}", cases=cases, started_at=1.8e9, duration_s=60.0)
        reports.append(place / f"shard-{index}-of-{shards}.json")
        write_chunks(reports[-1], dumped(report))
    print(f"gate: {shards} shards x {tests:,} tests, everything published")
    claimed = "(claimed: ≤ 300 MB, ≤ 12 s CPU)"
    say("shard reports", cost_of(GATE, place / "out", reports), claimed)
    say("JUnit files", cost_of(GATE, place / "out", make_files(place / "junit", shards, tests)), claimed)


def _attempt(index: int, shards: int, number: int) -> Attempt:
    failure = Failure(phase=Phase.CALL, type_name="RuntimeError", message=f"no route to host {number % 50}", text="E  no route")
    return Attempt(
        outcome=Outcome.PASSED if number % 100 else Outcome.FAILED,
        failures=() if number % 100 else (failure,),
        duration_s=0.01,
        call_s=0.01,
        shard=f"{index}/{shards}",
        worker="gw0",
        started_at=1.8e9 + number,
    )


def bench_causes() -> None:
    """10,000 failures from 40 roots with ids, ports and times that vary."""
    dice = random.Random(1)  # noqa: S311 - a seeded sample, no secret
    words = ("refused by", "timed out at", "no route to", "reset by", "bad reply from", "wrong version of", "closed by", "lost")
    names = ("redis", "postgres", "the bridge", "the engine", "sign-in")
    cases = []
    for number in range(10_000):
        word, name = dice.choice(words), dice.choice(names)
        token = f"{dice.randrange(1 << 48):012x}"
        message = f"{word} {name} on 127.0.0.1:{dice.randrange(20000, 60000)} after {dice.random():.3f} s (request {token})"
        place = f"src/agent/{name.split()[-1]}.py:{dice.randrange(99)}: RuntimeError"
        text = f">       call()\nE       RuntimeError: {message}\n\n{place}"
        failure = Failure(phase=Phase.CALL, type_name="", message=f"RuntimeError: {message}", text=text)
        cases.append(
            Case(test_id=f"tests/test_a.py::test_{number}", attempts=(Attempt(outcome=Outcome.FAILED, failures=(failure,)),))
        )
    report = RunReport(run_id="bench", cases=tuple(cases), expected=len(cases))
    took_s = math.inf
    for _ in range(3):
        began = time.process_time()
        causes = find_causes(report)
        took_s = min(took_s, time.process_time() - began)
    roots = len(words) * len(names)
    print(f"causes: 10,000 failures from {roots} roots: {len(causes)} causes in {took_s:.2f} s CPU (claimed: ≤ 0.5)")


def say(name: str, cost: Cost, remark: str = "") -> None:
    """One line of figures."""
    print(f"  {name:<20} {cost.cpu_s:8.2f} s CPU {cost.peak_mb:7.0f} MB  {remark}".rstrip())


if __name__ == "__main__":
    sys.exit(main())
