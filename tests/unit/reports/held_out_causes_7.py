"""A seventh set to measure the causes by: real failures of a mountain weather service whose roots are known by construction.

Written without sight of the algorithm and committed before it was first measured; nothing may be tuned on it. The archive
has the layout of the fifth set's, and its reports are read and scored by the functions of the third and fourth. New: the
largest set (129 roots, 801 red tests and modules); ``mends`` in ``roots.json`` says in one sentence what mends each root;
frames of pydantic, tenacity, numpy and psycopg2; fixtures that patch what is gone, mocks, classes with ``setup_method``.
The recorded paths of installed packages were rewritten to those of an ordinary machine.
"""

from pathlib import Path

from held_out_causes_4 import SOURCES, Score, Truth, read_run, red_names, score_of, truth_in

__all__ = ["ARCHIVE", "SOURCES", "Score", "Truth", "read_run", "red_names", "score_of", "unpack"]

ARCHIVE = Path(__file__).with_suffix(".tar.xz")


def unpack(folder: Path) -> Truth:
    """Writes the archive's files into ``folder`` and reads the truth."""
    return truth_in(ARCHIVE, folder)
