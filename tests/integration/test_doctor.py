"""``ci-tools doctor`` as a user calls it: each link is broken on purpose, and the first broken one is named."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

TIMEOUT_S = 120
SUITE = {
    "pyproject.toml": """
[tool.ci-tools]
tests = ["tests"]
[tool.ci-tools.services.redis]
[tool.pytest.ini_options]
pythonpath = ["src"]
asyncio_mode = "auto"
asyncio_default_fixture_loop_scope = "function"
asyncio_default_test_loop_scope = "function"
""",
    "src/platform_app.py": """
class Factory:
    def __init__(self, bridge):
        if bridge is None:
            raise RuntimeError("bridge not available")
        self.bridge = bridge

def create_test_app(bridge):
    return Factory(bridge)
""",
    "tests/conftest.py": """
import os
import pytest
import redis.asyncio
from platform_app import create_test_app

@pytest.fixture
async def bridge():
    client = redis.asyncio.Redis.from_url(os.environ["REDIS_URL"])
    await client.ping()
    yield client
    await client.aclose()

@pytest.fixture
async def factory(bridge):
    return create_test_app(bridge)

@pytest.fixture
async def events(bridge):
    async with bridge.pubsub() as channel:
        await channel.subscribe("events")
        assert (await channel.get_message(timeout=5))["type"] == "subscribe"
        yield channel
""",
    "tests/test_engine.py": """
import pytest

@pytest.mark.service("redis")
async def test_event(factory, events):
    await factory.bridge.publish("events", "started")
    message = await events.get_message(ignore_subscribe_messages=True, timeout=5)
    assert message["data"] == b"started"
""",
}


@pytest.fixture(name="project")
def _project(tmp_path: Path) -> Path:
    for name, text in SUITE.items():
        _write(tmp_path, name, text)
    return tmp_path


@pytest.fixture(autouse=True)
def _nothing_left(tmp_path: Path) -> Iterator[None]:
    """After each test no process works in the project's folder, whoever its parent is by now."""
    yield
    strays = [process for process in psutil.process_iter() if _works_in(process, tmp_path)]
    _, alive = psutil.wait_procs(strays, timeout=5)
    assert alive == []


def _works_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return Path(process.cwd()).is_relative_to(folder)
    except psutil.Error:
        return False


def _write(project: Path, name: str, text: str) -> None:
    path = project / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _replace(project: Path, name: str, old: str, new: str) -> None:
    text = (project / name).read_text(encoding="utf-8")
    assert old in text
    _write(project, name, text.replace(old, new))


def _doctor(project: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("CI_TOOLS_", "PYTEST_", "GITHUB_"))}
    command = [sys.executable, "-m", "ci_tools", "doctor", *arguments]
    return subprocess.run(
        command, cwd=project, env={**inherited, **environ}, text=True, capture_output=True, timeout=TIMEOUT_S, check=False
    )


def _conditions(output: str) -> dict[str, str]:
    table = [line.split()[:2] for line in output.partition("\n\n")[0].splitlines()]
    return {link: condition for condition, link in table}


def _first(output: str) -> str:
    """The text under the first broken link, with its name before it."""
    return output.partition("first broken link: ")[2].partition("\n\n")[0]


def test_a_sound_project_has_nothing_broken(project: Path) -> None:
    """Every link holds, real Redis and real fixtures included, the exit code is 0, and nothing was written into the project."""
    before = sorted(path.name for path in project.rglob("*"))
    done = _doctor(project)
    assert (0, "every link holds") == (
        done.returncode,
        done.stdout.splitlines()[-1] if "hints" not in done.stdout else "every link holds",
    )
    assert {"holds"} == set(_conditions(done.stdout).values())
    assert before == sorted(path.name for path in project.rglob("*"))


def test_link_1_configuration(project: Path) -> None:
    """A misspelt key is the first broken link; the error names it with the key that is near."""
    _replace(project, "pyproject.toml", "[tool.ci-tools.services.redis]", "[tool.ci-tools.services.redis]\nprot = 6381")
    done = _doctor(project)
    assert (10, "configuration") == (done.returncode, _first(done.stdout).split()[0]), done.stdout
    assert "services.redis.prot is not a key; did you mean 'port'?" in done.stdout


def test_link_2_imports(project: Path) -> None:
    """A name that a module no longer has is named with the chain of files that lead to it."""
    _replace(project, "src/platform_app.py", "def create_test_app", "def create_app")
    done = _doctor(project)
    told = _first(done.stdout)
    assert (10, "imports") == (done.returncode, told.split()[0]), done.stdout
    assert "cannot import name 'create_test_app' from 'platform_app'" in told
    assert "tests/conftest.py:5: from platform_app import create_test_app" in told


