"""The deadline follows the user's words, bounds what is around the tests, and leaves others alone."""

import subprocess
import sys
from pathlib import Path

import pytest
from suites import CORPUS, run_suite, write_suite

from ci_tools.model.case import Outcome, Phase
from ci_tools.model.journal import TimedOut

SLEEPS = "import time\n\n\ndef test_it():\n    time.sleep(2.5)\n"
QUICK = "timeout = 1"
TEST = "test_it.py::test_it"


@pytest.mark.parametrize(
    ("arguments", "environ", "guards", "expected"),
    [
        ((), {}, QUICK, Outcome.TIMED_OUT),
        (("--timeout", "1"), {}, "", Outcome.TIMED_OUT),
        (("-o", "timeout=1"), {}, "", Outcome.TIMED_OUT),
        ((), {"PYTEST_TIMEOUT": "1"}, "", Outcome.TIMED_OUT),
        (("--timeout", "1", "-o", "timeout_func_only=true"), {}, "", Outcome.TIMED_OUT),
        (("--timeout", "1", "--timeout-method", "thread"), {}, "", Outcome.TIMED_OUT),
        (("-p", "no:timeout"), {}, QUICK, Outcome.TIMED_OUT),
        (("--timeout", "0"), {}, QUICK, Outcome.PASSED),
        (("--timeout", "30"), {}, QUICK, Outcome.PASSED),
        ((), {}, "timeout = 0", Outcome.PASSED),
        (("--pdb",), {}, QUICK, Outcome.PASSED),
    ],
)
def test_the_users_words_decide(
    tmp_path: Path, arguments: tuple[str, ...], environ: dict[str, str], guards: str, expected: Outcome
) -> None:
    """pytest-timeout's option, ini key and variable win over the default, 0 is none, and nobody is timed out under --pdb."""
    write_suite(tmp_path, {"test_it.py": SLEEPS}, guards=guards)
    run = run_suite(tmp_path, "-q", *arguments, environ=environ)
    assert (run.returncode, run.outcomes) == (0 if expected is Outcome.PASSED else 1, {TEST: expected}), run.output


def test_a_mark_is_nearer_than_the_option(tmp_path: Path) -> None:
    """The mark on a test wins over the command line."""
    suite = SLEEPS.replace("def test_it", "import pytest\n\n\n@pytest.mark.timeout(30)\ndef test_it")
    write_suite(tmp_path, {"test_it.py": suite})
    assert run_suite(tmp_path, "-q", "--timeout", "1").outcomes == {TEST: Outcome.PASSED}


def test_session_finish_is_bounded(tmp_path: Path) -> None:
    """A plugin that hangs when the session finishes ends the process, red, after all results are written."""
    conftest = "import time\n\n\ndef pytest_sessionfinish():\n    time.sleep(3600)\n"
    write_suite(tmp_path, {"conftest.py": conftest, "test_it.py": "def test_it():\n    pass\n"}, guards=QUICK)
    run = run_suite(tmp_path, "-q")
    last = run.events[-1]
    assert (run.returncode, run.outcomes) == (70, {TEST: Outcome.PASSED}), run.output
    assert isinstance(last, TimedOut)
    assert (last.test_id, last.phase, "conftest.py" in last.stacks) == ("", Phase.TEARDOWN, True)


def test_a_signal_that_the_code_under_test_uses_is_not_touched(tmp_path: Path) -> None:
    """Where SIGURG has an owner nothing is asked: the process ends after the grace, the handler was never called."""
    conftest = "import signal\n\nsignal.signal(signal.SIGURG, lambda *_: open('called', 'w').close())\n"
    write_suite(tmp_path, {"conftest.py": conftest, "test_it.py": SLEEPS.replace("2.5", "3600")}, guards=QUICK)
    run = run_suite(tmp_path, "-q")
    assert (run.returncode, run.outcomes, (tmp_path / "called").exists()) == (70, {TEST: Outcome.TIMED_OUT}, False)


def test_each_rerun_has_a_budget_of_its_own(tmp_path: Path) -> None:
    """Two executions of 0.7 s each fit into a timeout of 1.2 s."""
    suite = "import time\n\nruns = []\n\n\ndef test_it():\n    time.sleep(0.7)\n    runs.append(1)\n    assert len(runs) == 2\n"
    write_suite(tmp_path, {"test_it.py": suite})
    assert run_suite(tmp_path, "-q", "--reruns", "1", "--timeout", "1.2").outcomes == {TEST: Outcome.PASSED}


def test_a_program_that_lives_on_after_pytest_is_left_alone(tmp_path: Path) -> None:
    """Only the interpreter's own way out is bounded, not what a program does after pytest.main()."""
    write_suite(tmp_path, {"test_it.py": "def test_it():\n    pass\n"})
    program = "import time, pytest\ncode = pytest.main(['-q', '-p', 'no:valkey'])\ntime.sleep(6)\nraise SystemExit(40 + code)\n"
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, timeout=60, capture_output=True, text=True, check=False)
    assert done.returncode == 40, done.stdout + done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX")
