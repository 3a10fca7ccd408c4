"""Fixtures of the session and of packages by name: what a test needs of them, and what setting one up is booked on."""

from typing import Any

import pytest

_WIDE = ("session", "package")


def key_of(fixturedef: "pytest.FixtureDef[Any]", request: pytest.FixtureRequest, test_id: str) -> str:
    """``tests::database`` for a fixture of that folder's ``conftest.py``, ``::database`` for the root's; empty for narrower ones.

    A parameter is part of it, for each is set up for itself: ``::database[1]``.
    """
    if fixturedef.scope not in _WIDE:
        return ""
    return _key(fixturedef, test_id, getattr(request, "param_index", 0) if hasattr(request, "param") else None)


def keys_of(item: pytest.Item) -> tuple[str, ...]:
    """The same of all that the test asks for, directly or through others, sorted; not of those it asks for while it runs."""
    info: Any = getattr(item, "_fixtureinfo", None)
    if info is None:
        return ()
    indices: dict[str, int] = getattr(getattr(item, "callspec", None), "indices", {})
    used = ((name, info.name2fixturedefs.get(name)) for name in getattr(item, "fixturenames", ()))
    wide = ((name, found[-1]) for name, found in used if found and found[-1].scope in _WIDE)
    return tuple(
        sorted(
            _key(fixturedef, item.nodeid, indices.get(name))
            for name, fixturedef in wide
            if not fixturedef.func.__module__.startswith("_pytest.")
        )
    )


def _key(fixturedef: "pytest.FixtureDef[Any]", nodeid: str, index: int | None) -> str:
    base = fixturedef.baseid
    if fixturedef.scope == "package":  # set up once for each package whose tests ask for it
        base = nodeid.split("::", 1)[0].rpartition("/")[0]
    return f"{base}::{fixturedef.argname}" + (f"[{index}]" if index is not None else "")
