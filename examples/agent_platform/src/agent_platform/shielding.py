"""Shielding: work that must be carried through although its caller is cancelled."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_GRACE_S = 5.0
"""How long a cancelled caller waits for the work before it is cancelled too."""


async def uninterrupted(work: Coroutine[Any, Any, T], *, grace_s: float = _GRACE_S) -> T:
    """The result of ``work``. A caller that is cancelled waits for its end, up to ``grace_s``, and is cancelled then."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=grace_s)
        if not task.done():
            task.cancel()
        elif not task.cancelled():
            task.exception()  # retrieved: the cancellation is what the caller hears of
        raise
