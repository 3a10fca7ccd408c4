"""``ci-tools run`` and ``plan`` over shards: services, tests that stay together, variables of others, parameters, fixtures."""

import os
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from ci_tools.model.case import Outcome
from ci_tools.model.codec import loads
from ci_tools.model.plan import parse_plan
from ci_tools.model.report import RunReport


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder of a project."""
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


def write_suite(root: Path, files: dict[str, str]) -> None:
    """Put the files of a suite down."""
    for path, source in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(textwrap.dedent(source), encoding="utf-8")


SERVICES = {
    "test_redis.py": """
        import os

        import pytest
        import redis

        @pytest.mark.service("redis")
        def test_redis():
            with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
                assert client.ping()
            assert "DATABASE_URL" not in os.environ
    """,
    "test_database.py": """
        import socket

        def test_database(postgres_endpoint):
            socket.create_connection((postgres_endpoint.host, postgres_endpoint.port), 5).close()
    """,
    "test_sum.py": """
        import os

        def test_sum():
            assert {"DATABASE_URL", "REDIS_URL"} & os.environ.keys() == set()
    """,
}
SERVICES_TABLE = """
[tool.ci-tools]
[tool.ci-tools.services.redis]
[tool.ci-tools.services.postgres]
[tool.pytest.ini_options]
asyncio_default_fixture_loop_scope = "function"
"""


def ci_tools(root: Path, *arguments: str, environ: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """One verb in the project, with an environment that names no CI and no other run."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("CI", "GITHUB_", "PYTEST_"))}
    argv = [sys.executable, "-m", "ci_tools", *arguments]
    return subprocess.run(
        argv, cwd=root, env={**env, **(environ or {})}, capture_output=True, text=True, check=False, timeout=150
    )


def latest(root: Path) -> RunReport:
    """What the latest run reported."""
    return loads(RunReport, (root / "ci-artifacts/latest/report.json").read_bytes())


