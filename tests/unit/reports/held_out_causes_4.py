"""A fourth set to measure the causes by: real failures of a beekeepers' cooperative whose roots are known by construction.

Written without sight of the algorithm and committed before it was first measured; nothing may be tuned on it. The archive
has the layout of the third set's, and its reports are read and scored by that set's functions. Two things are new: a test
may be parametrized (its label is that of the function), and the leak guards were off while it was recorded.
"""

import json
import re
import tarfile
from pathlib import Path

from held_out_causes_3 import SOURCES, Score, Truth, read_run, score_of

from ci_tools.model.report import RunReport

__all__ = ["ARCHIVE", "SOURCES", "Score", "Truth", "read_run", "red_names", "score_of", "truth_in", "unpack"]

ARCHIVE = Path(__file__).with_suffix(".tar.xz")
_NAME = re.compile(r"test_part_\d{2}|test_\d{4}")


def unpack(folder: Path) -> Truth:
    """Writes the archive's files into ``folder`` and reads the truth."""
    return truth_in(ARCHIVE, folder)


def truth_in(packed: Path, folder: Path) -> Truth:
    """The same for an archive of this layout: the later sets have it too."""
    with tarfile.open(packed) as archive:
        archive.extractall(folder, filter="data")
    known = json.loads((folder / "roots.json").read_text("utf-8"))
    return Truth(labels=known["labels"], near_misses=tuple((one, other) for one, other in known["near_misses"]))


def red_names(report: RunReport) -> set[str]:
    """What labels name (function, or broken module) of every result that is not green; all of it was read if it equals them."""
    red = [str(case.test_id) for case in report.cases if not case.outcome.is_green]
    broken = [str(error.path) for error in report.collection_errors]
    return {_NAME.findall(text)[-1] for text in red + broken}
