"""How well causes tell planted faults apart in suites that nobody wrote for it: recall and precision, and CPU.

    python benchmarks/causes.py [PACKAGE …] [--faults 8] [--seed 1] [--keep FOLDER] [--show]

Each package's source archive comes from the package index. One fault at a time is planted in a function of it (a constant, a
comparison, an operator, a renamed attribute, a condition turned round, a missing return value), its own suite is run, and the
failures that were not there before belong to that fault. Then all faults of a package are put into one report, as if a small
library had them all at once: recall is the share of pairs of failures with one fault that have one cause, precision the share of
pairs with one cause that have one fault. Two faults in one function look alike to everybody; so precision has no limit here.
``--keep`` keeps the recorded files and uses them again. The exit code is 1 when recall over all is below its limit.
"""

import argparse
import ast
import os
import random
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, replace
from math import comb
from pathlib import Path

import junitparser

from ci_tools.model.case import Case
from ci_tools.model.report import RunReport
from ci_tools.reports.causes import find_causes
from ci_tools.reports.foreign import read_junit

PACKAGES = (
    "cachetools==8.0.1",
    "inflection==0.5.1",
    "itsdangerous==2.2.0",
    "semver==3.1.1",
    "sqlparse==0.6.1",
    "webcolors==25.10.0",
)
NEEDED = ("pytest", "freezegun", "pytz", "python-dateutil", "hypothesis", "tzdata")
LOWEST_RECALL = 0.75
FEWEST, MOST = 2, 60
"""Failures of a fault: one has no pair, and a package that cannot be imported at all is no question."""
LONGEST_RUN_S = 90


@dataclass(frozen=True, slots=True)
class Project:
    """A package's source, where its suite runs."""

    name: str
    root: Path
    sources: Path
    python: Path

    @classmethod
    def fetch(cls, requirement: str, folder: Path, python: Path) -> "Project":
        """Downloads and unpacks the source archive of ``requirement``."""
        name = requirement.partition("==")[0]
        target = folder / name
        command = [str(python), "-m", "pip", "download", "-q", "--no-deps", "--no-binary", name, requirement, "-d", str(target)]
        subprocess.run(command, check=True, timeout=180)
        with tarfile.open(next(target.glob("*.tar.gz"))) as archive:
            archive.extractall(target, filter="data")
        root = next(path for path in target.iterdir() if path.is_dir())
        return cls(name, root, root / "src" if (root / "src").is_dir() else root, python)

    def modules(self) -> list[Path]:
        """What a fault may be planted in: neither tests nor tools."""
        others = {"tests", "test", "docs", "examples", "benchmarks", "build", "locale"}
        return sorted(
            path
            for path in self.sources.rglob("*.py")
            if others.isdisjoint(path.relative_to(self.root).parts)
            and not path.name.startswith(("test", "setup", "conftest", "_version"))
        )

    def run(self, report: Path) -> set[str]:
        """IDs of the red tests of one run; none where it took too long or wrote nothing."""
        folders = [name for name in ("tests", "test") if (self.root / name).is_dir()]
        command = [
            str(self.python),
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-o",
            "addopts=",
            "-W",
            "ignore",
            f"--junitxml={report}",
        ]
        variables = {**os.environ, "PYTHONPATH": str(self.sources), "PYTHONHASHSEED": "0"}
        try:
            subprocess.run(
                [*command, *folders], cwd=self.root, env=variables, capture_output=True, timeout=LONGEST_RUN_S, check=False
            )
        except subprocess.TimeoutExpired:
            return set()
        return {str(case.test_id) for case in red(report)} if report.exists() else set()


def red(report: Path) -> list[Case]:
    """The cases of a file that are not green."""
    return [case for case in read_junit(report).cases if not case.outcome.is_green]


def plant(source: str, chance: random.Random) -> str | None:
    """The source with one fault in one of its functions; None where it has no place for one."""
    tree = ast.parse(source)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    places = [node for node in ast.walk(chance.choice(functions)) if _may_be_wrong(node)] if functions else []
    if not places:
        return None
    _make_wrong(chance.choice(places), chance)
    return ast.unparse(ast.fix_missing_locations(tree))


def _may_be_wrong(node: ast.AST) -> bool:
    match node:
        case ast.Constant(value=bool()):
            return False
        case ast.Constant(value=int()) | ast.Compare() | ast.BinOp() | ast.Attribute() | ast.If():
            return True
        case ast.Return(value=ast.expr()):
            return True
        case ast.Constant(value=str(text)):
            return 0 < len(text) < 15
    return False


def _make_wrong(node: ast.AST, chance: random.Random) -> None:
    match node:
        case ast.Constant(value=int(number)):
            node.value = number + chance.choice((1, -1, 7))
        case ast.Constant(value=str(text)):
            node.value = f"{text}x"
        case ast.Compare():
            node.ops[0] = _OPPOSITE[type(node.ops[0])]()
        case ast.BinOp():
            node.op = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
        case ast.Attribute():
            node.attr += "_old"
        case ast.If():
            node.test = ast.UnaryOp(ast.Not(), node.test)
        case ast.Return():
            node.value = ast.Constant(None)


