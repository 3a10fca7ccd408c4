"""Tokens: the only place that makes them and the only place that believes them."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

import jwt

from agent_platform.context import new_id
from agent_platform.errors import UnauthorizedError
from agent_platform.redis_manager import RedisManager
from agent_platform.settings import Settings

ISSUER = "agent_platform"
AUDIENCE = "agent_platform:api"
_ALGORITHM = "HS256"
_REQUIRED = ("sub", "iat", "exp", "iss", "aud", "jti", "env", "typ")
_HINT = "sign in again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who a verified token speaks for."""

    user_id: str
    email: str
    permissions: frozenset[str]
    token_id: str
    expires_at: float
    simulated: bool = False


class TokenService:
    """Issues, verifies and revokes access tokens of this environment."""

    def __init__(self, *, settings: Settings, redis_manager: RedisManager) -> None:
        self._secret = settings.jwt_secret
        self._environment = settings.environment
        self._life_s = settings.limits.token_life_s
        self._redis = redis_manager

    def issue(self, *, user_id: str, email: str, permissions: Iterable[str], simulated: bool = False) -> str:
        """A signed token for this user."""
        now = time.time()
        claims = {
            "sub": user_id,
            "iat": now,
            "exp": now + self._life_s,
            "iss": ISSUER,
            "aud": AUDIENCE,
            "jti": new_id(),
            "env": self._environment,
            "typ": "access",
            "email": email,
            "permissions": sorted(permissions),
            "sim": simulated,
        }
        return jwt.encode(claims, self._secret, algorithm=_ALGORITHM)

    async def verify(self, token: str) -> Principal:
        """Who the token speaks for; UnauthorizedError unless it is ours, whole, of this environment and not revoked."""
        try:
            claims = jwt.decode(
                token,
                self._secret,
                algorithms=[_ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                options={"require": list(_REQUIRED)},
            )
        except jwt.InvalidTokenError as error:
            raise UnauthorizedError(f"the token is not valid ({type(error).__name__})", hint=_HINT) from error
        if claims["env"] != self._environment:
            raise UnauthorizedError("the token is from another environment", hint=_HINT)
        if claims["typ"] != "access":
            raise UnauthorizedError("the token is no access token", hint=_HINT)
        if await self._redis.get(self._revocation_key(claims["jti"])) is not None:
            raise UnauthorizedError("the token was revoked", hint=_HINT)
        return Principal(
            user_id=claims["sub"],
            email=claims.get("email", ""),
            permissions=frozenset(claims.get("permissions", ())),
            token_id=claims["jti"],
            expires_at=float(claims["exp"]),
            simulated=bool(claims.get("sim", False)),
        )

    async def revoke(self, principal: Principal) -> None:
        """Make the token worthless for the rest of its life and end the sockets it opened, in every process."""
        remaining_s = principal.expires_at - time.time()
        if remaining_s > 0:
            await self._redis.put(self._revocation_key(principal.token_id), "1", ttl_s=remaining_s)
            await self._redis.publish(self._redis.key("revocations"), principal.token_id)

    def _revocation_key(self, token_id: str) -> str:
        return self._redis.key("revoked", token_id)
