"""The privileged half of a pull request's report: its script against a GitHub on this machine, with planted artifacts."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from github_server import REPOSITORY, TOKEN, GitHubServer, zipped

SCRIPT = Path(__file__).resolve().parents[2] / ".github/actions/comment/comment.py"
HEAD = "a" * 40
PROJECT = '[project]\nname = "stranger"\nversion = "1"\n\n[tool.ci-tools]\ntests = ["tests"]\n'
PASSING = "def test_one() -> None:\n    pass\n\n\ndef test_two() -> None:\n    pass\n"
FAILING = 'def test_bad() -> None:\n    raise AssertionError("@everyone see #1 <img src=x> https://evil.example | `x`")\n'


@pytest.fixture(name="run", scope="module")
def _run(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """The artifacts of a real run of two shards, one of them red: name to files."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "tests").mkdir()
    (folder / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    (folder / "tests/test_a.py").write_text(PASSING, encoding="utf-8")
    (folder / "tests/test_b.py").write_text(FAILING, encoding="utf-8")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "CI"))} | {
        "CI_TOOLS_RUN_ID": "r1"
    }
    tool = [sys.executable, "-m", "ci_tools"]
    subprocess.run(
        [*tool, "plan", "--shards", "2", "--output", "plan/plan.json"],
        cwd=folder,
        env=environ,
        check=True,
        capture_output=True,
        timeout=60,
    )
    for shard in ("1/2", "2/2"):
        command = [*tool, "run", "--plan", "plan/plan.json", "--shard", shard, "--artifacts", "out"]
        subprocess.run(command, cwd=folder, env=environ, check=False, capture_output=True, timeout=60)
    artifacts = {"integration-plan": {"plan.json": (folder / "plan/plan.json").read_bytes()}}
    for number in (1, 2):
        files = (folder / f"out/r1-shard-{number}-of-2").rglob("*")
        kept = {path.relative_to(folder / "out").as_posix(): path.read_bytes() for path in files if path.is_file()}
        artifacts[f"integration-shard-ubuntu-24.04-py3.13-{number}-of-2"] = kept
    return artifacts


@pytest.fixture(name="server")
def _server(run: dict[str, dict[str, bytes]]) -> Iterator[GitHubServer]:
    server = GitHubServer()
    server.state.pulls = {7: HEAD}
    server.state.artifacts = [(number, name, zipped(files)) for number, (name, files) in enumerate(run.items(), start=1)]
    yield server
    server.shutdown()
    server.server_close()


def comment(server: GitHubServer, folder: Path, **inputs: str) -> subprocess.CompletedProcess[str]:
    """Run the action's script as the job does."""
    (folder / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    given = {
        "TOKEN": TOKEN,
        "RUN_ID": "99",
        "HEAD_SHA": HEAD,
        "ARTIFACT_PREFIX": "integration",
        "PROJECT": ".",
        "PROFILE": "",
        "KEY": "ci",
    }
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GITHUB_")}
    environ |= {f"INPUT_{name}": value for name, value in (given | inputs).items()}
    environ |= {
        "GITHUB_API_URL": server.url,
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_OUTPUT": str(folder / "output"),
        "NO_PROXY": "127.0.0.1",
    }
    done = subprocess.run(
        [sys.executable, SCRIPT], env=environ, cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )
    assert TOKEN not in done.stdout + done.stderr
    return done


def bodies(server: GitHubServer) -> dict[int, list[str]]:
    """Every comment by the number of its pull request."""
    return {number: [one["body"] for one in comments] for number, comments in server.state.comments.items()}


def replant(server: GitHubServer, name: str, files: Mapping[str, bytes]) -> None:
    """Put other files under the name of an artifact."""
    server.state.artifacts = [
        (id_, known, zipped(files) if known == name else data) for id_, known, data in server.state.artifacts
    ]


def test_the_pull_request_with_this_head_gets_one_comment(server: GitHubServer, tmp_path: Path) -> None:
    """The verdict is judged anew from the shards, and the second run replaces the first comment."""
    server.state.pulls = {7: HEAD, 8: "b" * 40}
    assert comment(server, tmp_path).returncode == 0
    assert comment(server, tmp_path).returncode == 0
    assert list(bodies(server)) == [7]
    (body,) = bodies(server)[7]
    assert body.startswith("<!-- ci-tools:summary key=ci -->\n# ❌ FAIL 2/3 passed")
    assert "tests/test_b.py::test_bad" in body
    assert (tmp_path / "output").read_text(encoding="utf-8").count("comments<<") == 2


def test_the_token_goes_to_github_alone(server: GitHubServer, tmp_path: Path) -> None:
    """The storage behind the interface is asked without it."""
    comment(server, tmp_path)
    told = {path.startswith("/storage/"): token for _, path, token in server.state.requests}
    assert told == {True: "", False: f"Bearer {TOKEN}"}


def test_what_tests_said_mentions_nobody(server: GitHubServer, tmp_path: Path) -> None:
    """The message of the failing test stands in code only."""
    comment(server, tmp_path)
    (body,) = bodies(server)[7]
    outside = []
    is_inside = False
    for line in body.splitlines():
        if line.startswith("```"):
            is_inside = not is_inside
        elif not is_inside:
            outside.append(line)
    stripped = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)|<code>.*?</code>", "", "\n".join(outside))
    assert "everyone" not in stripped
    assert "<img" not in stripped
    assert "evil" not in stripped


