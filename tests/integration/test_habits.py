"""Habits of real suites and plugins: whatever orders, drops, doubles or makes tests, two shards run what one process would.

``ci-tools run --shards 2`` plans, runs both shards one after another and judges: a test that no shard ran would not pass.
"""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ci_tools.model.case import Outcome
from ci_tools.model.codec import loads
from ci_tools.model.plan import parse_plan
from ci_tools.model.report import RunReport

pytestmark = pytest.mark.slow

TESTS = "def test_a():\n    pass\n\n\ndef test_b():\n    pass\n"
MODIFY = "def pytest_collection_modifyitems(config, items):\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Habit:
    """A suite, pytest's settings for it, arguments, and what has to run: test IDs with their outcomes."""

    files: Mapping[str, str]
    expected: Mapping[str, Outcome]
    options: str = ""
    arguments: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict)


def passed(*test_ids: str) -> dict[str, Outcome]:
    """All of them pass."""
    return dict.fromkeys(test_ids, Outcome.PASSED)


TWO = {"test_one.py": TESTS, "test_two.py": TESTS}
OF_TWO = passed("test_one.py::test_a", "test_one.py::test_b", "test_two.py::test_a", "test_two.py::test_b")
OF_THREE = {test_id: outcome for test_id, outcome in OF_TWO.items() if test_id != "test_one.py::test_b"}

