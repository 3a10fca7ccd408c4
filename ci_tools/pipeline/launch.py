"""Launches one worker order under its supervisor: the command, the environment, and what a refusal means."""

import sys
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from ci_tools.config.schema import Configuration
from ci_tools.errors import PlanMismatchError, WorkersError
from ci_tools.host.signals import Interruption
from ci_tools.model.journal import Event, SelectionRefused
from ci_tools.model.report import WorkerExit
from ci_tools.model.worker import WorkerOrder
from ci_tools.pipeline.project import Project
from ci_tools.sharding.static import is_unstable
from ci_tools.workers.command import WorkerCommand, command, order_name, paths_of
from ci_tools.workers.supervisor import supervise

_SHOWN = 5
_AGAIN = "make the plan again from these files"
_UNSTABLE = "test IDs with a memory address are others in every process: give their parametrize ids="


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How workers are started here. ``paths`` are what the person asked for; ``private`` takes orders and output.

    With ``has_groups`` the tests of one ``xdist_group`` stay in one worker.
    """

    project: Project
    configuration: Configuration
    private: Path
    paths: tuple[str, ...] = ()
    pytest_args: tuple[str, ...] = ()
    processes: int = 1
    has_groups: bool = False

    def run(self, order: WorkerOrder, *, on_event: Callable[[Event], None], interruption: Interruption) -> tuple[WorkerExit, ...]:
        """Run the order to its end; how its workers ended.

        PlanMismatchError when the tests are others than the order says, WorkersError when no worker could be started,
        ``Interrupted`` after everything was stopped.
        """
        self._demand_files(order)
        refusals: list[SelectionRefused] = []

        def listen(event: Event) -> None:
            if isinstance(event, SelectionRefused):
                refusals.append(event)
            on_event(event)

        try:
            with interruption.deferred():
                exits = supervise(
                    self._command,
                    order,
                    folder=self.private,
                    cwd=self.project.root,
                    deadline_s=self.project.config.run_timeout_s or None,
                    on_event=listen,
                    is_interrupted=interruption.is_asked,
                )
        except OSError as error:
            hint = f"is {sys.executable} a Python with pytest?"
            raise WorkersError(f"a worker could not be started: {error}", hint=hint) from error
        if refusals:
            _refuse(refusals[0])
        return exits

    def _demand_files(self, order: WorkerOrder) -> None:
        """Pytest would end with a usage error for one that is not there, and say nothing of the plan."""
        files = [file for file in order.files or () if file.test_ids]
        gone = [file.path for file in files if not (self.project.root / file.path).exists()]
        if gone:
            what = f"shard {order.shard} refuses its plan: {len(gone)} of its {len(files)} file(s) are not here"
            details = [f"missing:    {path}" for path in gone[:_SHOWN]]
            raise PlanMismatchError(what, details=details, hint=_AGAIN)

    def _command(self, order: WorkerOrder) -> WorkerCommand:
        planned = sum(len(file.test_ids) for file in order.files or ())
        return command(
            str(self.private / order_name(order)),
            python=sys.executable,
            paths=_narrowed(paths_of(order) or (), self.paths),
            pytest_args=(*self.project.config.pytest_args, *self.pytest_args),
            processes=self.processes,
            tests=planned - len(set(order.finished)),
            addopts=self.project.addopts,
            dist="loadgroup" if self.has_groups else "worksteal",
            environ={**_hash_seed(order), **self.project.environ, **self.configuration.environment, **_repeated(order)},
        )


def _hash_seed(order: WorkerOrder) -> dict[str, str]:
    """One order of sets for all processes of a run: pytest-xdist refuses tests that its workers collect in different orders."""
    return {"PYTHONHASHSEED": str(zlib.crc32(order.run_id.encode()))}


def _repeated(order: WorkerOrder) -> dict[str, str]:
    """The order of sets of the process that is repeated, whatever is set here."""
    return {"PYTHONHASHSEED": order.hash_seed} if order.hash_seed else {}


def _refuse(refusal: SelectionRefused) -> NoReturn:
    """A plan for other tests than those that are here: an error of whoever gave it, not of the tests."""
    details = [f"missing:    {name}" for name in refusal.missing[:_SHOWN]]
    details += [f"unexpected: {name}" for name in refusal.unexpected[:_SHOWN]]
    hint = _UNSTABLE if any(map(is_unstable, refusal.missing)) else _AGAIN
    raise PlanMismatchError(refusal.message.splitlines()[0], details=details, hint=hint)


def _narrowed(files: Sequence[str], paths: Sequence[str]) -> tuple[str, ...]:
    """The files of an order, those that were asked for by test IDs as these: pytest must collect what the plan collected."""
    arguments: list[str] = []
    for file in files:
        asked = [path for path in paths if path.startswith(f"{file}::")]
        arguments += asked or [file]
    return tuple(arguments)
