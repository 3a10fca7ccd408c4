"""Runs a small suite in a pytest of its own and reads back what its journal says."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from ci_tools.model.case import Outcome
from ci_tools.model.journal import Event, LeakFound, SessionFinished, TestFinished, parse_journal

CORPUS = Path(__file__).parent / "corpus"

INI = """
[tool.pytest.ini_options]
asyncio_mode = "strict"
asyncio_default_fixture_loop_scope = "{loop_scope}"
asyncio_default_test_loop_scope = "{loop_scope}"

[tool.ci-tools.guards]
grace = 0.6
exit = 4
{guards}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteRun:
    """How one pytest ended: its exit code, what it said, how long it took, and its journals by file name."""

    returncode: int
    output: str
    duration_s: float
    journals: Mapping[str, tuple[Event, ...]]
    left_behind: tuple[str, ...]
    folder: Path

    @property
    def events(self) -> list[Event]:
        """The events of all journals."""
        return [event for events in self.journals.values() for event in events]

    @property
    def outcomes(self) -> dict[str, Outcome]:
        """The last outcome of each test, by test ID."""
        return {event.test_id: event.outcome for event in self.events if isinstance(event, TestFinished)}

    @property
    def leaks(self) -> list[LeakFound]:
        """Every leak found."""
        return [event for event in self.events if isinstance(event, LeakFound)]

    @property
    def end_markers(self) -> int:
        """How many processes wrote their end marker as their last line."""
        return sum(bool(events) and isinstance(events[-1], SessionFinished) for events in self.journals.values())


def write_suite(folder: Path, files: Mapping[str, str], *, loop_scope: str = "function", guards: str = "") -> None:
    """Put a project with these files into ``folder``."""
    (folder / "pyproject.toml").write_text(INI.format(loop_scope=loop_scope, guards=guards), encoding="utf-8")
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def run_suite(
    folder: Path,
    *arguments: str,
    environ: Mapping[str, str] | None = None,
    timeout_s: float = 60.0,
    plugins: Sequence[str] = ("-p", "no:valkey", "-p", "no:cacheprovider"),
) -> SuiteRun:
    """Run pytest there; everything it leaves behind is ended, and named in ``left_behind``."""
    journal = folder / "journal"
    mark = f"ci-tools-suite-{os.getpid()}-{time.monotonic_ns()}"
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "CI_TOOLS_", "COV_"))}
    command = [sys.executable, "-m", "pytest", *plugins, "--ci-tools-journal", str(journal), *arguments]
    began = time.monotonic()
    log = folder / "output.txt"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**clean, "SUITE_MARK": mark, "COLUMNS": "200", **(environ or {})},
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            returncode = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
            returncode = 999
    duration_s = time.monotonic() - began
    journals = {
        path.name: tuple(parse_journal(path.read_text(encoding="utf-8"), where=path.name))
        for path in sorted(journal.glob("journal-*.jsonl"))
    }
    return SuiteRun(
        returncode=returncode,
        output=log.read_text(encoding="utf-8", errors="replace"),
        duration_s=duration_s,
        journals=journals,
        left_behind=_end_marked(mark),
        folder=folder,
    )


def keys_of(path: Path) -> dict[str, str]:
    """The ``key: value`` lines of a corpus file's docstring."""
    docstring = path.read_text(encoding="utf-8").split('"""')[1]
    pairs = (line.split(":", 1) for line in docstring.splitlines()[1:] if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def made_line(path: Path) -> int:
    """The number of the line that says ``# made here``."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, start=1) if "# made here" in line)


def _end_marked(mark: str) -> tuple[str, ...]:
    # multiprocessing's resource tracker ends by itself a moment after its process
    _, left = psutil.wait_procs(_marked(mark), timeout=2)
    commands = []
    for process in left:
        with contextlib.suppress(psutil.Error, OSError):
            if process.status() != psutil.STATUS_ZOMBIE:
                commands.append(" ".join(process.cmdline())[:200])
                process.kill()
    return tuple(commands)


def _marked(mark: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get("SUITE_MARK") == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def properties_by_name(run: SuiteRun) -> Mapping[str, Mapping[str, str]]:
    """What each test recorded of itself, by what stands behind ``test_`` in its name."""
    ended = (event for event in run.events if isinstance(event, TestFinished))
    return {event.test_id.partition("::test_")[2]: event.properties for event in ended}


def outcomes_by_name(run: SuiteRun) -> dict[str, str]:
    """The outcomes in the same way."""
    return {test_id.partition("::test_")[2]: outcome.value for test_id, outcome in run.outcomes.items()}
