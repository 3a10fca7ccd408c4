"""The configuration table: read whole, or refused with every mistake."""

from pathlib import Path

import pytest

from ci_tools.config.load import find_root, load
from ci_tools.config.schema import Config, parse_config
from ci_tools.errors import ConfigError, ExitCode
from ci_tools.model.guard import GuardMode
from ci_tools.model.policy import PROFILES
from ci_tools.model.service import Isolation, ServiceKind


def _project(folder: Path, text: str) -> Path:
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    return folder


def test_a_project_without_a_table_has_the_defaults(tmp_path: Path) -> None:
    """No pyproject.toml and an empty table mean the same."""
    assert load(tmp_path) == load(_project(tmp_path, "[tool.ci-tools]\n"))


def test_every_key_reaches_its_field(tmp_path: Path) -> None:
    """Keys of every table become fields of the configuration."""
    config = load(
        _project(
            tmp_path,
            """
            [tool.ci-tools]
            tests = ["tests/integration"]
            workers = 3
            run-timeout = 90
            [tool.ci-tools.guards]
            timeout = 5
            leaks = { thread = "warn" }
            [tool.ci-tools.services.redis]
            port = 6381
            version = ">=7,<10"
            isolation = "database"
            start-timeout = 4.5
            url-variable = "CACHE_URL"
            [tool.ci-tools.configurations.sqlite]
            environment = { DATABASE_URL = "sqlite://" }
            [tool.ci-tools.gate]
            max-skipped = 2
            [tool.ci-tools.gate.release]
            max-duration = 60.0
            quarantine = [{ test = "a.py::b", signature = "sig-v1:1", owner = "", reason = "", issue = "", expires = 2026-12-01 }]
            """,
        )
    )
    redis = config.services[0]
    assert (config.tests, config.workers, config.run_timeout_s) == (("tests/integration",), 3, 90.0)
    assert (config.guard.timeout_s, config.guard.leaks["thread"], config.guard.leaks["task"]) == (
        5.0,
        GuardMode.WARN,
        GuardMode.ERROR,
    )
    assert (redis.kind, redis.port, redis.isolation, redis.start_timeout_s) == (ServiceKind.REDIS, 6381, Isolation.DATABASE, 4.5)
    assert redis.url_variable == "CACHE_URL"
    assert [(entry.name, entry.services) for entry in config.configurations] == [("sqlite", (ServiceKind.REDIS,))]
    assert (config.profiles["default"].max_skipped, config.profiles["release"].max_duration_s) == (2, 60.0)
    assert config.profiles["release"].quarantine[0].expires == "2026-12-01"


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    """One error lists every wrong key and value, with the expectation and the nearest key."""
    text = """
    [tool.ci-tools]
    test = ["x"]
    workers = 0
    [tool.ci-tools.guards]
    timeout = "5"
    leaks = { task = "sometimes" }
    [tool.ci-tools.services.redis]
    port = 70000
    [tool.ci-tools.services.rediss]
    [tool.ci-tools.configurations.x]
    services = ["postgres"]
    [tool.ci-tools.gate]
    max-failure = 1
    max-errors = "many"
    """
    with pytest.raises(ConfigError) as caught:
        load(_project(tmp_path, text))
    assert caught.value.exit_code is ExitCode.USAGE
    assert sorted(caught.value.details) == [
        "configurations.x.services names 'postgres'; add [tool.ci-tools.services.postgres]",
        "gate.max-errors is 'many', expected int",
        "gate.max-failure is not a key; did you mean 'max-failures'?",
        'guards.leaks is {\'task\': \'sometimes\'}, expected "error", "warn" or "off"',
        "guards.timeout is '5', expected a number of seconds, 0 or more",
        "services.redis.port is 70000, expected a port, 1 to 65535",
        "services.rediss is not a key; did you mean 'redis'?",
        "test is not a key; did you mean 'tests'?",
        'workers is 0, expected "auto" or a whole number, 1 or more',
    ]


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("min-pass-rate", 95, "a share from 0 to 1 (0.95 for 95 %)"),
        ("max-skipped-rate", -0.1, "a share from 0 to 1 (0.95 for 95 %)"),
        ("max-failures", -1, "0 or more"),
        ("quarantine-cap", -3, "0 or more"),
        ("max-duration", -1.0, "0 or more"),
    ],
)
def test_a_limit_that_nothing_can_keep_is_refused(key: str, value: float, expected: str) -> None:
    """A percentage for a share, and what is less than nothing, would fail every run."""
    with pytest.raises(ConfigError) as caught:
        parse_config({"gate": {"release": {key: value}}}, source="test")
    assert caught.value.details == (f"gate.release.{key} is {value!r}, expected {expected}",)
    for kept in (0, 1, 0.5) if "rate" in key else (0, 5):
        parse_config({"gate": {key: kept}}, source="test")


def test_a_key_for_all_profiles_does_not_soften_the_release() -> None:
    """What the release profile asks by name wins over ``[tool.ci-tools.gate]``."""
    config = parse_config({"gate": {"max-flaky": 5, "min-executed": 3}}, source="test")
    assert (config.profiles["default"].max_flaky, config.profiles["release"].max_flaky) == (5, 0)
    assert config.profiles["release"].min_executed == 3
    assert set(PROFILES) <= set(config.profiles)


def test_the_nearest_table_above_is_the_project(tmp_path: Path) -> None:
    """From a subfolder the project is found; a pyproject without the table is passed over."""
    _project(tmp_path, "[tool.ci-tools]\n")
    inner = tmp_path / "inner" / "deep"
    inner.mkdir(parents=True)
    _project(tmp_path / "inner", "[project]\nname = 'x'\n")
    assert find_root(inner) == tmp_path.resolve()


@pytest.mark.parametrize("text", ["[tool.ci-tools", "[tool]\nci-tools = 3\n"])
def test_a_broken_file_is_a_usage_error(tmp_path: Path, text: str) -> None:
    """What is no TOML, or no table, is refused with the file's name."""
    with pytest.raises(ConfigError, match=r"pyproject\.toml"):
        load(_project(tmp_path, text))


def test_defaults_have_one_place() -> None:
    """An empty table gives the dataclass's own defaults."""
    config = parse_config({}, source="test")
    default = Config(profiles=config.profiles)
    assert config == default
