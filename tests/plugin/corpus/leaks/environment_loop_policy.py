"""The policy for event loops is replaced.

kind: environment
outcome: error
"""

import asyncio


class Policy(asyncio.DefaultEventLoopPolicy):
    """One's own."""


def test_offender() -> None:
    """Passes."""
    asyncio.set_event_loop_policy(Policy())  # made here


def test_innocent() -> None:
    """An innocent neighbour."""
    assert not isinstance(asyncio.get_event_loop_policy(), Policy)
