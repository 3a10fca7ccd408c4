"""Bugs that systems like the reference platform really had, as small patches, with the tests that must notice them."""

from dataclasses import dataclass

SOURCES = "src/agent_platform"

EIGHTEEN = (
    "test_a_run_writes_its_row_and_events",
    "test_every_key_has_an_end",
    "test_five_users_succeed_on_shared_infrastructure",
    "test_a_run_survives_the_loss_of_redis",
    "test_latency_is_measured",
    "test_each_user_has_an_engine_and_a_context_of_their_own",
    "test_five_users_at_once_see_and_leave_nothing_foreign",
    "test_events_reach_only_their_user",
    "test_memory_is_private_and_ends_with_its_time",
    "test_sessions_show_only_what_is_committed",
    "test_tools_of_two_users_do_not_mix",
    "test_a_closed_engine_leaves_nothing_of_its_user",
    "test_tool_events_bracket_each_call",
    "test_a_tool_sees_only_its_callers_context",
    "test_concurrent_tools_are_open_at_once",
    "test_a_missing_permission_ends_the_run",
    "test_a_failing_tool_does_not_end_the_run",
    "test_soak_of_twenty_users",
)
"""The tests by which such a platform was once judged: none may be green on a build that keeps nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One replacement in one file; ``old`` stands there exactly once."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bug:
    """A planted bug and the tests of which each must fail."""

    name: str
    edits: tuple[Edit, ...]
    noticed_by: tuple[str, ...]


_DROP_WRITES = Edit(
    file="redis_manager.py",
    old="return await client.execute_command(name, *arguments)",
    new='return 1 if name in {"SET", "EVAL", "ZREM"} else await client.execute_command(name, *arguments)',
)
_NEVER_COMMIT = Edit(file="database.py", old="await session.commit()", new="await session.rollback()")
_NO_FOREIGN_KEYS = Edit(file="database.py", old="PRAGMA foreign_keys=ON", new="PRAGMA foreign_keys=OFF")

KEEPS_NOTHING = (
    Bug(name="redis acknowledges and drops writes", edits=(_DROP_WRITES,), noticed_by=EIGHTEEN),
    Bug(name="the database never commits", edits=(_NEVER_COMMIT,), noticed_by=EIGHTEEN),
    # Without the foreign key no insert fails any more: only the tests' own look at what is stored can notice.
    Bug(name="the database never commits and misses nothing", edits=(_NEVER_COMMIT, _NO_FOREIGN_KEYS), noticed_by=EIGHTEEN),
)

BUGS = (
    Bug(
        name="published to the thread ID instead of the user ID",
        edits=(
            Edit(
                file="bridge.py",
                old="await self._redis.publish(self._channel(event.user_id), event.to_json())",
                new="await self._redis.publish(self._channel(event.thread_id), event.to_json())",
            ),
        ),
        noticed_by=("test_events_reach_only_their_user",),
    ),
    Bug(
        name="lease not released",
        edits=(Edit(file="leases.py", old='await self._command("ZREM", lease.key, lease.member)', new="await asyncio.sleep(0)"),),
        noticed_by=("test_a_closed_engine_leaves_nothing_of_its_user", "test_soak_of_twenty_users"),
    ),
    Bug(
        name="environment binding of tokens dropped",
        edits=(Edit(file="tokens.py", old='if claims["env"] != self._environment:', new="if False:"),),
        noticed_by=("test_a_token_of_another_kind_is_refused",),
    ),
    Bug(
        name="signature not verified",
        edits=(
            Edit(
                file="tokens.py",
                old='options={"require": list(_REQUIRED)},',
                new='options={"require": list(_REQUIRED), "verify_signature": False},',
            ),
        ),
        noticed_by=("test_a_token_of_another_kind_is_refused",),
    ),
    Bug(
        name="no terminal event on cancel",
        edits=(
            Edit(
                file="engine.py",
                old="        else:\n            await run.emitter.end(",
                new="        elif outcome.status is not RunStatus.CANCELLED:\n            await run.emitter.end(",
            ),
        ),
        noticed_by=("test_a_closed_engine_leaves_nothing_of_its_user",),
    ),
    Bug(
        name="a run readable by others",
        edits=(
            Edit(
                file="records.py",
                old="statement = select(RUNS).where(RUNS.c.id == run_id, RUNS.c.user_id == user_id)",
                new="statement = select(RUNS).where(RUNS.c.id == run_id)",
            ),
        ),
        noticed_by=("test_another_users_run_does_not_exist",),
    ),
    Bug(
        name="remote cancel ignored",
        edits=(
            Edit(
                file="factory.py",
                old='if run is not None and run.context.user_id == order["user_id"]:',
                new="if False:",
            ),
        ),
        noticed_by=("test_a_run_is_cancelled_from_another_worker",),
    ),
    Bug(
        name="wrong channel",
        edits=(
            Edit(
                file="bridge.py",
                old='return self._redis.key("events", user_id)',
                new='return self._redis.key("events")',
            ),
        ),
        noticed_by=("test_events_reach_only_their_user",),
    ),
    Bug(
        name="an engine never removed from the registry",
        edits=(
            Edit(
                file="factory.py",
                old="self._engines.pop(engine.engine_id, None)",
                new="self._engines.get(engine.engine_id, None)",
            ),
        ),
        noticed_by=("test_a_closed_engine_leaves_nothing_of_its_user", "test_soak_of_twenty_users"),
    ),
    Bug(
        name="capacity limit ignored",
        edits=(Edit(file="engine.py", old="if self.taken >= self._limit:", new="if False:"),),
        noticed_by=("test_a_full_process_takes_no_more_runs",),
    ),
    Bug(
        name="a memory key without the user in it",
        edits=(
            Edit(
                file="tools.py",
                old='return self._redis.key("memory", self._user_id, key)',
                new='return self._redis.key("memory", key)',
            ),
        ),
        noticed_by=("test_memory_is_private_and_ends_with_its_time", "test_a_tool_sees_only_its_callers_context"),
    ),
)
