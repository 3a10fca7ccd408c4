"""Every test that hangs or ends its process is contained: all other results are there, the run is bounded and red."""

from pathlib import Path

import pytest
from suites import CORPUS, SuiteRun, keys_of, run_suite, write_suite

from ci_tools.model.case import Outcome
from ci_tools.model.journal import ExitRequested, TestStarted, TimedOut, WorkerCrashed
from ci_tools.pytest_plugin.exits import ENDED_BY_GUARD

HANGS = {path.stem: path for path in sorted((CORPUS / "hangs").glob("*.py"))}
LONGEST_S = 25.0
"""A timeout of 1 s, two graces, pytest-xdist's 10 s at exit, and a slow machine."""


@pytest.fixture(name="run", scope="module", params=["alone", "xdist"])
def _mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(name="ended", scope="module", params=list(HANGS))
def _ended(run: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, SuiteRun]:
    name = str(request.param)
    folder = tmp_path_factory.mktemp(name)
    write_suite(folder, {"test_it.py": HANGS[name].read_text(encoding="utf-8")}, guards="teardown = 1")
    arguments = ("-n", "2") if run == "xdist" else ()
    return name, run_suite(folder, "-q", *arguments, timeout_s=60)
