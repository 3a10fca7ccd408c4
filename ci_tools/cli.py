"""The verbs of ``ci-tools``; the only place where an error becomes an exit code."""

import argparse
import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ci_tools import __version__
from ci_tools.errors import CIToolsError, ExitCode, UsageError
from ci_tools.model.service import ServiceKind
from ci_tools.model.shard import ShardRef

if TYPE_CHECKING:
    from ci_tools.pipeline.gate import GateRequest
    from ci_tools.pipeline.plan import Target

_STARTED_AT = "CI_TOOLS_STARTED_AT"
_PARENT = "CI_TOOLS_PARENT"

Verb = Callable[[argparse.Namespace], int]


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
    _add_run(verbs)
    _add_plan(verbs)
    _add_merge(verbs)
    _add_gate(verbs)
    _add_verify(verbs)
    _add_release(verbs)
    _add_baseline(verbs)
    _add_bisect(verbs)
    _add_timings(verbs)
    _add_services(verbs)
    _add_doctor(verbs)
    _add_init(verbs)
    return parser


def _verb(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, verb: Verb, purpose: str
) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, help=purpose, description=purpose, allow_abbrev=False)
    parser.set_defaults(verb=verb)
    parser.add_argument(
        "--project", type=Path, default=None, metavar="DIR", help="folder of pyproject.toml (default: the nearest above)"
    )
    return parser