def test_a_forged_verdict_is_not_read(server: GitHubServer, tmp_path: Path, run: dict[str, dict[str, bytes]]) -> None:
    """A green verdict beside the red shards, and an artifact that claims to be the verdict, change nothing."""
    forged = json.dumps({"decision": "passed", "exit_code": 0, "headline": "PASS 9/9 passed", "rules": []}).encode()
    name = "integration-shard-ubuntu-24.04-py3.13-2-of-2"
    replant(server, name, run[name] | {"verdict.json": forged, "summary.md": b"# PASS", "pull-request": b"1"})
    server.state.artifacts.append((50, "integration-verdict-ubuntu-24.04-py3.13", zipped({"verdict.json": forged})))
    comment(server, tmp_path)
    assert list(bodies(server)) == [7]
    assert "# ❌ FAIL 2/3 passed" in bodies(server)[7][0]


def test_a_missing_shard_is_not_green(server: GitHubServer, tmp_path: Path) -> None:
    """With the red shard left out the verdict is incomplete: the plan knows what was promised."""
    server.state.artifacts = [one for one in server.state.artifacts if not one[1].endswith("2-of-2")]
    comment(server, tmp_path)
    assert "1 of 2 shards missing" in bodies(server)[7][0].splitlines()[1]


PLANTED = {
    "a climbing name": {"../../../evil.py": b"x"},
    "an absolute name": {"/tmp/evil.py": b"x"},  # noqa: S108 - it must not be written
    "too many files": {f"{number}": b"" for number in range(6_000)},
    "a bomb": {"shard-1-of-2.json": b"\0" * 60_000_000},
}


@pytest.mark.parametrize("files", PLANTED.values(), ids=PLANTED)
def test_a_hostile_archive_is_refused_and_said(server: GitHubServer, tmp_path: Path, files: dict[str, bytes]) -> None:
    """The comment says that the artifacts were refused; nothing is written outside, and no verdict is given."""
    replant(server, "integration-shard-ubuntu-24.04-py3.13-2-of-2", files)
    done = comment(server, tmp_path)
    assert done.returncode == 0, done.stderr
    assert bodies(server)[7][0].splitlines()[1] == "# 💥 No verdict: the run's artifacts were refused"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["output", "pyproject.toml"]


@pytest.mark.parametrize("name", ["integration-shard-..-1-of-2", "integration-shard-/etc-1-of-2", "integration-shard-a b-1-of-2"])
def test_a_name_that_is_no_cell_is_no_shard(server: GitHubServer, tmp_path: Path, name: str) -> None:
    """An artifact's name becomes a path only where it is a plain one."""
    server.state.artifacts = [one if number != 1 else (one[0], name, one[2]) for number, one in enumerate(server.state.artifacts)]
    comment(server, tmp_path)
    assert "1 of 2 shards missing" in bodies(server)[7][0].splitlines()[1]


def test_too_much_is_not_even_fetched(server: GitHubServer, tmp_path: Path) -> None:
    """Sizes that nobody would believe are refused before a byte is downloaded."""
    server.state.claimed_size = 200_000_000
    comment(server, tmp_path)
    assert "more than can be believed" in bodies(server)[7][0]
    assert [path for _, path, _ in server.state.requests if "storage" in path] == []


def test_nonsense_in_the_reports_is_no_verdict(server: GitHubServer, tmp_path: Path) -> None:
    """A plan and a report that are no JSON of ours give no green comment."""
    replant(server, "integration-shard-ubuntu-24.04-py3.13-2-of-2", {"r/shard-2-of-2.json": b'{"shard": ["2/2"]}'})
    comment(server, tmp_path)
    assert "✅" not in bodies(server)[7][0]
    replant(server, "integration-plan", {"plan.json": b"[" * 100_000})
    comment(server, tmp_path)
    assert "✅" not in bodies(server)[7][0]


def test_without_a_pull_request_nothing_is_done(server: GitHubServer, tmp_path: Path) -> None:
    """A commit that has been superseded is nobody's head: no artifact is fetched, nothing is written."""
    server.state.pulls = {7: "b" * 40}
    assert comment(server, tmp_path).returncode == 0
    assert server.state.comments == {}
    assert len(server.state.requests) == 1


def test_a_stranger_with_our_marker_is_left_alone(server: GitHubServer, tmp_path: Path) -> None:
    """Only the job's own comment is replaced; a person who copied the marker keeps their text."""
    copied = {"id": 5, "user": {"login": "mallory"}, "body": "<!-- ci-tools:summary key=ci -->\nmine"}
    server.state.comments = {7: [copied]}
    comment(server, tmp_path)
    assert [body.splitlines()[1][:6] for body in bodies(server)[7]] == ["mine", "# ❌ FA"]


@pytest.mark.parametrize("inputs", [{"HEAD_SHA": "../../x"}, {"RUN_ID": "1/../2"}, {"HEAD_SHA": ""}])
def test_a_forged_event_is_refused(server: GitHubServer, tmp_path: Path, inputs: dict[str, str]) -> None:
    """What is no commit and no run is not sent anywhere."""
    done = comment(server, tmp_path, **inputs)
    assert done.returncode == 2
    assert server.state.requests == []


@pytest.mark.parametrize("code", [401, 403, 500])
def test_a_refusal_of_github_is_an_error_with_a_remedy(server: GitHubServer, tmp_path: Path, code: int) -> None:
    """The permissions that are needed are named; the token is not."""
    server.state.refuses = code
    done = comment(server, tmp_path)
    assert done.returncode == 2
    assert f"GitHub answered {code}" in done.stderr
    assert "pull-requests: write" in done.stderr
