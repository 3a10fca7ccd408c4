"""``ci-tools release check`` on a real wheel, tested by a real run: one way through, one test for each refusal."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
SYSTEM = {"darwin": "macos", "win32": "windows"}.get(sys.platform, "linux")
OTHER_SYSTEM = "windows" if SYSTEM == "linux" else "linux"
TIMEOUT_S = 120

FILES = {
    "pyproject.toml": """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "tiny"
version = "1.0"
requires-python = ">=3.11"
[tool.ci-tools]
tests = ["tests"]
workers = 1
""",
    "src/tiny/__init__.py": "def double(number: int) -> int:\n    return 2 * number\n",
    "tests/test_tiny.py": """
import os
import tiny

def test_double():
    assert tiny.double(2) == int(os.environ.get("EXPECTED", "4"))

def test_zero():
    assert tiny.double(0) == 0
""",
    ".gitignore": "ci-artifacts/\ndist/\nsite/\n",
}
QUARANTINE = """
[[tool.ci-tools.gate.quarantine]]
test = "tests/test_tiny.py::test_old"
signature = "sig-v1:0123456789ab"
owner = "ann"
reason = "race"
issue = "#1"
expires = "2999-01-01"
[tool.ci-tools.gate.release]
quarantine-cap = 1
"""


class Checkout(NamedTuple):
    """A repository with a built wheel that is installed in ``site``."""

    root: Path

    @property
    def wheel(self) -> Path:
        """What was built."""
        return self.root / "dist" / "tiny-1.0-py3-none-any.whl"

    @property
    def latest(self) -> Path:
        """Folder of the latest run."""
        return (self.root / "ci-artifacts" / "latest").resolve()

    def tools(self, *arguments: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
        """One ci-tools command in the checkout."""
        mine = ("CI_TOOLS_", "PYTEST_", "GITHUB_")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(mine)}
        path = os.pathsep.join(filter(None, [str(self.root / "site"), os.environ.get("PYTHONPATH", "")]))
        # Not `-m ci_tools`: that would put the checkout itself before the installed wheel.
        command = [sys.executable, "-c", "import sys; sys.path.pop(0); from ci_tools.cli import main; sys.exit(main())"]
        return subprocess.run(
            [*command, *map(str, arguments)],
            cwd=self.root,
            env={**inherited, "PYTHONPATH": path, **environ},
            text=True,
            encoding="utf-8",
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )

    def check(self, *more: str | Path, **changes: str | Path) -> tuple[int, list[str], str]:
        """Ask for a release with these options changed; exit code, the checks that refuse, and all that was said."""
        options = {
            "--verdict": self.latest / "verdict.json",
            "--wheel": self.wheel,
            "--systems": SYSTEM,
            "--pythons": PYTHON,
            **{f"--{name}": value for name, value in changes.items()},
        }
        words = [word for pair in options.items() for word in pair]
        done = self.tools("release", "check", *words, *more)
        lines = [line.strip() for line in done.stdout.splitlines()]
        told = done.stdout + done.stderr
        return done.returncode, [line.partition(":")[0] for line in lines[1:]] if done.returncode else [], told


def git(*arguments: str, cwd: Path) -> None:
    """One git command."""
    name = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *name, *arguments], cwd=cwd, check=True, capture_output=True, timeout=60)


def lay_out(root: Path) -> Checkout:
    """A committed project, its wheel built, and the wheel unpacked where Python finds it."""
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    git("init", "-q", cwd=root)
    git("add", "--all", cwd=root)
    git("commit", "-qm", "first", cwd=root)
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel"]
    subprocess.run(build, cwd=root, check=True, capture_output=True, timeout=TIMEOUT_S)
    checkout = Checkout(root)
    with zipfile.ZipFile(checkout.wheel) as wheel:
        wheel.extractall(root / "site")
    return checkout


@pytest.fixture(name="judged", scope="module")
def _judged(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout whose wheel a run has tested; the tests take copies."""
    checkout = lay_out(tmp_path_factory.mktemp("judged"))
    done = checkout.tools("run", "--profile", "release", "--tested", checkout.wheel)
    assert done.returncode == 0, done.stdout + done.stderr
    return checkout


