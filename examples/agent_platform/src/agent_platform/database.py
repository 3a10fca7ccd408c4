"""The database: its tables, and sessions that are one unit of work each."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Column, DateTime, ForeignKey, Index, Integer, MetaData, String, Table, Text, UniqueConstraint, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import QueuePool
from sqlalchemy.schema import CreateSchema, DropSchema

from agent_platform.errors import DependencyError, UnavailableError
from agent_platform.settings import Settings
from agent_platform.shielding import uninterrupted

METADATA = MetaData()

USERS = Table(
    "users",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("email", String(320), nullable=False, unique=True),
    Column("created_at", DateTime(timezone=True), nullable=False),
)

RUNS = Table(
    "runs",
    METADATA,
    Column("id", String(128), primary_key=True),
    Column("user_id", ForeignKey("users.id"), nullable=False),
    Column("thread_id", String(128), nullable=False),
    Column("agent", String(64), nullable=False),
    Column("status", String(16), nullable=False),
    Column("reason", Text, nullable=False, default=""),
    Column("input", Text, nullable=False),
    Column("result", Text),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("finished_at", DateTime(timezone=True)),
    Index("runs_by_user", "user_id", "created_at"),
)

RUN_EVENTS = Table(
    "run_events",
    METADATA,
    Column("event_id", String(64), primary_key=True),
    Column("run_id", ForeignKey("runs.id"), nullable=False),
    Column("user_id", ForeignKey("users.id"), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("body", Text, nullable=False),
    UniqueConstraint("run_id", "seq"),
)

_POOL_SIZE = 4
_BUSY_TIMEOUT_MS = 5000
_POOL_TIMEOUT_S = 5.0


def open_engine(settings: Settings) -> AsyncEngine:
    """An engine for the settings' database; nothing is connected yet."""
    arguments: dict[str, Any] = {}
    if settings.database_schema:
        arguments["server_settings"] = {"search_path": settings.database_schema}
    engine = create_async_engine(
        settings.database_url,
        connect_args=arguments,
        pool_size=_POOL_SIZE,
        max_overflow=0,
        pool_timeout=_POOL_TIMEOUT_S,
    )
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    return engine


async def drop_schema(settings: Settings) -> None:
    """Remove the schema named by DATABASE_SCHEMA with everything in it; nothing without one."""
    if settings.database_schema:
        engine = open_engine(settings)
        try:
            async with engine.begin() as connection:
                await connection.execute(DropSchema(settings.database_schema, cascade=True, if_exists=True))
        finally:
            await engine.dispose()


def _prepare_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's connection has no public type
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


class DatabaseSessionManager:
    """Opens the database and hands out sessions, on the event loop it was started on."""

    def __init__(self, *, settings: Settings) -> None:
        self._settings = settings
        self._engine: AsyncEngine | None = None
        self._sessions: async_sessionmaker[AsyncSession] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def address(self) -> str:
        """The database's URL without its password, for messages."""
        return make_url(self._settings.database_url).render_as_string(hide_password=True)

    @property
    def connections_in_use(self) -> int:
        """How many sessions hold a connection right now."""
        pool = self._engine.pool if self._engine is not None else None
        return pool.checkedout() if isinstance(pool, QueuePool) else 0

    async def start(self) -> None:
        """Open the database, create what is absent and prove that it answers; UnavailableError otherwise."""
        self._loop = asyncio.get_running_loop()
        try:
            engine = open_engine(self._settings)
        except (SQLAlchemyError, ImportError) as error:
            raise self._unusable(error) from error
        try:
            async with engine.begin() as connection:
                if self._settings.database_schema:
                    await connection.execute(CreateSchema(self._settings.database_schema, if_not_exists=True))
                await connection.run_sync(METADATA.create_all)
        except (SQLAlchemyError, OSError) as error:
            await engine.dispose()
            raise self._unusable(error) from error
        except BaseException:
            await engine.dispose()
            raise
        self._engine = engine
        self._sessions = async_sessionmaker(engine, expire_on_commit=False)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """One unit of work: committed at its end, rolled back on any exception, closed in every case."""
        if self._sessions is None or asyncio.get_running_loop() is not self._loop:
            state = "is not started" if self._sessions is None else "belongs to another event loop"
            raise DependencyError(f"DatabaseSessionManager {state}", hint="start() one on the loop that uses it")
        async with self._sessions() as session:
            try:
                # A connection whose opening is cancelled would never be closed (aiosqlite), so it is opened in any case.
                await uninterrupted(session.connection())
                yield session
            except BaseException:
                await session.rollback()
                raise
            await session.commit()

    async def ping(self) -> None:
        """Ask the database for an answer; UnavailableError if there is none."""
        try:
            async with self.session() as session:
                await session.execute(text("SELECT 1"))
        except (SQLAlchemyError, OSError) as error:
            raise UnavailableError(f"database {self.address} does not answer ({error})", hint="check that it runs") from error

    def _unusable(self, error: Exception) -> UnavailableError:
        cause = getattr(error, "orig", None) or error
        what = f"database {self.address} cannot be used ({type(cause).__name__}: {cause})"
        return UnavailableError(what, hint="check DATABASE_URL; PostgreSQL needs the extra agent-platform[postgres]")

    async def close(self) -> None:
        """Close every connection."""
        engine, self._engine, self._sessions = self._engine, None, None
        if engine is not None:
            await engine.dispose()
