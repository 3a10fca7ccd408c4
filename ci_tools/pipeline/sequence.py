"""A recorded order of tests as something to run: read from a journal, planned as one shard."""

from collections.abc import Sequence
from pathlib import Path

from ci_tools.errors import UsageError
from ci_tools.model.journal import Event, parse_journal
from ci_tools.model.shard import WHOLE, Plan, Shard, Unit, digest_of
from ci_tools.sharding.sequences import orders_of_sequence, recorded_seed, recorded_sequence


def load_sequence(journal: Path) -> tuple[tuple[str, ...], int]:
    """The test IDs of a worker's journal in the order in which it started them, and its seed; UsageError when it started none."""
    events = load_events(journal)
    sequence = recorded_sequence(events)
    if not sequence:
        raise UsageError(f"{journal} records no test", hint="give a worker's journal: ci-artifacts/<run>/journal-….jsonl")
    return sequence, recorded_seed(events)


def load_events(journal: Path) -> tuple[Event, ...]:
    """Every event of a journal; UsageError when it cannot be read."""
    try:
        return tuple(parse_journal(journal.read_text(encoding="utf-8"), where=str(journal)))
    except OSError as error:
        what = f"journal {str(journal)!r} cannot be read: {error.strerror}"
        raise UsageError(what, hint="journals lie in ci-artifacts/<run>/") from error


def plan_of_sequence(sequence: Sequence[str], *, seed: int, commit: str, configuration: str) -> Plan:
    """One shard that expects exactly these tests."""
    units = tuple(Unit(path=file.path, test_ids=file.test_ids) for file in orders_of_sequence(sequence))
    return Plan(
        commit=commit,
        configuration=configuration,
        shards=(Shard(ref=WHOLE, units=units),),
        expected_digest=digest_of(sequence),
        filters=("replay",),
        seed=seed,
    )
