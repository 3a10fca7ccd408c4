"""Where a task was made is told by the project's own frames, and what has ended leaves nothing behind.

Everything happens in a process of its own: two ownerships in one process would follow each other's tasks.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

_DEADLINE_S = 120.0
_LIBRARY = """
import asyncio


def start(coro):
    return asyncio.create_task(coro)


def through(function, *arguments):
    return function(*arguments)
"""
_SCENARIOS = '''
import asyncio
import gc
import json
import sys
import types
from pathlib import Path

import between

from ci_tools.pytest_plugin.failures import Project
from ci_tools.pytest_plugin.owners import frames_of_site
from ci_tools.pytest_plugin.ownership import Ownership

PROJECT = Project(Path(__file__).parent)
OWNERSHIP = Ownership(PROJECT)


async def for_ever():
    await asyncio.Event().wait()


async def nothing():
    pass


def spawn(coro):
    return asyncio.get_running_loop().create_task(coro)


def first():
    return spawn(for_ever())


def second():
    return spawn(for_ever())


async def end(*tasks):
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def functions(task):
    """The functions that the site of a task names, outermost first, and the nearest one."""
    nearest, stack = frames_of_site(OWNERSHIP.test.record(task).site, PROJECT)
    return [line.rpartition(" ")[2] for line in stack.splitlines()], nearest.function


def number_of_records():
    return len(OWNERSHIP.test.tasks)


async def one_helper():
    found = []
    for turn in range(3):  # what was learnt of one place must not be said of the other
        tasks = first(), second()
        found.append([functions(task)[0] for task in tasks])
        await end(*tasks)
    return found


async def library():
    task = between.start(for_ever())
    other = between.through(spawn, for_ever())
    grouped = asyncio.gather(for_ever())
    (of_gather,) = [one for one in asyncio.all_tasks() if one not in (task, other, asyncio.current_task())]
    found = [functions(one) for one in (task, other, of_gather)]
    await end(task, other, of_gather)
    await asyncio.gather(grouped, return_exceptions=True)
    return found


async def in_turns():
    found = []
    for turn in range(2):
        tasks = [between.start(for_ever()) for _ in range(2)] + list(between.start(for_ever()) for _ in range(2))
        found.append([functions(task)[1] for task in tasks])
        await end(*tasks)
    return found


async def ended():
    before = number_of_records()
    for turn in range(50):
        await asyncio.gather(*(between.start(nothing()) for _ in range(10)))
        await asyncio.wait_for(nothing(), 5)
    await asyncio.sleep(0)
    return number_of_records() - before


async def cycle():
    async def waiting():
        await asyncio.get_running_loop().create_future()  # which only its own waiter knows

    before = {id(task) for task, _ in OWNERSHIP.test.pending()}
    between.start(waiting())
    await asyncio.sleep(0)
    gc.collect()
    left = [task for task, _ in OWNERSHIP.test.pending() if id(task) not in before]
    names = [task.get_coro().__name__ for task in left]
    await end(*left)
    return names


async def waited_for():
    async def count():
        return number_of_records()

    before = number_of_records()
    waited = await asyncio.wait_for(count(), 5) - before
    ensured = await asyncio.ensure_future(count()) - before
    threaded = await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(count(), asyncio.get_running_loop())) - before
    return [waited, ensured, threaded]


OWNERSHIP.begin_test(types.SimpleNamespace(nodeid="test_case.py::test_it"))
OWNERSHIP.install()
SCENARIOS = (one_helper, library, in_turns, ended, cycle, waited_for)
print(json.dumps({scenario.__name__: asyncio.run(scenario()) for scenario in SCENARIOS}))
'''
_DESTROYED = """
import asyncio


def begin(loop):
    loop.create_task(asyncio.sleep(0))


def test_it():
    loop = asyncio.new_event_loop()
    begin(loop)
    loop.close()
"""


def _run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join((str(folder.parent / "library"), *sys.path))
    environ = {**os.environ, "PYTHONPATH": path}
    environ.pop("PYTEST_ADDOPTS", None)
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environ, capture_output=True, text=True, timeout=_DEADLINE_S, check=False
    )


@pytest.fixture(name="told", scope="module")
def _told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    root = tmp_path_factory.mktemp("sites")
    (root / "library").mkdir()
    (root / "library" / "between.py").write_text(_LIBRARY, encoding="utf-8")
    (root / "project").mkdir()
    (root / "project" / "scenarios.py").write_text(_SCENARIOS, encoding="utf-8")
    run = _run("scenarios.py", folder=root / "project")
    assert (run.returncode, run.stderr) == (0, "")
    told: dict[str, object] = json.loads(run.stdout)
    return told


def test_one_helper_that_is_called_from_two_places_is_told_apart(told: dict[str, object]) -> None:
    """The short stack names who called the helper, each time anew."""
    assert [[["one_helper", "first", "spawn"], ["one_helper", "second", "spawn"]]] * 3 == told["one_helper"]


def test_a_library_between_is_passed_by(told: dict[str, object]) -> None:
    """Only the project's own frames are told: below a library that makes the task, around one that calls back, of gather."""
    direct = [["library"], "library"]
    called_back = [["library", "spawn"], "spawn"]
    assert [direct, called_back, direct] == told["library"]


def test_two_places_that_make_tasks_by_turns_through_one_library_are_told_apart(told: dict[str, object]) -> None:
    """A comprehension and a generator expression of one function are two places of one maker."""
    comprehension = "in_turns.<locals>.<listcomp>" if sys.version_info < (3, 12) else "in_turns"
    assert [[comprehension] * 2 + ["in_turns.<locals>.<genexpr>"] * 2] * 2 == told["in_turns"]


def test_a_task_that_has_ended_leaves_no_record(told: dict[str, object]) -> None:
    """After hundreds of tasks the owner keeps as many records as before."""
    assert told["ended"] == 0


def test_a_pending_task_that_nobody_holds_survives_the_garbage_collector(told: dict[str, object]) -> None:
    """Its coroutine is kept, so that it can be told at the end: asyncio itself would let it go unnoticed."""
    assert ["waiting"] == told["cycle"]


def test_the_task_that_wait_for_makes_is_not_recorded(told: dict[str, object]) -> None:
    """It cannot outlive whoever waits for it; what ensure_future() and other threads make is recorded."""
    assert [0, 1, 1] == told["waited_for"]


def test_a_task_that_is_destroyed_with_its_loop_is_told_with_its_place(tmp_path: Path) -> None:
    """The last moment of a task that never ran is enough to say where it was made."""
    (tmp_path / "test_case.py").write_text(_DESTROYED, encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\n", encoding="utf-8")
    run = _run("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", folder=tmp_path)
    line = 1 + _DESTROYED.splitlines().index("    loop.create_task(asyncio.sleep(0))")
    assert (run.returncode, "was destroyed before it was done" in run.stdout, f"test_case.py:{line}" in run.stdout) == (
        1,
        True,
        True,
    )
