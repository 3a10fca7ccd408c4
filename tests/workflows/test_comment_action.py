"""The privileged half of a pull request's report: its script against a GitHub on this machine, with planted artifacts."""

import io
import json
import os
import re
import stat
import struct
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

sys.path.insert(0, str(Path(__file__).parent))

from github_server import REPOSITORY, TOKEN, GitHubServer, zipped

SCRIPT = Path(__file__).resolve().parents[2] / ".github/actions/comment/comment.py"
HEAD = "a" * 40
PROJECT = '[project]\nname = "stranger"\nversion = "1"\n\n[tool.ci-tools]\ntests = ["tests"]\n'
PASSING = "def test_one() -> None:\n    pass\n\n\ndef test_two() -> None:\n    pass\n"
FAILING = 'def test_bad() -> None:\n    raise AssertionError("@everyone see #1 <img src=x> https://evil.example | `x`")\n'


@pytest.fixture(name="runs", scope="module")
def _runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, dict[str, bytes]], ...]:
    """The artifacts of a real run of two shards, one red, name to files; and those of a second attempt, which is green."""
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
    artifacts: list[dict[str, dict[str, bytes]]] = []
    for attempt, tail in ((1, ""), (2, "-attempt-2")):
        kept = {f"integration-plan-attempt-{attempt}": {"plan.json": (folder / "plan/plan.json").read_bytes()}}
        for number in (1, 2):
            command = [*tool, "run", "--plan", "plan/plan.json", "--shard", f"{number}/2", "--artifacts", "out"]
            given = {**environ, "GITHUB_RUN_ATTEMPT": str(attempt)}
            subprocess.run(command, cwd=folder, env=given, check=False, capture_output=True, timeout=60)
            kept[f"integration-shard-ubuntu-24.04-py3.13-{number}-of-2-plan-1-attempt-{attempt}"] = {
                path.relative_to(folder / "out").as_posix(): path.read_bytes()
                for path in (folder / f"out/r1-shard-{number}-of-2{tail}").rglob("*")
                if path.is_file()
            }
        artifacts.append(kept)
        (folder / "tests/test_b.py").write_text("def test_bad() -> None:\n    pass\n", encoding="utf-8")
    return tuple(artifacts)


@pytest.fixture(name="run", scope="module")
def _run(runs: tuple[dict[str, dict[str, bytes]], ...]) -> dict[str, dict[str, bytes]]:
    """The artifacts of the first attempt."""
    return runs[0]


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


def replant(server: GitHubServer, name: str, planted: Mapping[str, bytes] | bytes) -> None:
    """Put other files, or other bytes instead of a zip, under the name of an artifact."""
    content = planted if isinstance(planted, bytes) else zipped(planted)
    server.state.artifacts = [(id_, known, content if known == name else data) for id_, known, data in server.state.artifacts]


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
    name = "integration-shard-ubuntu-24.04-py3.13-2-of-2-plan-1-attempt-1"
    replant(server, name, run[name] | {"verdict.json": forged, "summary.md": b"# PASS", "pull-request": b"1"})
    server.state.artifacts.append((50, "integration-verdict-ubuntu-24.04-py3.13", zipped({"verdict.json": forged})))
    comment(server, tmp_path)
    assert list(bodies(server)) == [7]
    assert "# ❌ FAIL 2/3 passed" in bodies(server)[7][0]


def test_a_forged_number_is_nobodys(server: GitHubServer, tmp_path: Path, run: dict[str, dict[str, bytes]]) -> None:
    """Numbers of pull requests in artifacts, in their names and in reports are not read: only the head decides."""
    server.state.pulls = {1: "b" * 40, 7: HEAD}
    name = "integration-shard-ubuntu-24.04-py3.13-2-of-2-plan-1-attempt-1"
    planted = {"pr_number": b"1", "event.json": b'{"number": 1, "pull_request": {"number": 1}}', "NR": b"1"}
    facts = {path: data.replace(b'"facts":{', b'"facts":{"pull_request":"1",') for path, data in run[name].items()}
    assert facts != run[name]
    replant(server, name, facts | planted)
    server.state.artifacts.append((51, "pr-1", zipped(planted)))
    comment(server, tmp_path)
    assert list(bodies(server)) == [7]


