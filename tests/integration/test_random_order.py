"""pytest-randomly beside shards: one seed for a plan, for shards that plan alone, for pytest-xdist, and for a repetition."""

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from ci_tools.errors import UsageError
from ci_tools.model.journal import TestStarted, WorkerStarted, parse_journal
from ci_tools.model.plan import parse_plan
from ci_tools.pipeline.sequence import load_recording

pytestmark = pytest.mark.slow

WHEEL = "pytest-randomly==4.1.0"
TESTS = """
import os
import random
import pytest

@pytest.mark.parametrize("number", range(12))
def test_one(number):
    with open(os.environ["SAID"], "a") as stream:
        print(__name__, number, random.random(), file=stream)
"""
TABLE = "[tool.ci-tools]\n[tool.pytest.ini_options]\nasyncio_default_fixture_loop_scope = 'function'\n"


@pytest.fixture(scope="module")
def randomly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pytest-randomly, for child processes alone: beside our own tests it would shuffle them."""
    folder = tmp_path_factory.mktemp("randomly")
    uv = shutil.which("uv") or shutil.which("uv", path=Path(sys.executable).parent)
    installer = [uv, "pip", "install", "--python", sys.executable] if uv else [sys.executable, "-m", "pip", "install"]
    argv = [*installer, "--quiet", "--no-deps", "--target", str(folder), WHEEL]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project of four files with twelve tests each."""
    (tmp_path / "pyproject.toml").write_text(TABLE, encoding="utf-8")
    for name in "abcd":
        (tmp_path / f"test_{name}.py").write_text(TESTS, encoding="utf-8")
    return tmp_path