def test_link_3_redis(project: Path) -> None:
    """A Redis that does not answer is named with its address; the links before it hold."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, never listening: connections are refused, and nobody else gets the port
        port = closed.getsockname()[1]
        done = _doctor(project, CI_TOOLS_REDIS_URL=f"redis://127.0.0.1:{port}/0")
    assert (10, "services") == (done.returncode, _first(done.stdout).split()[0]), done.stdout
    assert f"127.0.0.1:{port}" in _first(done.stdout)
    conditions = _conditions(done.stdout)
    assert ("holds", "holds", "unknown") == (conditions["imports"], conditions["fixtures"], conditions["set-up"])


def test_link_4_factory(project: Path) -> None:
    """A factory that cannot be built is named by its fixture, its error and the line that raises it."""
    _replace(project, "tests/conftest.py", "create_test_app(bridge)", "create_test_app(None)")
    done = _doctor(project)
    told = _first(done.stdout)
    assert (10, "set-up") == (done.returncode, told.split()[0]), done.stdout
    assert "fixture 'factory' raises: bridge not available" in told
    assert "src/platform_app.py:5: raise RuntimeError" in told


def test_link_5_events(project: Path) -> None:
    """Events that do not come are named by the fixture that waits for them, and the factory is not blamed."""
    _replace(project, "tests/conftest.py", 'await channel.subscribe("events")', "await channel.connect()")
    done = _doctor(project)
    told = _first(done.stdout)
    assert (10, "set-up") == (done.returncode, told.split()[0]), done.stdout
    assert "fixture 'events' raises" in told
    assert "fixture 'factory'" not in done.stdout


def test_the_first_broken_link_comes_first(project: Path) -> None:
    """With three links broken the earliest is the diagnosis, and the others are said after it."""
    _replace(project, "tests/conftest.py", "create_test_app(bridge)", "create_test_app(None)")
    _replace(project, "pyproject.toml", 'test_loop_scope = "function"', 'test_loop_scope = "session"')
    _write(project, "tests/test_broken.py", "import nowhere_to_be_found\n")
    done = _doctor(project)
    assert (10, "pytest") == (done.returncode, _first(done.stdout).split()[0]), done.stdout
    assert "asyncio_default_fixture_loop_scope is 'function' and asyncio_default_test_loop_scope is 'session'" in done.stdout
    assert "also broken, perhaps because of it: imports" in done.stdout
    assert done.stdout.index("first broken link") < done.stdout.index("also broken")


BROKEN_TREE = {
    "pyproject.toml": "[tool.pytest.ini_options]\ntestpaths = ['tests']\n",
    "tests/conftest.py": "from fixtures_of_old import *\n",
    "tests/chain/test_chain.py": "from first import value\n",
    "tests/chain/first.py": "from second import value\n",
    "tests/chain/second.py": "from third_party_gone import value\n",
    "tests/test_syntax.py": "def test_a(:\n    pass\n",
    "tests/test_exit.py": "import os\nos._exit(0)\n",
    "tests/test_loop.py": "import threading\nthreading.Event().wait()\n",
    "tests/test_quit.py": "import sys\nsys.exit(3)\n",
    "tests/test_good.py": "def test_good():\n    assert True\n",
    "tests/test_circle.py": "from circle_a import a\n",
    "tests/circle_a.py": "from circle_b import b\na = 1\n",
    "tests/circle_b.py": "from circle_a import a\nb = 1\n",
}


@pytest.mark.timeout(240)
def test_any_broken_tree_is_examined_to_its_end(tmp_path: Path) -> None:
    """Files that cannot be parsed, end the process, exit or never end are each named with their chain, in bounded time."""
    for name, text in BROKEN_TREE.items():
        _write(tmp_path, name, text)
    done = _doctor(tmp_path, "--timeout", "5s")
    assert (10, "imports") == (done.returncode, _first(done.stdout).split()[0]), done.stdout + done.stderr
    told = _first(done.stdout)
    chain = [
        "    tests/chain/test_chain.py:1: from first import value",
        "    tests/chain/first.py:1: from second import value",
        "    tests/chain/second.py:1: from third_party_gone import value",
        "    missing: third_party_gone",
    ]
    assert "\n".join(chain) in told, told
    named = {
        "tests/conftest.py": "No module named 'fixtures_of_old'",
        "tests/test_syntax.py": "SyntaxError",
        "tests/test_exit.py": "ends the process with exit code 0",
        "tests/test_loop.py": "had not ended after 5 s",
        "tests/test_quit.py": "SystemExit",
        "tests/test_circle.py": "partially initialized module",
    }
    lines = told.splitlines()
    assert [] == [name for name, said in named.items() if not any(f"  {name}: " in line and said in line for line in lines)], told
    assert "test_good" not in told


def test_a_swallowed_import_error_is_seen(project: Path) -> None:
    """A star import whose ImportError is caught hides its fixtures: the doctor names the import, then the missing fixture."""
    _write(project, "tests/shared_fixtures.py", "import gone_for_good\n")
    star = "try:\n    from shared_fixtures import *\nexcept ImportError:\n    pass\n"
    _replace(project, "tests/conftest.py", "import os\n", f"import os\n{star}")
    _write(project, "tests/test_user.py", "def test_user(signed_in_user):\n    assert signed_in_user\n")
    done = _doctor(project)
    assert (10, "imports") == (done.returncode, _first(done.stdout).split()[0]), done.stdout
    assert "tests/conftest.py:4: a failed import is swallowed: No module named 'gone_for_good'" in _first(done.stdout)
    assert "fixture 'signed_in_user' is asked for and nobody defines it" in done.stdout


def test_an_optional_dependency_is_no_fault(project: Path) -> None:
    """A package of somebody else that is not there, and is caught, is left alone."""
    _replace(
        project, "tests/conftest.py", "import os\n", "import os\ntry:\n    import orjson_gone\nexcept ImportError:\n    pass\n"
    )
    done = _doctor(project)
    assert (0, "holds") == (done.returncode, _conditions(done.stdout)["imports"]), done.stdout


def test_doubled_and_undefined_fixtures_are_named(project: Path) -> None:
    """A fixture of two conftests and one that nobody defines break the link; one that extends the outer one does not."""
    own = "import pytest\n\n@pytest.fixture\ndef {}({}):\n    return 1\n"
    _write(project, "tests/a/conftest.py", own.format("factory", ""))
    _write(project, "tests/b/conftest.py", own.format("events", "events"))
    _write(project, "tests/test_user.py", "def test_user(factry):\n    assert factry\n")
    done = _doctor(project)
    told = _first(done.stdout)
    assert (10, "fixtures") == (done.returncode, told.split()[0]), done.stdout
    assert "fixture 'factry' is asked for and nobody defines it" in told
    assert "did you mean 'factory'" in told, told
    assert "tests/conftest.py:15: fixture 'factory' is defined 2 times" in told
    assert "fixture 'events' is defined" not in told


def test_a_stranger_on_the_port_is_named_and_left_alone(project: Path) -> None:
    """Somebody else's listener on the preferred port is a hint with its process; Redis is provided elsewhere."""
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        _replace(project, "pyproject.toml", "[tool.ci-tools.services.redis]", f"[tool.ci-tools.services.redis]\nport = {port}")
        done = _doctor(project)
        stranger.settimeout(0)
        with pytest.raises(BlockingIOError):
            stranger.accept()
    assert (0, "holds") == (done.returncode, _conditions(done.stdout)["services"]), done.stdout
    assert f"port {port}, which redis would get, is held by" in done.stdout
    assert f"(pid {os.getpid()})" in done.stdout