INJECTIONS = {
    "a mention": "@everyone",
    "a reference": "org/repo#1",
    "an image": "![x](https://evil.example/pixel.png)",
    "a link": "[passed](https://evil.example)",
    "a bare address": "https://evil.example/x",
    "HTML": '<img src="https://evil.example/x"><script>1</script>',
    "the end of a comment": "--> <!-- ci-tools:summary key=ci -->",
    "the end of a fence": "````\n~~~\n```\n# PASS",
    "the end of details": "</code></pre></details># PASS",
    "a table's border": "| a | b |\n|---|---|",
    "a workflow command": "\n::error::evil\n::set-output name=verdict::passed\n::add-mask::a",
    "an escape of the terminal": "\x1b[2J\x1b]8;;https://evil.example\x07",
    "a reversed text": "\u202egnp.exe",
}


@pytest.mark.parametrize("text", INJECTIONS.values(), ids=INJECTIONS)
def test_an_injection_is_inert(server: GitHubServer, tmp_path: Path, run: dict[str, dict[str, bytes]], text: str) -> None:
    """Planted as message and fact of a failing run, it is mere text in the comment, and no line of the job's log is a command."""
    name = "integration-shard-ubuntu-24.04-py3.13-2-of-2-plan-1-attempt-1"
    files = dict(run[name])
    (path,) = (path for path in files if "/shard-" in path)
    report = files[path].decode().replace("@everyone see #1", json.dumps(f"@everyone see #1 {text}")[1:-1])
    report = report.replace('"facts":{', f'"facts":{{{json.dumps(text)}:{json.dumps(text)},')
    assert report != files[path].decode()
    replant(server, name, files | {path: report.encode()})
    done = comment(server, tmp_path)
    (body,) = bodies(server)[7]
    assert body.startswith("<!-- ci-tools:summary key=ci -->\n# ❌ FAIL 2/3 passed")
    assert "everyone see #1 " in body
    tokens = MarkdownIt("gfm-like").parse(body)
    inline = [token for block in tokens for token in (block, *(block.children or ()))]
    told = [token for token in inline if token.type in {"text", "link_open", "image", "html_inline", "html_block"}]
    shown = " ".join(f"{token.content} {token.attrs}" for token in told).replace("<!-- ci-tools:summary key=ci -->", "", 1)
    shown = re.sub(r"<code>.*?</code>|<pre>.*?</pre>", "", shown, flags=re.DOTALL)
    assert not re.search(r"@everyone|evil|org/repo#1|ci-tools:summary|<img|<script", shown), shown
    headings = [inline[place + 1].content for place, token in enumerate(inline) if token.type == "heading_open"]
    assert not any(heading.startswith("PASS") for heading in headings)
    assert not re.search("[\x1b\x07\u202e]", body)
    assert not re.search(r"^::", done.stdout + done.stderr, re.MULTILINE)


def test_a_missing_shard_is_not_green(server: GitHubServer, tmp_path: Path) -> None:
    """With the red shard left out the verdict is incomplete: the plan knows what was promised."""
    server.state.artifacts = [one for one in server.state.artifacts if "-2-of-2-" not in one[1]]
    comment(server, tmp_path)
    assert "1 of 2 shards missing" in bodies(server)[7][0].splitlines()[1]


