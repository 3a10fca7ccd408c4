"""Verbs that plan or run the suite."""

import argparse
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ci_tools.cli import words
from ci_tools.cli.grammar import add_suite, add_verb, end_with_parent, project
from ci_tools.errors import ExitCode

if TYPE_CHECKING:
    from ci_tools.cli.grammar import Verbs

_STARTED_AT = "CI_TOOLS_STARTED_AT"


def add_run(verbs: "Verbs") -> None:
    """Add ``run``."""
    parser = add_verb(verbs, "run", _run, "plan, provide services, run, collect, judge and publish: the whole way to a verdict")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--shard", type=words.shard, default=None, metavar="i/N", help="run what CI's i-th of N jobs runs")
    which.add_argument(
        "--shards", type=words.shards, default=None, metavar="N|auto", help="run all N shards here, one after another"
    )
    parser.add_argument("--plan", type=Path, default=None, metavar="FILE", help="a plan made by `ci-tools plan`")
    parser.add_argument(
        "--replay", type=Path, default=None, metavar="JOURNAL", help="repeat the exact order and seeds of a worker's journal"
    )
    parser.add_argument("--artifacts", type=Path, default=None, metavar="DIR", help="folder for the folders of runs")
    parser.add_argument("--profile", default="", metavar="NAME", help="the gate's profile (default, pull-request, release, …)")
    parser.add_argument(
        "--tested",
        action="append",
        type=Path,
        default=[],
        metavar="WHEEL",
        help="a wheel installed here whose sha256 the reports are to hold, for `release check` (repeatable)",
    )
    add_suite(parser)


def add_plan(verbs: "Verbs") -> None:
    """Add ``plan``."""
    parser = add_verb(verbs, "plan", _plan, "collect the suite once and cut it into shards")
    parser.add_argument(
        "--shards", type=words.shards, default=1, metavar="N|auto", help="number of shards; auto chooses it by --target"
    )
    parser.add_argument(
        "--target", type=words.duration, default=None, metavar="5m", help="with auto: time in which a shard is to be done"
    )
    parser.add_argument("--output", type=Path, default=Path("plan.json"), metavar="FILE", help="where the plan goes")
    parser.add_argument("--github-output", action="store_true", help="set the step outputs `matrix`, `shards` and `artifacts`")
    parser.add_argument("--explain", action="store_true", help="show each shard's predicted time and what limits the number")
    add_suite(parser)


def add_bisect(verbs: "Verbs") -> None:
    """Add ``bisect TEST``."""
    parser = add_verb(
        verbs, "bisect", _bisect, "find the tests that make a test fail when they run before it, from a run's recorded order"
    )
    parser.add_argument("test", metavar="TEST", help="the test ID that failed")
    parser.add_argument("--run", type=Path, default=None, metavar="DIR", help="folder of the run (default: the latest)")
    parser.add_argument("--configuration", default="", metavar="NAME", help="in which configuration (default: that of the run)")


def add_timings(verbs: "Verbs") -> None:
    """Add ``timings ACTION [FILE…]``."""
    parser = add_verb(verbs, "timings", _timings, "the past durations that plans are made from")
    parser.add_argument(
        "action", choices=["show", "merge", "from-junit"], help="look, merge files, or start from JUnit or .test_durations"
    )
    parser.add_argument(
        "files", nargs="*", type=Path, metavar="FILE", help="timings files; for from-junit JUnit or .test_durations"
    )
    parser.add_argument(
        "--output", type=Path, default=None, metavar="FILE", help="where the result goes (default: the kept timings)"
    )
    parser.add_argument("--configuration", default="default", metavar="NAME", help="with from-junit: whose durations they are")


def _run(arguments: argparse.Namespace) -> int:
    from ci_tools.pipeline.console import Terminal  # noqa: PLC0415 - `ci-tools --help` needs none of it
    from ci_tools.pipeline.run import RunRequest, run  # noqa: PLC0415 - as above

    end_with_parent()
    request = RunRequest(
        root=project(arguments),
        environ=dict(os.environ),
        artifacts=arguments.artifacts,
        shard=arguments.shard,
        shards=words.size(arguments.shards, None),
        plan_path=arguments.plan,
        replay=arguments.replay,
        workers=arguments.workers,
        configurations=tuple(arguments.configuration),
        paths=tuple(arguments.paths),
        pytest_args=arguments.pytest_args,
        profile=arguments.profile,
        tested=tuple(arguments.tested),
        started_at=_started_at(),
    )
    return run(request, Terminal(sys.stdout)).exit_code


def _plan(arguments: argparse.Namespace) -> int:
    from ci_tools.pipeline.console import Terminal  # noqa: PLC0415 - `ci-tools --help` needs none of it
    from ci_tools.pipeline.planning import PlanRequest, write_plan  # noqa: PLC0415 - as above

    request = PlanRequest(
        root=project(arguments),
        environ=dict(os.environ),
        shards=words.size(arguments.shards, arguments.target) or 1,
        output=arguments.output,
        workers=arguments.workers,
        configurations=tuple(arguments.configuration),
        paths=tuple(arguments.paths),
        pytest_args=arguments.pytest_args,
        sets_outputs=arguments.github_output,
        explains=arguments.explain,
    )
    write_plan(request, Terminal(sys.stdout))
    return int(ExitCode.PASSED)


def _bisect(arguments: argparse.Namespace) -> int:
    from ci_tools.pipeline.bisect import BisectRequest, bisect  # noqa: PLC0415 - `ci-tools --help` needs none of it
    from ci_tools.pipeline.console import Terminal  # noqa: PLC0415 - as above

    end_with_parent()
    request = BisectRequest(
        root=project(arguments),
        environ=dict(os.environ),
        test_id=arguments.test,
        folder=arguments.run,
        configuration=arguments.configuration,
    )
    return int(ExitCode.PASSED if bisect(request, Terminal(sys.stdout)) else ExitCode.FAILED)


def _timings(arguments: argparse.Namespace) -> int:
    from ci_tools.pipeline import times  # noqa: PLC0415 - `ci-tools --help` needs none of it

    request = times.TimingsRequest(
        root=project(arguments),
        environ=dict(os.environ),
        files=tuple(arguments.files),
        output=arguments.output,
        configuration=arguments.configuration,
    )
    act = {"show": times.show, "merge": times.combine, "from-junit": times.from_junit}[arguments.action]
    sys.stdout.write(f"{act(request)}\n")
    return int(ExitCode.PASSED)


def _started_at() -> float:
    """When whoever called us began, so that the time around pytest is said whole; now, when nobody tells."""
    try:
        told = float(os.environ.get(_STARTED_AT, ""))
    except ValueError:
        return time.time()
    return told if 0 < told <= time.time() else time.time()