HABITS = {
    "a conftest that deselects": Habit(
        files={
            **TWO,
            "conftest.py": MODIFY
            + "    gone = [item for item in items if item.nodeid == 'test_one.py::test_b']\n"
            + "    config.hook.pytest_deselected(items=gone)\n    items[:] = [item for item in items if item not in gone]\n",
        },
        expected=OF_THREE,
    ),
    "a conftest that drops": Habit(
        files={**TWO, "conftest.py": MODIFY + "    items[:] = [item for item in items if 'one.py::test_b' not in item.nodeid]\n"},
        expected=OF_THREE,
    ),
    "a conftest that turns around": Habit(files={**TWO, "conftest.py": MODIFY + "    items.reverse()\n"}, expected=OF_TWO),
    "a conftest that doubles": Habit(files={**TWO, "conftest.py": MODIFY + "    items.extend(list(items))\n"}, expected=OF_TWO),
    "several conftests": Habit(
        files={
            "a/test_it.py": TESTS,
            "b/test_other.py": TESTS,
            "a/conftest.py": MODIFY + "    items.sort(key=lambda item: item.name, reverse=True)\n",
            "b/conftest.py": "collect_ignore = ['test_ignored.py']\n",
            "b/test_ignored.py": "raise RuntimeError\n",
        },
        expected=passed("a/test_it.py::test_a", "a/test_it.py::test_b", "b/test_other.py::test_a", "b/test_other.py::test_b"),
    ),
    "an order by marks": Habit(
        files={
            "conftest.py": "def pytest_configure(config):\n    config.addinivalue_line('markers', 'run(order): when')\n\n\n"
            + MODIFY
            + "    place = lambda item: next((mark.kwargs['order'] for mark in item.iter_markers('run')), 99)\n"
            + "    items.sort(key=place)\n",
            "test_order.py": "import pytest\n\n\n@pytest.mark.run(order=2)\ndef test_second():\n    pass\n\n\n"
            "@pytest.mark.run(order=1)\ndef test_first():\n    pass\n",
            "test_two.py": TESTS,
        },
        expected=passed("test_order.py::test_first", "test_order.py::test_second", "test_two.py::test_a", "test_two.py::test_b"),
    ),
    "doctests": Habit(
        files={
            "src/double.py": '"""Doubles.\n\n>>> 2 * 2\n4\n"""\n\n\ndef double(n):\n    """Twice.\n\n    >>> double(2)\n'
            '    4\n    """\n    return 2 * n\n',
            "docs/use.rst": ">>> 1 + 1\n2\n",
            "tests/test_double.py": "from double import double\n\n\ndef test_double():\n    assert double(1) == 2\n",
        },
        options="addopts = '--doctest-modules --doctest-glob=*.rst'\n"
        "testpaths = ['src', 'docs', 'tests']\npythonpath = ['src']\n",
        expected=passed(
            "src/double.py::double", "src/double.py::double.double", "docs/use.rst::use.rst", "tests/test_double.py::test_double"
        ),
    ),
    "unittest with subtests": Habit(
        files={
            "test_case.py": "import unittest\n\n\nclass TestIt(unittest.TestCase):\n"
            "    @classmethod\n    def setUpClass(cls):\n        cls.ready = True\n\n"
            "    def test_ready(self):\n        self.assertTrue(self.ready)\n\n"
            "    def test_parts(self):\n        for n in range(3):\n            with self.subTest(n=n):\n"
            "                self.assertNotEqual(n, 1)\n\n"
            "    @unittest.skip('not now')\n    def test_skipped(self):\n        raise RuntimeError\n",
            "test_two.py": TESTS,
        },
        expected={
            **passed("test_case.py::TestIt::test_ready", "test_two.py::test_a", "test_two.py::test_b"),
            "test_case.py::TestIt::test_parts": Outcome.FAILED,
            "test_case.py::TestIt::test_skipped": Outcome.SKIPPED,
        },
    ),
    "subtests": Habit(
        files={
            "test_sub.py": "def test_sub(subtests):\n    for n in range(3):\n        with subtests.test('part', n=n):\n"
            "            assert n != 1\n\n\ndef test_green(subtests):\n    with subtests.test('part'):\n        pass\n",
            "test_two.py": TESTS,
        },
        expected={
            **passed("test_sub.py::test_green", "test_two.py::test_a", "test_two.py::test_b"),
            "test_sub.py::test_sub": Outcome.FAILED,
        },
    ),
    "a repetition by parameters": Habit(
        files={
            "conftest.py": "def pytest_addoption(parser):\n    parser.addoption('--count', type=int, default=1)\n\n\n"
            "def pytest_generate_tests(metafunc):\n    count = metafunc.config.getoption('count')\n"
            "    metafunc.fixturenames.append('repetition')\n"
            "    metafunc.parametrize('repetition', range(count), ids=[f'{n + 1}-{count}' for n in range(count)])\n",
            "test_one.py": "def test_a():\n    pass\n",
        },
        arguments=("--", "--count", "4"),
        expected=passed(*(f"test_one.py::test_a[{n}-4]" for n in range(1, 5))),
    ),
    "files of another kind": Habit(
        files={
            "conftest.py": "import pytest\n\n\ndef pytest_collect_file(parent, file_path):\n"
            "    if file_path.suffix == '.yaml':\n        return File.from_parent(parent, path=file_path)\n\n\n"
            "class File(pytest.File):\n    def collect(self):\n        for line in self.path.read_text().splitlines():\n"
            "            yield Item.from_parent(self, name=line)\n\n\n"
            "class Item(pytest.Item):\n    def runtest(self):\n        assert 'bad' not in self.name\n",
            "cases/first.yaml": "a: 1\nb :: c\nö [x]\n",
            "cases/second.yaml": "good\nbad\n",
        },
        expected={
            **passed("cases/first.yaml::a: 1", "cases/first.yaml::b :: c", "cases/first.yaml::ö [x]", "cases/second.yaml::good"),
            "cases/second.yaml::bad": Outcome.FAILED,
        },
    ),
    "filters": Habit(
        files={
            "test_one.py": "import pytest\n\n\n@pytest.mark.slow\ndef test_slow():\n    pass\n\n\ndef test_a():\n    pass\n",
            "test_two.py": TESTS,
        },
        options="markers = ['slow: takes long']\n",
        arguments=("--", "-k", "test_a or slow", "-m", "not slow"),
        expected=passed("test_one.py::test_a", "test_two.py::test_a"),
    ),
    "plugins switched off": Habit(
        files=TWO, options="addopts = '-p no:randomly -p no:xdist -p no:cacheprovider'\n", expected=OF_TWO
    ),
    "importlib and one basename": Habit(
        files={"a/test_it.py": TESTS, "b/test_it.py": TESTS},
        options="addopts = '--import-mode=importlib'\n",
        expected=passed("a/test_it.py::test_a", "a/test_it.py::test_b", "b/test_it.py::test_a", "b/test_it.py::test_b"),
    ),
    "one basename in packages": Habit(
        files={
            "tests/__init__.py": "",
            **{f"tests/{n}/{name}": text for n in "ab" for name, text in (("__init__.py", ""), ("test_it.py", TESTS))},
        },
        options="testpaths = ['tests']\n",
        expected=passed(*(f"tests/{n}/test_it.py::test_{name}" for n in "ab" for name in "ab")),
    ),
    "a src layout with tests inside": Habit(
        files={
            "src/thing/__init__.py": "NAME = 'thing'\n",
            "src/thing/tests/__init__.py": "",
            "src/thing/tests/test_in.py": "from thing import NAME\n\n\ndef test_in():\n    assert NAME == 'thing'\n",
            "tests/test_out.py": "from thing import NAME\n\n\ndef test_out():\n    assert NAME == 'thing'\n",
        },
        options="pythonpath = ['src']\ntestpaths = ['src', 'tests']\n",
        expected=passed("src/thing/tests/test_in.py::test_in", "tests/test_out.py::test_out"),
    ),
    "a namespace package": Habit(
        files={
            "src/space/one/__init__.py": "NAME = 1\n",
            "src/space/two/tests/test_two.py": "from space.one import NAME\n\n\ndef test_two():\n    assert NAME == 1\n",
            "tests/test_one.py": "from space.one import NAME\n\n\ndef test_one():\n    assert NAME == 1\n",
        },
        options="pythonpath = ['src']\ntestpaths = ['src', 'tests']\nconsider_namespace_packages = true\n",
        expected=passed("src/space/two/tests/test_two.py::test_two", "tests/test_one.py::test_one"),
    ),
}


