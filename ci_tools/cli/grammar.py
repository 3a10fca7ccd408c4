"""What the verbs share: the project they are about, the suite they select, and whose end ends them."""

import argparse
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ci_tools.cli import words

_PARENT = "CI_TOOLS_PARENT"

Verb = Callable[[argparse.Namespace], int]
if TYPE_CHECKING:
    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse names the type nowhere else


def add_verb(verbs: "Verbs", name: str, verb: Verb, purpose: str) -> argparse.ArgumentParser:
    """A parser of its own for a verb, which knows what to call and which project it is about."""
    parser = verbs.add_parser(name, help=purpose, description=purpose, allow_abbrev=False)
    parser.set_defaults(verb=verb)
    parser.add_argument(
        "--project", type=Path, default=None, metavar="DIR", help="folder of pyproject.toml (default: the nearest above)"
    )
    return parser


def add_suite(parser: argparse.ArgumentParser) -> None:
    """The words that select tests and workers; what follows ``--`` becomes ``pytest_args``."""
    parser.add_argument("-k", dest="keyword", default="", metavar="EXPRESSION", help="only tests that match, as pytest's -k")
    parser.add_argument("-m", dest="mark", default="", metavar="EXPRESSION", help="only tests with these marks, as pytest's -m")
    parser.add_argument("-n", "--workers", type=words.workers, default=None, help='pytest-xdist workers: a number or "auto"')
    parser.add_argument(
        "--configuration", action="append", default=[], metavar="NAME", help="only this configuration (repeatable)"
    )
    parser.add_argument("paths", nargs="*", metavar="PATH", help="files, folders or test IDs; arguments after -- go to pytest")
    parser.set_defaults(pytest_args=())


def project(arguments: argparse.Namespace) -> Path:
    """The project's folder: the one given, else the nearest above where we stand.

    Raises:
        UsageError: there is none.
    """
    from ci_tools.pipeline.project import find_project  # noqa: PLC0415 - `ci-tools --help` needs none of it

    given: Path | None = arguments.project
    return given if given is not None else find_project(Path.cwd())


def end_with_parent() -> None:
    """When nox is killed nobody tells its child: watch it, and end as if terminated when it is gone."""
    if _PARENT not in os.environ:
        return
    from ci_tools.host import process  # noqa: PLC0415 - only a run under nox needs it

    told = os.environ.pop(_PARENT)
    # On Windows a launcher stands between nox and us: then it is the launcher whose end we see.
    parent = int(told) if told.isdigit() and int(told) == os.getppid() else os.getppid()
    process.watch_parent(lambda: os.kill(os.getpid(), signal.SIGTERM), parent_pid=parent)
