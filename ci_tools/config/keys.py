"""The keys of ``[tool.ci-tools]``: the one place where a default stands; the reference page is made from them."""

from collections.abc import Callable
from dataclasses import dataclass

from ci_tools.config import values
from ci_tools.model.guard import GuardPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key of the configuration: the TOML table it stands in, what it takes, its default and what it means."""

    table: str
    name: str
    takes: str
    default: object
    meaning: str
    parse: Callable[[object], object]


GUARD = GuardPolicy()
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
        default=GUARD.timeout_s,
        meaning="time for one test where pytest-timeout's own mark, option or ini key says nothing; 0 is none",
        parse=values.parse_seconds,
    ),
    Key(
        table="guards",
        name="grace",
        takes="seconds",
        default=GUARD.grace_s,
        meaning="time for a test that was asked to end, before its worker is ended",
        parse=values.parse_seconds,
    ),
    Key(
        table="guards",
        name="teardown",
        takes="seconds",
        default=GUARD.teardown_s,
        meaning="time for the tear-down of a test whose own time is over",
        parse=values.parse_seconds,
    ),
    Key(
        table="guards",
        name="silence",
        takes="seconds",
        default=GUARD.silence_s,
        meaning="time a worker may say nothing; 0 derives it from `timeout`",
        parse=values.parse_seconds,
    ),
    Key(
        table="guards",
        name="exit",
        takes="seconds",
        default=GUARD.exit_s,
        meaning="time for a worker to end after its last test",
        parse=values.parse_seconds,
    ),
    Key(
        table="guards",
        name="leaks",
        takes="table of modes",
        default=GUARD.leaks,
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
        default=GUARD.evidence,
        meaning="what a declared service without measured use does",
        parse=values.parse_mode,
    ),
    Key(
        table="guards",
        name="services",
        takes="table of folders",
        default=GUARD.services,
        meaning="services that every test below a folder declares, as `@pytest.mark.service` does",
        parse=values.parse_folders,
    ),
    Key(
        table="guards",
        name="phases",
        takes="table of seconds",
        default=GUARD.phases,
        meaning="time for `setup`, `call` and `teardown` each, within the test's own",
        parse=values.parse_phases,
    ),
    Key(
        table="guards",
        name="file",
        takes="seconds",
        default=GUARD.file_s,
        meaning="time for all tests of one file in one worker; 0 is none",
        parse=values.parse_seconds,
    ),
    Key(
        table="guards",
        name="collection",
        takes="seconds",
        default=GUARD.collection_s,
        meaning="time to import and collect one file; 0 is none",
        parse=values.parse_seconds,
    ),
    Key(
        table="guards",
        name="slow",
        takes="seconds",
        default=GUARD.slow_s,
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
