"""Sign-in: a token is the only proof of who asks, and it is made, checked and revoked in one place."""

import base64
import json
import logging
import time
import uuid
from pathlib import Path

import jwt
import pytest
from witness import Witness

from agent_platform.app import SIMULATION_HEADER
from agent_platform.simulator import GRANTABLE
from agent_platform.testing import LiveServer, create_test_app

REQUIRED = {"sub", "iat", "exp", "iss", "aud", "jti", "env", "typ"}


def bearer(token: str) -> dict[str, str]:
    """The header that carries a token."""
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.service("redis", "database", "http")
async def test_simulated_sign_in_gives_an_ordinary_token(live: LiveServer, witness: Witness) -> None:
    """A simulated user is stored, and the token says who it is at every door."""
    ada = await live.sign_in("Ada@Example.com")
    me = await live.http.get("/me", headers=bearer(ada.token))
    expected = {"user_id": ada.user_id, "email": "ada@example.com", "permissions": sorted(GRANTABLE)}
    assert expected == me.json()
    assert {"ada@example.com"} == await witness.emails()
    assert str(uuid.uuid5(uuid.NAMESPACE_URL, "mailto:ada@example.com")) == ada.user_id


@pytest.mark.service("redis", "database", "http")
async def test_a_wrong_or_missing_simulation_key_is_refused(live: LiveServer, witness: Witness) -> None:
    """Without the right key there is no token and no user row."""
    body = {"email": "ada@example.com"}
    wrong = await live.http.post("/auth/simulate", json=body, headers={SIMULATION_HEADER: "guessed"})
    missing = await live.http.post("/auth/simulate", json=body)
    assert [(401, "unauthorized")] * 2 == [(answer.status_code, answer.json()["code"]) for answer in (wrong, missing)]
    assert set() == await witness.emails()


@pytest.mark.service("redis", "database", "http")
async def test_without_a_key_the_simulator_is_off(tmp_path: Path) -> None:
    """A platform that was given no simulation key answers 503, whatever key is sent."""
    async with LiveServer(create_test_app(workdir=tmp_path, E2E_OAUTH_SIMULATION_KEY="")) as live:
        answer = await live.http.post("/auth/simulate", json={"email": "ada@example.com"}, headers={SIMULATION_HEADER: ""})
    assert (503, "unavailable") == (answer.status_code, answer.json()["code"])


@pytest.mark.service("redis", "database", "http")
async def test_a_token_carries_every_required_claim(live: LiveServer) -> None:
    """A token names its user, life, issuer, audience, ID, environment and type, and what the user may do."""
    ada = await live.sign_in("ada@example.com", permissions=["agents:run"])
    claims = jwt.decode(ada.token, options={"verify_signature": False})
    assert set() == REQUIRED - set(claims)
    assert (ada.user_id, "test", "access", ["agents:run"]) == tuple(claims[name] for name in ("sub", "env", "typ", "permissions"))
    assert live.settings.limits.token_life_s == pytest.approx(claims["exp"] - claims["iat"])


@pytest.mark.service("redis", "database", "http", "websocket")
async def test_a_token_of_another_kind_is_refused(live: LiveServer) -> None:
    """Expired, forged, unsigned and foreign tokens answer 401 over HTTP and in the WebSocket handshake alike."""
    ada = await live.sign_in("ada@example.com")
    claims = jwt.decode(ada.token, options={"verify_signature": False})
    secret = live.settings.jwt_secret
    header, body, signature = ada.token.split(".")
    unsigned = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "JWT"}).encode()).rstrip(b"=").decode()
    tokens = {
        "expired": jwt.encode({**claims, "exp": time.time() - 60}, secret),
        "forged": jwt.encode(claims, "another secret that is long enough for HS256"),
        "changed": f"{header}.{_with(body, sub=str(uuid.uuid4()))}.{signature}",
        "alg none": f"{unsigned}.{body}.",
        "other audience": jwt.encode({**claims, "aud": "somebody else"}, secret),
        "other issuer": jwt.encode({**claims, "iss": "somebody else"}, secret),
        "other environment": jwt.encode({**claims, "env": "staging"}, secret),
        "other type": jwt.encode({**claims, "typ": "refresh"}, secret),
        "no claims": jwt.encode({"sub": ada.user_id}, secret),
        "no token at all": "nonsense",
    }
    answers = {}
    for kind, token in tokens.items():
        over_http = await live.http.get("/me", headers=bearer(token))
        status, refusal = await live.handshake(headers=bearer(token))
        answers[kind] = (over_http.status_code, status, over_http.json()["code"], refusal["code"])
    assert dict.fromkeys(tokens, (401, 401, "unauthorized", "unauthorized")) == answers
    assert 200 == (await live.http.get("/me", headers=bearer(ada.token))).status_code


