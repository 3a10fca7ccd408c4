"""``[tool.ci-tools]`` as a value: every key of ``config.keys`` read, all mistakes told at once."""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ci_tools.config import values
from ci_tools.config.gate import parse_profiles
from ci_tools.config.keys import GUARD, KEYS, SERVICE_KEYS
from ci_tools.errors import ConfigError
from ci_tools.model.case import DEFAULT_CONFIGURATION
from ci_tools.model.guard import GuardPolicy
from ci_tools.model.policy import Policy
from ci_tools.model.service import ServiceKind, ServiceSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """One way to run the suite: which services it gets and what its environment says."""

    name: str = DEFAULT_CONFIGURATION
    services: tuple[ServiceKind, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What ``[tool.ci-tools]`` says, defaults filled in. Paths are text relative to the project."""

    tests: tuple[str, ...] = ()
    pytest_args: tuple[str, ...] = ()
    workers: int = 0
    artifacts: str = "ci-artifacts"
    keep_runs: int = 20
    env_file: str = ""
    run_timeout_s: float = 3600.0
    timings: str = ""
    guard: GuardPolicy = field(default_factory=GuardPolicy)
    services: tuple[ServiceSpec, ...] = ()
    configurations: tuple[Configuration, ...] = (Configuration(),)
    profiles: Mapping[str, Policy] = field(default_factory=dict)


_SERVICE_PARSERS = {key.name: key.parse for key in SERVICE_KEYS}
_CONFIGURATION_KEYS: dict[str, Callable[[object], object]] = {
    "services": values.parse_services,
    "environment": values.parse_environment,
}
_TABLES = {"guards", "services", "configurations", "gate"}


def parse_config(table: Mapping[str, object], *, source: str) -> Config:
    """The configuration that a ``[tool.ci-tools]`` table describes; ConfigError lists every mistake with its key."""
    problems: list[str] = []
    top = _read_keys(table, "", problems, extra=_TABLES)
    guards = _read_keys(_table(table, "guards", problems), "guards", problems)
    services = _parse_services(_table(table, "services", problems), problems)
    configurations = _parse_configurations(_table(table, "configurations", problems), services, problems)
    profiles = parse_profiles(_table(table, "gate", problems), problems)
    if problems:
        what = f"{source}: {len(problems)} configuration problem(s)"
        raise ConfigError(what, details=problems, hint="docs/reference/configuration.md lists every key with its default")
    given = {name.replace("-", "_"): value for name, value in top.items()}
    given["run_timeout_s"] = given.pop("run_timeout")
    guard = GuardPolicy(
        timeout_s=guards["timeout"],  # type: ignore[arg-type] # the key's parser gives the field's type
        grace_s=guards["grace"],  # type: ignore[arg-type] # as above
        teardown_s=guards["teardown"],  # type: ignore[arg-type] # as above
        silence_s=guards["silence"],  # type: ignore[arg-type] # as above
        exit_s=guards["exit"],  # type: ignore[arg-type] # as above
        leaks={**GUARD.leaks, **guards["leaks"]},  # type: ignore[dict-item] # as above
        allowed_leaks=guards["allowed-leaks"],  # type: ignore[arg-type] # as above
        evidence=guards["evidence"],  # type: ignore[arg-type] # as above
        services=guards["services"],  # type: ignore[arg-type] # as above
        phases=guards["phases"],  # type: ignore[arg-type] # as above
        file_s=guards["file"],  # type: ignore[arg-type] # as above
        collection_s=guards["collection"],  # type: ignore[arg-type] # as above
        slow_s=guards["slow"],  # type: ignore[arg-type] # as above
        markers=tuple(sorted({name for policy in profiles.values() for name in policy.required_markers})),
    )
    return Config(guard=guard, services=services, configurations=configurations, profiles=profiles, **given)  # type: ignore[arg-type] # as above


def _table(table: Mapping[str, object], name: str, problems: list[str]) -> Mapping[str, object]:
    value = table.get(name, {})
    if isinstance(value, dict):
        return value
    problems.append(f"{name} is {value!r}, expected a table [tool.ci-tools.{name}]")
    return {}


def _read_keys(table: Mapping[str, object], prefix: str, problems: list[str], extra: set[str] = frozenset()) -> dict[str, object]:  # type: ignore[assignment] # an empty frozenset is a safe default
    known = {key.name: key for key in KEYS if key.table == prefix}
    given: dict[str, object] = {name: key.default for name, key in known.items()}
    parsers = {name: key.parse for name, key in known.items()}
    given.update(_read(table, prefix, parsers, problems, extra))
    return given


def _read(
    table: Mapping[str, object],
    prefix: str,
    parsers: Mapping[str, Callable[[object], object]],
    problems: list[str],
    extra: set[str] = frozenset(),  # type: ignore[assignment] # an empty frozenset is a safe default
) -> dict[str, object]:
    given: dict[str, object] = {}
    for name, value in table.items():
        where = f"{prefix}.{name}" if prefix else name
        if name in parsers:
            try:
                given[name] = parsers[name](value)
            except values.MistakeError as mistake:
                problems.append(f"{where} is {value!r}, expected {mistake}")
        elif name not in extra:
            problems.append(_unknown(where, name, {*parsers, *extra}))
    return given


def _unknown(where: str, name: str, known: set[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), n=1)
    remedy = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known))}"
    return f"{where} is not a key; {remedy}"


def _parse_services(table: Mapping[str, object], problems: list[str]) -> tuple[ServiceSpec, ...]:
    kinds = {kind.value for kind in ServiceKind}
    specs = []
    for name, value in table.items():
        if name not in kinds:
            problems.append(_unknown(f"services.{name}", name, kinds))
        elif not isinstance(value, dict):
            problems.append(f"services.{name} is {value!r}, expected a table [tool.ci-tools.services.{name}]")
        else:
            given = _read(value, f"services.{name}", _SERVICE_PARSERS, problems)
            fields = {key.replace("-", "_"): item for key, item in given.items()}
            if "start_timeout" in fields:
                fields["start_timeout_s"] = fields.pop("start_timeout")
            specs.append(ServiceSpec(kind=ServiceKind(name), **fields))  # type: ignore[arg-type] # each key's parser gives its type
    return tuple(specs)


def _parse_configurations(
    table: Mapping[str, object], services: tuple[ServiceSpec, ...], problems: list[str]
) -> tuple[Configuration, ...]:
    declared = tuple(spec.kind for spec in services)
    if not table:
        return (Configuration(services=declared),)
    configurations = []
    for name, value in table.items():
        if not isinstance(value, dict):
            problems.append(f"configurations.{name} is {value!r}, expected a table [tool.ci-tools.configurations.{name}]")
            continue
        given = _read(value, f"configurations.{name}", _CONFIGURATION_KEYS, problems)
        wanted = given.get("services", declared)
        where = f"configurations.{name}"
        absent = [kind for kind in wanted if kind not in declared]  # type: ignore[attr-defined] # the parser gives a tuple
        problems.extend(f"{where}.services names {kind.value!r}; add [tool.ci-tools.services.{kind}]" for kind in absent)
        configurations.append(Configuration(name=name, services=wanted, environment=given.get("environment", {})))  # type: ignore[arg-type] # as above
    return tuple(configurations)