_PAIRS: tuple[tuple[type[ast.cmpop], type[ast.cmpop]], ...] = (
    (ast.Eq, ast.NotEq),
    (ast.Lt, ast.LtE),
    (ast.Gt, ast.GtE),
    (ast.In, ast.NotIn),
    (ast.Is, ast.IsNot),
)
_OPPOSITE = {one: other for pair in _PAIRS for one, other in (pair, pair[::-1])}


def record(project: Project, faults: int, chance: random.Random, folder: Path) -> None:
    """Plants faults until ``faults`` of them failed a few tests each, and keeps the files of those."""
    base = project.run(folder / f"{project.name}.base")
    modules = project.modules()
    for _ in range(4 * faults):
        kept = len([*folder.glob(f"{project.name}-*.xml")])
        if kept == faults:
            return
        path = chance.choice(modules)
        source = path.read_text("utf-8")
        if (wrong := plant(source, chance)) is None:
            continue
        report = folder / f"{project.name}-{kept}.xml"
        try:
            path.write_text(wrong, "utf-8")
            failed = project.run(report) - base
        finally:
            path.write_text(source, "utf-8")
        if FEWEST <= len(failed) <= MOST:
            _leave_only(report, base)
        else:
            report.unlink(missing_ok=True)


def _leave_only(report: Path, base: set[str]) -> None:
    """Takes out what was red without the fault."""
    known = {test_id.rpartition("::")[2] for test_id in base}
    if known:
        read = junitparser.JUnitXml.fromfile(str(report))
        for suite in read:
            for case in [case for case in suite if case.name in known]:
                suite.remove_testcase(case)
        read.write(str(report))


@dataclass(slots=True)
class Score:
    """Pairs of failures: of one fault, with one cause, and both."""

    of_one_fault: int = 0
    with_one_cause: int = 0
    both: int = 0
    seconds: float = 0.0

    @property
    def recall(self) -> float:
        """Share of the pairs of one fault that have one cause."""
        return self.both / self.of_one_fault if self.of_one_fault else 1.0

    @property
    def precision(self) -> float:
        """Share of the pairs with one cause that have one fault."""
        return self.both / self.with_one_cause if self.with_one_cause else 1.0

    def add(self, other: "Score") -> None:
        """Adds the pairs of another package."""
        self.of_one_fault += other.of_one_fault
        self.with_one_cause += other.with_one_cause
        self.both += other.both
        self.seconds += other.seconds


def measure(name: str, folder: Path, *, is_shown: bool) -> Score:
    """Groups the failures of all faults of one package, and compares."""
    fault_of: dict[str, int] = {}
    cases: list[Case] = []
    for fault, report in enumerate(sorted(folder.glob(f"{name}-*.xml"))):
        for case in red(report):
            test, bracket, parameters = str(case.test_id).partition("[")
            test_id = f"{test}__{fault}{bracket}{parameters}"
            fault_of[test_id] = fault
            cases.append(replace(case, test_id=test_id))
    begun = time.process_time()
    causes = find_causes(RunReport(run_id="planted", cases=tuple(cases)))
    seconds = time.process_time() - begun
    groups = [Counter(fault_of[test] for test in {*cause.tests}) for cause in causes]
    score = Score(
        of_one_fault=sum(comb(count, 2) for count in Counter(fault_of.values()).values()),
        with_one_cause=sum(comb(group.total(), 2) for group in groups),
        both=sum(comb(count, 2) for group in groups for count in group.values()),
        seconds=seconds,
    )
    faults = len({*fault_of.values()})
    print(
        f"{name}: {faults} faults, {len(cases)} failures, {len(causes)} causes: recall {score.recall:.3f}, "
        f"precision {score.precision:.3f}, {seconds:.2f} s CPU"
    )
    if is_shown:
        for cause, group in zip(causes, groups, strict=True):
            print(f"    {dict(group)} {cause.rule[:150]}")
    return score


def main() -> int:
    """Records what is missing, and prints a line for each package."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", nargs="*", default=PACKAGES)
    parser.add_argument("--faults", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="folder of recorded files to keep and to use again; default: a temporary one")
    parser.add_argument("--show", action="store_true", help="print every cause with its failures by fault")
    options = parser.parse_args()
    whole = Score()
    with tempfile.TemporaryDirectory(prefix="ci-tools-bench-") as temporary:
        folder = Path(temporary)
        kept = options.keep or folder / "kept"
        kept.mkdir(parents=True, exist_ok=True)
        python = Path()
        for requirement in options.packages:
            name = requirement.partition("==")[0]
            if not [*kept.glob(f"{name}-*.xml")]:
                python = python if python.name else make_python(folder / "venv")
                chance = random.Random(options.seed)  # noqa: S311 - the same faults each time, no secret
                record(Project.fetch(requirement, folder, python), options.faults, chance, kept)
            whole.add(measure(name, kept, is_shown=options.show))
    is_met = whole.recall >= LOWEST_RECALL
    print(f"all: recall {whole.recall:.3f} (limit {LOWEST_RECALL}), precision {whole.precision:.3f}, {whole.seconds:.2f} s CPU")
    return 0 if is_met else 1


def make_python(folder: Path) -> Path:
    """An environment with what the suites need."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=120)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    subprocess.run([python, "-m", "pip", "install", "-q", *NEEDED], check=True, timeout=300)
    return python


if __name__ == "__main__":
    sys.exit(main())
