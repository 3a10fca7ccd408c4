"""Prefixes: accounts of our own on somebody else's Redis, each confined to keys and channels that begin with its prefix.

They stand in for databases where all of these are taken. They live in database 0, beside the leases. Such an account
may neither select another database nor flush one, nor load or remove functions: they are everybody's.
"""

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.version import InvalidVersion, Version

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis

NAME = "ci-tools-"
PREFIX = "ci-tools-run:{token}:"
OURS = ("ci-tools:", "ci-tools-run:")
"""How every key of ours in database 0 begins."""

_FIRST_VERSION = Version("6.2")
"""Of Redis; accounts came with 6.0, patterns of channels for them with 6.2."""
_SUBCOMMANDS_SINCE = Version("7")
_AT_ONCE = 1000
_CATEGORIES = ("+@all", "-@admin", "-@dangerous")
_COMMANDS = ("+info", "+keys", "-select", "-move")
_MAY_NOT_SINCE_7 = ("-function", "-script|flush")


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixAccount:
    """An account: ``name`` is also its lease's, ``prefix`` how each of its keys and channels begins."""

    name: str
    prefix: str
    password: str = field(repr=False)


def new_account() -> PrefixAccount:
    """An account with a random name and password, which is nowhere yet."""
    token = secrets.token_hex(8)
    return PrefixAccount(name=f"{NAME}{token}", prefix=PREFIX.format(token=token), password=secrets.token_urlsafe(24))


def refusal(registry: "redis.Redis", redis_version: str) -> str:
    """Why no account can be made on this server; empty when one can. RedisError as the client raises it."""
    if _parse(redis_version) < _FIRST_VERSION:
        return f"it is Redis {redis_version}, and accounts with prefixes of channels came with {_FIRST_VERSION}"
    if any(not key.startswith(OURS) for key in _keys(registry, "*")):
        return "database 0, where they would live, holds keys that are not ours"
    return ""


def create(registry: "redis.Redis", account: PrefixAccount, redis_version: str) -> None:
    """Make the account on the server. RedisError when the server or our own rights refuse it."""
    newer = _MAY_NOT_SINCE_7 if _parse(redis_version) >= _SUBCOMMANDS_SINCE else ()
    registry.acl_setuser(
        account.name,
        enabled=True,
        reset=True,
        reset_channels=True,
        passwords=[f"+{account.password}"],
        categories=list(_CATEGORIES),
        commands=[*_COMMANDS, *newer],
        keys=[f"{account.prefix}*"],
        channels=[f"{account.prefix}*"],
    )


def remove(registry: "redis.Redis", name: str) -> None:
    """End the account and its connections, then remove its keys and no others."""
    registry.acl_deluser(name)
    clear(registry, PREFIX.format(token=name.removeprefix(NAME)))


def clear(client: "redis.Redis", prefix: str) -> None:
    """Remove the keys that begin with a prefix, in the client's database."""
    found: list[str] = []
    for key in _keys(client, f"{prefix}*"):
        found.append(key)
        if len(found) == _AT_ONCE:
            client.unlink(*found)
            found.clear()
    if found:
        client.unlink(*found)


def names(registry: "redis.Redis") -> list[str]:
    """Every account of ours on the server, of any run."""
    return [name for name in registry.acl_users() if isinstance(name, str) and name.startswith(NAME)]


def _keys(client: "redis.Redis", pattern: str) -> "Iterator[str]":
    keys: Iterator[str] = client.scan_iter(match=pattern, count=_AT_ONCE)
    return keys


def _parse(version: str) -> Version:
    try:
        return Version(version)
    except InvalidVersion:
        return Version("0")
