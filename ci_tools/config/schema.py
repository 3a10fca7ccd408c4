"""The schema of ``[tool.ci-tools]``: every key with its default, and the table as a value, all mistakes at once.

The tables ``KEYS`` and ``TABLES`` are the one place where a default stands; the reference page is made from them.
"""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ci_tools.config import values
from ci_tools.config.gate import parse_profiles
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key of the configuration: the TOML table it stands in, what it takes, its default and what it means."""

    table: str
    name: str
    takes: str
    default: object
    meaning: str
    parse: Callable[[object], object]


_GUARD = GuardPolicy()
_TEXTS = "array of strings"

KEYS = (
    Key(
        table="",
        name="tests",
        takes=_TEXTS,
        default=(),
        meaning="what pytest is given; pytest's own `testpaths` when empty",
        parse=values.parse_texts,
    ),
    Key(table="", name="pytest-args", takes=_TEXTS, default=(), meaning="further arguments for pytest", parse=values.parse_texts),
    Key(
        table="",
        name="workers",
        takes='"auto" or number',
        default=0,
        meaning="pytest-xdist workers inside one shard; `auto` (0) is one for each core",
        parse=values.parse_workers,
    ),
    Key(
        table="",
        name="artifacts",
        takes="path",
        default="ci-artifacts",
        meaning="folder for the folders of runs",
        parse=values.parse_text,
    ),
    Key(
        table="",
        name="keep-runs",
        takes="number",
        default=20,
        meaning="how many finished runs stay there; 0 keeps all",
        parse=values.parse_whole,
    ),
    Key(
        table="",
        name="env-file",
        takes="path",
        default="",
        meaning="`KEY=value` lines for the tests' environment; the real environment wins",
        parse=values.parse_text,
    ),
    Key(
        table="",
        name="run-timeout",
        takes="seconds",
        default=3600.0,
        meaning="time for the whole run of one shard",
        parse=values.parse_seconds,
    ),
    Key(
        table="",
        name="timings",
        takes="path",
        default="",
        meaning="past durations; `timings.json` in the artifacts folder when empty",
        parse=values.parse_text,
    ),
    Key(
        table="guards",
        name="timeout",
        takes="seconds",
        default=_GUARD.timeout_s,
        meaning="time for one test where pytest-timeout's own mark, option or ini key says nothing; 0 is none",
        parse=values.parse_seconds,
    ),
    Key(
        table="guards",
        name="grace",
        takes="seconds",
        default=_GUARD.grace_s,
        meaning="time for a test that was asked to end, before its worker is ended",
        parse=values.parse_seconds,
    ),
    Key(
        table="guards",
        name="teardown",
        takes="seconds",
        default=_GUARD.teardown_s,
        meaning="time for the tear-down of a test whose own time is over",
        parse=values.parse_seconds,
    ),
    Key(
        table="guards",
        name="silence",
        takes="seconds",
        default=_GUARD.silence_s,
        meaning="time a worker may say nothing; 0 derives it from `timeout`",
        parse=values.parse_seconds,
    ),
    Key(
        table="guards",
        name="exit",
        takes="seconds",
        default=_GUARD.exit_s,
        meaning="time for a worker to end after its last test",
        parse=values.parse_seconds,
    ),
    Key(
        table="guards",
        name="leaks",
        takes="table of modes",
        default=_GUARD.leaks,
        meaning="what a leak of each kind does: `error`, `warn` or `off`",
        parse=values.parse_modes,
    ),
    Key(
        table="guards",
        name="allowed-leaks",
        takes="table of arrays of patterns",
        default={},
        meaning="what every test may leave, by kind: regular expressions over a finding's text; one that matches nothing is said",
        parse=values.parse_patterns,
    ),
    Key(
        table="guards",
        name="evidence",
        takes="mode",
        default=_GUARD.evidence,
        meaning="what a declared service without measured use does",
        parse=values.parse_mode,
    ),
    Key(
        table="guards",
        name="services",
        takes="table of folders",
        default=_GUARD.services,
        meaning="services that every test below a folder declares, as `@pytest.mark.service` does",
        parse=values.parse_folders,
    ),
    Key(
        table="guards",
        name="phases",
        takes="table of seconds",
        default=_GUARD.phases,
        meaning="time for `setup`, `call` and `teardown` each, within the test's own",
        parse=values.parse_phases,
    ),
    Key(
        table="guards",
        name="file",
        takes="seconds",
        default=_GUARD.file_s,
        meaning="time for all tests of one file in one worker; 0 is none",
        parse=values.parse_seconds,
    ),
    Key(
        table="guards",
        name="collection",
        takes="seconds",
        default=_GUARD.collection_s,
        meaning="time to import and collect one file; 0 is none",
        parse=values.parse_seconds,
    ),
    Key(
        table="guards",
        name="slow",
        takes="seconds",
        default=_GUARD.slow_s,
        meaning="a test that takes longer is said to be slow, and nothing else; 0 says it of none",
        parse=values.parse_seconds,
    ),
)

SERVICE_KEYS = (
    Key(
        table="services",
        name="port",
        takes="port",
        default=None,
        meaning="preferred port; another free one if a stranger holds it",
        parse=values.parse_port,
    ),
    Key(
        table="services",
        name="version",
        takes="version range",
        default="",
        meaning='what the server must be, like `">=7,<10"`',
        parse=values.parse_version,
    ),
    Key(
        table="services",
        name="isolation",
        takes="`server`, `database` or `shared`",
        default=None,
        meaning="what each worker gets: a server (Redis' default), a database of a shared one (Postgres'), or all shared",
        parse=values.parse_isolation,
    ),
    Key(
        table="services",
        name="port-range",
        takes="[first, last]",
        default=(),
        meaning="where a server of ours may listen when the preferred port is taken; anywhere when left out",
        parse=values.parse_port_range,
    ),
    Key(
        table="services",
        name="image",
        takes="image",
        default="",
        meaning="what a container is made of, where `providers` allows one",
        parse=values.parse_text,
    ),
    Key(
        table="services",
        name="options",
        takes="table",
        default={},
        meaning="further options of the server",
        parse=values.parse_options,
    ),
    Key(
        table="services",
        name="url-variable",
        takes="name",
        default="",
        meaning="the environment variable that gets the URL, in place of `REDIS_URL` or `DATABASE_URL`",
        parse=values.parse_variable,
    ),
    Key(
        table="services",
        name="providers",
        takes=_TEXTS,
        default=(),
        meaning="which providers may be tried; all when left out",
        parse=values.parse_providers,
    ),
    Key(table="services", name="path", takes="path", default="", meaning="the server's program", parse=values.parse_text),
    Key(
        table="services",
        name="start-timeout",
        takes="seconds",
        default=20.0,
        meaning="time until it must answer",
        parse=values.parse_seconds,
    ),
)
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
        leaks={**_GUARD.leaks, **guards["leaks"]},  # type: ignore[dict-item] # as above
        allowed_leaks=guards["allowed-leaks"],  # type: ignore[arg-type] # as above
        evidence=guards["evidence"],  # type: ignore[arg-type] # as above
        services=guards["services"],  # type: ignore[arg-type] # as above
        phases=guards["phases"],  # type: ignore[arg-type] # as above
        file_s=guards["file"],  # type: ignore[arg-type] # as above
        collection_s=guards["collection"],  # type: ignore[arg-type] # as above
        slow_s=guards["slow"],  # type: ignore[arg-type] # as above
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