@pytest.mark.service("redis", "database", "websocket")
async def test_test_headers_prove_nothing(live: LiveServer) -> None:
    """Neither headers that claim to be a test nor the simulation key itself open a socket."""
    key = live.settings.simulation_key
    attempts = [
        {"X-E2E-Test": "true", "X-Test-User": "ada@example.com", "X-Test-Type": "E2E"},
        {SIMULATION_HEADER: key},
        {"X-E2E-Bypass": key, "Authorization": f"Bearer {key}"},
    ]
    assert [401, 401, 401] == [(await live.handshake(headers=headers))[0] for headers in attempts]


@pytest.mark.service("redis", "database", "http")
async def test_the_simulator_grants_no_power_over_others(live: LiveServer, witness: Witness) -> None:
    """A permission that is not on the allow-list is refused, and no token is made."""
    body = {"email": "ada@example.com", "permissions": ["agents:run", "platform:admin"]}
    headers = {SIMULATION_HEADER: live.settings.simulation_key}
    answer = await live.http.post("/auth/simulate", json=body, headers=headers)
    assert (403, "platform:admin cannot be granted") == (answer.status_code, answer.json()["message"])
    assert set() == await witness.emails()


@pytest.mark.service("redis", "database", "http")
async def test_the_same_name_at_another_domain_is_another_user(live: LiveServer, witness: Witness) -> None:
    """Users are told apart by their whole address."""
    users = [await live.sign_in(email) for email in ("ada@example.com", "ada@example.org", "ADA@example.com")]
    assert users[0].user_id != users[1].user_id
    assert users[0].user_id == users[2].user_id
    assert {"ada@example.com", "ada@example.org"} == await witness.emails()


@pytest.mark.service("redis", "database", "http", "websocket")
async def test_logging_out_ends_token_and_socket(live: LiveServer, witness: Witness) -> None:
    """After the logout the token is worthless and its open socket is closed with 4401; another token lives on."""
    ada, again = [await live.sign_in("ada@example.com") for _ in range(2)]
    async with live.ws(ada.token) as client, live.ws(again.token) as other:
        assert 200 == (await live.http.post("/auth/logout", headers=bearer(ada.token))).status_code
        assert 4401 == await client.close_code()
        assert 401 == (await live.http.get("/me", headers=bearer(ada.token))).status_code
        assert 401 == (await live.handshake(headers=bearer(ada.token)))[0]
        await other.send({"type": "ping"})
        await other.next("pong")
    token_id = jwt.decode(ada.token, options={"verify_signature": False})["jti"]
    life_ms = await witness.redis.pttl(witness.key("revoked", token_id))
    assert 0 < life_ms <= live.settings.limits.token_life_s * 1000


@pytest.mark.service("redis", "database", "http", "websocket")
async def test_a_token_that_expires_closes_its_socket(tmp_path: Path) -> None:
    """An open socket lives no longer than the token that opened it."""
    async with LiveServer(create_test_app(workdir=tmp_path, TOKEN_LIFE_S="1.5")) as live:  # noqa: S106 - seconds
        ada = await live.sign_in("ada@example.com")
        async with live.ws(ada.token) as client:
            assert 4401 == await client.close_code()


@pytest.mark.service("redis", "database", "http", "websocket")
async def test_no_secret_is_logged(live: LiveServer, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever the server logs, down to its finest level, holds neither key nor token nor signing secret."""
    caplog.set_level(logging.DEBUG)
    ada = await live.sign_in("ada@example.com")
    async with live.ws(ada.token) as client:
        await client.events(await client.start("failing"))
    await live.http.post("/auth/simulate", json={"email": "bob@example.com"}, headers={SIMULATION_HEADER: "guessed-key-123"})
    await live.handshake(headers=bearer("guessed-token-123"))
    servers = [record for record in caplog.records if not record.name.startswith(("websockets.client", "httpx", "httpcore"))]
    logged = "\n".join(f"{record.getMessage()} {record.exc_text or ''}" for record in servers)
    secrets = (ada.token, live.settings.simulation_key, live.settings.jwt_secret, "guessed-key-123", "guessed-token-123")
    assert servers != []
    assert [] == [secret for secret in secrets if secret in logged]


def _with(body: str, **claims: str) -> str:
    """The body of a token with other claims, not signed again."""
    decoded = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return base64.urlsafe_b64encode(json.dumps({**decoded, **claims}).encode()).rstrip(b"=").decode()
