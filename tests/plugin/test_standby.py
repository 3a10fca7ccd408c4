"""Where every guard and the journal are off, no hook of the plugin runs for any test."""

import json
from pathlib import Path

from suites import run_suite, write_suite

from ci_tools.model.guard import LEAK_KINDS

OFF = "timeout = 0\nevidence = 'off'\nleaks = {" + ", ".join(f"{kind} = 'off'" for kind in LEAK_KINDS) + "}\n"
CONFTEST = """
import json

HOOKS = (
    "pytest_itemcollected", "pytest_runtest_protocol", "pytest_runtest_logstart", "pytest_runtest_setup", "pytest_runtest_call",
    "pytest_runtest_teardown", "pytest_runtest_makereport", "pytest_runtest_logreport", "pytest_runtest_logfinish",
    "pytest_fixture_setup", "pytest_fixture_post_finalizer", "pytest_pyfunc_call", "pytest_timeout_set_timer",
    "pytest_pycollect_makeitem", "pytest_generate_tests", "pytest_make_collect_report", "pytest_collectreport",
    "pytest_report_teststatus", "pytest_ignore_collect", "pytest_collect_file", "pytest_collection_modifyitems",
)


def pytest_runtestloop(session):
    hooks = {name: getattr(session.config.hook, name) for name in HOOKS if hasattr(session.config.hook, name)}
    found = {name: [impl.plugin_name for impl in hook.get_hookimpls()] for name, hook in hooks.items()}
    ours = {name: [plugin for plugin in plugins if "ci_tools" in plugin] for name, plugins in found.items()}
    with open("hooks.json", "w") as stream:
        json.dump({name: plugins for name, plugins in ours.items() if plugins}, stream)
"""


def _hooks(folder: Path, *, guards: str, tests: str, journal: str = "off") -> dict[str, list[str]]:
    write_suite(folder, {"conftest.py": CONFTEST, "test_a.py": tests}, guards=guards)
    run = run_suite(folder, "-q", "--ci-tools-journal", journal)
    assert run.returncode == 0, run.output
    found: dict[str, list[str]] = json.loads((folder / "hooks.json").read_text(encoding="utf-8"))
    return found


def test_with_everything_off_no_test_meets_the_plugin(tmp_path: Path) -> None:
    """None of the hooks that pytest calls for a test or a fixture is the plugin's."""
    assert _hooks(tmp_path, guards=OFF, tests="def test_a():\n    pass\n") == {}


def test_one_guard_is_enough_to_be_asked(tmp_path: Path) -> None:
    """With a timeout the plugin follows each test: what the test above looks at is what a guard uses."""
    found = _hooks(tmp_path, guards=OFF.replace("timeout = 0", "timeout = 60"), tests="def test_a():\n    pass\n")
    assert "ci_tools_phases" in found["pytest_runtest_setup"]


def test_a_declared_service_is_there_with_everything_off(tmp_path: Path) -> None:
    """A test with the service mark, here on its class, gets its Redis although no guard and no journal is on."""
    tests = (
        "import os\nimport socket\nfrom urllib.parse import urlsplit\n\nimport pytest\n\n\n@pytest.mark.service('redis')\n"
        "class TestIt:\n    def test_a(self):\n        url = urlsplit(os.environ['REDIS_URL'])\n"
        "        socket.create_connection((url.hostname, url.port), 5).close()\n"
    )
    found = _hooks(tmp_path, guards=OFF, tests=tests)
    assert found == {"pytest_runtest_setup": ["ci_tools_declared"]}


def test_a_service_is_there_by_fixture_with_everything_off(tmp_path: Path) -> None:
    """The fixture starts a server and it is stopped at the end."""
    tests = (
        "import socket\n\n\ndef test_a(redis_endpoint):\n"
        "    socket.create_connection((redis_endpoint.host, redis_endpoint.port), 5).close()\n"
    )
    write_suite(tmp_path, {"test_a.py": tests}, guards=OFF)
    run = run_suite(tmp_path, "-q", "--ci-tools-journal", "off")
    assert (run.returncode, run.left_behind) == (0, ()), run.output


def test_an_exit_is_not_green_with_everything_off(tmp_path: Path) -> None:
    """``os._exit(0)`` in a test still ends pytest red, with the test's name."""
    write_suite(tmp_path, {"test_a.py": "import os\n\n\ndef test_gone():\n    os._exit(0)\n"}, guards=OFF)
    run = run_suite(tmp_path, "-q", "--ci-tools-journal", "off")
    assert (run.returncode, "os._exit(0) was called in test_a.py::test_gone (call)" in run.output) == (70, True), run.output
