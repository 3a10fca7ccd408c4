"""A ninth set to measure the causes by: real failures of a workshop's repository whose roots are known by construction.

Written without sight of the algorithm and committed before it was first measured; nothing may be tuned on it. The archive
has the layout of the eighth set's, and its reports are read and scored by the functions of the third and fourth. Five
packages in one repository: a small language, a game server, an ETL pipeline, a chat bot and a planner of warehouses. New:
frames of pandas, numpy, aiohttp, Flask, SQLAlchemy, pg8000, asyncpg, marshmallow, syrupy, freezegun, networkx and websockets;
stages that wrap what failed, tasks in groups, programs seen from outside, HTTP sides that hide a bug behind 500. The labels of
what code mends were checked by nine runs with a part of the mends each. The paths were rewritten to those of an ordinary machine.
"""

from pathlib import Path

from held_out_causes_4 import SOURCES, Score, Truth, read_run, red_names, score_of, truth_in

__all__ = ["ARCHIVE", "SOURCES", "Score", "Truth", "read_run", "red_names", "score_of", "unpack"]

ARCHIVE = Path(__file__).with_suffix(".tar.xz")


def unpack(folder: Path) -> Truth:
    """Writes the archive's files into ``folder`` and reads the truth."""
    return truth_in(ARCHIVE, folder)
