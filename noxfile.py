"""The one door: every check of the project is a session here, and CI calls the same sessions."""

import sys
from pathlib import Path

import nox
from nox.command import CommandFailed

sys.path.insert(0, str(Path(__file__).parent))  # the noxfile loads where only nox is installed

from ci_tools import nox_sessions

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "tests", "integration"]

PLATFORM = "examples/agent_platform"
SAMPLE = ("tests/unit", "tests/plugin", "tests/contract", "tests/integration/test_main_job.py")
"""What the oldest dependencies are tried on: every room, pytest's hooks, real services, the whole way."""


@nox.session
def integration(session: nox.Session) -> None:
    """The main job: the reference platform's suite on real services, to a verdict. Arguments go to `ci-tools run`.

    On both databases, into one report; `-- --configuration sqlite` runs one of them.
    """
    nox_sessions.install_locked(session, "requirements/integration.txt", project=".")
    nox_sessions.run_toolkit(session, "run", "--project", PLATFORM, "--artifacts", "ci-artifacts", *session.posargs)


@nox.session
def selfcheck(session: nox.Session) -> None:
    """Whether the reference platform's set-up holds – imports, fixtures, services – without running a test."""
    nox_sessions.install_locked(session, "requirements/integration.txt", project=".")
    nox_sessions.run_toolkit(session, "doctor", "--project", PLATFORM, *session.posargs)


@nox.session
def gate(session: nox.Session) -> None:
    """Judge folders of shards that ran elsewhere. Arguments go to `ci-tools gate`."""
    nox_sessions.install_locked(session, "requirements/integration.txt", project=".")
    nox_sessions.run_toolkit(session, "gate", "--project", PLATFORM, *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """The project's own tests, against the installed package. Arguments go to pytest.

    They start hundreds of real servers and processes. One that fails beside others is run again alone: what then passes
    was red from load and is said to be so, what fails again fails the session.
    """
    nox_sessions.install_locked(session, "requirements/tests.txt", project=".")
    if session.posargs:
        _pytest(session, *session.posargs)
        return
    try:
        _pytest(session, "-n", "auto", "-m", "not slow")
    except CommandFailed:
        session.warn("failed beside others; now alone, and only what fails again counts:")
        _pytest(session, "-n", "0", "-m", "not slow", "--last-failed", "--last-failed-no-failures", "none")


@nox.session
def slow(session: nox.Session) -> None:
    """The long suites: planted bugs, kill matrix, executed workflows. Arguments go to pytest."""
    nox_sessions.install_locked(session, "requirements/tests.txt", project=".")
    session.install("networkx==3.6.1", "numpy")  # a suite that nobody wrote for us, run whole; installed here alone
    _pytest(session, "-m", "slow", *session.posargs)


@nox.session(python="3.11", venv_backend="uv")
def minimums(session: nox.Session) -> None:
    """The oldest dependencies that pyproject.toml allows, on the oldest Python. Arguments go to pytest."""
    # No lock: what is tried is the lower bounds themselves; everything below them is the newest that fits.
    session.install("--resolution", "lowest-direct", "--group", "tests", ".[redis,postgres,download]")
    _pytest(session, *(session.posargs or ["-n", "auto", "-m", "not slow", *SAMPLE]))


@nox.session
def shuffled(session: nox.Session) -> None:
    """The tests in random order, to find those that lean on each other; the seed is printed. Arguments go to pytest.

    `nox -s shuffled -- --random-order-seed=SEED` repeats an order.
    """
    nox_sessions.install_locked(session, "requirements/tests.txt", project=".")
    # Installed here alone, and idle without its options: the suites that tests start themselves keep their order.
    session.install("pytest-random-order>=1.2")
    _pytest(session, "--random-order", *(session.posargs or ["-n", "auto", "-m", "not slow"]))


@nox.session
def lint(session: nox.Session) -> None:
    """Formatting, lint, types, the layer rule, the workflows, and whether the locks are stale."""
    nox_sessions.install_locked(session, "requirements/lint.txt", project=".")
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("mypy")
    session.run("lint-imports", "--no-logo", env={"PYTHONPATH": "."})
    session.run("python", "requirements/compile.py", "--check")
    session.run("towncrier", "build", "--draft", "--version", "0")
    session.run("python", "tests/workflows/linters.py")
    _pytest(session, "tests/workflows/test_linters.py")  # each of them does find its fault


@nox.session
def docs(session: nox.Session) -> None:
    """Make the reference pages that the code knows best."""
    nox_sessions.install_locked(session, "requirements/docs.txt", project=".")
    session.run("python", "docs/generate.py")


@nox.session
def lock(session: nox.Session) -> None:
    """Compile requirements/*.txt from pyproject.toml; `-- --upgrade` takes the newest releases."""
    session.install("uv")
    session.run("python", "requirements/compile.py", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Every claim of speed, measured against a peer or a limit in the same run; prints ratios."""
    nox_sessions.install_locked(session, "requirements/bench.txt", project=".")
    for path in sorted(Path("benchmarks").glob("*.py")):
        session.run("python", str(path), *session.posargs)


def _pytest(session: nox.Session, *arguments: str) -> None:
    # Hundreds of tests start a pytest of their own: without bytecode each compiles all that it imports.
    session.run("pytest", *arguments, env=nox_sessions.bytecode(session))
