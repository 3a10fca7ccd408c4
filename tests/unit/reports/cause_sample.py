"""Failures with known roots: near-miss pairs that must stay apart, in the words that libraries really use.

The roots stand in ``tests/golden/reports/roots.txt``: name, exception type and message, with places for what varies.
The second table was written after the masks: other libraries, other words, people and hosts as data.
"""

import random
import re
from collections.abc import Callable
from pathlib import Path

from ci_tools.model.case import Attempt, Case, ExceptionLink, Failure, Frame, Outcome, Phase
from ci_tools.model.report import RunReport

_FILE = Path(__file__).parents[2] / "golden" / "reports" / "roots.txt"
_PEOPLE = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy")
_HOSTS = ("node-a1", "node-b7", "build-host-12", "ip-10-0-3-17", "worker3.internal")

Roots = dict[str, tuple[str, str]]


def roots(table: str) -> Roots:
    """Name → type and message of one table of the file (``first``, ``second``)."""
    found: Roots = {}
    here = ""
    for line in _FILE.read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            here = line.removeprefix("# ")
        elif here == table:
            name, type_name, message = line.split(" | ", 2)
            found[name] = (type_name, message.replace("\\n", "\n"))
    return found


def _hex(dice: random.Random, length: int) -> str:
    return "".join(dice.choice("0123456789abcdef") for _ in range(length))


def _when(dice: random.Random) -> str:
    return f"2026-11-{dice.randrange(1, 29):02}T{dice.randrange(24):02}:{dice.randrange(60):02}:07.{dice.randrange(999):03}Z"


_KINDS: dict[str, Callable[[random.Random], object]] = {
    "port": lambda dice: dice.randrange(20000, 65000),
    "uuid": lambda dice: "-".join(_hex(dice, length) for length in (8, 4, 4, 4, 12)),
    "hash": lambda dice: _hex(dice, 64),
    "hex": lambda dice: _hex(dice, 12),
    "when": _when,
    "path": lambda dice: f"/srv/runner/pytest-{dice.randrange(99)}/test_upload{dice.randrange(20)}",
    "pod": lambda dice: f"worker-{_hex(dice, 9)}-{''.join(dice.choice('bcdfghjklmnpqrstvwxz2456789') for _ in range(5))}",
    "host": lambda dice: dice.choice(_HOSTS),
    "person": lambda dice: dice.choice(_PEOPLE),
    "list": lambda dice: [dice.randrange(9) for _ in range(dice.randrange(1, 7))],
    "seconds": lambda dice: f"{dice.random() * 9:.2f}",
    "byte": lambda dice: dice.randrange(255),
    "digit": lambda dice: dice.randrange(10),
    "number": lambda dice: dice.randrange(99999),
}


def failures(seed: int, count: int, *, table: str = "first") -> list[tuple[str, Failure]]:
    """``count`` failures with the names of their roots; a third wrapped in set-up, a third chained, a third as text only."""
    dice = random.Random(seed)  # noqa: S311 - a seeded sample, no secret
    known = roots(table)
    made = []
    for number in range(count):
        name = dice.choice(sorted(known))
        type_name, message = known[name]
        message = re.sub(r"\{(\w+)\}", lambda found: str(_KINDS[found[1]](dice)), message)
        made.append((name, _dressed(number % 3, type_name, message, dice)))
    return made


def _dressed(kind: int, type_name: str, message: str, dice: random.Random) -> Failure:
    line = dice.randrange(5, 400)
    frame = Frame(path=f"tests/test_{dice.choice('abcdef')}.py", line=line, function=f"test_{dice.randrange(50)}")
    said = f"{type_name}: {message}"
    if kind == 0:
        return Failure(phase=Phase.SETUP, type_name="", message=f'failed on setup with "{said}"', text=f"E   {said}", frame=frame)
    if kind == 1:
        outer = ExceptionLink(type_name="agent.errors.StartError", message=f"start {_KINDS['uuid'](dice)} failed")
        link = ExceptionLink(type_name=type_name, message=message)
        return Failure(phase=Phase.CALL, type_name=outer.type_name, message=outer.message, chain=(outer, link), frame=frame)
    last = f"src/agent/run.py:{line}: {type_name.rpartition('.')[2]}"
    text = f">       run()\n{frame.path}:{line}: \n_ _ _\nE       {said}\n\n{last}"
    return Failure(phase=Phase.CALL, type_name="", message=said, text=text, frame=frame)


def report_of(given: list[tuple[str, Failure]]) -> tuple[RunReport, dict[str, str]]:
    """A run in which each failure is one test's, and test ID → root."""
    truth = {f"tests/test_a.py::test_{number}": name for number, (name, _) in enumerate(given)}
    cases = []
    for test_id, (_, failure) in zip(truth, given, strict=True):
        outcome = Outcome.ERROR if failure.phase is Phase.SETUP else Outcome.FAILED
        cases.append(Case(test_id=test_id, attempts=(Attempt(outcome=outcome, failures=(failure,)),)))
    return RunReport(run_id="run-1", cases=tuple(cases), expected=len(cases)), truth


def precision_and_recall(groups: list[list[str]], truth: dict[str, str]) -> tuple[float, float]:
    """Pairwise: of the pairs put together, how many belong together; of those that belong together, how many are."""
    together = right = 0
    for group in groups:
        sizes: dict[str, int] = {}
        for test_id in group:
            sizes[truth[test_id]] = sizes.get(truth[test_id], 0) + 1
        together += len(group) * (len(group) - 1) // 2
        right += sum(size * (size - 1) // 2 for size in sizes.values())
    totals: dict[str, int] = {}
    for name in truth.values():
        totals[name] = totals.get(name, 0) + 1
    belong = sum(size * (size - 1) // 2 for size in totals.values())
    return (right / together if together else 1.0), (right / belong if belong else 1.0)
