"""What a noxfile calls, tried with a real nox in a real environment."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]

NOXFILE = """
import sys
sys.path.insert(0, {project!r})
from pathlib import Path
import nox
from ci_tools import nox_sessions

@nox.session(reuse_venv=True)
def install(session):
    arguments = ["--no-index", "--no-deps", "--force-reinstall", "tiny-1-py3-none-any.whl"]
    nox_sessions.install_once(session, arguments, inputs=[Path("lock.txt")])
    session.run("python", "-c", "import tiny; print('tiny is', tiny.NAME)")

@nox.session(venv_backend="none")
def told(session):
    nox_sessions.run_toolkit(session, *session.posargs)
"""


def _wheel(folder: Path) -> None:
    with zipfile.ZipFile(folder / "tiny-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny.py", "NAME = 'here'\n")
        wheel.writestr("tiny-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1\n")
        wheel.writestr(
            "tiny-1.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("tiny-1.dist-info/RECORD", "")


@pytest.fixture(name="consumer")
def _consumer(tmp_path: Path) -> Path:
    _wheel(tmp_path)
    (tmp_path / "noxfile.py").write_text(NOXFILE.format(project=str(PROJECT)), encoding="utf-8")
    (tmp_path / "lock.txt").write_text("tiny==1\n", encoding="utf-8")
    return tmp_path


def _nox(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("CI_TOOLS_", "PYTEST_", "NOX"))}
    environ = {**inherited, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    command = [sys.executable, "-m", "nox", *arguments]
    return subprocess.run(command, cwd=cwd, env=environ, text=True, capture_output=True, timeout=300, check=False)


def test_installation_is_skipped_until_its_inputs_change(consumer: Path) -> None:
    """The stamp holds the digest of arguments and inputs: the same ones install nothing, a changed lock installs again."""
    first, second = (_nox("-s", "install", cwd=consumer) for _ in range(2))
    (consumer / "lock.txt").write_text("tiny==1 # changed\n", encoding="utf-8")
    third = _nox("-s", "install", cwd=consumer)
    assert [done.returncode for done in (first, second, third)] == [0, 0, 0], first.stderr + second.stderr + third.stderr
    skipped = ["installed already" in done.stderr for done in (first, second, third)]
    assert skipped == [False, True, False]


def test_a_failed_verdict_fails_the_session(consumer: Path) -> None:
    """The session ends red with what ci-tools said, and prints its exit code."""
    done = _nox("-s", "told", "--", "gate", "there-is-no-such-folder", cwd=consumer)
    assert (done.returncode, "failed with exit code 2" in done.stderr) == (1, True), done.stdout + done.stderr


def test_the_noxfile_loads_where_only_nox_is_installed() -> None:
    """Listing the sessions imports nothing of ci_tools but its version and its sessions."""
    program = "import sys, runpy; runpy.run_path('noxfile.py'); print(sorted(m for m in sys.modules if m.startswith('ci_tools')))"
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "['ci_tools', 'ci_tools.nox_sessions']"