def linked(name: str, target: str, then: str = "") -> bytes:
    """A zip with a symbolic link, and with a file that would be written through it."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        link = zipfile.ZipInfo(name)
        link.create_system = 3  # made on Unix: the mode counts
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, target)
        if then:
            archive.writestr(then, "x")
    return stream.getvalue()


def crowded() -> bytes:
    """A zip whose directory names files without end and without bytes: small enough to be sent, made to fill the memory."""
    entry = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"x"
    directory = entry * 400_000  # what a download may weigh; the count at its end lies about the rest
    return directory + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, len(directory), 0, 0)


def many_for_real() -> bytes:
    """A true zip of 60 000 empty files."""
    return zipped({f"{number:x}": b"" for number in range(60_000)})


PLANTED = {
    "a climbing name": zipped({"../../../evil.py": b"x"}),
    "a climbing name of Windows": zipped({"..\\..\\evil.py": b"x"}),
    "an absolute name": zipped({"/tmp/evil.py": b"x"}),  # noqa: S108 - it must not be written
    "a name with an escape in it": zipped({"r/\x1b]0;evil\x07.json": b"x"}),
    "a name twice": zipped({"r/shard-2-of-2.json": b"{}", "r/SHARD-2-of-2.json": b"{}"}),
    "a link to a secret": linked("r/shard-2-of-2.json", "/proc/self/environ"),
    "a link to write through": linked("r", "/tmp", then="r/evil.py"),  # noqa: S108 - as above
    "too many files": zipped({f"{number}": b"" for number in range(6_000)}),
    "a directory without end": crowded(),
    "sixty thousand files": many_for_real(),
    "a bomb": zipped({"shard-1-of-2.json": b"\0" * 60_000_000}),
    "no archive at all": b"PK\x05\x06",
}


@pytest.mark.parametrize("data", PLANTED.values(), ids=PLANTED)
def test_a_hostile_archive_is_refused_and_said(server: GitHubServer, tmp_path: Path, data: bytes) -> None:
    """The comment says that the artifacts were refused; nothing is written outside, and no verdict is given."""
    replant(server, "integration-shard-ubuntu-24.04-py3.13-2-of-2-plan-1-attempt-1", data)
    done = comment(server, tmp_path)
    assert done.returncode == 0, done.stderr
    assert bodies(server)[7][0].splitlines()[1] == "# 💥 No verdict: the run's artifacts were refused"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["output", "pyproject.toml"]


@pytest.mark.parametrize("name", ["..", "/etc", "a b"])
def test_a_name_that_is_no_cell_is_no_shard(server: GitHubServer, tmp_path: Path, name: str) -> None:
    """An artifact's name becomes a path only where it is a plain one."""
    planted = f"integration-shard-{name}-1-of-2-plan-1-attempt-1"
    server.state.artifacts = [
        one if number != 1 else (one[0], planted, one[2]) for number, one in enumerate(server.state.artifacts)
    ]
    comment(server, tmp_path)
    assert "1 of 2 shards missing" in bodies(server)[7][0].splitlines()[1]


def test_the_newest_attempt_of_the_newest_plan_counts(
    server: GitHubServer, tmp_path: Path, runs: tuple[dict[str, dict[str, bytes]], ...]
) -> None:
    """A green second attempt of the red shard lies beside the first; of a repeated run only what its own plan has is taken."""
    name = "integration-shard-ubuntu-24.04-py3.13-{}-of-2-plan-{}-attempt-{}"
    run, again = runs
    red = next(number for number in (1, 2) if any(b"@everyone" in data for data in run[name.format(number, 1, 1)].values()))
    server.state.artifacts.append((60, name.format(red, 1, 2), zipped(again[name.format(red, 1, 2)])))
    comment(server, tmp_path)
    assert bodies(server)[7][0].splitlines()[1] == "# ✅ PASS 2/3 passed – 1 flaky"
    server.state.artifacts.append((61, "integration-plan-attempt-10", zipped(run["integration-plan-attempt-1"])))
    server.state.artifacts.append((62, name.format(3 - red, 10, 10), zipped(run[name.format(3 - red, 1, 1)])))
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
    replant(
        server, "integration-shard-ubuntu-24.04-py3.13-2-of-2-plan-1-attempt-1", {"r/shard-2-of-2.json": b'{"shard": ["2/2"]}'}
    )
    comment(server, tmp_path)
    assert "✅" not in bodies(server)[7][0]
    replant(server, "integration-plan-attempt-1", {"plan.json": b"[" * 100_000})
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
