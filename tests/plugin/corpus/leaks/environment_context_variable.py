"""A context variable of the project is set and not reset.

kind: environment
outcome: error
says: context variable test_environment_context_variable.USER was 'nobody'
"""

from contextvars import ContextVar

USER: ContextVar[str] = ContextVar("user")
USER.set("nobody")  # at import, for all


def test_offender() -> None:
    """Passes."""
    USER.set("root")  # made here


def test_innocent() -> None:
    """Finds it as it was."""
    assert USER.get() == "nobody"
