"""The one family of errors, with the same body over HTTP and WebSocket."""

from collections.abc import Sequence


class PlatformError(Exception):
    """Something the platform refuses or cannot do; ``hint`` says how to put it right."""

    code = "internal"
    status = 500

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} [fix: {self.hint}]"

    def body(self) -> dict[str, str]:
        """What a client is told."""
        return {"code": self.code, "message": self.message, "hint": self.hint}


class ConfigError(PlatformError):
    """The environment does not describe a platform that may start; lists every problem at once."""

    code = "config_invalid"

    def __init__(self, environment: str, problems: Sequence[str]) -> None:
        lines = "".join(f"\n  - {problem}" for problem in problems)
        super().__init__(
            f"{environment}: {len(problems)} configuration problem(s):{lines}",
            hint="README.md, section Configuration, lists every setting and what each environment demands",
        )
        self.problems = tuple(problems)


class StartupError(PlatformError):
    """A phase of the start-up failed; everything opened before it is closed again."""

    code = "startup_failed"


class DependencyError(PlatformError):
    """A required part is missing, not started, or belongs to another event loop."""

    code = "dependency_missing"


class InvalidContextError(PlatformError):
    """An execution context carries an ID that cannot stand for a user, thread, run or request."""

    code = "invalid_context"
    status = 400


class BadRequestError(PlatformError):
    """The request cannot be understood."""

    code = "bad_request"
    status = 400


class UnauthorizedError(PlatformError):
    """No valid proof of who is asking."""

    code = "unauthorized"
    status = 401


class ForbiddenError(PlatformError):
    """Known who is asking, and not allowed."""

    code = "forbidden"
    status = 403


class NotFoundError(PlatformError):
    """Nothing of that name belongs to the one who asks."""

    code = "not_found"
    status = 404


class LimitExceededError(PlatformError):
    """A user's own limit is reached."""

    code = "limit_exceeded"
    status = 429


class UnavailableError(PlatformError):
    """A service or the platform itself cannot take this now."""

    code = "unavailable"
    status = 503


class ToolFailedError(PlatformError):
    """A tool call ended without a result; the agent may go on."""

    code = "tool_failed"


class ProtocolOrderError(PlatformError):
    """An event would break the order that every run's stream keeps."""

    code = "event_order"