def project(root: Path, habit: Habit) -> None:
    """The suite with a table of the toolkit."""
    for name, text in habit.files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (root / "pyproject.toml").write_text(f"[tool.ci-tools]\n[tool.pytest.ini_options]\n{habit.options}", encoding="utf-8")


def ci_tools(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One verb, with an environment that names no CI and no other run."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("CI", "GITHUB_", "PYTEST_"))}
    argv = [sys.executable, "-m", "ci_tools", *arguments]
    return subprocess.run(argv, cwd=root, env=env, capture_output=True, text=True, check=False, timeout=150)


def latest(root: Path) -> RunReport:
    """What the latest run reported."""
    return loads(RunReport, (root / "ci-artifacts/latest/report.json").read_bytes())


@pytest.mark.parametrize("name", HABITS)
def test_two_shards_run_what_is_expected(tmp_path: Path, name: str) -> None:
    """Each expected test is in the report of the shard that it was planned for, once, with its outcome; nothing else is."""
    habit = HABITS[name]
    project(tmp_path, habit)
    done = ci_tools(tmp_path, "run", "--shards", "2", "--workers", "1", *habit.arguments)
    said = done.stdout + done.stderr
    report = latest(tmp_path)
    assert {case.test_id: case.outcome for case in report.cases} == dict(habit.expected), said
    assert (report.duplicated, report.unexpected) == ((), ()), said
    assert done.returncode == (0 if all(outcome.is_green for outcome in habit.expected.values()) else 10), said
    plan = parse_plan((tmp_path / "ci-artifacts/latest/plan.json").read_bytes())
    assert Counter(plan.test_ids) == Counter(list(habit.expected))
    assert [bool(shard.test_ids) for shard in plan.shards] == [True, True]


def test_last_failed(tmp_path: Path) -> None:
    """After a red run ``--lf`` plans and runs what failed, in both shards; filters stand in the plan."""
    body = "import pathlib\n\n\ndef test_a():\n    pass\n\n\ndef test_b():\n    assert pathlib.Path('mended').exists()\n"
    project(tmp_path, Habit(files={"test_one.py": body, "test_two.py": body}, expected={}))
    assert ci_tools(tmp_path, "run", "--workers", "1").returncode == 10
    (tmp_path / "mended").touch()
    done = ci_tools(tmp_path, "run", "--shards", "2", "--workers", "1", "--", "--lf")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {case.test_id for case in latest(tmp_path).cases} == {"test_one.py::test_b", "test_two.py::test_b"}


def test_other_filters_than_the_plans_are_refused(tmp_path: Path) -> None:
    """A shard that is given another ``-k`` than the plan, or none, refuses before anything runs, and names both."""
    project(tmp_path, Habit(files=TWO, expected={}))
    planned = ci_tools(tmp_path, "plan", "--shards", "2", "--output", "plan.json", "--", "-k", "test_a")
    assert planned.returncode == 0, planned.stderr
    shard = ("run", "--plan", "plan.json", "--shard", "1/2", "--workers", "1")
    for given, named in ((("-k", "test_b"), "'-k test_b'"), ((), "no filter")):
        done = ci_tools(tmp_path, *shard, "--", *given)
        assert (done.returncode, f"was made with '-k test_a', here is {named}" in done.stdout + done.stderr) == (2, True)
    done = ci_tools(tmp_path, *shard, "--", "-ktest_a", "-v")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_shard_alone_runs_what_the_plan_says(tmp_path: Path) -> None:
    """``--shard 2/3`` without a plan runs the tests that a plan made beside it has for that shard."""
    project(tmp_path, Habit(files={f"test_{n}.py": TESTS for n in range(7)}, expected={}))
    assert ci_tools(tmp_path, "plan", "--shards", "3", "--output", "plan.json").returncode == 0
    plan = parse_plan((tmp_path / "plan.json").read_bytes())
    done = ci_tools(tmp_path, "run", "--shard", "2/3", "--workers", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    ran = sorted(case.test_id for case in latest(tmp_path).cases)
    assert ran == sorted(next(shard for shard in plan.shards if shard.ref.index == 2).test_ids)
