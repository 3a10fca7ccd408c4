"""Sequences: tests in an exact order, as a worker ran them or as a bisection wants them. Pure."""

from collections.abc import Iterable, Sequence

from ci_tools.model.journal import Event, TestStarted, WorkerStarted
from ci_tools.model.shard import digest_of
from ci_tools.model.worker import FileOrder


def recorded_sequence(events: Iterable[Event]) -> tuple[str, ...]:
    """The order in which one worker started its tests, from its journal; a rerun counts once, where it ran first."""
    started: dict[str, None] = {}
    for event in events:
        if isinstance(event, WorkerStarted):
            started.clear()
        elif isinstance(event, TestStarted):
            started.setdefault(event.test_id)
    return tuple(started)


def recorded_start(events: Iterable[Event]) -> WorkerStarted | None:
    """How the process whose order counts began: its seeds and its configuration."""
    return next((event for event in reversed(tuple(events)) if isinstance(event, WorkerStarted)), None)


def orders_of_sequence(test_ids: Sequence[str]) -> tuple[FileOrder, ...]:
    """The worker's order for exactly these tests.

    The files are in the order in which they come up first; the order of the tests themselves is the sequence's
    (``WorkerOrder.sequence``). Pytest gets files and not test IDs, for it finds no item of a custom collector whose name holds
    ``::``. The digests are over the given tests only.
    """
    ids_of: dict[str, list[str]] = {}
    for test_id in test_ids:
        ids_of.setdefault(test_id.split("::", 1)[0], []).append(test_id)
    return tuple(FileOrder(path=path, expected_digest=digest_of(ids), test_ids=tuple(ids)) for path, ids in ids_of.items())