def _ci_tools(root: Path, randomly: Path, *arguments: str) -> list[str]:
    """One verb with pytest-randomly; what the tests said, in order."""
    said = root / "said.txt"
    said.write_text("", encoding="utf-8")
    env = {name: value for name, value in os.environ.items() if not name.startswith(("CI", "GITHUB_", "PYTEST_"))}
    path = os.pathsep.join([str(randomly), *filter(None, [env.get("PYTHONPATH", "")])])
    done = subprocess.run(
        [sys.executable, "-m", "ci_tools", *arguments],
        cwd=root,
        env={**env, "PYTHONPATH": path, "SAID": str(said)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return said.read_text(encoding="utf-8").splitlines()


def _workers(root: Path) -> list[tuple[int, tuple[str, ...]]]:
    """The seed and the order of each process of the latest run that ran tests."""
    found = []
    for journal in sorted((root / "ci-artifacts/latest").glob("journal-*.jsonl")):
        events = list(parse_journal(journal.read_text(encoding="utf-8")))
        (start,) = [event for event in events if isinstance(event, WorkerStarted)]
        if start.role == "worker":
            found.append((start.seed, tuple(event.test_id for event in events if isinstance(event, TestStarted))))
    return found


def test_the_seed_is_part_of_the_plan(root: Path, randomly: Path) -> None:
    """Both shards of a plan run by its seed, in an order that is not the file's; each test runs once."""
    _ci_tools(root, randomly, "plan", "--shards", "2", "--output", "plan.json")
    plan = parse_plan((root / "plan.json").read_bytes())
    assert plan.seed > 0
    ran: Counter[str] = Counter()
    for shard in plan.filled:
        _ci_tools(root, randomly, "run", "--plan", "plan.json", "--shard", str(shard.ref), "--workers", "1")
        ((seed, order),) = _workers(root)
        assert seed == plan.seed
        numbers = [int(test_id.split("[")[1].rstrip("]")) for test_id in order if test_id.startswith(order[0].split("::")[0])]
        assert numbers != sorted(numbers)
        ran.update(order)
    assert ran == Counter(plan.test_ids)


def test_shards_that_plan_alone_have_one_seed(root: Path, randomly: Path) -> None:
    """Two shards without a shared plan, a process each, run by the same seed and lose nothing."""
    seeds, ran = set(), Counter[str]()
    for index in (1, 2):
        _ci_tools(root, randomly, "run", "--shard", f"{index}/2", "--workers", "1")
        ((seed, order),) = _workers(root)
        seeds.add(seed)
        ran.update(order)
    assert (len(seeds), len(ran), set(ran.values())) == (1, 48, {1})


def test_xdist_workers_have_one_seed(root: Path, randomly: Path) -> None:
    """Both workers of a run shuffle alike, as pytest-xdist asks of them."""
    said = _ci_tools(root, randomly, "run", "--workers", "2")
    workers = _workers(root)
    assert (len(said), len(workers), len({seed for seed, _ in workers})) == (48, 2, 1)


def test_a_repetition_has_order_and_seed(root: Path, randomly: Path) -> None:
    """``--replay`` runs the same tests in the same order, and each draws the same random number."""
    first = _ci_tools(root, randomly, "run", "--workers", "1")
    ((seed, order),) = _workers(root)
    (journal,) = [path for path in (root / "ci-artifacts/latest").resolve().glob("journal-*.jsonl") if "main" in path.name]
    again = _ci_tools(root, randomly, "run", "--replay", str(journal))
    assert _workers(root) == [(seed, order)]
    assert first == again


def test_two_runs_differ(root: Path, randomly: Path) -> None:
    """A run that nobody repeats has a seed of its own, so orders do get tried; the user's seed is taken as it is."""
    first, second = (_ci_tools(root, randomly, "run", "--workers", "1") for _ in range(2))
    assert first != second
    given = _ci_tools(root, randomly, "run", "--workers", "1", "--", "-p", "randomly", "--randomly-seed=7")
    ((seed, _),) = _workers(root)
    assert (seed, len(given)) == (7, 48)


SETS = """
import os

import pytest

ORDER = list({f"item-{n}" for n in range(40)})


@pytest.mark.parametrize("n", range(4))
def test_set(n):
    with open(os.environ["SAID"], "a") as stream:
        stream.write(f"{n} {ORDER}\\n")
"""


def _journals(root: Path) -> list[Path]:
    """The journals of the latest run's processes that ran tests."""
    return [
        path for path in sorted((root / "ci-artifacts/latest").resolve().glob("journal-*.jsonl")) if "controller" not in path.name
    ]


def _started(journal: Path) -> tuple[WorkerStarted, tuple[str, ...]]:
    events = list(parse_journal(journal.read_text(encoding="utf-8")))
    (start,) = [event for event in events if isinstance(event, WorkerStarted)]
    return start, tuple(event.test_id for event in events if isinstance(event, TestStarted))


@pytest.mark.parametrize("how", [("--workers", "1"), ("--workers", "2"), ("--shard", "1/2", "--workers", "1")], ids=" ".join)
def test_a_repetition_has_the_order_of_sets(root: Path, randomly: Path, how: tuple[str, ...]) -> None:
    """Of a worker of a run, of pytest-xdist's and of a shard's: tests, seeds, and the order of a set of texts in the process."""
    (root / "test_set.py").write_text(SETS, encoding="utf-8")
    first = _ci_tools(root, randomly, "run", *how)
    journal = next(path for path in _journals(root) if "main" in path.name or "gw" in path.name)
    start, order = _started(journal)
    assert start.hash_seed.isdigit()
    again = _ci_tools(root, randomly, "run", "--replay", str(journal))
    (repeated,) = _journals(root)
    then, order_then = _started(repeated)
    assert (then.hash_seed, then.seed, order_then) == (start.hash_seed, start.seed, order)
    assert set(again) <= set(first)


def test_a_conftest_that_reorders_does_not_disturb_a_repetition(root: Path, randomly: Path) -> None:
    """A hook that shuffles by the clock is overruled when an order is repeated."""
    (root / "conftest.py").write_text(
        "import random\n\n\ndef pytest_collection_modifyitems(items):\n    random.SystemRandom().shuffle(items)\n",
        encoding="utf-8",
    )
    _ci_tools(root, randomly, "run", "--workers", "1")
    (journal,) = _journals(root)
    _, order = _started(journal)
    _ci_tools(root, randomly, "run", "--replay", str(journal.parent))  # a folder with one journal is as good
    (repeated,) = _journals(root)
    assert _started(repeated)[1] == order


def test_a_folder_with_several_journals_is_asked_about(root: Path, randomly: Path) -> None:
    """Of a run with two workers one has to be chosen: both are named with how many tests they ran."""
    _ci_tools(root, randomly, "run", "--workers", "2")
    folder = (root / "ci-artifacts/latest").resolve()
    with pytest.raises(UsageError, match="holds 2 journals of workers that ran tests, expected one") as asked:
        load_recording(folder)
    assert all(str(journal) in str(asked.value) for journal in _journals(root))
