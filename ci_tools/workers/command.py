"""The worker's command: argv and environment as a value. Pure; starting it is the supervisor's.

A worker is ``python -m pytest`` in an environment of its own, told by an order file (``CI_TOOLS_ORDER``) what to run.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import dropwhile, pairwise

from ci_tools.errors import UsageError
from ci_tools.model.shard import ShardRef
from ci_tools.model.worker import ORDER_VARIABLE, WorkerOrder

LONG_ARGUMENTS = 6_000
"""Characters of file arguments above which they go into a file: Windows takes 32,767 in all, people read less."""
MAX_XDIST_RESTARTS = 200
"""pytest-xdist starts about one worker a second; above this the supervisor's generations go on."""

_OF_ANOTHER_PROCESS = frozenset({"PYTEST_CURRENT_TEST", "PYTEST_VERSION", "PYTHONOPTIMIZE", ORDER_VARIABLE})
_DISTRIBUTING = re.compile(r"-n.*|--numprocesses(=.*)?|--maxprocesses(=.*)?|--dist(=.*)?|--tx(=.*)?|-[df]|--looponfail")
_SELECTING = frozenset({"-k", "-m", "--deselect", "--ignore", "--ignore-glob", "--doctest-glob"})
_SELECTING_ALONE = frozenset({"--lf", "--last-failed", "--sw", "--stepwise", "--doctest-modules", "--noconftest"})
_STOPPING = re.compile(r"-[a-zA-Z]*x|--exitfirst|--maxfail(=.*)?|--sw|--stepwise|--sw-.*|--stepwise-.*")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerCommand:
    """What is started. ``argument_text`` is to be written to ``argument_path`` before, when that is not empty.

    ``stops_early`` says that the user asked pytest to end before all tests ran (``-x``, ``--maxfail``, ``--stepwise``).
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    argument_path: str = ""
    argument_text: str = ""
    stops_early: bool = False


def command(
    order_path: str,
    *,
    python: str,
    paths: Sequence[str] = (),
    pytest_args: Sequence[str] = (),
    addopts: str | Sequence[str] = (),
    processes: int = 1,
    tests: int = 0,
    dist: str = "worksteal",
    environ: Mapping[str, str] | None = None,
    is_alone: bool = False,
) -> WorkerCommand:
    """The command of one worker.

    ``paths`` are the files to run (of the order, see ``paths_of``; or the user's own), ``pytest_args`` the user's arguments,
    ``addopts`` those of the project's pytest configuration (read only: pytest adds them itself). ``processes`` above 1 adds
    pytest-xdist with that many workers, never more than ``tests`` (0: unknown), unless the user chose ``-n`` or ``--dist``;
    with ``is_alone`` it has none whatever the user chose, for its controller collects nothing.
    ``environ`` is the environment to inherit: other pytest processes' variables and ``PYTHONOPTIMIZE``, which
    removes every ``assert``, are left out; ``PYTEST_ADDOPTS``, ``PYTEST_PLUGINS`` and what else people set themselves stays.
    pytest's root is the folder in which the command runs, so that test IDs and file arguments start at the same place
    wherever the configuration lies. UsageError when ``PYTEST_ADDOPTS`` or ``addopts`` cannot be split.
    """
    inherited = dict(environ or {})
    env = {name: value for name, value in inherited.items() if not _is_foreign(name)}
    env[ORDER_VARIABLE] = order_path
    env.setdefault("PYTHONUNBUFFERED", "1")
    added = _split("addopts", addopts) if isinstance(addopts, str) else list(addopts)
    chosen = [*_split("PYTEST_ADDOPTS", env.get("PYTEST_ADDOPTS", "")), *added, *pytest_args]
    argv = [python, "-m", "pytest", "-p", "no:valkey"]
    has_autoload = not env.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD") and "--disable-plugin-autoload" not in chosen
    if not has_autoload:
        argv += ["-p", "ci_tools"]
    if not any(argument.split("=", 1)[0] == "--rootdir" for argument in chosen):
        argv.append("--rootdir=.")
    argv += _xdist(chosen, min(processes, tests or processes), tests, dist, has_autoload=has_autoload)
    argv += ["--continue-on-collection-errors", *pytest_args]
    if is_alone and not _is_switched_off(chosen):
        argv += ["-n", "0"]
    stops_early = any(_STOPPING.fullmatch(argument) for argument in chosen)
    if sum(len(path) + 3 for path in paths) <= LONG_ARGUMENTS:
        return WorkerCommand(argv=(*argv, *paths), env=env, stops_early=stops_early)
    argument_path = order_path.removesuffix(".json") + ".args"
    return WorkerCommand(
        argv=(*argv, f"@{argument_path}"),
        env=env,
        argument_path=argument_path,
        argument_text="".join(f"{path}\n" for path in paths),
        stops_early=stops_early,
    )


def selecting(arguments: Sequence[str]) -> tuple[str, ...]:
    """Those of pytest's arguments that decide which tests there are, each with its value, sorted: ``-k fast``, ``--lf``."""
    found: list[str] = []
    words = iter(arguments)
    for word in words:
        option, _, value = word.partition("=")
        if option in _SELECTING:
            found.append(f"{option} {value or next(words, '')}")
        elif word[:2] in {"-k", "-m"} and len(word) > 2:  # noqa: PLR2004 - glued to its value: -kfast
            found.append(f"{word[:2]} {word[2:]}")
        elif option in _SELECTING_ALONE:
            found.append(option)
    return tuple(sorted(found))


def added_options(environ: Mapping[str, str]) -> tuple[str, ...]:
    """What ``PYTEST_ADDOPTS`` adds, from its first option on; UsageError when it cannot be split."""
    words = _split("PYTEST_ADDOPTS", environ.get("PYTEST_ADDOPTS", ""))
    return tuple(dropwhile(lambda word: not word.startswith("-"), words))


def order_name(order: WorkerOrder) -> str:
    """File name of an order: ``order-2-of-4-1.json`` for the first generation of shard 2/4."""
    return f"order-{ShardRef.parse(order.shard).slug}-{order.generation}.json"


def paths_of(order: WorkerOrder) -> tuple[str, ...] | None:
    """The files that still have something to run; None when nothing was selected. A broken file has its say once."""
    if order.files is None:
        return None
    finished = set(order.finished)
    return tuple(
        file.path
        for file in order.files
        if (not file.test_ids and order.generation == 1) or any(test_id not in finished for test_id in file.test_ids)
    )


def _split(where: str, options: str) -> list[str]:
    try:
        return shlex.split(options)
    except ValueError as error:
        what = f"{where} is {options!r}, which is no list of options: {error}"
        raise UsageError(what, hint="close every quotation mark") from error


def _is_foreign(name: str) -> bool:
    return name in _OF_ANOTHER_PROCESS or name.startswith("PYTEST_XDIST_")


def _is_switched_off(chosen: Sequence[str]) -> bool:
    return "-pno:xdist" in chosen or ("-p", "no:xdist") in pairwise(chosen)


def _xdist(chosen: Sequence[str], processes: int, tests: int, dist: str, *, has_autoload: bool) -> list[str]:
    switched_off = _is_switched_off(chosen)
    has_chosen = any(_DISTRIBUTING.fullmatch(argument) for argument in chosen)
    added: list[str] = []
    if not switched_off and not has_autoload:
        added += ["-p", "xdist"]
    if not switched_off and not has_chosen and processes > 1:
        restarts = min(max(tests, 4 * processes), MAX_XDIST_RESTARTS)
        added += ["-n", str(processes), "--dist", dist, f"--max-worker-restart={restarts}"]
    return added
