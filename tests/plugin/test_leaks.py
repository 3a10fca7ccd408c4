"""Every leak of the corpus is found by name and place, and nobody innocent is accused."""

from pathlib import Path

import pytest
from suites import CORPUS, SuiteRun, keys_of, made_line, run_suite, write_suite

from ci_tools.model.case import Outcome
from ci_tools.model.journal import PhaseFinished, TestFinished

LEAKS = {path.stem: path for path in sorted((CORPUS / "leaks").glob("*.py"))}
HOLLOW = {path.stem: path for path in sorted((CORPUS / "hollow").glob("*.py"))}
BENIGN = {path.stem: path for path in sorted((CORPUS / "benign").glob("*.py"))}
VARIANTS = {
    "function loops": ("function", ()),
    "session loops": ("session", ()),
    "function loops, xdist": ("function", ("-n", "2")),
    "session loops, xdist by file": ("session", ("-n", "2", "--dist", "loadfile")),
    "uvloop": ("function", ("-p", "corpus_uvloop")),
}
UVLOOP = """
import asyncio

import pytest
import uvloop


@pytest.hookimpl
def pytest_asyncio_loop_factories():
    return {"uvloop": uvloop.new_event_loop}
"""
SHUFFLED = """
import os
import random


def pytest_collection_modifyitems(items):
    dice = random.Random(os.environ["CORPUS_SEED"])
    files = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    groups = list(files.values())
    dice.shuffle(groups)
    for group in groups:
        dice.shuffle(group)
    items[:] = [item for group in groups for item in group]
"""


@pytest.fixture(name="run", scope="module", params=list(VARIANTS))
def _run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SuiteRun:
    if request.param == "uvloop":
        pytest.importorskip("uvloop", reason="there is none for Windows")
    loop_scope, arguments = VARIANTS[request.param]
    return _run_corpus(tmp_path_factory.mktemp("corpus"), loop_scope, *arguments)


def _run_corpus(folder: Path, loop_scope: str, *arguments: str, seed: int = 0) -> SuiteRun:
    files = {
        f"test_{path.stem}.py": path.read_text(encoding="utf-8") for path in (*LEAKS.values(), *HOLLOW.values(), *BENIGN.values())
    }
    write_suite(folder, {**files, "corpus_uvloop.py": UVLOOP, "corpus_shuffled.py": SHUFFLED}, loop_scope=loop_scope)
    return run_suite(folder, "-q", *arguments, environ={"CORPUS_SEED": str(seed)}, timeout_s=240)


@pytest.mark.parametrize("name", LEAKS)
def test_a_leak_is_found_where_it_was_made(run: SuiteRun, name: str) -> None:
    """The offender goes red for the stated reason: kind, file, line and owner are named."""
    path = LEAKS[name]
    keys = keys_of(path)
    found = [
        event.leak
        for event in run.leaks
        if event.test_id.startswith(f"test_{name}.py::") and event.leak.kind != keys.get("besides")
    ]
    places = [(leak.kind, *((leak.created.path, leak.created.line) if leak.created else (None, None))) for leak in found]
    place = (None, None) if keys.get("place") == "unknown" else (f"test_{name}.py", made_line(path))
    offenders = _offenders(run, name)
    assert places == [(keys["kind"], *place)] * int(keys.get("count", "1")) * len(offenders), run.output
    assert {leak.owner for leak in found} == ({keys["owner"]} if "owner" in keys else set(offenders))
    assert {run.outcomes[offender] for offender in offenders} == {Outcome(keys["outcome"])}
    assert keys.get("says", "") in run.output


@pytest.mark.parametrize("name", HOLLOW)
def test_a_hollow_test_fails(run: SuiteRun, name: str) -> None:
    """A test that passes because nobody awaits it, or its set-up, fails for that, once, and nobody else does."""
    red = {test_id: outcome for test_id, outcome in _of_file(run, name).items() if outcome is not Outcome.PASSED}
    assert red == dict.fromkeys(_offenders(run, name), Outcome.FAILED)
    failures = [event.failure.message for event in run.events if isinstance(event, PhaseFinished) and event.failure]
    assert [text for text in failures if text.startswith("hollow: ") and keys_of(HOLLOW[name])["says"] in text] != []
    assert [event.leak.what for event in run.leaks if event.test_id.startswith(f"test_{name}.py::")] == [], "said twice"


