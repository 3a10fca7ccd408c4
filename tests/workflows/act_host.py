"""Runs workflows on this machine with act: real jobs, matrices, conditions, outputs and scripts; no container, no network.

What act cannot do, and what is therefore not shown here: services (ignored without Docker), timeouts, cancelling,
permissions, concurrency and the other systems (every label runs on this host). ``$/`` is newer than act: the copy of the
repository that is executed has it rewritten. After a failing called workflow act does not start the caller's gate.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FAKES = Path(__file__).parent / "fakes"
SELF = "acme/ci-tools"
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
"""act and ci-tools lie beside the Python that runs the tests."""

LABELS = ("ubuntu-24.04", "macos-15", "windows-2025")


@dataclass(frozen=True, slots=True)
class Result:
    """What act did: its exit code, the result of each step by (job, step), and where the artifacts lie."""

    code: int
    steps: Mapping[tuple[str, str], str]
    artifacts: Path
    log: str = field(repr=False)

    def artifact_names(self) -> list[str]:
        """Names of the artifacts that arrived."""
        return sorted(entry.name for entry in self.artifacts.iterdir()) if self.artifacts.is_dir() else []

    def tail(self) -> str:
        """The last lines that say something, for the message of a failed test."""
        told = re.findall(r'"msg":"((?:[^"\\]|\\.)*)"', self.log)
        return "\n".join([*told[-60:], self.log[-500:]])

    def results_of(self, step: str) -> list[str]:
        """The results of every step with this name, over all jobs."""
        return sorted(result for (_, name), result in self.steps.items() if name == step)


@dataclass(slots=True)
class Host:
    """A stranger's repository and our own beside it, both in a folder of their own."""

    folder: Path
    is_setup_real: bool = False

    @property
    def artifacts(self) -> Path:
        """Where uploads go; kept from one run to the next, like the artifacts of one workflow run."""
        return self.folder / "artifacts"

    @property
    def stranger(self) -> Path:
        """The repository that calls us."""
        return self.folder / "stranger"

    def publish(self, *, faults: Mapping[str, tuple[str, str]] | None = None) -> None:
        """Lay our repository down as others see it, with ``faults`` (path: old, new) planted."""
        copy = self.folder / "toolkit"
        ignore = shutil.ignore_patterns("__pycache__", ".*_cache", "ci-artifacts")
        for name in (
            ".github",
            "ci_tools",
            "requirements",
            "pyproject.toml",
            "README.md",
            "LICENSE",
            "examples",
            "tests/workflows/consumer",
        ):
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, copy / name, ignore=ignore)
            else:
                _copy(source, copy / name)
        if not self.is_setup_real:
            shutil.copyfile(FAKES / "setup" / "action.yml", copy / ".github/actions/setup/action.yml")
        for path, (old, new) in (faults or {}).items():
            text = (copy / path).read_text(encoding="utf-8")
            if old not in text:
                raise AssertionError(f"{path} no longer holds {old!r}: plant the fault anew")
            (copy / path).write_text(text.replace(old, new), encoding="utf-8")
        for path in copy.glob(".github/**/*.yml"):
            text = path.read_text(encoding="utf-8")
            text = re.sub(r"\$/(\.github/actions/[\w-]+)", rf"{SELF}/\1@self", text)
            path.write_text(text.replace("$/.github/workflows", "./.github/workflows"), encoding="utf-8")
        _commit(copy)

    def write(self, files: Mapping[str, str]) -> None:
        """Make the stranger's repository of these files."""
        for name, text in files.items():
            path = self.stranger / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        _commit(self.stranger)

    def run(
        self,
        event: str = "push",
        *arguments: str,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout_s: float = 120,
    ) -> Result:
        """Run the workflows of ``cwd`` (the stranger's repository) for an event."""
        toolkit = self.folder / "toolkit"
        (self.folder / "environments").mkdir(exist_ok=True)
        variables = {
            "FAKE_ARTIFACTS": str(self.artifacts),
            "FAKE_ENVIRONMENTS": str(self.folder / "environments"),
            "FAKE_PYTHON": sys.executable,
            "FAKE_SCRIPT": str(FAKES / "artifacts.py"),
            "FAKE_CACHE": str(self.folder / "cache"),
            "FAKE_CACHE_SCRIPT": str(FAKES / "cache.py"),
            **(env or {}),
        }
        command = ["act", event, "--json", "--action-offline-mode", "--no-cache-server"]
        command += [word for label in LABELS for word in ("-P", f"{label}=-self-hosted")]
        command += [word for name, value in variables.items() for word in ("--env", f"{name}={value}")]
        command += [
            word for name, path in self._replacements(toolkit).items() for word in ("--local-repository", f"{name}={path}")
        ]
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        environ = {
            "PATH": PATH,
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "TMPDIR": str(self.folder),
        }
        log, code = _run([*command, *arguments], cwd or self.stranger, environ, timeout_s)
        return Result(code=code, steps=_steps(log), artifacts=self.artifacts, log=log)

    def _replacements(self, toolkit: Path) -> dict[str, Path]:
        """Every foreign action at exactly the commit that we pin: another pin finds no fake and fails."""
        found = {f"{SELF}@{reference}": toolkit for reference in ("v1", "self")}
        for path in (ROOT / ".github").glob("**/*.yml"):
            for name, reference in re.findall(
                r"uses: (actions/[\w-]+)(?:/\w+)?@([0-9a-f]{40})", path.read_text(encoding="utf-8")
            ):
                fake = FAKES / name.removeprefix("actions/")
                if fake.is_dir():
                    found[f"{name}@{reference}"] = fake
        return found


def _run(command: list[str], cwd: Path, environ: Mapping[str, str], timeout_s: float) -> tuple[str, int]:
    """The output and the exit code; whatever ends the wait, nothing that act started goes on."""
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        start_new_session=True,
    )
    try:
        log, _ = process.communicate(timeout=timeout_s)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return log, process.returncode


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _commit(folder: Path) -> None:
    """A repository with one commit: the runner tells its jobs which."""
    for words in (
        ("init", "--quiet", "--initial-branch=main"),
        ("add", "--all", "--force"),
        ("commit", "--quiet", "--allow-empty", "--message", "all"),
    ):
        identity = ("-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


def _steps(output: str) -> dict[tuple[str, str], str]:
    """The result of each step. act's own word for a whole matrix job is not used: one red cell colours them all."""
    found = {}
    for line in output.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if "stepResult" in event and event.get("stage") == "Main":
            found[event["job"], event["step"]] = event["stepResult"]
    return found
