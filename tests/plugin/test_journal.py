"""The journal says what became of every test, whatever kind of test it is."""

from pathlib import Path

import pytest
from suites import SuiteRun, run_suite, write_suite

from ci_tools.model.case import Outcome, Phase
from ci_tools.model.journal import (
    CollectionFailed,
    PhaseFinished,
    SessionFinished,
    TestFinished,
    TestsCollected,
    TestStarted,
    WorkerStarted,
)
from ci_tools.model.shard import digest_of

SUITE = '''
"""Every kind of outcome."""

import unittest

import pytest


@pytest.fixture(scope="module")
def broken():
    raise ValueError("the fixture's own words") from KeyError("root")


@pytest.fixture
def bad_end():
    yield
    raise RuntimeError("end")


def deeper():
    raise OSError("deep")


def test_passed():
    pass


def test_failed():
    try:
        deeper()
    except OSError as error:
        raise TypeError("shallow") from error


def test_fixture_raises(broken):
    pass


def test_fixture_raises_again(broken):
    pass


def test_teardown_raises(bad_end):
    pass


def test_fails_and_teardown_raises(bad_end):
    raise AssertionError


def test_skipped():
    pytest.skip("not here")


@pytest.mark.skip(reason="by mark")
def test_skipped_by_mark():
    pass


@pytest.mark.xfail(reason="known")
def test_xfailed():
    raise AssertionError


@pytest.mark.xfail
def test_xpassed():
    pass


@pytest.mark.xfail(strict=True)
def test_xpassed_strictly():
    pass


def test_subtests_pass(subtests):
    with subtests.test("one"):
        pass


def test_subtest_fails(subtests):
    for number in range(3):
        with subtests.test(number=number):
            assert number != 1


def test_exits():
    raise SystemExit(3)


class TestUnittest(unittest.TestCase):
    def test_passed(self):
        pass

    def test_failed(self):
        self.fail("no")

    def test_subtest_fails(self):
        with self.subTest(number=1):
            self.fail("no")

    @unittest.skip("not here")
    def test_skipped(self):
        pass

    @unittest.expectedFailure
    def test_xfailed(self):
        self.fail("known")
'''
DOCTESTS = '''
"""A doctest.

>>> 1 + 1
2
"""


def wrong():
    """Is wrong.

    >>> 1 + 1
    3
    """
'''
EXPECTED = {
    "test_it.py::test_passed": Outcome.PASSED,
    "test_it.py::test_failed": Outcome.FAILED,
    "test_it.py::test_fixture_raises": Outcome.ERROR,
    "test_it.py::test_fixture_raises_again": Outcome.ERROR,
    "test_it.py::test_teardown_raises": Outcome.ERROR,
    "test_it.py::test_fails_and_teardown_raises": Outcome.FAILED,
    "test_it.py::test_skipped": Outcome.SKIPPED,
    "test_it.py::test_skipped_by_mark": Outcome.SKIPPED,
    "test_it.py::test_xfailed": Outcome.XFAILED,
    "test_it.py::test_xpassed": Outcome.XPASSED,
    "test_it.py::test_xpassed_strictly": Outcome.FAILED,
    "test_it.py::test_subtests_pass": Outcome.PASSED,
    "test_it.py::test_subtest_fails": Outcome.FAILED,
    "test_it.py::test_exits": Outcome.FAILED,
    "test_it.py::TestUnittest::test_passed": Outcome.PASSED,
    "test_it.py::TestUnittest::test_failed": Outcome.FAILED,
    "test_it.py::TestUnittest::test_subtest_fails": Outcome.FAILED,
    "test_it.py::TestUnittest::test_skipped": Outcome.SKIPPED,
    "test_it.py::TestUnittest::test_xfailed": Outcome.XFAILED,
    "numbers_doc.py::numbers_doc": Outcome.PASSED,
    "numbers_doc.py::numbers_doc.wrong": Outcome.FAILED,
}


@pytest.fixture(name="run", scope="module", params=[(), ("-n", "2"), ("-n", "2", "--dist", "loadgroup")], ids="-".join)
def _run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SuiteRun:
    folder = tmp_path_factory.mktemp("suite")
    write_suite(folder, {"test_it.py": SUITE, "numbers_doc.py": DOCTESTS})
    return run_suite(folder, "-q", "--doctest-modules", *request.param)


def test_every_outcome_is_written_down(run: SuiteRun) -> None:
    """Functions, unittest's cases, subtests and doctests have the outcome that a person would name."""
    assert run.outcomes == EXPECTED


def test_a_test_that_started_has_finished_once(run: SuiteRun) -> None:
    """Each test has one beginning and one end."""
    started = [event.test_id for event in run.events if isinstance(event, TestStarted)]
    finished = [event.test_id for event in run.events if isinstance(event, TestFinished)]
    assert (sorted(started), sorted(finished)) == (sorted(EXPECTED), sorted(EXPECTED))


def test_a_failure_carries_its_chain_and_its_place(run: SuiteRun) -> None:
    """The chain runs to the root cause, and the frame is the root cause's in the project."""
    failure = _failure(run, "test_it.py::test_failed", Phase.CALL)
    assert [(link.type_name, link.message) for link in failure.chain] == [("TypeError", "shallow"), ("OSError", "deep")]
    assert (failure.frame.path, failure.frame.function) == ("test_it.py", "deeper")
    assert "raise TypeError" in failure.text


