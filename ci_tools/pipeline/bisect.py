"""The verb ``bisect``: which tests make one fail when they run before it, found by running them."""

import os
import shlex
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ci_tools.errors import UsageError
from ci_tools.host import process
from ci_tools.host.files import write_text
from ci_tools.host.signals import Interruption, interruptible
from ci_tools.model.case import Outcome
from ci_tools.model.codec import dumps
from ci_tools.model.journal import TestFinished, WorkerStarted
from ci_tools.model.worker import WorkerOrder
from ci_tools.pipeline.launch import Launch
from ci_tools.pipeline.project import Console, Project, open_project
from ci_tools.pipeline.sequence import JOURNALS, load_events
from ci_tools.services.provision import provide
from ci_tools.sharding.bisection import Bisection, find_culprits
from ci_tools.sharding.sequences import orders_of_sequence, recorded_sequence, recorded_start

KEPT = "bisect/sequence.jsonl"
"""In the artifacts: the shortest sequence that fails. No journal by its name, or a gate would take it for a worker's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BisectRequest:
    """What ``ci-tools bisect`` was asked for; ``folder`` is the run whose order counts (the latest, when None)."""

    root: Path
    environ: Mapping[str, str]
    test_id: str
    folder: Path | None = None
    configuration: str = ""


def bisect(request: BisectRequest, console: Console) -> bool:
    """Run halves of what ran before the test until the fewest tests are found; whether culprits were found."""
    project = open_project(request.root, request.environ)
    before, start, is_red = _ran_before(request.folder or project.artifacts / "latest", request)
    configuration = project.configuration(request.configuration or start.configuration)
    console.say(f"{len(before)} test(s) ran before {request.test_id} in its worker{'' if is_red else ', and it was green'}")
    process.become_subreaper()
    folder = Path(tempfile.mkdtemp(prefix="ci-tools-bisect-"))
    try:
        with interruptible() as interruption:
            specs = [spec for spec in project.config.services if spec.kind in configuration.services]
            with provide(specs, environ=project.environ, folder=folder, is_ci=project.is_ci) as provision:
                slots_path = folder / "slots.json"
                write_text(slots_path, dumps(provision.slots))
                launch = Launch(project=project, configuration=configuration, private=folder)
                trial = _Trial(launch, request.test_id, slots_path, interruption, console, start)
                found = find_culprits(before, trial.fails_after)
                repeat = _repeat(trial, found, project)
    finally:
        process.end_descendants(1.0)
        shutil.rmtree(folder, ignore_errors=True)
    _tell(found, repeat, console)
    return bool(found.culprits)


def _ran_before(folder: Path, request: BisectRequest) -> tuple[tuple[str, ...], WorkerStarted, bool]:
    """What the worker that ran the test ran before it, how it began, and whether the test was not green there.

    Of several workers (of configurations, shards and attempts below ``folder``) one of the configuration that is asked for, and
    one in which it was not green.
    """
    test_id = request.test_id
    if not folder.exists():
        what = f"the run {str(folder)!r} is not there"
        raise UsageError(what, hint="make one with `ci-tools run`, or give --run DIR of one in which the test failed")
    found: list[tuple[bool, tuple[str, ...], WorkerStarted]] = []
    for journal in [folder] if folder.is_file() else sorted(folder.rglob(JOURNALS)):
        events = load_events(journal)
        sequence, start = recorded_sequence(events), recorded_start(events)
        if start is not None and test_id in sequence:
            ends = [event for event in events if isinstance(event, TestFinished) and event.test_id == test_id]
            is_red = not ends or any(not event.outcome.is_green for event in ends)
            found.append((is_red, sequence[: sequence.index(test_id)], start))
    if not found:
        raise UsageError(f"{test_id!r} did not run in {folder}", hint="give --run DIR of a run in which it failed")
    is_red, before, start = max(found, key=lambda item: (item[2].configuration == request.configuration, item[0]))
    return before, start, is_red


@dataclass(slots=True)
class _Trial:
    """Runs sequences and remembers how many."""

    launch: Launch
    test_id: str
    slots_path: Path
    interruption: Interruption
    console: Console
    start: WorkerStarted
    count: int = field(default=0)
    journals: dict[tuple[str, ...], Path] = field(default_factory=dict)
    """Of each sequence that one worker ran to its end."""

    def fails_after(self, before: Sequence[str]) -> bool:
        """Whether the test is not green after these."""
        self.count += 1
        sequence = (*before, self.test_id)
        journals = self.slots_path.parent / f"run-{self.count}"
        order = WorkerOrder(
            run_id=f"bisect-{self.count}",
            journal_dir=str(journals),
            configuration=self.launch.configuration.name,
            files=orders_of_sequence(sequence),
            slots_path=str(self.slots_path),
            seed=self.start.seed,
            hash_seed=self.start.hash_seed,
            sequence=sequence,
            guard=self.launch.project.config.guard,
        )
        self.launch.run(order, on_event=lambda _: None, interruption=self.interruption)
        ends = []
        for journal in journals.glob(JOURNALS):
            events = load_events(journal)
            ends += [event.outcome for event in events if isinstance(event, TestFinished) and event.test_id == self.test_id]
            if recorded_sequence(events) == sequence:
                self.journals[sequence] = journal
        outcome = ends[-1] if ends else Outcome.LOST
        self.console.say(f"  run {self.count}: after {len(before)} test(s) it {outcome}")
        return not outcome.is_green


def _repeat(trial: _Trial, found: Bisection, project: Project) -> str:
    """The command that repeats the shortest failing sequence, from its journal: pytest runs arguments in their files' order."""
    sequence = (*found.culprits, trial.test_id)
    journal = trial.journals.get(sequence)
    if journal is None:  # the culprits ended their worker
        return f"{project.repeat} -n 1 {shlex.join(sequence)}"
    kept = project.artifacts / KEPT
    write_text(kept, journal.read_text(encoding="utf-8"))
    return f"{project.repeat} --replay {shlex.quote(os.path.relpath(kept, Path.cwd()))}"


def _tell(found: Bisection, repeat: str, console: Console) -> None:
    console.say(f"{found.reason} ({found.runs} runs{'' if found.is_minimal else ', perhaps not the fewest'})")
    for culprit in found.culprits:
        console.say(f"  {culprit}")
    if found.culprits:
        console.say(f"repeat: {repeat}")
