"""A recorded order of tests as something to run: read from a journal, planned as one shard."""

from dataclasses import dataclass
from pathlib import Path

from ci_tools.errors import UsageError
from ci_tools.model.case import DEFAULT_CONFIGURATION
from ci_tools.model.journal import Event, TestFinished, parse_journal
from ci_tools.model.shard import WHOLE, Plan, Shard, Unit, digest_of
from ci_tools.sharding.sequences import orders_of_sequence, recorded_sequence, recorded_start

JOURNALS = "journal-*.jsonl"
_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What one worker ran: its tests in their order, pytest-randomly's seed, ``PYTHONHASHSEED`` and its configuration."""

    test_ids: tuple[str, ...]
    seed: int = 0
    hash_seed: str = ""
    configuration: str = DEFAULT_CONFIGURATION


def load_recording(path: Path) -> Recording:
    """What a journal records, or the one journal with tests of a folder; UsageError when it is none or several."""
    if not path.is_dir():
        recording = _recording_of(load_events(path))
        if not recording.test_ids:
            raise UsageError(f"{path} records no test", hint="give a worker's journal: ci-artifacts/<run>/journal-….jsonl")
        return recording
    found = {journal: load_events(journal) for journal in sorted(path.rglob(JOURNALS))}
    ran = {journal: events for journal, events in found.items() if recorded_sequence(events)}
    if len(ran) != 1:
        what = f"folder {str(path)!r} holds {len(ran)} journals of workers that ran tests, expected one"
        details = [f"{_describe(events)}: {journal}" for journal, events in list(ran.items())[:_SHOWN]]
        raise UsageError(what, details=details, hint="give the journal of the worker that is to be repeated")
    return _recording_of(next(iter(ran.values())))


def load_events(journal: Path) -> tuple[Event, ...]:
    """Every event of a journal; UsageError when it cannot be read."""
    try:
        return tuple(parse_journal(journal.read_text(encoding="utf-8"), where=str(journal)))
    except OSError as error:
        what = f"journal {str(journal)!r} cannot be read: {error.strerror}"
        raise UsageError(what, hint="journals lie in ci-artifacts/<run>/") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{str(journal)!r} is no journal: {error}", hint="journals are journal-….jsonl") from error


def plan_of_recording(recording: Recording, *, commit: str) -> Plan:
    """One shard that expects exactly these tests."""
    units = tuple(Unit(path=file.path, test_ids=file.test_ids) for file in orders_of_sequence(recording.test_ids))
    return Plan(
        commit=commit,
        configuration=recording.configuration,
        shards=(Shard(ref=WHOLE, units=units),),
        expected_digest=digest_of(recording.test_ids),
        filters=("replay",),
        seed=recording.seed,
    )


def _recording_of(events: tuple[Event, ...]) -> Recording:
    start = recorded_start(events)
    test_ids = recorded_sequence(events)
    if start is None:
        return Recording(test_ids=test_ids)
    return Recording(test_ids=test_ids, seed=start.seed, hash_seed=start.hash_seed, configuration=start.configuration)


def _describe(events: tuple[Event, ...]) -> str:
    red = sum(isinstance(event, TestFinished) and not event.outcome.is_green for event in events)
    return f"{len(recorded_sequence(events))} test(s), {red} not green"