@pytest.mark.parametrize(
    ("path", "services"),
    [
        ("test_sum.py", []),
        ("test_redis.py", ["redis"]),
        pytest.param("test_database.py", ["postgres"], marks=pytest.mark.slow),
    ],
)
def test_a_shard_starts_the_services_that_its_tests_need(root: Path, path: str, services: list[str]) -> None:
    """Of two declared services a shard starts what its tests' marks and fixtures ask for: two, one or none."""
    write_suite(root, SERVICES)
    (root / "pyproject.toml").write_text(SERVICES_TABLE, encoding="utf-8")
    made = ci_tools(root, "plan", "--shards", "3", "--output", "plan.json")
    assert made.returncode == 0, made.stderr
    plan = parse_plan((root / "plan.json").read_bytes())
    ref = next(shard.ref for shard in plan.shards if shard.units[0].path == path)
    done = ci_tools(root, "run", "--plan", "plan.json", "--shard", str(ref), "--workers", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    report = latest(root)
    assert ([case.outcome for case in report.cases], services) == (
        [Outcome.PASSED],
        sorted(str(one.kind) for one in report.services),
    )


def test_a_service_that_nobody_declares_is_started_everywhere(root: Path) -> None:
    """Where no test of the plan declares Redis any of them may use it: its URL is there."""
    write_suite(root, {"test_a.py": "import os\ndef test_a():\n    assert os.environ['REDIS_URL']\n"})
    (root / "pyproject.toml").write_text(SERVICES_TABLE.replace("[tool.ci-tools.services.postgres]\n", ""), encoding="utf-8")
    done = ci_tools(root, "run", "--workers", "1")
    assert done.returncode == 0, done.stdout + done.stderr


PROJECT = "[tool.ci-tools]\n[tool.pytest.ini_options]\nasyncio_default_fixture_loop_scope = 'function'\n"


def write_project(root: Path, files: dict[str, str]) -> None:
    """A suite with a table of the toolkit."""
    write_suite(root, files)
    (root / "pyproject.toml").write_text(PROJECT, encoding="utf-8")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_tests_marked_together_stay_together(root: Path, workers: str) -> None:
    """Tests of two files and of a class with our mark run in one shard, in one process; the other files' are spread."""
    marked = "import os\nimport pytest\n\n@pytest.mark.together('pair')\ndef test_marked(record_property):\n"
    body = "    record_property('pid', os.getpid())\n"
    free = "import pytest\n\n@pytest.mark.parametrize('n', range(6))\ndef test_free(n):\n    pass\n"
    write_project(root, {"test_a.py": marked + body, "test_b.py": free, "test_c.py": free, "test_d.py": marked + body})
    made = ci_tools(root, "plan", "--shards", "2", "--output", "plan.json")
    assert made.returncode == 0, made.stderr
    plan = parse_plan((root / "plan.json").read_bytes())
    pair = {"test_a.py::test_marked", "test_d.py::test_marked"}
    (home,) = [shard for shard in plan.shards if pair & set(shard.test_ids)]
    assert pair <= set(home.test_ids)
    done = ci_tools(root, "run", "--plan", "plan.json", "--shard", str(home.ref), "--workers", workers)
    assert done.returncode == 0, done.stdout + done.stderr
    cases = {case.test_id: case for case in latest(root).cases}
    assert set(cases) == set(home.test_ids)
    assert len({cases[test_id].attempts[0].properties["pid"] for test_id in pair}) == 1


def test_bazel_is_told_that_its_slice_ran(root: Path, tmp_path: Path) -> None:
    """By Bazel's variables the second of two shards runs, and its status file is there: else Bazel fails the test."""
    write_project(root, dict.fromkeys(("test_a.py", "test_b.py"), "def test_it():\n    pass\n"))
    status = tmp_path / "status"
    bazel = {"TEST_TOTAL_SHARDS": "2", "TEST_SHARD_INDEX": "1", "TEST_SHARD_STATUS_FILE": str(status)}
    done = ci_tools(root, "run", "--workers", "1", environ=bazel)
    assert done.returncode == 0, done.stdout + done.stderr
    report = latest(root)
    assert ([shard.shard for shard in report.shards], len(report.cases), status.exists()) == (["2/2"], 1, True)


def test_parameters_from_a_set_in_two_workers(root: Path) -> None:
    """Sets have one order in all processes of a run, so pytest-xdist finds the same tests in the same order everywhere."""
    source = "import pytest\n\n@pytest.mark.parametrize('name', set('abcdefgh'))\ndef test_it(name):\n    pass\n"
    write_project(root, {"test_set.py": source})
    done = ci_tools(root, "run", "--workers", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert Counter(case.outcome for case in latest(root).cases) == {Outcome.PASSED: 8}


def test_parameters_that_change_with_every_process(root: Path) -> None:
    """IDs with memory addresses are named when they are planned, with what to do, and a shard refuses them: nothing is lost."""
    source = (
        "import pytest\n\nclass Thing:\n    pass\n\n\n"
        "@pytest.mark.parametrize('thing', [Thing(), Thing()], ids=repr)\ndef test_it(thing):\n    pass\n"
    )
    write_project(root, {"test_address.py": source})
    planned = ci_tools(root, "plan", "--shards", "2", "--output", "plan.json")
    assert planned.returncode == 0, planned.stderr
    assert "2 test ID(s) hold a memory address" in planned.stdout
    assert "give their parametrize ids=" in planned.stdout
    done = ci_tools(root, "run", "--plan", "plan.json", "--shard", "1/2", "--workers", "1")
    assert done.returncode not in {0, 10}
    assert "refuses its plan" in done.stdout + done.stderr
    assert "with a memory address are others in every process: give their parametrize ids=" in done.stdout + done.stderr


WAITING = "import threading\nimport pytest\n\n\ndef wait():\n    threading.Event().wait(0.3)\n\n\n"
SESSION_FIXTURES = {
    "conftest.py": WAITING + "@pytest.fixture(scope='session')\ndef database():\n    wait()\n",
    "test_plain.py": "".join(f"def test_{n}():\n    pass\n" for n in range(4)),
    "test_used.py": "def test_direct(database):\n    pass\n",
    "test_through.py": "import pytest\n\n\n@pytest.fixture\ndef row(database):\n    pass\n\n\ndef test_through(row):\n    pass\n",
    "pack/__init__.py": "",
    "pack/conftest.py": WAITING
    + "@pytest.fixture(scope='package')\ndef of_package():\n    wait()\n\n\n"
    + "@pytest.fixture(scope='session', params=['one', 'two'])\ndef engine(request):\n    wait()\n",
    "pack/test_pack.py": "def test_package(of_package):\n    pass\n\n\ndef test_engine(engine):\n    pass\n",
}


def test_fixtures_of_the_session_are_predicted(root: Path) -> None:
    """What a run measured of fixtures of the session, a package and each parameter is charged where tests need it."""
    write_project(root, SESSION_FIXTURES)
    done = ci_tools(root, "run", "--workers", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    made = ci_tools(root, "plan", "--shards", "3", "--explain", "--output", "plan.json")
    assert made.returncode == 0, made.stderr
    needed = {
        "test_used.py::test_direct": {"::database"},
        "test_through.py::test_through": {"::database"},
        "pack/test_pack.py::test_package": {"pack::of_package"},
        "pack/test_pack.py::test_engine[one]": {"pack::engine[0]"},
        "pack/test_pack.py::test_engine[two]": {"pack::engine[1]"},
    }
    for shard in parse_plan((root / "plan.json").read_bytes()).shards:
        expected = set().union(*(needed.get(test_id, set()) for test_id in shard.test_ids))
        assert set(shard.fixtures) == expected
        assert shard.predicted_s >= sum(shard.fixtures.values()) >= 0.3 * len(expected)
    assert "::database takes 0." in made.stdout
    assert "of fixtures of the session" in made.stdout