@pytest.mark.parametrize("test_id", ["test_it.py::test_fixture_raises", "test_it.py::test_fixture_raises_again"])
def test_a_raising_fixture_is_named_for_every_test_that_needs_it(run: SuiteRun, test_id: str) -> None:
    """The cached error is raised again without asking the fixture; its name is there all the same."""
    failure = _failure(run, test_id, Phase.SETUP)
    assert (failure.fixture, failure.fixture_scope, failure.fixture_path) == ("broken", "module", "test_it.py")
    assert failure.chain[-1].type_name == "KeyError"


def test_reasons_are_kept(run: SuiteRun) -> None:
    """A skip and an expected failure keep their reason."""
    reasons = {event.test_id: event.reason for event in run.events if isinstance(event, TestFinished) and event.reason}
    assert reasons["test_it.py::test_skipped"] == "not here"
    assert reasons["test_it.py::test_skipped_by_mark"] == "by mark"
    assert reasons["test_it.py::test_xfailed"] == "known"


def test_each_process_begins_and_ends_its_journal(run: SuiteRun) -> None:
    """Every journal's first line says who wrote it, and its last that the process ended by itself."""
    for events in run.journals.values():
        assert (type(events[0]), type(events[-1])) == (WorkerStarted, SessionFinished)


def test_what_was_collected_is_listed_once(run: SuiteRun) -> None:
    """One journal lists the tests with the digest over them: the only process's, or the controller's."""
    listed = [event for event in run.events if isinstance(event, TestsCollected) and event.test_ids]
    assert [(set(event.test_ids), event.digest) for event in listed] == [(set(EXPECTED), digest_of(EXPECTED))]


def test_the_finished_tests_add_up(run: SuiteRun) -> None:
    """The end markers count every test that finished."""
    assert sum(event.finished for event in run.events if isinstance(event, SessionFinished)) == len(EXPECTED)


def test_a_rerun_is_an_execution_of_its_own(tmp_path: Path) -> None:
    """pytest-rerunfailures runs a test twice: two executions, and the last one decides."""
    suite = "runs = []\n\n\ndef test_flaky():\n    runs.append(1)\n    assert len(runs) == 2\n"
    write_suite(tmp_path, {"test_it.py": suite})
    run = run_suite(tmp_path, "-q", "--reruns", "2")
    finished = [(event.execution, event.outcome) for event in run.events if isinstance(event, TestFinished)]
    assert finished == [(1, Outcome.FAILED), (2, Outcome.PASSED)], run.output
    assert run.returncode == 0


@pytest.mark.parametrize("arguments", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_a_broken_file_is_named_with_its_root_cause(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """A file that cannot be imported is a collection failure; the other file's results are there."""
    write_suite(tmp_path, {"test_broken.py": "import nowhere_to_be_found\n", "test_whole.py": "def test_it():\n    pass\n"})
    run = run_suite(tmp_path, "-q", "--continue-on-collection-errors", *arguments)
    broken = {(event.path, event.failure.chain[-1].type_name) for event in run.events if isinstance(event, CollectionFailed)}
    assert broken == {("test_broken.py", "ModuleNotFoundError")}
    assert (run.returncode, run.outcomes) == (1, {"test_whole.py::test_it": Outcome.PASSED})


def test_a_group_suffix_is_no_part_of_a_test_id(tmp_path: Path) -> None:
    """Under --dist loadgroup pytest-xdist appends @group to the node ID; the plan's ID is without it."""
    suite = 'import pytest\n\n\n@pytest.mark.xdist_group("together")\ndef test_it():\n    pass\n'
    write_suite(tmp_path, {"test_it.py": suite})
    run = run_suite(tmp_path, "-q", "-n", "2", "--dist", "loadgroup")
    assert run.outcomes == {"test_it.py::test_it": Outcome.PASSED}


def test_an_interrupt_leaves_the_current_test_open(tmp_path: Path) -> None:
    """Ctrl-C ends the session with pytest's own code; the test that was running has begun and not finished."""
    suite = "def test_one():\n    pass\n\n\ndef test_two():\n    raise KeyboardInterrupt\n\n\ndef test_three():\n    pass\n"
    write_suite(tmp_path, {"test_it.py": suite})
    run = run_suite(tmp_path, "-q")
    assert (run.returncode, run.outcomes) == (2, {"test_it.py::test_one": Outcome.PASSED})
    assert [event.test_id for event in run.events if isinstance(event, TestStarted)] == [
        "test_it.py::test_one",
        "test_it.py::test_two",
    ]


def test_listing_writes_no_journal(tmp_path: Path) -> None:
    """--collect-only leaves nothing behind."""
    write_suite(tmp_path, {"test_it.py": "def test_one():\n    pass\n"})
    run = run_suite(tmp_path, "-q", "--collect-only")
    assert (run.returncode, run.journals, (tmp_path / "ci-artifacts").exists()) == (0, {}, False)


def _failure(run: SuiteRun, test_id: str, phase: Phase):  # noqa: ANN202 - a Failure, or the test fails here
    failures = [
        event.failure
        for event in run.events
        if isinstance(event, PhaseFinished) and (event.test_id, event.phase) == (test_id, phase) and event.failure
    ]
    assert len(failures) == 1
    return failures[0]
