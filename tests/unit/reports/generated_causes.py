"""Sets of real failures by generators of strangers: known roots and near misses, written without sight of the algorithm.

Each archive holds runs (folders with the JUnit file of each shard, as bare pytest or another runner wrote them) and
``labels.json``: of each run the root of every test, by ``classname|name``. Every set was frozen before it was measured the
first time.
"""

import itertools
import json
import tarfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ci_tools.model.report import RunReport
from ci_tools.model.verdict import Cause
from ci_tools.reports.causes import find_causes
from ci_tools.reports.foreign import read_junit
from ci_tools.reports.merge import merge


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Pairs of failures of one run: put together, of one root, and both."""

    found: int
    wanted: int
    both: int


def runs_of(archive: Path, folder: Path) -> Iterator[tuple[str, RunReport, Mapping[str, str]]]:
    """Name, merged report and labels of each run."""
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    labels = json.loads((folder / "labels.json").read_text("utf-8"))
    for name, roots in sorted(labels.items()):
        shards = sorted((folder / name).glob("shard-*.xml"))
        yield name, merge([], [read_junit(shard) for shard in shards]), roots


def pairs_of(report: RunReport, roots: Mapping[str, str]) -> Pairs:
    """The causes of a run against its roots; a failure in no cause is together with no other."""
    groups = _groups(find_causes(report), roots)
    pairs = list(itertools.combinations([test for test, root in roots.items() if root], 2))
    together = [bool(groups[one] & groups[other]) for one, other in pairs]
    alike = [roots[one] == roots[other] for one, other in pairs]
    return Pairs(found=sum(together), wanted=sum(alike), both=sum(map(all, zip(together, alike, strict=True))))


def without_cause(report: RunReport, roots: Mapping[str, str]) -> list[str]:
    """The labelled failures that are in no cause."""
    groups = _groups(find_causes(report), roots)
    return [test for test, root in roots.items() if root and not groups[test]]


def _groups(causes: tuple[Cause, ...], roots: Mapping[str, str]) -> Mapping[str, set[int]]:
    written = {_as_written(label): label for label in roots}
    found: dict[str, set[int]] = defaultdict(set)
    for number, cause in enumerate(causes):
        for test in cause.tests:
            label = written.get(test) or _label(test)
            found[label if label in roots else f"|{label.replace('|', '.').lstrip('.')}"].add(number)
    return found


def _as_written(label: str) -> str:
    """The test ID of a case of another runner: its class and its name, or its name alone where they are one."""
    classname, _, name = label.partition("|")
    return name if classname in ("", name) else f"{classname}::{name}"


def _label(test: str) -> str:
    """``tests/a/test_b.py::TestX::test_1[p]`` as ``tests.a.test_b.TestX|test_1[p]``, a file as ``|tests.a.test_b``."""
    head, bracket, parameters = test.partition("[")
    path, *names = head.split("::")
    module = path.removesuffix(".py").replace("/", ".")
    if not names:
        return f"|{module}"
    return f"{'.'.join((module, *names[:-1]))}|{names[-1]}{bracket}{parameters}"
