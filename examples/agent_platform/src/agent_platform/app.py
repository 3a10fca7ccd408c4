"""The application: HTTP routes and the WebSocket endpoint over one platform."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from agent_platform.agents import AgentRegistry
from agent_platform.connection import ClientConnection
from agent_platform.context import UserExecutionContext, new_id
from agent_platform.errors import (
    BadRequestError,
    ForbiddenError,
    NotFoundError,
    PlatformError,
    UnauthorizedError,
    UnavailableError,
)
from agent_platform.lifecycle import Platform
from agent_platform.records import RunRecord, find_run
from agent_platform.settings import Settings
from agent_platform.tokens import Principal

SUBPROTOCOL = "agent.v1"
SIMULATION_HEADER = "x-simulation-key"
_BEARER_SUBPROTOCOL = "bearer."


def create_app(settings: Settings, *, registry: AgentRegistry | None = None) -> Starlette:
    """The application with a platform of its own, which its lifespan starts and stops."""
    platform = Platform(settings=settings, registry=registry)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        if not platform.ready:  # a PlatformServer has started it already, to raise what uvicorn would only log
            await platform.start()
        try:
            yield
        finally:
            await platform.stop()

    app = Starlette(
        lifespan=lifespan,
        routes=[
            Route("/health/live", _live),
            Route("/health/ready", _ready),
            Route("/auth/simulate", _simulate, methods=["POST"]),
            Route("/auth/logout", _log_out, methods=["POST"]),
            Route("/me", _me),
            Route("/runs", _start_run, methods=["POST"]),
            Route("/runs/{run_id}", _show_run),
            Route("/runs/{run_id}/events", _show_events),
            Route("/runs/{run_id}/cancel", _cancel_run, methods=["POST"]),
            WebSocketRoute("/ws", _serve_socket),
        ],
        exception_handlers={PlatformError: _refuse, SQLAlchemyError: _refuse},
    )
    app.state.platform = platform
    return app


def platform_of(app: Starlette) -> Platform:
    """The platform of an application made here."""
    platform = app.state.platform
    assert isinstance(platform, Platform)
    return platform


async def _refuse(_: Request, error: Exception) -> JSONResponse:
    return _refusal(
        error
        if isinstance(error, PlatformError)
        else UnavailableError("the database did not do its part", hint="try again in a moment")
    )


def _refusal(error: PlatformError) -> JSONResponse:
    return JSONResponse(error.body(), status_code=error.status)


async def _live(_: Request) -> JSONResponse:
    return JSONResponse({"live": True})


async def _ready(request: Request) -> JSONResponse:
    platform = platform_of(request.app)
    checks = await platform.checks()
    failing = [name for name, check in checks.items() if not check["ok"]]
    ready = platform.ready and not failing
    return JSONResponse({"ready": ready, "failing": failing, "checks": checks}, status_code=200 if ready else 503)


async def _simulate(request: Request) -> JSONResponse:
    body = await _body(request)
    key = request.headers.get(SIMULATION_HEADER, "")
    permissions = body.get("permissions")
    signed_in = await platform_of(request.app).simulator.sign_in(
        key=key, email=str(body.get("email", "")), permissions=None if permissions is None else _texts(permissions)
    )
    return JSONResponse({"user_id": signed_in.user_id, "email": signed_in.email, "token": signed_in.token})


async def _log_out(request: Request) -> JSONResponse:
    await platform_of(request.app).tokens.revoke(await _principal(request))
    return JSONResponse({"revoked": True})


async def _me(request: Request) -> JSONResponse:
    principal = await _principal(request)
    permissions = sorted(principal.permissions)
    return JSONResponse({"user_id": principal.user_id, "email": principal.email, "permissions": permissions})


async def _start_run(request: Request) -> JSONResponse:
    principal = await _principal(request)
    body = await _body(request)
    if "agents:run" not in principal.permissions:
        raise ForbiddenError("permission 'agents:run' is missing", hint="sign in with a token that holds it")
    agent_input = body.get("input", {})
    if not isinstance(agent_input, dict):
        raise BadRequestError("input is no object", hint='{"agent": "research", "input": {…}}')
    thread_id = str(body.get("thread_id") or new_id())
    context = UserExecutionContext(user_id=principal.user_id, thread_id=thread_id, permissions=principal.permissions)
    run_id = await platform_of(request.app).factory.submit(context, str(body.get("agent", "")), agent_input)
    return JSONResponse({"run_id": run_id}, status_code=202)


async def _show_run(request: Request) -> JSONResponse:
    return JSONResponse((await _own_run(request)).body())


async def _show_events(request: Request) -> JSONResponse:
    record = await _own_run(request)
    after = request.query_params.get("after", "0")
    if not after.isdigit():
        raise BadRequestError(f"after is {after!r}", hint="the last seq already known, 0 or more")
    principal = await _principal(request)
    bridge = platform_of(request.app).bridge
    return JSONResponse({"events": await bridge.replay(user_id=principal.user_id, run_id=record.run_id, after=int(after))})


async def _cancel_run(request: Request) -> JSONResponse:
    principal = await _principal(request)
    status = await platform_of(request.app).factory.cancel(user_id=principal.user_id, run_id=request.path_params["run_id"])
    return JSONResponse({"status_when_asked": status}, status_code=202)


async def _own_run(request: Request) -> RunRecord:
    principal = await _principal(request)
    run_id = request.path_params["run_id"]
    async with platform_of(request.app).database.session() as session:
        record = await find_run(session, user_id=principal.user_id, run_id=run_id)
    if record is None:
        raise NotFoundError(f"run {run_id!r} does not exist", hint="name a run that this user started")
    return record


async def _body(request: Request) -> Mapping[str, object]:
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise BadRequestError("the body is not JSON", hint="send a JSON object") from error
    if not isinstance(body, dict):
        raise BadRequestError(f"the body is a {type(body).__name__}", hint="send a JSON object")
    return body


def _texts(value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise BadRequestError("permissions is no list of strings", hint='["agents:run"]')
    return value


async def _principal(connection: Request | WebSocket) -> Principal:
    """Who asks, by the token alone; nothing else a client sends is proof of anything."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        offered = connection.scope.get("subprotocols", [])
        token = next((name.removeprefix(_BEARER_SUBPROTOCOL) for name in offered if name.startswith(_BEARER_SUBPROTOCOL)), "")
    if not token:
        raise UnauthorizedError("no token", hint="Authorization: Bearer …, or the subprotocols agent.v1, bearer.…")
    return await platform_of(connection.app).tokens.verify(token)


async def _serve_socket(websocket: WebSocket) -> None:
    platform = platform_of(websocket.app)
    try:
        if not platform.ready:
            raise UnavailableError("the platform is not ready", hint="try again in a moment; /health/ready says when")
        _check_origin(websocket, platform.settings)
        principal = await _principal(websocket)
        limit = platform.settings.limits.connections_per_user
        lease = await platform.redis.leases.acquire("conns", principal.user_id, limit=limit)
    except PlatformError as error:
        await websocket.send_denial_response(_refusal(error))
        return
    subprotocol = SUBPROTOCOL if SUBPROTOCOL in websocket.scope.get("subprotocols", []) else None
    await ClientConnection(platform=platform, websocket=websocket, principal=principal).serve(lease, subprotocol=subprotocol)


def _check_origin(websocket: WebSocket, settings: Settings) -> None:
    """A browser names the page it comes from; where origins are listed, another page's is refused."""
    origin = websocket.headers.get("origin")
    if origin is None or not settings.allowed_origins:
        return
    if urlsplit(origin).netloc == "" or origin not in settings.allowed_origins:
        raise ForbiddenError("this origin is not allowed", hint="ALLOWED_ORIGINS lists those that are")
