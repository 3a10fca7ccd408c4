"""``[tool.ci-tools.gate]`` → the policy of each profile."""

import dataclasses
import difflib
import typing
from collections.abc import Mapping

from ci_tools.errors import DecodeError
from ci_tools.model.codec import from_json
from ci_tools.model.policy import PROFILES, Policy

FIELDS = {field.name.replace("_", "-"): field.name for field in dataclasses.fields(Policy)}
"""Key of the table → field of the policy; a key that ends in ``-s`` (seconds) may be written without it."""


_SHARES = {"min_pass_rate", "max_skipped_rate", "max_executed_drop", "max_regression_chance"}


def parse_profiles(table: Mapping[str, object], problems: list[str]) -> Mapping[str, Policy]:
    """The policy of every profile. What a profile asks by name wins over what ``[tool.ci-tools.gate]`` says for all.

    So a key for all does not soften the release profile; only ``[tool.ci-tools.gate.release]`` can.
    """
    own: dict[str, Mapping[str, object]] = {}
    common: dict[str, object] = {}
    for name, value in table.items():
        if isinstance(value, dict) and _field(name) is None:
            own[name] = value
        else:
            common[name] = value
    shared = _values(common, "gate", problems)
    profiles = {}
    for name in {*PROFILES, *own}:
        values = {**shared, **_distinct(PROFILES.get(name, Policy())), **_values(own.get(name, {}), f"gate.{name}", problems)}
        profiles[name] = dataclasses.replace(Policy(), **values)  # type: ignore[arg-type] # each value was decoded as its field's type
    return profiles


def _field(key: str) -> str | None:
    return FIELDS.get(key) or FIELDS.get(f"{key}-s")


def _distinct(policy: Policy) -> dict[str, object]:
    """What a profile asks that the default one does not."""
    default = Policy()
    return {name: getattr(policy, name) for name in FIELDS.values() if getattr(policy, name) != getattr(default, name)}


def _values(table: Mapping[str, object], prefix: str, problems: list[str]) -> dict[str, object]:
    hints = typing.get_type_hints(Policy)
    values: dict[str, object] = {}
    for key, value in table.items():
        name = _field(key)
        if name is None:
            near = difflib.get_close_matches(key, sorted(FIELDS), n=1)
            remedy = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(FIELDS))}"
            problems.append(f"{prefix}.{key} is not a key; {remedy}")
            continue
        try:
            values[name] = from_json(hints[name], _underscored(value), where=f"{prefix}.{key}")
        except DecodeError as error:
            problems.append(error.what)
            continue
        if problem := _out_of_range(name, values[name]):
            problems.append(f"{prefix}.{key} is {value!r}, expected {problem}")
    return values


def _out_of_range(name: str, value: object) -> str:
    """What a number should have been; empty for one that can be kept, and for what is no number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return ""
    if name in _SHARES:
        return "" if 0 <= value <= 1 else "a share from 0 to 1 (0.95 for 95 %)"
    return "" if value >= 0 else "0 or more"


def _underscored(value: object) -> object:
    """Keys of tables inside arrays in the form of the fields they become."""
    if isinstance(value, dict):
        return {str(key).replace("-", "_"): _underscored(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_underscored(item) for item in value]
    # TOML has dates of its own; the policy keeps ISO text.
    return value.isoformat() if hasattr(value, "isoformat") else value
