"""A module's fixture sets a context variable and resets it at its end."""

from collections.abc import Iterator
from contextvars import ContextVar

import pytest

TENANT: ContextVar[str] = ContextVar("tenant", default="nobody")


@pytest.fixture(scope="module")
def tenant() -> Iterator[str]:
    """For the module."""
    token = TENANT.set("one")
    yield "one"
    TENANT.reset(token)


@pytest.mark.parametrize("number", range(2))
def test_it(tenant: str, number: int) -> None:
    """Finds it."""
    assert TENANT.get() == tenant
