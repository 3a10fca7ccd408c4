"""Every level of time reaches the report of a whole run, with the culprit named."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFIG = """
[tool.ci-tools]
tests = ["."]

[tool.ci-tools.guards]
timeout = 3
collection = 2
grace = 1
exit = 3
leaks = { thread = "off", process = "off" }
"""
FILES = {
    "pyproject.toml": CONFIG,
    "test_ok.py": "def test_ok():\n    pass\n",
    "test_collects.py": "import time\n\ntime.sleep(3600)\n\n\ndef test_never():\n    pass\n",
    "test_hangs.py": "import threading\n\n\ndef test_hangs():\n    threading.Event().wait()\n",
    "test_stays.py": (
        "import subprocess\nimport sys\nimport threading\n\n\ndef test_stays():\n"
        '    threading.Thread(target=threading.Event().wait, name="the-stayer").start()\n'
        '    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)", "the-child"])\n'
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("processes", ["1", "2"])
def test_every_level_reaches_the_report(tmp_path: Path, processes: str) -> None:
    """A hung import, a hung test and a hung exit: all other tests have results, each culprit is named, nothing else is red."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "CI_TOOLS_", "COV_"))}
    argv = [sys.executable, "-m", "ci_tools", "run", "-n", processes]
    done = subprocess.run(argv, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode not in {0, 70}, done.stdout + done.stderr
    report = json.loads(next(tmp_path.glob("ci-artifacts/*/report.json")).read_text(encoding="utf-8"))
    outcomes = {case["test_id"]: case["attempts"][-1]["outcome"] for case in report["cases"]}
    expected = {"test_ok.py::test_ok": "passed", "test_hangs.py::test_hangs": "timed_out", "test_stays.py::test_stays": "passed"}
    assert {name: outcomes.get(name) for name in expected} == expected, done.stdout
    assert not [name for name in outcomes if not name], outcomes
    summary = next(tmp_path.glob("ci-artifacts/*/summary.md")).read_text(encoding="utf-8")
    for culprit in ("collection of test_collects.py", "thread the-stayer", "the-child"):
        assert culprit in summary, summary
