"""The verbs of ``ci-tools``; the only place where an error becomes an exit code."""

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from ci_tools import __version__
from ci_tools.cli import machine, suite, verdicts
from ci_tools.cli.grammar import Verb
from ci_tools.errors import CIToolsError, ExitCode


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; the exit code (docs/reference/exit-codes.md). argparse ends with 2 by itself."""
    _speak_utf8()
    given = list(sys.argv[1:] if argv is None else argv)
    try:
        arguments = parse(given)
        verb: Verb = arguments.verb
        return int(verb(arguments))
    except CIToolsError as error:
        # A line of the error may hold text of tests; at the start of a line a runner would see a command in "::".
        sys.stderr.write("error: " + str(error).replace("\n::", "\n ::").replace("##[", "## [") + "\n")
        return int(error.exit_code)
    except KeyboardInterrupt:
        return int(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has gone (`ci-tools … | head`); Python must not complain about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(ExitCode.FAULT)
    except Exception:  # noqa: BLE001 - the last line of defence: a fault of ours is said as one, with its own code
        sys.stderr.write(
            f"{traceback.format_exc()}error: this is a fault of ci-tools {__version__}: please report the lines above\n"
        )
        return int(ExitCode.FAULT)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The namespace of a command line. For verbs that run pytest everything after ``--`` is pytest's."""
    own, beyond = list(argv), []
    if "--" in own:
        cut = own.index("--")
        own, beyond = own[:cut], own[cut + 1 :]
    parser = build_parser()
    arguments = parser.parse_args(own)
    if beyond and not hasattr(arguments, "pytest_args"):
        parser.error(f"arguments after -- are pytest's, and this verb does not run it: {' '.join(beyond)}")
    if hasattr(arguments, "pytest_args"):
        narrowing = [("-k", arguments.keyword), ("-m", arguments.mark)]
        chosen = [word for flag, value in narrowing if value for word in (flag, value)]
        arguments.pytest_args = (*chosen, *beyond)
    return arguments


def build_parser() -> argparse.ArgumentParser:
    """The grammar of the command line; docs/reference/cli.md is made from it."""
    parser = argparse.ArgumentParser(
        prog="ci-tools",
        description="Real services, sharded and guarded integration suites, and a verdict that can be trusted.",
        epilog="exit codes: 0 passed, 2 usage, 10 failed, 11 incomplete, 12 service, 13 workers, 14 queue, 130/143 interrupted",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"ci-tools {__version__}")
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")
    suite.add_run(verbs)
    suite.add_plan(verbs)
    verdicts.add_merge(verbs)
    verdicts.add_gate(verbs)
    verdicts.add_verify(verbs)
    verdicts.add_release(verbs)
    verdicts.add_baseline(verbs)
    suite.add_bisect(verbs)
    suite.add_timings(verbs)
    machine.add_services(verbs)
    machine.add_doctor(verbs)
    machine.add_init(verbs)
    return parser


def _speak_utf8() -> None:
    """Test IDs hold any character; a console that cannot show one gets its escape instead of a crash.

    Where there is no console at all (``>&-``), what is said goes nowhere.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - for the life of the process
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
