"""What a function warns of that the plugin stands in front of is said of the line that called it."""

import os
import sys
from pathlib import Path

import pytest
from suites import outcomes_by_name, run_suite, write_suite

POLICY = """
import asyncio
import os
import warnings

import pytest

SEEN = []


def test_before_it():
    SEEN.append(asyncio.events._event_loop_policy)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:test_policy")
def test_a_filter_for_this_module():
    asyncio.set_event_loop_policy(SEEN[0])


def test_the_place():
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        asyncio.set_event_loop_policy(SEEN[0])
    assert [(one.filename, one.lineno) for one in said] == [(__file__, 23)] * len(said)


def test_a_policy_is_left():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        asyncio.set_event_loop_policy(asyncio.DefaultEventLoopPolicy())


def test_after_it():
    assert asyncio.events._event_loop_policy is SEEN[0]
"""


def test_a_deprecated_function_warns_of_the_projects_line(tmp_path: Path) -> None:
    """A policy for event loops, deprecated from Python 3.14 on: the suite's filters hold, and putting it back is silent.

    Before 3.14 nothing warns.
    """
    write_suite(tmp_path, {"test_policy.py": POLICY})
    run = run_suite(tmp_path, "-q", "-W", "error::DeprecationWarning")
    innocent = ("before_it", "a_filter_for_this_module", "the_place", "after_it")
    assert {**dict.fromkeys(innocent, "passed"), "a_policy_is_left": "error"} == outcomes_by_name(run), run.output
    assert [leak.leak.kind for leak in run.leaks] == ["environment"]
    assert "could not be put back" not in run.output


FORK = """
import multiprocessing
import os
import threading
import warnings


def said_of(function):
    released = threading.Event()
    thread = threading.Thread(target=released.wait)
    thread.start()
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            function()
    finally:
        released.set()
        thread.join()
    return [(os.path.basename(one.filename), "fork" in str(one.message)) for one in said]


def fork():
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)


def forkpty():
    child, descriptor = os.forkpty()
    if not child:
        os._exit(0)
    os.close(descriptor)
    os.waitpid(child, 0)


def process():
    child = multiprocessing.get_context("fork").Process(target=int)
    child.start()
    child.join()


def test_fork():
    assert said_of(fork) == [("test_fork.py", True)] * WARNS


def test_forkpty():
    assert said_of(forkpty) == [("test_fork.py", True)] * WARNS


def test_multiprocessing():
    assert said_of(process) == [("popen_fork.py", True)] * WARNS
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows cannot fork")
def test_a_fork_beside_threads_warns_of_the_line_that_forks(tmp_path: Path) -> None:
    """From Python 3.12 on; before that nothing warns."""
    write_suite(tmp_path, {"test_fork.py": FORK.replace("WARNS", str(int(sys.version_info >= (3, 12))))})
    run = run_suite(tmp_path, "-q")
    assert dict.fromkeys(("fork", "forkpty", "multiprocessing"), "passed") == outcomes_by_name(run), run.output
