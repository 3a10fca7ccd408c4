"""The examples for other CI systems: their own command lines, run in the order and with the variables of each system.

The systems themselves are not here (simulated): what is tried is that plan, four shards and gate, exactly as written,
make a verdict out of those variables.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "guide" / "ci"
PROJECT = '[project]\nname = "stranger"\nversion = "1"\n\n[tool.ci-tools]\ntests = ["tests"]\n'
TEST = 'import os\n\n\ndef test_it() -> None:\n    assert os.environ.get("BREAK") != "{name}"\n'


@dataclass(frozen=True, slots=True)
class System:
    """How one system starts the i-th (from 1) of N jobs, and where in its file the ``ci-tools`` lines of each job stand."""

    file: str
    variables: Callable[[int, int], dict[str, str]]

    def lines(self, job: str) -> list[str]:
        """The ``ci-tools`` command lines of a job."""
        tree = yaml.safe_load((FOLDER / self.file).read_text(encoding="utf-8"))
        jobs = tree.get("jobs", tree.get("steps", tree))
        found = jobs[job] if isinstance(jobs, dict) else next(one for one in jobs if job in {one.get("job"), one.get("key")})
        return [text for text in _texts(found) if text.startswith("ci-tools ")]

    @property
    def run_id(self) -> str:
        """What the example makes of its system's number of the run, 7: every job of one run says the same."""
        text = (FOLDER / self.file).read_text(encoding="utf-8")
        (value,) = re.findall(r"""CI_TOOLS_RUN_ID: (?:"(.+?)"|([^"\s]+))""", text)
        return re.sub(r"\$\(.+?\)|\$\{.+?\}|\$\w+|<<.+?>>", "7", value[0] or value[1])

    @property
    def count(self) -> int:
        """How many jobs the example starts for the shards."""
        text = (FOLDER / self.file).read_text(encoding="utf-8")
        (number,) = (line.split(":")[1].split("#")[0] for line in text.splitlines() if line.strip().startswith("parallel"))
        return int(number.strip(' "'))


SYSTEMS = {
    "GitLab": System("gitlab-ci.yml", lambda i, n: {"GITLAB_CI": "true", "CI_NODE_INDEX": f"{i}", "CI_NODE_TOTAL": f"{n}"}),
    "CircleCI": System("circleci.yml", lambda i, n: {"CIRCLE_NODE_INDEX": f"{i - 1}", "CIRCLE_NODE_TOTAL": f"{n}"}),
    "Buildkite": System(
        "buildkite.yml", lambda i, n: {"BUILDKITE_PARALLEL_JOB": f"{i - 1}", "BUILDKITE_PARALLEL_JOB_COUNT": f"{n}"}
    ),
    "Azure Pipelines": System(
        "azure-pipelines.yml", lambda i, n: {"SYSTEM_JOBPOSITIONINPHASE": f"{i}", "SYSTEM_TOTALJOBSINPHASE": f"{n}"}
    ),
}


def _texts(tree: object) -> Iterator[str]:
    """Every text below a part of a YAML file, in order."""
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, dict):
        for value in tree.values():
            yield from _texts(value)
    elif isinstance(tree, list):
        for item in tree:
            yield from _texts(item)


def run(folder: Path, lines: list[str], run_id: str, **variables: str) -> int:
    """Run the lines of a job as its system does; the exit code of the first that fails."""
    foreign = ("GITHUB_", "CI_", "GITLAB", "CIRCLE", "BUILDKITE", "SYSTEM_")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    environ |= {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "CI_TOOLS_RUN_ID": run_id}
    environ |= {"PIPELINE_WORKSPACE": str(folder), **variables}
    assert lines
    script = "\n".join(lines)
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=folder, env=environ, check=False, capture_output=True, timeout=120
    ).returncode


def pipeline(system: System, folder: Path, **variables: str) -> list[int]:
    """Plan, every shard and the gate; their exit codes."""
    (folder / "tests").mkdir()
    (folder / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    for name in "abcd":
        (folder / f"tests/test_{name}.py").write_text(TEST.format(name=name), encoding="utf-8")
    shards = [system.variables(index, system.count) for index in range(1, system.count + 1)]
    return [
        run(folder, system.lines("plan"), system.run_id, **variables),
        *(run(folder, system.lines("shard"), system.run_id, **shard, **variables) for shard in shards),
        run(folder, system.lines("gate"), system.run_id, **variables),
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="the examples are for Linux jobs")
@pytest.mark.timeout(180)
def test_an_example_makes_a_verdict(tmp_path: Path) -> None:
    """GitLab's plan, four shards and gate, each in a process of its own, end with a passed verdict."""
    assert pipeline(SYSTEMS["GitLab"], tmp_path) == [0] * 6


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the examples are for Linux jobs")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", SYSTEMS)
def test_an_example_goes_red_with_its_shard(name: str, tmp_path: Path) -> None:
    """On every system one failing test makes one shard and the gate red; the other three shards stay green."""
    plan, *shards, gate = pipeline(SYSTEMS[name], tmp_path, BREAK="c")
    assert (plan, sorted(shards), gate) == (0, [0, 0, 0, 10], 10)


def test_the_run_has_its_systems_number() -> None:
    """Each example names the run by a variable of its system, so that shards of one run know each other."""
    assert {name: system.run_id for name, system in SYSTEMS.items()} == {
        "GitLab": "7",
        "CircleCI": "7",
        "Buildkite": "build-7",
        "Azure Pipelines": "7",
    }


def test_every_example_is_tried() -> None:
    """No file lies in the folder that no test runs."""
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(system.file for system in SYSTEMS.values())
