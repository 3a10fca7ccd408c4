"""Sign-in without an identity provider, for tests: a key is exchanged for an ordinary token, and for nothing else."""

import hmac
import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from agent_platform.database import DatabaseSessionManager
from agent_platform.errors import BadRequestError, ForbiddenError, UnauthorizedError, UnavailableError
from agent_platform.records import ensure_user
from agent_platform.settings import Environment, Settings
from agent_platform.tokens import TokenService

GRANTABLE = frozenset({"agents:run", "tools:use", "memory:write"})
"""What a simulated user can be allowed; nothing with power over others is here."""

_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,255}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """A user who signed in, with the token that proves it."""

    user_id: str
    email: str
    token: str


class OAuthSimulator:
    """Stands in for the identity provider where no browser can go; absent in production."""

    def __init__(self, *, settings: Settings, tokens: TokenService, database_session_manager: DatabaseSessionManager) -> None:
        self._settings = settings
        self._tokens = tokens
        self._database = database_session_manager

    async def sign_in(self, *, key: str, email: str, permissions: Iterable[str] | None = None) -> SignedIn:
        """Exchange the simulation key for a token; the user's row is there afterwards."""
        if self._settings.environment is Environment.PRODUCTION:
            raise ForbiddenError("simulated sign-in does not exist in production", hint="sign in as users do")
        if not self._settings.simulation_key:
            raise UnavailableError("simulated sign-in is off", hint="set E2E_OAUTH_SIMULATION_KEY")
        if not hmac.compare_digest(key.encode(), self._settings.simulation_key.encode()):
            raise UnauthorizedError("the simulation key is wrong or missing", hint="send it as X-Simulation-Key")
        address = email.strip().lower()
        if not _EMAIL.fullmatch(address):
            raise BadRequestError("email is no address", hint="name@domain")
        granted = GRANTABLE if permissions is None else frozenset(permissions)
        if beyond := granted - GRANTABLE:
            raise ForbiddenError(
                f"{', '.join(sorted(beyond))} cannot be granted", hint=f"allowed: {', '.join(sorted(GRANTABLE))}"
            )
        user_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"mailto:{address}"))  # the whole address: a@x and a@y are two users
        async with self._database.session() as session:
            await ensure_user(session, user_id=user_id, email=address)
        token = self._tokens.issue(user_id=user_id, email=address, permissions=granted, simulated=True)
        return SignedIn(user_id=user_id, email=address, token=token)
