"""The measured suite: an environment with the peers, the suite in a project of its own, and the CPU of what runs there."""

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("networkx==3.6.1", "numpy", "pytest", "pytest-split==0.11.0")
SUITE = "networkx"
QUIET = ("-q", "-p", "no:cacheprovider", "--no-header", "--no-summary")


def make_venv(folder: Path) -> Path:
    """The Python of an environment with the suite, the peer and this checkout, compiled as an installer leaves them."""
    python = folder / "bin" / "python"
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    if not python.exists():
        run([uv, "venv", "-q", "--python", sys.executable, str(folder)])
    install = [uv, "pip", "install", "-q", "--compile-bytecode", "--python", str(python), "--reinstall-package", "ci-tools"]
    run([*install, *PACKAGES, str(ROOT)])
    run([str(python), "-m", "compileall", "-q", str(folder / "lib")])  # also where the environment forbids an installer to
    return python


def make_project(python: Path, folder: Path) -> Path:
    """The suite in a project of its own: beside libraries, in their folder, all of them would pass for the project's code."""
    code = "import networkx, pathlib; print(pathlib.Path(networkx.__file__).parent)"
    source = subprocess.check_output([python, "-c", code], text=True).strip()
    project = folder / "project"
    shutil.copytree(source, project / SUITE, ignore=shutil.ignore_patterns("__pycache__"))
    (project / "pyproject.toml").write_text("[tool.pytest.ini_options]\n", encoding="utf-8")
    run([str(python), "-m", "compileall", "-q", str(project)])
    return project


def run(argv: Sequence[str], *, cwd: Path | None = None, env: dict[str, str] | None = None) -> float:
    """CPU seconds (user and system) of a command and all that it waited for."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in {0, 1}:
        raise SystemExit(
            f"{' '.join(map(str, argv))[:300]} ended with {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    return (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)


def environment() -> dict[str, str]:
    """Cold imports: what a shard compiles it may not keep for the next one."""
    return {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"}


def verdict(value: float, limit: float) -> str:
    """``at most 0.55: met`` or ``at most 0.55: NOT MET``."""
    return f"at most {limit:g}: {'met' if value <= limit else 'NOT MET'}"
