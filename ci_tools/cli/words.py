"""What the words of a command line may be; each error says what was given and what was expected."""

import argparse
import re
from typing import TYPE_CHECKING

from ci_tools.errors import UsageError
from ci_tools.model.service import ServiceKind
from ci_tools.model.shard import ShardRef

if TYPE_CHECKING:
    from ci_tools.pipeline.plan import Target


def shard(text: str) -> ShardRef:
    """A shard: "2/4"."""
    try:
        return ShardRef.parse(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(error.what) from error


def service(text: str) -> ServiceKind:
    """A service: "redis"."""
    try:
        return ServiceKind(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no service; there are {', '.join(ServiceKind)}") from error


def positive(text: str) -> int:
    """A whole number, 1 or more."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, 1 or more")
    return int(text)


def shards(text: str) -> int | str:
    """A number, or "auto"."""
    return text if text == "auto" else positive(text)


def size(shards: int | str | None, target_s: float | None) -> "int | Target | None":
    """How many shards: the number given, or the target that "auto" is to meet; None when nothing was said.

    Raises:
        UsageError: a target without "auto".
    """
    from ci_tools.pipeline.plan import Target  # noqa: PLC0415 - `ci-tools --help` needs none of it

    if shards != "auto":
        if target_s is not None:
            raise UsageError("--target goes with --shards auto", hint="leave one of them out")
        return shards if not isinstance(shards, str) else None
    return Target() if target_s is None else Target(seconds=target_s)


def duration(text: str) -> float:
    """Seconds of "300", "300s", "5m" or "1h"."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h)?", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; write 300, 300s, 5m or 1h")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600, None: 1}[match[2]]


def systems(text: str) -> tuple[str, ...]:
    """Systems: "linux,macos"."""
    from ci_tools.policy.release import SYSTEMS  # noqa: PLC0415 - `ci-tools --help` needs none of it

    names = tuple(text.split(","))
    if wrong := [name for name in names if name not in SYSTEMS]:
        raise argparse.ArgumentTypeError(f"{', '.join(map(repr, wrong))} is no system; known: {', '.join(SYSTEMS)}")
    return names


def pythons(text: str) -> tuple[str, ...]:
    """Pythons: "3.11,3.14"."""
    names = tuple(text.split(","))
    if wrong := [name for name in names if not re.fullmatch(r"\d+\.\d+(\.\d+)?", name)]:
        raise argparse.ArgumentTypeError(f"{', '.join(map(repr, wrong))} is no Python version; write 3.11,3.14")
    return names


def commit(text: str) -> str:
    """A full commit ID."""
    if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no full commit ID; `git rev-parse HEAD` prints one")
    return text


def workers(text: str) -> int:
    """A number of workers; 0 for "auto"."""
    return 0 if text == "auto" else positive(text)
