"""aiohttp's own test server and client."""

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer


async def hello(request):
    return web.Response(text="hello")


@pytest.mark.asyncio
async def test_it():
    app = web.Application()
    app.router.add_get("/", hello)
    async with TestClient(TestServer(app)) as client:
        response = await client.get("/")
        assert await response.text() == "hello"
