"""An eighth set to measure the causes by: real failures of a public library's software whose roots are known by construction.

Written without sight of the algorithm and committed before it was first measured; nothing may be tuned on it. The archive
has the layout of the seventh set's, and its reports are read and scored by the functions of the third and fourth. New: test
classes of unittest (asynchronous too), golden files, a helper that tries again and hides what failed, faults of the tests
themselves, roots of a single test; frames of hypothesis, click, jinja2, PyJWT, lxml, smtplib and urllib; wide roots (a service
that is down fails up to 34 tests) beside narrow ones. The recorded paths were rewritten to those of an ordinary machine.
"""

from pathlib import Path

from held_out_causes_4 import SOURCES, Score, Truth, read_run, red_names, score_of, truth_in

__all__ = ["ARCHIVE", "SOURCES", "Score", "Truth", "read_run", "red_names", "score_of", "unpack"]

ARCHIVE = Path(__file__).with_suffix(".tar.xz")


def unpack(folder: Path) -> Truth:
    """Writes the archive's files into ``folder`` and reads the truth."""
    return truth_in(ARCHIVE, folder)