def _add_suite(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-k", dest="keyword", default="", metavar="EXPRESSION", help="only tests that match, as pytest's -k")
    parser.add_argument("-m", dest="mark", default="", metavar="EXPRESSION", help="only tests with these marks, as pytest's -m")
    parser.add_argument("-n", "--workers", type=_workers, default=None, help='pytest-xdist workers: a number or "auto"')
    parser.add_argument(
        "--configuration", action="append", default=[], metavar="NAME", help="only this configuration (repeatable)"
    )
    parser.add_argument("paths", nargs="*", metavar="PATH", help="files, folders or test IDs; arguments after -- go to pytest")
    parser.set_defaults(pytest_args=())


def _add_run(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _verb(verbs, "run", _run, "plan, provide services, run, collect, judge and publish: the whole way to a verdict")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--shard", type=_shard, default=None, metavar="i/N", help="run what CI's i-th of N jobs runs")
    which.add_argument("--shards", type=_shards, default=None, metavar="N|auto", help="run all N shards here, one after another")
    parser.add_argument("--plan", type=Path, default=None, metavar="FILE", help="a plan made by `ci-tools plan`")
    parser.add_argument(
        "--replay", type=Path, default=None, metavar="JOURNAL", help="repeat the exact order of a worker's journal"
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
    _add_suite(parser)


def _add_plan(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _verb(verbs, "plan", _plan, "collect the suite once and cut it into shards")
    parser.add_argument(
        "--shards", type=_shards, default=1, metavar="N|auto", help="number of shards; auto chooses it by --target"
    )
    parser.add_argument(
        "--target", type=_duration, default=None, metavar="5m", help="with auto: time in which a shard is to be done"
    )
    parser.add_argument("--output", type=Path, default=Path("plan.json"), metavar="FILE", help="where the plan goes")
    parser.add_argument("--github-output", action="store_true", help="set the step outputs `matrix`, `shards` and `artifacts`")
    parser.add_argument("--explain", action="store_true", help="show each shard's predicted time and what limits the number")
    _add_suite(parser)


def _add_merge(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _verb(verbs, "merge", _merge, "merge reports, journals and JUnit files into one report, without judging it")
    parser.add_argument("inputs", nargs="+", type=Path, metavar="FILE|DIR", help="folders of runs, shard reports, JUnit files")
    parser.add_argument("--plan", action="append", type=Path, default=[], metavar="FILE", help="the plan they belong to")
    parser.add_argument("--output", type=Path, default=None, metavar="DIR", help="where report.json and junit.xml go")


def _add_gate(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _verb(verbs, "gate", _gate, "judge folders of runs or foreign JUnit files; ends with the verdict's exit code")
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


def _add_verify(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _verb(verbs, "verify", _verify, "recompute a verdict offline and say whether a byte of it or its inputs was changed")
    parser.add_argument("verdict", type=Path, metavar="verdict.json")


def _add_release(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    purpose = "say whether these files may be published: tested, by a sound verdict of the release profile, for this commit"
    parser = _verb(verbs, "release", _release, purpose)
    parser.add_argument("action", choices=["check"], help="decide, as the release's own job does; publishes nothing")
    parser.add_argument(
        "--verdict", nargs="+", type=Path, required=True, metavar="FILE", help="verdict.json of each run, its inputs beside it"
    )
    parser.add_argument("--wheel", nargs="+", type=Path, required=True, metavar="FILE", help="what is to be published")
    parser.add_argument("--systems", type=_systems, required=True, metavar="linux,macos", help="systems that must have run it")
    parser.add_argument("--pythons", type=_pythons, required=True, metavar="3.11,3.14", help="Pythons that must have run it")
    parser.add_argument("--commit", type=_commit, default=None, metavar="SHA", help="what is released (default: HEAD)")
    parser.add_argument(
        "--max-age", type=_duration, default=None, metavar="24h", help="how long ago the tests may have run (default: 24h)"
    )


def _add_baseline(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _verb(verbs, "baseline", _baseline, "keep a green run as what later runs are compared with")
    parser.add_argument("action", choices=["update"], help="write the baseline")
    parser.add_argument("inputs", nargs="*", type=Path, metavar="DIR", help="folders of the run (default: the latest)")
    parser.add_argument("--plan", action="append", type=Path, default=[], metavar="FILE", help="the plan they belong to")
    parser.add_argument("--profile", default="", metavar="NAME", help="the profile that it must pass")
    parser.add_argument("--output", type=Path, default=None, metavar="FILE", help="where it goes (default: ci-baseline.json)")


def _add_bisect(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _verb(
        verbs, "bisect", _bisect, "find the tests that make a test fail when they run before it, from a run's recorded order"
    )
    parser.add_argument("test", metavar="TEST", help="the test ID that failed")
    parser.add_argument("--run", type=Path, default=None, metavar="DIR", help="folder of the run (default: the latest)")
    parser.add_argument("--configuration", default="", metavar="NAME", help="in which configuration (default: the first)")


def _add_timings(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _verb(verbs, "timings", _timings, "the past durations that plans are made from")
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


def _add_services(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _verb(verbs, "services", _services, "services that stand between commands: start, look, stop")
    parser.add_argument("action", choices=["up", "down", "status", "env", "logs", "reap"], help="what to do")
    parser.add_argument(
        "kinds", nargs="*", type=ServiceKind, metavar="NAME", help="redis, postgres (default: what the project declares)"
    )
    parser.add_argument("--foreground", action="store_true", help="with up: stay, show the log, stop on Ctrl-C")
    parser.add_argument("--shell", choices=["sh", "fish", "powershell", "github"], default="sh", help="with env: whose syntax")


def _add_doctor(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _verb(verbs, "doctor", _doctor, "look at every precondition of a run and name the first broken one; runs no test")
    parser.add_argument(
        "--timeout", type=_duration, default=None, metavar="120s", help="time for each child process (default: 120s)"
    )
    parser.add_argument("paths", nargs="*", metavar="PATH", help="files or folders (default: the project's tests)")


def _add_init(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _verb(verbs, "init", _init, "write a noxfile, the configuration and a first test; never overwrites anything")
    parser.add_argument("--github", action="store_true", help="also a workflow for GitHub Actions")


def _run(arguments: argparse.Namespace) -> int:
    from ci_tools.pipeline.console import Terminal  # noqa: PLC0415 - `ci-tools --help` needs none of it
    from ci_tools.pipeline.run import RunRequest, run  # noqa: PLC0415 - as above

    _end_with_parent()
    request = RunRequest(
        root=_project(arguments),
        environ=dict(os.environ),
        artifacts=arguments.artifacts,
        shard=arguments.shard,
        shards=_size(arguments.shards, None),
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
        root=_project(arguments),
        environ=dict(os.environ),
        shards=_size(arguments.shards, arguments.target) or 1,
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

    lines, is_sound = verify(arguments.verdict, _project(arguments), dict(os.environ))
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return int(ExitCode.PASSED if is_sound else ExitCode.FAILED)


def _release(arguments: argparse.Namespace) -> int:
    from ci_tools.pipeline.release import (  # noqa: PLC0415 - `ci-tools --help` needs none of it
        DEFAULT_MAX_AGE_S,
        ReleaseRequest,
        check_release,
    )

    request = ReleaseRequest(
        root=_project(arguments),
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


def _bisect(arguments: argparse.Namespace) -> int:
    from ci_tools.pipeline.bisect import BisectRequest, bisect  # noqa: PLC0415 - `ci-tools --help` needs none of it
    from ci_tools.pipeline.console import Terminal  # noqa: PLC0415 - as above

    _end_with_parent()
    request = BisectRequest(
        root=_project(arguments),
        environ=dict(os.environ),
        test_id=arguments.test,
        folder=arguments.run,
        configuration=arguments.configuration,
    )
    return int(ExitCode.PASSED if bisect(request, Terminal(sys.stdout)) else ExitCode.FAILED)


def _timings(arguments: argparse.Namespace) -> int:
    from ci_tools.pipeline import times  # noqa: PLC0415 - `ci-tools --help` needs none of it

    request = times.TimingsRequest(
        root=_project(arguments),
        environ=dict(os.environ),
        files=tuple(arguments.files),
        output=arguments.output,
        configuration=arguments.configuration,
    )
    act = {"show": times.show, "merge": times.combine, "from-junit": times.from_junit}[arguments.action]
    sys.stdout.write(f"{act(request)}\n")
    return int(ExitCode.PASSED)


def _services(arguments: argparse.Namespace) -> int:
    from ci_tools.pipeline import standing  # noqa: PLC0415 - `ci-tools --help` needs none of it

    request = standing.ServicesRequest(root=_project(arguments), environ=dict(os.environ), kinds=tuple(arguments.kinds))
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
        case _:
            told = standing.reap()
    sys.stdout.write(f"{told}\n")
    return int(ExitCode.PASSED if is_good else ExitCode.SERVICE)


def _doctor(arguments: argparse.Namespace) -> int:
    from ci_tools.doctor.examination import DEFAULT_TIMEOUT_S, examine  # noqa: PLC0415 - `ci-tools --help` needs none of it
    from ci_tools.doctor.findings import render  # noqa: PLC0415 - as above

    _end_with_parent()
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
        return _project(arguments)
    except CIToolsError:
        return Path.cwd()


def _gate_request(arguments: argparse.Namespace) -> "GateRequest":
    from ci_tools.pipeline.gate import GateRequest  # noqa: PLC0415 - `ci-tools --help` needs none of it

    return GateRequest(
        root=_project(arguments),
        environ=dict(os.environ),
        inputs=tuple(arguments.inputs),
        junit=tuple(path for paths in getattr(arguments, "junit", []) for path in paths),
        plans=tuple(arguments.plan),
        profile=getattr(arguments, "profile", ""),
        needs_variable=getattr(arguments, "needs", ""),
        output=arguments.output,
    )


def _project(arguments: argparse.Namespace) -> Path:
    from ci_tools.pipeline.project import find_project  # noqa: PLC0415 - `ci-tools --help` needs none of it

    given: Path | None = arguments.project
    return given if given is not None else find_project(Path.cwd())


def _started_at() -> float:
    """When whoever called us began, so that the time around pytest is said whole; now, when nobody tells."""
    try:
        told = float(os.environ.get(_STARTED_AT, ""))
    except ValueError:
        return time.time()
    return told if 0 < told <= time.time() else time.time()


def _end_with_parent() -> None:
    """When nox is killed nobody tells its child: watch it, and end as if terminated when it is gone."""
    if _PARENT not in os.environ:
        return
    from ci_tools.host import process  # noqa: PLC0415 - only a run under nox needs it

    told = os.environ.pop(_PARENT)
    # On Windows a launcher stands between nox and us: then it is the launcher whose end we see.
    parent = int(told) if told.isdigit() and int(told) == os.getppid() else os.getppid()
    process.watch_parent(lambda: os.kill(os.getpid(), signal.SIGTERM), parent_pid=parent)


def _speak_utf8() -> None:
    """Test IDs hold any character; a console that cannot show one gets its escape instead of a crash."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def _shard(text: str) -> ShardRef:
    try:
        return ShardRef.parse(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(error.what) from error


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, 1 or more")
    return int(text)


def _shards(text: str) -> int | str:
    return text if text == "auto" else _positive(text)


def _size(shards: int | str | None, target_s: float | None) -> "int | Target | None":
    from ci_tools.pipeline.plan import Target  # noqa: PLC0415 - `ci-tools --help` needs none of it

    if shards != "auto":
        if target_s is not None:
            raise UsageError("--target goes with --shards auto", hint="leave one of them out")
        return shards if not isinstance(shards, str) else None
    return Target() if target_s is None else Target(seconds=target_s)


def _duration(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h)?", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; write 300, 300s, 5m or 1h")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600, None: 1}[match[2]]


def _systems(text: str) -> tuple[str, ...]:
    from ci_tools.policy.release import SYSTEMS  # noqa: PLC0415 - `ci-tools --help` needs none of it

    names = tuple(text.split(","))
    if wrong := [name for name in names if name not in SYSTEMS]:
        raise argparse.ArgumentTypeError(f"{', '.join(map(repr, wrong))} is no system; known: {', '.join(SYSTEMS)}")
    return names


def _pythons(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if wrong := [name for name in names if not re.fullmatch(r"\d+\.\d+(\.\d+)?", name)]:
        raise argparse.ArgumentTypeError(f"{', '.join(map(repr, wrong))} is no Python version; write 3.11,3.14")
    return names


def _commit(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no full commit ID; `git rev-parse HEAD` prints one")
    return text


def _workers(text: str) -> int:
    return 0 if text == "auto" else _positive(text)