@pytest.fixture(name="checkout")
def _checkout(judged: Checkout, tmp_path: Path) -> Checkout:
    root = tmp_path / "copy"
    shutil.copytree(judged.root, root, symlinks=True)
    link = root / "ci-artifacts" / "latest"
    if link.is_symlink() and link.readlink().is_absolute():
        pytest.fail("latest points into another checkout")
    return Checkout(root)


def test_the_tested_wheel_may_be_released(checkout: Checkout) -> None:
    """The same bytes, commit, system and Python: exit 0, and the digest and the verdict that were checked are named."""
    code, _, told = checkout.check()
    assert code == 0, told
    assert "may go on" in told
    assert "2 tests on " in told


def test_another_wheel_is_refused(checkout: Checkout) -> None:
    """A wheel of the same name whose bytes changed after the test is refused."""
    with zipfile.ZipFile(checkout.wheel, "a") as wheel:
        wheel.writestr("tiny/extra.py", "")
    assert checkout.check()[:2] == (10, ["wheel"])


def test_another_commit_is_refused(checkout: Checkout) -> None:
    """After one more commit the verdict is for another one; the old commit can still be asked for by name."""
    head = ["git", "rev-parse", "HEAD"]
    tested = subprocess.run(head, cwd=checkout.root, check=True, capture_output=True, text=True, timeout=60).stdout.strip()
    git("commit", "-qm", "second", "--allow-empty", cwd=checkout.root)
    assert checkout.check()[:2] == (10, ["commit"])
    assert checkout.check(commit=tested)[0] == 0


def test_tests_that_nobody_committed_are_refused(checkout: Checkout) -> None:
    """A run in a tree with changed files vouches for no commit; a baseline, and what git does not know, are no changes."""
    (checkout.root / "ci-baseline.json").write_text("{}")
    git("add", "ci-baseline.json", cwd=checkout.root)
    path = checkout.root / "tests" / "test_tiny.py"
    path.write_text(path.read_text() + "\n# changed\n")
    (checkout.root / "notes.txt").write_text("untracked")
    (checkout.root / "ci-baseline.json").unlink()
    assert checkout.tools("run", "--profile", "release", "--tested", checkout.wheel).returncode == 0
    code, checks, told = checkout.check()
    assert (code, checks) == (10, ["commit"])
    assert "ran with changes that are in no commit, in 1 file: tests/test_tiny.py" in told


def test_a_stale_verdict_is_refused(checkout: Checkout) -> None:
    """Older than --max-age is too old."""
    assert checkout.check(**{"max-age": "0s"})[:2] == (10, ["age"])


def test_a_missing_system_is_refused(checkout: Checkout) -> None:
    """A required system that no shard ran on is refused."""
    assert checkout.check(systems=f"{SYSTEM},{OTHER_SYSTEM}")[:2] == (10, ["system"])


def test_a_missing_python_is_refused(checkout: Checkout) -> None:
    """A required Python that no shard ran on is refused."""
    assert checkout.check(pythons=f"{PYTHON},3.99")[:2] == (10, ["python"])


def test_a_tampered_report_is_refused(checkout: Checkout) -> None:
    """A digest that was written into a shard's report afterwards is seen: the report is not the one that was judged."""
    with zipfile.ZipFile(checkout.wheel, "a") as wheel:
        wheel.writestr("tiny/extra.py", "")
    report = checkout.latest / "shard-1-of-1.json"
    told = report.read_text(encoding="utf-8")
    before = told[told.index("tested:tiny") :].split('"')[2]
    report.write_text(told.replace(before, "ab" * 32), encoding="utf-8")
    assert checkout.check()[:2] == (10, ["sound", "wheel"])


def test_a_verdict_of_another_profile_is_refused(checkout: Checkout) -> None:
    """The same shards judged with the default profile are no release verdict."""
    output = checkout.root / "gate"
    assert checkout.tools("gate", checkout.latest, "--output", output).returncode == 0
    assert checkout.check(verdict=output / "verdict.json")[:2] == (10, ["profile"])