SETTINGS = {
    "unset": ('asyncio_default_test_loop_scope = "function"', "", "asyncio_default_test_loop_scope is not set"),
    "hidden": ("asyncio_mode", 'filterwarnings = ["ignore::RuntimeWarning"]\nasyncio_mode', "hides 'was never awaited'"),
    "reporter": ("asyncio_mode", 'addopts = ["-p", "no:unraisableexception"]\nasyncio_mode', "hides 'was never awaited'"),
    "unknown option": ("asyncio_mode", 'addopts = ["--not-an-option"]\nasyncio_mode', "--not-an-option"),
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_settings_that_make_tests_say_less_are_named(setting: str, project: Path) -> None:
    """Loop scopes that differ, filters that hide unawaited coroutines and options that pytest refuses break the pytest link."""
    old, new, said = SETTINGS[setting]
    _replace(project, "pyproject.toml", old, new)
    done = _doctor(project)
    assert (10, "pytest", True) == (done.returncode, _first(done.stdout).split()[0], said in _first(done.stdout)), done.stdout


def test_switched_off_asserts_are_named(project: Path) -> None:
    """PYTHONOPTIMIZE removes asserts: the pytest link is broken."""
    done = _doctor(project, PYTHONOPTIMIZE="1")
    assert (10, "pytest", True) == (done.returncode, _first(done.stdout).split()[0], "PYTHONOPTIMIZE" in done.stdout), done.stdout


def test_a_plugin_that_is_switched_off_is_named(project: Path) -> None:
    """Without the plugin nothing is guarded: the first link says so."""
    _replace(project, "pyproject.toml", "asyncio_mode", 'addopts = ["-p", "no:ci_tools"]\nasyncio_mode')
    done = _doctor(project)
    assert (10, "versions") == (done.returncode, _first(done.stdout).split()[0]), done.stdout


def test_a_killed_doctor_leaves_nothing(tmp_path: Path) -> None:
    """When the doctor is killed while a module hangs at import, its child ends too."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        port = listener.getsockname()[1]
        address = f"('127.0.0.1', {port})"
        tell = "one.sendall(b'%d' % os.getpid())\none.recv(1)\n"
        hang = f"import os, socket\none = socket.create_connection({address})\n{tell}"
        _write(tmp_path, "test_hang.py", hang)
        with subprocess.Popen([sys.executable, "-m", "ci_tools", "doctor"], cwd=tmp_path, stdout=subprocess.DEVNULL) as doctor:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(30)
                child = psutil.Process(int(connection.recv(20)))
                doctor.kill()
                gone, _ = psutil.wait_procs([child], timeout=10)
    assert gone == [child]
