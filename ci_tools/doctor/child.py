"""The child: one pytest process under a guard, asked one question, ended at its deadline with all that it started."""

import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ci_tools.doctor.facts import QUESTION_VARIABLE, Fact, ImportStarted, Question, of_kind, parse_facts
from ci_tools.host.process import start
from ci_tools.model.codec import dumps

_TAIL_LINES = 12
_FOREIGN = ("PYTEST_CURRENT_TEST", "PYTEST_VERSION", "PYTHONOPTIMIZE", "CI_TOOLS_ORDER")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the child said. ``exit_code`` is None when it was ended at its deadline; ``tail`` are its last lines."""

    facts: tuple[Fact, ...]
    exit_code: int | None
    tail: tuple[str, ...] = ()

    @property
    def last_import(self) -> str:
        """The module that was imported last: the culprit when the child ended by something else than itself."""
        started = of_kind(ImportStarted, self.facts)
        return started[-1].path if started else ""


def ask(
    root: Path,
    environ: Mapping[str, str],
    arguments: Sequence[str],
    *,
    timeout_s: float,
    modules: Sequence[Path] = (),
    collects: bool = True,
    most_setups: int = 0,
) -> Answer:
    """Run pytest with the probe and these arguments in ``root``; what it said. Nothing of it is left running."""
    with tempfile.TemporaryDirectory(prefix="ci-tools-doctor-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        answers, output, path = folder / "facts.jsonl", folder / "output.txt", folder / "question.json"
        answers.touch()
        output.touch()
        question = Question(
            answers=str(answers),
            root=str(root),
            modules=tuple(str(module) for module in modules),
            collects=collects,
            most_setups=most_setups,
        )
        path.write_text(dumps(question), encoding="utf-8")
        argv = [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:valkey",
            "-p",
            "ci_tools.doctor.probe",
            "-o",
            f"cache_dir={folder / 'cache'}",
        ]
        # The guard removes the folder when we are killed; its end removes it too, so what is in it is read before.
        with start([*argv, *arguments], env=_environment(environ, path), cwd=root, output=output, cleanup=(folder,)) as child:
            exit_code = child.wait(timeout_s)
            said, written = answers.read_text(encoding="utf-8"), output.read_text(encoding="utf-8", errors="replace")
        return Answer(
            facts=parse_facts(said),
            exit_code=exit_code,
            tail=tuple(line for line in written.splitlines() if line.strip())[-_TAIL_LINES:],
        )


def _environment(environ: Mapping[str, str], question: Path) -> dict[str, str]:
    kept = {name: value for name, value in environ.items() if name not in _FOREIGN and not name.startswith("PYTEST_XDIST_")}
    return {**kept, QUESTION_VARIABLE: str(question), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