@pytest.mark.parametrize("name", LEAKS)
def test_the_neighbour_of_a_leak_is_innocent(run: SuiteRun, name: str) -> None:
    """The test after the offender passes, and the offender is the only red one in its file."""
    red = {test_id for test_id, outcome in _of_file(run, name).items() if outcome is not Outcome.PASSED}
    assert sorted(red) == _offenders(run, name)


@pytest.mark.parametrize("name", BENIGN)
def test_a_well_behaved_test_is_not_accused(run: SuiteRun, name: str) -> None:
    """What only looks suspicious stays green."""
    outcomes = _of_file(run, name)
    assert set(outcomes.values()) == {Outcome.PASSED}, run.output


def test_the_run_ends_by_itself(run: SuiteRun) -> None:
    """No leak keeps the process from its end, and nothing is left running."""
    assert (run.returncode, run.left_behind) == (1, ())
    assert run.end_markers == len(run.journals)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("loop_scope", ["function", "session"])
@pytest.mark.parametrize("arguments", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_the_order_of_the_tests_does_not_matter(tmp_path: Path, arguments: tuple[str, ...], loop_scope: str, seed: int) -> None:
    """In random order the same leaks are found at the same places, and the same tests are red."""
    run = _run_corpus(tmp_path, loop_scope, "-p", "corpus_shuffled", *arguments, seed=seed)
    for name in LEAKS:
        test_a_leak_is_found_where_it_was_made(run, name)
        test_the_neighbour_of_a_leak_is_innocent(run, name)
    for name in BENIGN:
        test_a_well_behaved_test_is_not_accused(run, name)


def _of_file(run: SuiteRun, name: str) -> dict[str, Outcome]:
    return {test_id: outcome for test_id, outcome in run.outcomes.items() if test_id.startswith(f"test_{name}.py::")}


def _offenders(run: SuiteRun, name: str) -> list[str]:
    """The test that misbehaves; where a module's fixture does, the last of its tests in each process that set it up."""
    if "(module)" not in keys_of(LEAKS.get(name) or HOLLOW[name]).get("owner", ""):
        offenders = [test_id for test_id in _of_file(run, name) if "offender" in test_id]
        assert len(offenders) == 1
        return offenders
    finished = [
        [event.test_id for event in events if isinstance(event, TestFinished) and event.test_id.startswith(f"test_{name}.py::")]
        for events in run.journals.values()
    ]
    return sorted(test_ids[-1] for test_ids in finished if test_ids)


def test_a_corpus_file_is_whole() -> None:
    """Each leak of the corpus says what must be found and marks one line."""
    incomplete = [path.name for path in LEAKS.values() if not {"kind", "outcome"} <= set(keys_of(path)) or not _has_mark(path)]
    assert incomplete == []


def _has_mark(path: Path) -> bool:
    return path.read_text(encoding="utf-8").count("# made here") == 1


ALLOWED = """
import threading

import pytest


@pytest.mark.allow_leak("thread", match="forgotten", reason="issue 1")
def test_allowed():
    threading.Thread(target=threading.Event().wait, daemon=True, name="forgotten").start()


@pytest.mark.allow_leak("thread", match="another", reason="issue 2")
def test_allowed_something_else():
    threading.Thread(target=threading.Event().wait, daemon=True, name="forgotten").start()


@pytest.mark.allow_leak("thread", reason="issue 3")
def test_leaves_nothing():
    pass


@pytest.mark.allow_leak("thread")
def test_gives_no_reason():
    pass


@pytest.mark.allow_leak("thred", reason="issue 4")
def test_misspells_the_kind():
    pass


@pytest.mark.allow_leak("thread", match="pool (", reason="issue 5")
def test_has_no_pattern():
    pass
"""


def test_an_allowance_covers_what_it_matches(tmp_path: Path) -> None:
    """A mark excuses what its pattern matches, says so when it matches nothing any more, and must give a reason."""
    write_suite(tmp_path, {"test_it.py": ALLOWED})
    run = run_suite(tmp_path, "-q")
    assert run.outcomes == {
        "test_it.py::test_allowed": Outcome.PASSED,
        "test_it.py::test_allowed_something_else": Outcome.ERROR,
        "test_it.py::test_leaves_nothing": Outcome.PASSED,
        "test_it.py::test_gives_no_reason": Outcome.ERROR,
        "test_it.py::test_misspells_the_kind": Outcome.ERROR,
        "test_it.py::test_has_no_pattern": Outcome.ERROR,
    }, run.output
    assert "matched nothing: remove the mark (issue 3)" in run.output
    assert "allow_leak is given 'thred', which is no kind of leak; write one of task, " in run.output
    assert "allow_leak is given match='pool (', which is no regular expression: missing )" in run.output


LEFT_ALONE = """
import asyncio
import os
import subprocess

import pytest

KEPT = []


@pytest.mark.allow_leak("process", reason="the next test talks to it")
@pytest.mark.allow_leak("file", reason="the next test writes to it")
@pytest.mark.allow_leak("environment", match="LEFT_ALONE", reason="the next test reads it")
def test_first(tmp_path):
    KEPT.append(subprocess.Popen(["sleep", "3600"]))
    KEPT.append((tmp_path / "kept").open("w"))
    os.environ["LEFT_ALONE"] = "yes"


@pytest.mark.allow_leak("task", reason="the next test waits for it")
@pytest.mark.asyncio(loop_scope="module")
async def test_second():
    KEPT.append(asyncio.create_task(asyncio.sleep(0.2, "done")))


@pytest.mark.asyncio(loop_scope="module")
async def test_last():
    child, file, task = KEPT
    assert (child.poll(), file.closed, os.environ.pop("LEFT_ALONE"), await task) == (None, False, "yes", "done")
    child.kill()
    child.wait()
    file.close()
"""


def test_what_is_allowed_is_left_as_it_is(tmp_path: Path) -> None:
    """An allowance is for what somebody still needs: it is neither ended nor put back."""
    write_suite(tmp_path, {"test_it.py": LEFT_ALONE})
    run = run_suite(tmp_path, "-q")
    tests = {test_id.rpartition("_")[2]: outcome for test_id, outcome in run.outcomes.items()}
    # Of the last test only the variable is told: it takes away what was there.
    assert tests == {"first": Outcome.PASSED, "second": Outcome.PASSED, "last": Outcome.ERROR}, run.output
    assert [leak.leak.what for leak in run.leaks] == ["variable LEFT_ALONE was 'yes' and is now absent"]
    assert run.left_behind == ()


TWO_IN_ONE_PLACE = """
import threading


def start():
    threading.Thread(target=threading.Event().wait, daemon=True).start()


def test_one():
    start()


def test_two():
    start()
"""


def test_the_failure_of_a_leak_stands_where_the_leak_was_made(tmp_path: Path) -> None:
    """What a guard found is placed at the line that made it, not in the guard, and begins with what was found."""
    write_suite(tmp_path, {"test_it.py": TWO_IN_ONE_PLACE})
    run = run_suite(tmp_path, "-q")
    failures = [event.failure for event in run.events if isinstance(event, PhaseFinished) and event.failure is not None]
    assert [("test_it.py", 6, "start")] * 2 == [
        (failure.frame.path, failure.frame.line, failure.frame.function) for failure in failures if failure.frame is not None
    ], run.output
    assert all(failure.message.startswith("leak (thread): ") for failure in failures)


OF_ONE_FIXTURE = """
import os

import pytest


@pytest.fixture
def number():
    return os.open(__file__, os.O_RDONLY)


@pytest.mark.parametrize("time", range(40))
def test_it(number, time):
    pass


def test_another():
    os.open(__file__, os.O_RDONLY)
"""


@pytest.mark.parametrize("arguments", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_what_a_fixture_leaks_in_forty_tests_is_said_once(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """The end of the output groups by fixture and place, with the number of tests; what one test left is no group."""
    write_suite(tmp_path, {"test_it.py": OF_ONE_FIXTURE})
    run = run_suite(tmp_path, "-q", *arguments)
    said = run.output.partition("leaks that several tests left at one place")[2].partition("short test summary")[0].splitlines()
    assert len(said) == 4, run.output  # the heading's own end, two lines, the next heading's beginning
    assert said[1].startswith("40 tests: leak (descriptor): descriptor ")
    assert said[1].endswith("is still open, made at test_it.py:9 in number")
    assert said[2].startswith("  fixture number (function); os.close() it")


ALLOWED_FOR_ALL = """
allowed-leaks = { thread = ["thread 'forgotten'", "thread 'never'"] }
"""


def test_the_configuration_allows_by_pattern(tmp_path: Path) -> None:
    """A pattern of the configuration excuses every test, and one that no test needed is said when all tests ran."""
    write_suite(tmp_path, {"test_it.py": LEAKS["thread_daemon"].read_text(encoding="utf-8")}, guards=ALLOWED_FOR_ALL)
    whole, part = run_suite(tmp_path, "-q"), run_suite(tmp_path, "-q", "-k", "innocent")
    assert (whole.returncode, set(whole.outcomes.values()), whole.leaks) == (0, {Outcome.PASSED}, []), whole.output
    unused = "\"thread 'never'\" of 'thread' matched nothing in the whole run"
    assert (unused in whole.output, "matched nothing" in part.output) == (True, False)


@pytest.mark.parametrize("mode", ["warn", "off"])
def test_a_kind_can_be_quieter(tmp_path: Path, mode: str) -> None:
    """A leak of a kind that only warns is said and green; of a kind that is off it is not looked for."""
    write_suite(
        tmp_path, {"test_it.py": LEAKS["thread_daemon"].read_text(encoding="utf-8")}, guards=f'leaks = {{ thread = "{mode}" }}'
    )
    run = run_suite(tmp_path, "-q")
    assert set(run.outcomes.values()) == {Outcome.PASSED}, run.output
    assert ("LeakWarning" in run.output, len(run.leaks)) == ((True, 1) if mode == "warn" else (False, 0))


OF_A_SESSION_FIXTURE = """
import pytest

KEPT = []


@pytest.fixture(scope="session", autouse=True)
def log(tmp_path_factory):
    KEPT.append((tmp_path_factory.mktemp("log") / "it.log").open("w"))


def test_first():
    pass
"""


def test_what_a_sessions_fixture_leaves_is_the_fixtures(tmp_path: Path) -> None:
    """A list in the fixture's own file keeps nothing once the session is over, whichever file the last test stands in."""
    write_suite(tmp_path, {"conftest.py": OF_A_SESSION_FIXTURE, "test_it.py": "def test_last(): pass"})
    run = run_suite(tmp_path, "-q")
    assert [("fixture log (session)", "conftest.py", 9)] == [
        (event.leak.owner, event.leak.created.path, event.leak.created.line) for event in run.leaks if event.leak.created
    ], run.output


OF_A_MODULE = """
import threading


def setup_module():
    threading.Thread(target=threading.Event().wait, daemon=True).start()


def test_it():
    pass
"""


def test_what_setup_module_leaves_is_told_by_that_name(tmp_path: Path) -> None:
    """The name that pytest gives the fixture which it makes of the function is nobody's word."""
    write_suite(tmp_path, {"test_it.py": OF_A_MODULE})
    run = run_suite(tmp_path, "-q")
    assert ["setup_module of test_it (module)"] == [event.leak.owner for event in run.leaks], run.output


def test_no_two_corpus_files_share_a_name() -> None:
    """They run in one folder: one would take the other's place."""
    names = [path.stem for path in CORPUS.glob("*/*.py")]
    assert sorted(set(names)) == sorted(names)