def test_a_fork_is_no_warning_because_of_the_watchdog(tmp_path: Path) -> None:
    """From Python 3.12 on a fork in a process with threads warns; the watchdog's thread is not there while it forks."""
    fork = (CORPUS / "benign" / "fork.py").read_text(encoding="utf-8")
    write_suite(tmp_path, {"test_it.py": fork})
    run = run_suite(tmp_path, "-q", "-W", "error")
    assert (run.returncode, run.outcomes) == (0, {TEST: Outcome.PASSED}), run.output


def test_nothing_is_guarded_while_somebody_debugs(tmp_path: Path) -> None:
    """Under --pdb a leak is not looked for, and os._exit is Python's own."""
    suite = (CORPUS / "leaks" / "thread_daemon.py").read_text(encoding="utf-8")
    write_suite(
        tmp_path, {"test_it.py": suite + "\n\ndef test_exit():\n    import os\n    assert os._exit.__module__ == 'posix'\n"}
    )
    run = run_suite(tmp_path, "-q", "--pdb")
    assert (run.returncode, set(run.outcomes.values()), run.leaks) == (0, {Outcome.PASSED}, []), run.output


MISUSED = """
import pytest


@pytest.mark.timeout("abc")
def test_word():
    pass


@pytest.mark.timeout()
def test_nothing():
    pass


@pytest.mark.timeout(5, method="nonsense")
class TestMethod:
    def test_it(self):
        pass


@pytest.mark.timeout(0)
def test_zero():
    pass


@pytest.mark.timeout(timeout="5", func_only=True)
def test_text():
    pass


def test_another():
    pass
"""


@pytest.mark.parametrize("arguments", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_a_mark_that_says_nothing_is_its_own_tests_failure(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """pytest-timeout ends the session for it, with all other results; here only its test is red, and says what to write."""
    write_suite(tmp_path, {"test_it.py": MISUSED})
    run = run_suite(tmp_path, "-q", *arguments)
    assert run.outcomes == {
        "test_it.py::test_word": Outcome.ERROR,
        "test_it.py::test_nothing": Outcome.ERROR,
        "test_it.py::TestMethod::test_it": Outcome.ERROR,
        "test_it.py::test_zero": Outcome.PASSED,
        "test_it.py::test_text": Outcome.PASSED,
        "test_it.py::test_another": Outcome.PASSED,
    }, run.output
    for said in (
        "the mark timeout('abc') has 'abc' for its seconds, which is no number; write @pytest.mark.timeout(5)",
        "the mark timeout() is not understood",
        "has 'nonsense' for its method, which is neither 'signal' nor 'thread'",
    ):
        assert said in run.output, run.output


@pytest.mark.parametrize("where", ["ini", "variable"])
def test_seconds_that_are_no_number_end_the_run_before_it_begins(tmp_path: Path, where: str) -> None:
    """The value, what was expected and what to write, with pytest's code for wrong usage."""
    write_suite(tmp_path, {"test_it.py": "def test_it():\n    pass\n"})
    environ = {"PYTEST_TIMEOUT": "abc"} if where == "variable" else {}
    run = run_suite(tmp_path, "-q", *(["-o", "timeout=abc"] if where == "ini" else []), environ=environ)
    named = "PYTEST_TIMEOUT" if where == "variable" else "pytest's `timeout`"
    assert (run.returncode, f"{named} is 'abc', expected a number of seconds; write 60" in run.output) == (4, True), run.output


ADDED = """
import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item):
    if item.name == "test_it":
        item.add_marker(pytest.mark.timeout({words}))
"""


@pytest.mark.parametrize("words", ["1", "timeout=1, func_only=True"])
def test_a_mark_that_a_test_gets_at_the_last_moment_counts(tmp_path: Path, words: str) -> None:
    """pytest-timeout rests where nobody has told it anything, and is back for the first mark that a hook adds later."""
    suite = {"conftest.py": ADDED.format(words=words), "test_it.py": f"{SLEEPS}\n\ndef test_other():\n    pass\n"}
    write_suite(tmp_path, suite)
    assert run_suite(tmp_path, "-q").outcomes == {TEST: Outcome.TIMED_OUT, "test_it.py::test_other": Outcome.PASSED}


def test_the_time_of_a_session_is_bounded_where_nothing_else_is_said(tmp_path: Path) -> None:
    """--session-timeout is looked at by pytest-timeout after each test, and so it does not rest."""
    write_suite(tmp_path, {"test_it.py": f"{SLEEPS}\n\ndef test_other():\n    pass\n"})
    run = run_suite(tmp_path, "-q", "--session-timeout", "1")
    assert ("session-timeout: 1.0 sec exceeded" in run.output, list(run.outcomes)) == (True, [TEST]), run.output
