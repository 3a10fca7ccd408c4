"""What is in the repository: text of a size to read, no secret, no path of a machine, nothing that a workflow forgives."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
MOST_BYTES = 400_000
_BINARY_NAMES = (".exe", ".dll", ".so", ".dylib", ".zip", ".gz", ".xz", ".whl", ".jar", ".pyc", ".rdb", ".sqlite", ".db", ".msi")
# Put together here, so that this file does not hold what it looks for.
_MACHINE = re.compile(r"(?<![\w.}>])/(?:" + "|".join(("ro" + "ot", "wo" + "rk")) + r")/[\w.]|" + "/tmp/" + r"venv\b")  # noqa: S108 - a word to look for
_HOSTS = re.compile(
    "|".join(
        re.escape(".".join(parts))
        for parts in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("deb", "debian", "org"))
    )
)
_SECRET_FORMS = (
    r"AKIA[0-9A-Z]{16}",
    r"gh[pousr]_[A-Za-z0-9]{36}",
    r"github_pat_[A-Za-z0-9_]{40}",
    r"xox[abprs]-[A-Za-z0-9-]{20}",
    r"sk-[A-Za-z0-9]{32}",
    r"-----BEGIN (?:RSA |EC |OPENSSH )?PRIVATE KEY-----",
    r"eyJ[A-Za-z0-9_-]{20,}\.eyJ[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}",
)
_SECRETS = re.compile("|".join(_SECRET_FORMS))
_RECORDED = re.compile(r"tests/unit/reports/held_out_causes_\d+(?:_again)?\.tar\.xz")
"""Reports of real runs as they were written, with the paths of where they ran: nobody reads or changes them line by line."""


def find_faults(files: Mapping[str, bytes]) -> list[str]:
    """Breaches as sentences with path and line; ``files`` is path → content."""
    found: list[str] = []
    for name, data in files.items():
        if len(data) > MOST_BYTES:
            found.append(f"{name} has {len(data)} bytes, at most {MOST_BYTES} are read by anybody")
        if _RECORDED.fullmatch(name):
            continue
        if name.endswith(_BINARY_NAMES) or b"\0" in data:
            found.append(f"{name} is binary: it belongs into a cache or a release")
            continue
        for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), start=1):
            for what, pattern in (("a path of a machine", _MACHINE), ("a registry's host", _HOSTS), ("a secret", _SECRETS)):
                if pattern.search(line):
                    found.append(f"{name}:{number}: {what}")
    return [*found, *_workflow_faults(files)]


def _workflow_faults(files: Mapping[str, bytes]) -> list[str]:
    """A step that may not fail shows nothing, and a local action that is not there fails on GitHub only."""
    found = []
    for name, data in files.items():
        if not name.startswith(".github/") or not name.endswith((".yml", ".yaml")):
            continue
        text = data.decode("utf-8")
        if re.search(r"\|\|\s*(true|:)(\s|$)", text):
            found.append(f"{name}: a step forgives its own failure with `||`")
        for used in re.findall(r"^[ -]*uses: [.$]/(\S+)", text, re.MULTILINE):
            target = used.partition("@")[0]
            if not {target, f"{target}/action.yml"} & set(files):
                found.append(f"{name}: uses {used}, which is not in the repository")
    return found


def _files() -> dict[str, bytes]:
    listed = subprocess.run(["git", "-C", str(PROJECT), "ls-files", "-z"], capture_output=True, check=True, timeout=30)
    names = [name for name in listed.stdout.decode().split("\0") if name]
    return {name: (PROJECT / name).read_bytes() for name in names if (PROJECT / name).is_file()}


@pytest.mark.skipif(not (PROJECT / ".git").exists(), reason="no checkout: nothing says which files belong to it")
def test_the_repository_holds_nothing_that_it_should_not() -> None:
    """No binary, no file above 400 kB, no secret, no path of a machine, no registry's host, no forgiven step."""
    files = _files()
    assert len(files) > 100
    assert find_faults(files) == []


FAULTS = {
    "binary": ("cache/redis-server", b"\x7fELF\0\0", "binary"),
    "zip": ("cache/redis.zip", b"PK", "binary"),
    "large": ("docs/all.md", b"a\n" * 250_000, "bytes"),
    "path": ("docs/x.md", b"see /" + b"root/notes.txt\n", "docs/x.md:1: a path of a machine"),
    "environment": ("docs/x.md", b"\nrun /tmp/" + b"venv/bin/python\n", "docs/x.md:2: a path of a machine"),
    "host": ("requirements/x.txt", b"--index-url https://pypi." + b"org/simple\n", "a registry's host"),
    "token": (".env.test", b"TOKEN=gh" + b"p_" + b"a1B2" * 9 + b"\n", "a secret"),
    "key": ("tests/key.pem", b"-----BEGIN " + b"PRIVATE KEY-----\n", "a secret"),
    "forgiven": (".github/workflows/x.yml", b"      - run: make test |" + b"| true\n", "forgives"),
    "missing action": (".github/workflows/x.yml", b"      - uses: ./.github/actions/gone\n", "not in the repository"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault: str) -> None:
    """One file that does not belong is one sentence."""
    name, data, said = FAULTS[fault]
    found = find_faults({name: data})
    assert (len(found), said in found[0]) == (1, True), found


def test_paths_of_runners_and_of_code_are_no_paths_of_a_machine() -> None:
    """GitHub's own folders, URLs and relative paths are left alone."""
    text = b"/home/runner/" + b"work/p/tests/a.py https://x.example/ro" + b"ot/y ./wo" + b"rk/z\n"
    assert find_faults({"docs/x.md": text}) == []


CHECKS = PROJECT / "docs/design/checks.md"
PLATFORM = "examples/agent_platform/tests/integration"


def find_unshown(page: str) -> list[str]:
    """Rows that are missing, say nothing, or name a test that is not there."""
    rows = {
        int(cells[0]): cells[2]
        for line in page.splitlines()
        if len(cells := re.findall(r"[^|]+", line)) == 3 and cells[0].strip().isdigit()
    }
    found = [f"row {number} is missing" for number in range(1, 76) if number not in rows]
    for number, shown in rows.items():
        if not re.search(r"::|\*\*open\*\*|as rows? \d", shown):
            found.append(f"row {number} is shown by nothing")
        for file, test in re.findall(r"`([\w/.]+\.py)::(\w+)`", shown):
            path = PROJECT / (file if "/" in file else f"{PLATFORM}/{file}")
            if not path.is_file() or f"def {test}(" not in path.read_text(encoding="utf-8"):
                found.append(f"row {number}: {file}::{test} is not there")
    return found


def test_every_row_of_the_checks_names_real_tests() -> None:
    """docs/design/checks.md has rows 1 to 75, and each names a test that exists, another row, or what is open."""
    assert find_unshown(CHECKS.read_text(encoding="utf-8")) == []


def test_a_row_that_lies_is_found() -> None:
    """A test that is not there, an empty row and a missing one are each a sentence."""
    page = CHECKS.read_text(encoding="utf-8").replace("::test_link_3_redis`", "::test_link_3_gone`")
    page = re.sub(r"(?m)^\| 74 .*$", "| 74 | a verdict holds | somehow |", page)
    page = re.sub(r"(?m)^\| 75 .*$", "", page)
    expected = [
        "row 75 is missing",
        "row 14: tests/integration/test_doctor.py::test_link_3_gone is not there",
        "row 74 is shown by nothing",
    ]
    assert find_unshown(page) == expected
