"""Who a run is for: an immutable context that carries the IDs and permissions of one user's one run."""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from agent_platform.errors import ForbiddenError, InvalidContextError

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
"""Neither ``:`` (separates the parts of a Redis key) nor glob characters nor white space."""

_PLACEHOLDERS = frozenset({"none", "null", "undefined", "default", "placeholder", "anonymous", "user", "test", "unknown", "nan"})


def new_id() -> str:
    """A fresh ID for a run, thread, request, event or call."""
    return uuid.uuid4().hex


@dataclass(frozen=True, slots=True, kw_only=True)
class UserExecutionContext:
    """One user's one run. Empty, placeholder and reserved-character IDs are refused; the metadata is read-only."""

    user_id: str
    thread_id: str = field(default_factory=new_id)
    run_id: str = field(default_factory=new_id)
    request_id: str = field(default_factory=new_id)
    permissions: frozenset[str] = frozenset()
    metadata: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("user_id", "thread_id", "run_id", "request_id"):
            value = getattr(self, name)
            if not isinstance(value, str) or not _ID.fullmatch(value):
                raise InvalidContextError(
                    f"{name} is {value!r}", hint="1 to 128 letters, digits, '.', '_' or '-', beginning with a letter or digit"
                )
            if value.lower() in _PLACEHOLDERS:
                raise InvalidContextError(f"{name} is the placeholder {value!r}", hint="pass the ID of a signed-in user")
        object.__setattr__(self, "metadata", MappingProxyType(dict(self.metadata)))

    def next_run(self) -> "UserExecutionContext":
        """The same user and thread, for one more run."""
        return replace(self, run_id=new_id(), request_id=new_id())

    def require(self, permission: str) -> None:
        """ForbiddenError unless the user holds ``permission``."""
        if permission not in self.permissions:
            held = ", ".join(sorted(self.permissions)) or "none"
            raise ForbiddenError(f"permission {permission!r} is missing", hint=f"held: {held}")
