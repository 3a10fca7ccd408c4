"""Verbs about the machine and the checkout: services that stand, preconditions, a first set-up."""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ci_tools.cli import words
from ci_tools.cli.grammar import add_verb, end_with_parent, project
from ci_tools.errors import CIToolsError, ExitCode

if TYPE_CHECKING:
    from ci_tools.cli.grammar import Verbs


def add_services(verbs: "Verbs") -> None:
    """Add ``services ACTION [NAME…]``."""
    parser = add_verb(verbs, "services", _services, "services that stand between commands: start, look, stop")
    parser.add_argument("action", choices=["up", "down", "status", "env", "logs", "doctor", "reap"], help="what to do")
    parser.add_argument(
        "kinds", nargs="*", type=words.service, metavar="NAME", help="redis, postgres (default: what the project declares)"
    )
    parser.add_argument("--foreground", action="store_true", help="with up: stay, show the log, stop on Ctrl-C")
    parser.add_argument("--shell", choices=["sh", "fish", "powershell", "github"], default="sh", help="with env: whose syntax")


def add_doctor(verbs: "Verbs") -> None:
    """Add ``doctor [PATH…]``."""
    parser = add_verb(verbs, "doctor", _doctor, "look at every precondition of a run and name the first broken one; runs no test")
    parser.add_argument(
        "--timeout", type=words.duration, default=None, metavar="120s", help="time for each child process (default: 120s)"
    )
    parser.add_argument("paths", nargs="*", metavar="PATH", help="files or folders (default: the project's tests)")


def add_init(verbs: "Verbs") -> None:
    """Add ``init [--github]``."""
    parser = add_verb(verbs, "init", _init, "write a noxfile, the configuration and a first test; never overwrites anything")
    parser.add_argument("--github", action="store_true", help="also a workflow for GitHub Actions")


def _services(arguments: argparse.Namespace) -> int:
    from ci_tools.pipeline import standing  # noqa: PLC0415 - `ci-tools --help` needs none of it

    request = standing.ServicesRequest(root=project(arguments), environ=dict(os.environ), kinds=tuple(arguments.kinds))
    is_good = True
    match arguments.action:
        case "up" if arguments.foreground:
            return standing.follow(request)
        case "up":
            told = standing.up(request)
        case "down":
            told = standing.down(request)
        case "status":
            told, is_good = standing.status(request)
        case "env":
            told = standing.env(request, arguments.shell)
        case "logs":
            told = standing.logs(request)
        case "doctor":
            told, is_good = standing.diagnose(request)
        case _:
            told = standing.reap()
    sys.stdout.write(f"{told}\n")
    return int(ExitCode.PASSED if is_good else ExitCode.SERVICE)


def _doctor(arguments: argparse.Namespace) -> int:
    from ci_tools.doctor.examination import DEFAULT_TIMEOUT_S, examine  # noqa: PLC0415 - `ci-tools --help` needs none of it
    from ci_tools.doctor.findings import render  # noqa: PLC0415 - as above

    end_with_parent()
    timeout_s = DEFAULT_TIMEOUT_S if arguments.timeout is None else arguments.timeout
    diagnosis = examine(_workplace(arguments), dict(os.environ), paths=tuple(arguments.paths), timeout_s=timeout_s)
    sys.stdout.write(f"{render(diagnosis)}\n")
    return int(ExitCode.PASSED if diagnosis.is_sound else ExitCode.FAILED)


def _init(arguments: argparse.Namespace) -> int:
    from ci_tools.scaffold.project import scaffold  # noqa: PLC0415 - `ci-tools --help` needs none of it

    written = scaffold(arguments.project or Path.cwd(), with_github=arguments.github)
    sys.stdout.write("".join(f"wrote {name}\n" for name in written) + "next: nox -s integration\n")
    return int(ExitCode.PASSED)


def _workplace(arguments: argparse.Namespace) -> Path:
    """The project, or the folder we stand in when its configuration cannot be read: the doctor says what is wrong with it."""
    try:
        return project(arguments)
    except CIToolsError:
        return Path.cwd()
