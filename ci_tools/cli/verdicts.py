"""Verbs that merge, judge, check and keep what runs have left."""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ci_tools.cli import words
from ci_tools.cli.grammar import add_verb, project
from ci_tools.errors import ExitCode

if TYPE_CHECKING:
    from ci_tools.cli.grammar import Verbs
    from ci_tools.pipeline.gate import GateRequest


def add_merge(verbs: "Verbs") -> None:
    """Add ``merge FILE|DIR…``."""
    parser = add_verb(verbs, "merge", _merge, "merge reports, journals and JUnit files into one report, without judging it")
    parser.add_argument("inputs", nargs="+", type=Path, metavar="FILE|DIR", help="folders of runs, shard reports, JUnit files")
    parser.add_argument("--plan", action="append", type=Path, default=[], metavar="FILE", help="the plan they belong to")
    parser.add_argument("--output", type=Path, default=None, metavar="DIR", help="where report.json and junit.xml go")


def add_gate(verbs: "Verbs") -> None:
    """Add ``gate [DIR…]``."""
    parser = add_verb(verbs, "gate", _gate, "judge folders of runs or foreign JUnit files; ends with the verdict's exit code")
    parser.add_argument("inputs", nargs="*", type=Path, metavar="DIR", help="folders of runs, one or more for each shard")
    parser.add_argument(
        "--junit", action="append", nargs="+", type=Path, default=[], metavar="FILE", help="JUnit files of any producer"
    )
    parser.add_argument(
        "--plan", action="append", type=Path, default=[], metavar="FILE", help="the plan that every shard must have run"
    )
    parser.add_argument("--profile", default="", metavar="NAME", help="the policy's profile (default, pull-request, release, …)")
    parser.add_argument("--needs", default="", metavar="VARIABLE", help="environment variable with GitHub's `needs` as JSON")
    parser.add_argument("--output", type=Path, default=None, metavar="DIR", help="where verdict and summary go")
    parser.add_argument("--explain", default="", metavar="RULE", help="say what a rule asks and why, and end")


def add_verify(verbs: "Verbs") -> None:
    """Add ``verify verdict.json``."""
    parser = add_verb(
        verbs, "verify", _verify, "recompute a verdict offline and say whether a byte of it or its inputs was changed"
    )
    parser.add_argument("verdict", type=Path, metavar="verdict.json")


def add_release(verbs: "Verbs") -> None:
    """Add ``release check``."""
    purpose = "say whether these files may be published: tested, by a sound verdict of the release profile, for this commit"
    parser = add_verb(verbs, "release", _release, purpose)
    parser.add_argument("action", choices=["check"], help="decide, as the release's own job does; publishes nothing")
    parser.add_argument(
        "--verdict", nargs="+", type=Path, required=True, metavar="FILE", help="verdict.json of each run, its inputs beside it"
    )
    parser.add_argument("--wheel", nargs="+", type=Path, required=True, metavar="FILE", help="what is to be published")
    parser.add_argument(
        "--systems", type=words.systems, required=True, metavar="linux,macos", help="systems that must have run it"
    )
    parser.add_argument("--pythons", type=words.pythons, required=True, metavar="3.11,3.14", help="Pythons that must have run it")
    parser.add_argument("--commit", type=words.commit, default=None, metavar="SHA", help="what is released (default: HEAD)")
    parser.add_argument(
        "--max-age", type=words.duration, default=None, metavar="24h", help="how long ago the tests may have run (default: 24h)"
    )


def add_baseline(verbs: "Verbs") -> None:
    """Add ``baseline update``."""
    parser = add_verb(verbs, "baseline", _baseline, "keep a green run as what later runs are compared with")
    parser.add_argument("action", choices=["update"], help="write the baseline")
    parser.add_argument("inputs", nargs="*", type=Path, metavar="DIR", help="folders of the run (default: the latest)")
    parser.add_argument("--plan", action="append", type=Path, default=[], metavar="FILE", help="the plan they belong to")
    parser.add_argument("--profile", default="", metavar="NAME", help="the profile that it must pass")
    parser.add_argument("--output", type=Path, default=None, metavar="FILE", help="where it goes (default: ci-baseline.json)")


def _merge(arguments: argparse.Namespace) -> int:
    from ci_tools.pipeline.gate import merge  # noqa: PLC0415 - `ci-tools --help` needs none of it

    sys.stdout.write(f"{merge(_gate_request(arguments))}\n")
    return int(ExitCode.PASSED)


def _gate(arguments: argparse.Namespace) -> int:
    from ci_tools.pipeline.console import Terminal  # noqa: PLC0415 - `ci-tools --help` needs none of it
    from ci_tools.pipeline.gate import gate  # noqa: PLC0415 - as above
    from ci_tools.policy.catalogue import explain  # noqa: PLC0415 - as above

    if arguments.explain:
        sys.stdout.write(f"{explain(arguments.explain)}\n")
        return int(ExitCode.PASSED)
    return gate(_gate_request(arguments), Terminal(sys.stdout)).exit_code


def _verify(arguments: argparse.Namespace) -> int:
    from ci_tools.pipeline.gate import verify  # noqa: PLC0415 - `ci-tools --help` needs none of it

    lines, is_sound = verify(arguments.verdict, project(arguments), dict(os.environ))
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return int(ExitCode.PASSED if is_sound else ExitCode.FAILED)


def _release(arguments: argparse.Namespace) -> int:
    from ci_tools.pipeline.release import (  # noqa: PLC0415 - `ci-tools --help` needs none of it
        DEFAULT_MAX_AGE_S,
        ReleaseRequest,
        check_release,
    )

    request = ReleaseRequest(
        root=project(arguments),
        environ=dict(os.environ),
        verdicts=tuple(arguments.verdict),
        wheels=tuple(arguments.wheel),
        systems=arguments.systems,
        pythons=arguments.pythons,
        commit=arguments.commit or "",
        max_age_s=DEFAULT_MAX_AGE_S if arguments.max_age is None else arguments.max_age,
    )
    lines, may_go_on = check_release(request)
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return int(ExitCode.PASSED if may_go_on else ExitCode.FAILED)


def _baseline(arguments: argparse.Namespace) -> int:
    from ci_tools.pipeline.gate import update_baseline  # noqa: PLC0415 - `ci-tools --help` needs none of it

    sys.stdout.write(f"{update_baseline(_gate_request(arguments))}\n")
    return int(ExitCode.PASSED)


def _gate_request(arguments: argparse.Namespace) -> "GateRequest":
    from ci_tools.pipeline.gate import GateRequest  # noqa: PLC0415 - `ci-tools --help` needs none of it

    return GateRequest(
        root=project(arguments),
        environ=dict(os.environ),
        inputs=tuple(arguments.inputs),
        junit=tuple(path for paths in getattr(arguments, "junit", []) for path in paths),
        plans=tuple(arguments.plan),
        profile=getattr(arguments, "profile", ""),
        needs_variable=getattr(arguments, "needs", ""),
        output=arguments.output,
    )
