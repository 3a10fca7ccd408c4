"""Queries on users, runs and events; every query on a run or an event takes the user it must belong to."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import CursorResult, Row
from sqlalchemy.ext.asyncio import AsyncSession

from agent_platform.context import UserExecutionContext
from agent_platform.database import RUN_EVENTS, RUNS, USERS
from agent_platform.events import scrub


class RunStatus(StrEnum):
    """Where a run stands; all but the first two are final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"

    @property
    def is_final(self) -> bool:
        """Whether the run is over."""
        return self not in _OPEN


_OPEN = (RunStatus.QUEUED, RunStatus.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """A row of ``runs``."""

    run_id: str
    thread_id: str
    agent: str
    status: RunStatus
    reason: str
    input: Mapping[str, object]
    result: object

    def body(self) -> dict[str, object]:
        """What its owner is told."""
        return {
            "run_id": self.run_id,
            "thread_id": self.thread_id,
            "agent": self.agent,
            "status": self.status,
            "reason": self.reason,
            "input": self.input,
            "result": self.result,
        }


async def ensure_user(session: AsyncSession, *, user_id: str, email: str) -> None:
    """Insert the user unless the row is there."""
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    values = {"id": user_id, "email": email, "created_at": datetime.now(UTC)}
    await session.execute(dialect.insert(USERS).values(values).on_conflict_do_nothing())


async def insert_run(
    session: AsyncSession, context: UserExecutionContext, *, agent: str, agent_input: Mapping[str, object]
) -> None:
    """Store a new run as queued."""
    await session.execute(
        insert(RUNS).values(
            id=context.run_id,
            user_id=context.user_id,
            thread_id=context.thread_id,
            agent=agent,
            status=RunStatus.QUEUED,
            reason="",
            input=json.dumps(scrub(agent_input)),
            created_at=datetime.now(UTC),
        )
    )


async def mark_running(session: AsyncSession, *, user_id: str, run_id: str) -> bool:
    """Say that a queued run runs; whether there was such a run."""
    statement = update(RUNS).where(RUNS.c.id == run_id, RUNS.c.user_id == user_id, RUNS.c.status == RunStatus.QUEUED)
    return _changed(await session.execute(statement.values(status=RunStatus.RUNNING)))


async def finish_run(session: AsyncSession, *, user_id: str, run_id: str, status: RunStatus, reason: str, result: object) -> bool:
    """Give an open run its final status; a finished run never changes again. Whether the row changed."""
    statement = update(RUNS).where(RUNS.c.id == run_id, RUNS.c.user_id == user_id, RUNS.c.status.in_(_OPEN))
    values = {"status": status, "reason": reason, "result": json.dumps(result), "finished_at": datetime.now(UTC)}
    return _changed(await session.execute(statement.values(values)))


async def find_run(session: AsyncSession, *, user_id: str, run_id: str) -> RunRecord | None:
    """This user's run, or None: somebody else's run does not exist."""
    statement = select(RUNS).where(RUNS.c.id == run_id, RUNS.c.user_id == user_id)
    row = (await session.execute(statement)).one_or_none()
    return None if row is None else _record(row)


async def count_runs(session: AsyncSession, *, user_id: str) -> int:
    """How many runs of this user are stored."""
    return len((await session.execute(select(RUNS.c.id).where(RUNS.c.user_id == user_id))).all())


async def list_runs_since(session: AsyncSession, *, user_id: str, since: datetime) -> Sequence[str]:
    """The IDs of this user's runs created at ``since`` or later, oldest first."""
    statement = select(RUNS.c.id).where(RUNS.c.user_id == user_id, RUNS.c.created_at >= since).order_by(RUNS.c.created_at)
    return list((await session.execute(statement)).scalars())


async def insert_event(session: AsyncSession, *, event_id: str, run_id: str, user_id: str, seq: int, body: str) -> None:
    """Store one event; the pair of run and seq is unique."""
    await session.execute(insert(RUN_EVENTS).values(event_id=event_id, run_id=run_id, user_id=user_id, seq=seq, body=body))


async def list_events(session: AsyncSession, *, user_id: str, run_id: str, after: int = 0) -> list[str]:
    """The JSON bodies of this user's run's events with a seq above ``after``, in order."""
    statement = select(RUN_EVENTS.c.body).where(
        RUN_EVENTS.c.run_id == run_id, RUN_EVENTS.c.user_id == user_id, RUN_EVENTS.c.seq > after
    )
    return list((await session.execute(statement.order_by(RUN_EVENTS.c.seq))).scalars())


def _changed(result: Any) -> bool:  # noqa: ANN401 - AsyncSession.execute promises less than it gives
    return isinstance(result, CursorResult) and result.rowcount > 0


def _record(row: Row[Any]) -> RunRecord:
    return RunRecord(
        run_id=row.id,
        thread_id=row.thread_id,
        agent=row.agent,
        status=RunStatus(row.status),
        reason=row.reason,
        input=json.loads(row.input),
        result=None if row.result is None else json.loads(row.result),
    )
