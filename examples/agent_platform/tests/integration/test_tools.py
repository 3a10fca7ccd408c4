"""Tools: bracketed by their events, alone with their caller's data, and unable to take a run with them."""

import pytest
from witness import Trace, Witness

from agent_platform.testing import LiveServer


@pytest.mark.service("redis", "database", "http", "websocket")
async def test_tool_events_bracket_each_call(live: LiveServer, witness: Witness) -> None:
    """Each call is opened and closed by events that name user, tool and result."""
    ada = await live.sign_in("ada@example.com")
    async with live.ws(ada.token) as client:
        run_id = await client.start("research", topic="spring tides")
        events = await client.events(run_id)
    calls = [event for event in events if str(event["type"]).startswith("tool_")]
    assert [event["type"] for event in calls] == ["tool_executing", "tool_completed"] * 3
    assert await witness.trace(run_id) == Trace(row="succeeded", state="succeeded", seqs=list(range(1, len(events) + 1)))
    assert events == await witness.events(run_id)
