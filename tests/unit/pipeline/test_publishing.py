"""What is published is written piece by piece: the same bytes as at once, in a bounded amount of memory."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ci_tools.host.files import write_chunks
from ci_tools.model.case import Attempt, Case, Failure, Outcome, Phase
from ci_tools.model.codec import dumped, dumps
from ci_tools.model.report import RunReport, ShardReport

CASES = (
    Case(test_id="t.py::ä", attempts=(Attempt(outcome=Outcome.PASSED, properties={"b": "1", "a": '"'}),)),
    Case(
        test_id="t.py::b",
        attempts=(Attempt(outcome=Outcome.FAILED, failures=(Failure(phase=Phase.CALL, type_name="E", message="m"),)),),
    ),
)

GATE = """
import json, resource, sys
from pathlib import Path
import ci_tools.pipeline.gate as gate
from ci_tools.cli import main
from ci_tools.model.case import Attempt, Case, Outcome
from ci_tools.model.codec import dumps
from ci_tools.model.report import ShardReport

def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
attempt = Attempt(outcome=Outcome.PASSED, duration_s=0.5, worker="main", started_at=1e9)
names = [f"tests/test_module_{number // 50}.py::TestThing::test_does_{number}[value]" for number in range(20_000)]
report = ShardReport(run_id="r", shard="1/1", cases=tuple(Case(test_id=name, attempts=(attempt,)) for name in names))
Path("shard-1-of-1.json").write_text(dumps(report))
publish = gate.publish
def measured(*arguments):
    peaks.append(peak_mb())
    publish(*arguments)
    peaks.append(peak_mb())
gate.publish, peaks = measured, []
main(["gate", "shard-1-of-1.json", "--output", "out"])
print(json.dumps(peaks))
"""


@pytest.mark.parametrize(
    "value",
    [RunReport(run_id="r", cases=CASES, corrupt=("x",)), ShardReport(run_id="", shard="1/1", cases=()), CASES, CASES[0], "ä", {}],
)
def test_the_pieces_are_the_text(value: object) -> None:
    """Piece by piece a value's text is the same as at once."""
    assert "".join(dumped(value)) == dumps(value)


def test_a_text_that_breaks_off_replaces_nothing(tmp_path: Path) -> None:
    """When making a piece fails, the old file stays as it was and nothing is left beside it."""

    def broken() -> Iterator[str]:
        yield "half"
        raise ValueError

    path = tmp_path / "report.json"
    write_chunks(path, ("whole", b" and bytes"))
    with pytest.raises(ValueError, match=r"^$"):
        write_chunks(path, broken())
    assert (path.read_text(), [one.name for one in tmp_path.iterdir()]) == ("whole and bytes", ["report.json"])


def test_publishing_needs_little_beside_what_was_judged(tmp_path: Path) -> None:
    """Over 20,000 tests it adds less than 30 MB to the process; as trees and objects the files took 122 MB."""
    pytest.importorskip("resource", reason="Windows does not say how large a process was")
    done = subprocess.run([sys.executable, "-c", GATE], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True)
    before, after = json.loads(done.stdout.splitlines()[-1])
    assert after - before < 30
    assert json.loads((tmp_path / "out" / "ctrf.json").read_text())["results"]["summary"]["tests"] == 20_000
