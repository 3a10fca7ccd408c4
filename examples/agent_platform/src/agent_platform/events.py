"""Events of a run: their envelope, the order they keep, and what is cut out before anyone sees them."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from agent_platform.context import UserExecutionContext, new_id
from agent_platform.errors import ProtocolOrderError

VERSION = 1
LONGEST_TEXT = 2000
"""Longer strings are cut, in characters."""

_SECRET_WORDS = ("password", "secret", "token", "api_key", "authorization")
_DEEPEST = 8


class EventType(StrEnum):
    """The events of a run; the last two are terminal."""

    AGENT_STARTED = "agent_started"
    AGENT_THINKING = "agent_thinking"
    TOOL_EXECUTING = "tool_executing"
    TOOL_COMPLETED = "tool_completed"
    AGENT_COMPLETED = "agent_completed"
    AGENT_ERROR = "agent_error"

    @property
    def is_terminal(self) -> bool:
        """Whether nothing may follow."""
        return self in {EventType.AGENT_COMPLETED, EventType.AGENT_ERROR}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event with its envelope. ``seq`` counts 1, 2, 3… in each run, without gaps."""

    type: EventType
    seq: int
    run_id: str
    thread_id: str
    user_id: str
    agent: str
    payload: Mapping[str, object]
    event_id: str = field(default_factory=new_id)
    ts: str = field(default_factory=lambda: datetime.now(UTC).isoformat())

    @classmethod
    def of(
        cls, context: UserExecutionContext, *, agent: str, event_type: EventType, seq: int, payload: Mapping[str, object]
    ) -> "Event":
        """The next event of the context's run."""
        return cls(
            type=event_type,
            seq=seq,
            run_id=context.run_id,
            thread_id=context.thread_id,
            user_id=context.user_id,
            agent=agent,
            payload=payload,
        )

    def to_json(self) -> str:
        """The envelope as it is stored and sent."""
        return json.dumps(
            {
                "v": VERSION,
                "type": self.type,
                "event_id": self.event_id,
                "seq": self.seq,
                "run_id": self.run_id,
                "thread_id": self.thread_id,
                "user_id": self.user_id,
                "agent": self.agent,
                "ts": self.ts,
                "payload": self.payload,
            }
        )


class EventOrder:
    """The grammar of a run: started (thinking | executing … completed)* terminal."""

    def __init__(self) -> None:
        self.open_calls: dict[str, str] = {}
        """The tool of each call that was opened and not closed."""
        self._last: EventType | None = None

    @property
    def has_begun(self) -> bool:
        """Whether the first event was seen."""
        return self._last is not None

    @property
    def is_over(self) -> bool:
        """Whether the terminal event was seen."""
        return self._last is not None and self._last.is_terminal

    def check(self, event_type: EventType, payload: Mapping[str, object]) -> None:
        """ProtocolOrderError if this event may not come now."""
        call_id = str(payload.get("call_id", ""))
        if self.is_over:
            self._refuse(event_type, "after the terminal event")
        if (event_type is EventType.AGENT_STARTED) != (self._last is None):
            self._refuse(event_type, "agent_started is the first event, once")
        if event_type is EventType.TOOL_EXECUTING and (not call_id or call_id in self.open_calls):
            self._refuse(event_type, f"call {call_id!r} has no ID or is open already")
        if event_type is EventType.TOOL_COMPLETED and call_id not in self.open_calls:
            self._refuse(event_type, f"call {call_id!r} is not open")
        if event_type is EventType.AGENT_COMPLETED and self.open_calls:
            self._refuse(event_type, f"{len(self.open_calls)} tool call(s) still open")

    def advance(self, event_type: EventType, payload: Mapping[str, object]) -> None:
        """Take a checked event that was stored into account."""
        self._last = event_type
        if event_type is EventType.TOOL_EXECUTING:
            self.open_calls[str(payload["call_id"])] = str(payload["tool"])
        if event_type is EventType.TOOL_COMPLETED:
            del self.open_calls[str(payload["call_id"])]

    @staticmethod
    def _refuse(event_type: EventType, why: str) -> None:
        raise ProtocolOrderError(f"{event_type} refused: {why}", hint="README.md, section Events, has the order")


def scrub(value: object, *, depth: int = 0) -> object:
    """``value`` as JSON that may be shown: secrets hidden, long strings cut, unknown objects named by their type."""
    shown: object
    match value:
        case _ if depth > _DEEPEST:
            shown = "…"
        case float() if not math.isfinite(value):
            shown = str(value)  # JSON has no word for it
        case None | bool() | int() | float():
            shown = value
        case str():
            shown = value if len(value) <= LONGEST_TEXT else f"{value[: LONGEST_TEXT - 1]}…"
        case Mapping():
            shown = {str(key): _scrub_value(str(key), item, depth) for key, item in value.items()}
        case Sequence() | set() | frozenset() if not isinstance(value, bytes | bytearray):
            shown = [scrub(item, depth=depth + 1) for item in value]
        case _:
            shown = f"<{type(value).__name__}>"
    return shown


def _scrub_value(key: str, value: object, depth: int) -> object:
    hidden = any(word in key.lower().replace("-", "_") for word in _SECRET_WORDS)
    return "***" if hidden else scrub(value, depth=depth + 1)
