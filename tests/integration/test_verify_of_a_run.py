"""A whole run verified: one changed byte in any file that it left is found, whichever file it is."""

from pathlib import Path

import pytest

from ci_tools.__main__ import main


def test_every_file_of_a_run_is_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plan, journals, logs, shard reports, JUnit and all that is published: first, middle and last byte of each."""
    (tmp_path / "pyproject.toml").write_text('[tool.ci-tools]\ntests = ["tests"]\n')
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_a.py").write_text("def test_a():\n    assert 1\n\ndef test_b():\n    assert 1 == 2\n")
    monkeypatch.chdir(tmp_path)
    assert main(["run", "--workers", "1", "--artifacts", "left"]) == 10
    (folder,) = (path for path in (tmp_path / "left").iterdir() if path.is_dir() and not path.is_symlink())
    verdict = str(folder / "verdict.json")
    assert main(["verify", verdict]) == 0
    files = [path for path in folder.rglob("*") if path.is_file()]
    kinds = {path.name.partition("-")[0].partition(".")[0] for path in files}
    assert kinds == {"plan", "journal", "output", "shard", "junit", "report", "verdict", "timings", "ctrf", "summary"}
    for path in files:
        data = path.read_bytes()
        for at in (0, len(data) // 2, len(data) - 1):
            path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
            assert main(["verify", verdict]) in {10, 11}, (path.name, at)
        path.write_bytes(data)
    assert main(["verify", verdict]) == 0
