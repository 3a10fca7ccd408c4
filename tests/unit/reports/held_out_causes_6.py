"""A sixth set to measure the causes by: real failures of a hospital's software whose roots are known by construction.

Written without sight of the algorithm and committed before it was first measured; nothing may be tuned on it. The archive
has the layout of the fifth set's, and its reports are read and scored by the functions of the third and fourth. New: some
tests stand in classes, the code stands in packages of classes, and most faults are of kinds that no earlier set has (tokens,
templates, schemas, streams of messages, shared libraries, locales, redirects, answers that break off, an ORM).
"""

from pathlib import Path

from held_out_causes_4 import SOURCES, Score, Truth, read_run, red_names, score_of, truth_in

__all__ = ["ARCHIVE", "SOURCES", "Score", "Truth", "read_run", "red_names", "score_of", "unpack"]

ARCHIVE = Path(__file__).with_suffix(".tar.xz")


def unpack(folder: Path) -> Truth:
    """Writes the archive's files into ``folder`` and reads the truth."""
    return truth_in(ARCHIVE, folder)