def test_quarantine_in_use_is_refused(checkout: Checkout) -> None:
    """A release profile that was opened for quarantine passes its gate, and no release."""
    with (checkout.root / "pyproject.toml").open("a", encoding="utf-8") as stream:
        stream.write(QUARANTINE)
    output = checkout.root / "gate"
    judged = checkout.tools("gate", checkout.latest, "--profile", "release", "--output", output)
    assert judged.returncode == 0, judged.stdout
    assert checkout.check(verdict=output / "verdict.json")[:2] == (10, ["quarantine"])


def test_a_profile_that_was_softened_for_the_verdict_is_refused(checkout: Checkout) -> None:
    """A verdict with softer limits than the release profile that stands here is refused, whatever its profile's name."""
    table = checkout.root / "pyproject.toml"
    true = table.read_text(encoding="utf-8")
    table.write_text(f"{true}[tool.ci-tools.gate.release]\nmax-failures = 9\n", encoding="utf-8")
    output = checkout.root / "gate"
    assert checkout.tools("gate", checkout.latest, "--profile", "release", "--output", output).returncode == 0
    table.write_text(true, encoding="utf-8")
    assert checkout.check(verdict=output / "verdict.json")[:2] == (10, ["profile"])


def test_a_failed_verdict_is_refused(checkout: Checkout) -> None:
    """A run that failed on the very wheel refuses its release, and for nothing else."""
    done = checkout.tools("run", "--profile", "release", "--tested", checkout.wheel, EXPECTED="5")
    assert done.returncode == 10, done.stdout
    assert checkout.check()[:2] == (10, ["verdict"])


def test_a_verdict_without_a_plan_is_refused(checkout: Checkout) -> None:
    """JUnit files alone prove neither that all ran nor where nor on which bytes."""
    output = checkout.root / "gate"
    junit = checkout.latest / "junit.xml"
    checkout.tools("gate", "--junit", junit, "--profile", "release", "--output", output)
    code, checks, told = checkout.check(verdict=output / "verdict.json")
    assert (code, checks) == (10, ["verdict", "completeness", "wheel", "system", "python"]), told


def test_one_shard_alone_is_refused(checkout: Checkout) -> None:
    """A shard's own verdict is about its slice."""
    done = checkout.tools("run", "--profile", "release", "--tested", checkout.wheel, "--shard", "1/2")
    assert done.returncode == 0, done.stdout
    assert checkout.check()[:2] == (10, ["completeness"])


def test_a_run_that_names_no_wheel_is_refused(checkout: Checkout) -> None:
    """Without --tested nobody knows which bytes passed."""
    assert checkout.tools("run", "--profile", "release").returncode == 0
    assert checkout.check()[:2] == (10, ["wheel"])


def test_a_wheel_that_is_not_installed_cannot_be_named(checkout: Checkout) -> None:
    """--tested with a wheel of other files than those installed, with none installed, or with no wheel ends with 2."""
    (checkout.root / "site" / "tiny" / "__init__.py").write_text("double = abs\n", encoding="utf-8")
    done = checkout.tools("run", "--tested", checkout.wheel)
    assert (done.returncode, "differs: tiny/__init__.py" in done.stderr) == (2, True)
    shutil.rmtree(checkout.root / "site")
    done = checkout.tools("run", "--tested", checkout.wheel)
    assert (done.returncode, "tiny is not installed here" in done.stderr) == (2, True)
    done = checkout.tools("run", "--tested", "pyproject.toml")
    assert (done.returncode, "is no wheel" in done.stderr) == (2, True)
    done = checkout.tools("run", "--tested", "gone.whl")
    assert (done.returncode, "cannot be read" in done.stderr) == (2, True)


def test_what_is_not_there_ends_with_usage_and_not_with_no(checkout: Checkout) -> None:
    """A wheel that is not there, an unknown system and a short commit are mistakes of the call: exit 2."""
    assert checkout.check(wheel="gone.whl")[0] == 2
    assert checkout.check(systems="linux,amiga")[0] == 2
    assert checkout.check(commit="c0ffee")[0] == 2
    assert checkout.check(pythons="three")[0] == 2
