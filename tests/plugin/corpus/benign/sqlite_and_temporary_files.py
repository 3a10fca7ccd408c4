"""Files and databases with `with`."""

import contextlib
import sqlite3
import tempfile
from pathlib import Path


def test_sqlite(tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / "it.db")) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_temporary():
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "x").write_text("x")
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"x")
    with tempfile.TemporaryFile() as file, tempfile.SpooledTemporaryFile() as other:
        file.write(b"x")
        other.write(b"x")
