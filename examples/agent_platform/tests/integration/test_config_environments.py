"""Configuration: each setting in each environment, all mistakes at once, and nothing read before it is asked for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import agent_platform
from agent_platform.errors import ConfigError
from agent_platform.settings import RULES, Environment, Settings
from agent_platform.testing import PROCESS_DEADLINE_S

pytestmark = pytest.mark.config

SOURCES = str(Path(agent_platform.__file__).parents[1])
SQLITE = "sqlite+aiosqlite:///x.sqlite3"
STRONG = "Zk3rN8vQ1mX7cB5jH2gF9dL4pW6yT0uAqR"
"""Random and long: good enough for staging."""

COMPLETE = {
    "DATABASE_URL": "postgresql+asyncpg://app:pw@db.internal/app",
    "REDIS_URL": "redis://:pw@cache.internal:6379/0",
    "JWT_SECRET": STRONG,
    "OAUTH_CLIENT_ID": "client-4711",
    "OAUTH_CLIENT_SECRET": "hG7fD3sA",
    "ALLOWED_ORIGINS": "https://app.example.com",
}
"""What every environment takes."""

LOCAL, PUBLIC = ("development", "test"), ("staging", "production")

CELLS: dict[tuple[str, str | None], dict[str, bool]] = {
    ("DATABASE_URL", None): {"development": True, "test": False, "staging": False, "production": False},
    ("DATABASE_URL", "sqlite+aiosqlite:///x"): {**dict.fromkeys(LOCAL, True), **dict.fromkeys(PUBLIC, False)},
    ("DATABASE_URL", "postgresql+asyncpg://a:b@localhost/x"): {**dict.fromkeys(LOCAL, True), **dict.fromkeys(PUBLIC, False)},
    ("DATABASE_URL", "sqlite+aiosqlite://"): dict.fromkeys(Environment, False),
    ("DATABASE_URL", "mysql://a:b@db.internal/x"): dict.fromkeys(Environment, False),
    ("REDIS_URL", None): {**dict.fromkeys(LOCAL, True), **dict.fromkeys(PUBLIC, False)},
    ("REDIS_URL", "redis://127.0.0.1:6381/0"): {**dict.fromkeys(LOCAL, True), **dict.fromkeys(PUBLIC, False)},
    ("REDIS_URL", "redis://cache.internal:6379/0"): {**dict.fromkeys(LOCAL, True), **dict.fromkeys(PUBLIC, False)},
    ("REDIS_URL", "redis://:a@127.8.0.1:6379/0"): {**dict.fromkeys(LOCAL, True), **dict.fromkeys(PUBLIC, False)},
    ("REDIS_URL", "http://cache.internal"): dict.fromkeys(Environment, False),
    ("JWT_SECRET", None): dict.fromkeys(Environment, False),
    ("JWT_SECRET", "short"): dict.fromkeys(Environment, False),
    ("JWT_SECRET", "a-test-secret-that-is-long-enough-for-it"): {
        **dict.fromkeys(LOCAL, True),
        **dict.fromkeys(PUBLIC, False),
    },
    ("OAUTH_CLIENT_ID", None): {**dict.fromkeys(LOCAL, True), **dict.fromkeys(PUBLIC, False)},
    ("OAUTH_CLIENT_ID", "your-client-id"): {**dict.fromkeys(LOCAL, True), **dict.fromkeys(PUBLIC, False)},
    ("OAUTH_CLIENT_SECRET", None): {**dict.fromkeys(LOCAL, True), **dict.fromkeys(PUBLIC, False)},
    ("OAUTH_CLIENT_SECRET", "changeme"): {**dict.fromkeys(LOCAL, True), **dict.fromkeys(PUBLIC, False)},
    ("ALLOWED_ORIGINS", None): {**dict.fromkeys(LOCAL, True), **dict.fromkeys(PUBLIC, False)},
    ("ALLOWED_ORIGINS", "app.example.com"): dict.fromkeys(Environment, False),
    ("E2E_OAUTH_SIMULATION_KEY", None): dict.fromkeys(Environment, True),
    ("E2E_OAUTH_SIMULATION_KEY", STRONG): {**dict.fromkeys(Environment, True), "production": False},
    ("E2E_OAUTH_SIMULATION_KEY", "short"): {**dict.fromkeys(LOCAL, True), **dict.fromkeys(PUBLIC, False)},
}
"""For each setting and value, in which environment it is accepted when everything else is right."""


def blamed(environment: str, key: str, value: str | None) -> list[str]:
    """The settings that keep the platform from starting in this environment with this value, all others being right."""
    try:
        Settings.load({**COMPLETE, "ENVIRONMENT": environment, key: value or ""})
    except ConfigError as error:
        return [problem.split(":")[0] for problem in error.problems]
    return []


@pytest.mark.parametrize(("key", "value"), CELLS, ids=[f"{key}={value}" for key, value in CELLS])
def test_each_setting_in_each_environment(key: str, value: str | None) -> None:
    """A value is accepted in exactly the environments that the table allows it in; no other setting is blamed."""
    expected = {environment: [] if accepted else [key] for environment, accepted in CELLS[key, value].items()}
    assert expected == {environment: blamed(environment, key, value) for environment in Environment}


def test_every_demanding_rule_is_in_the_matrix() -> None:
    """No setting that some environment demands or forbids is missing from the matrix."""
    assert {rule.key for rule in RULES if rule.required or rule.forbidden} == {key for key, _ in CELLS}


def test_all_problems_are_told_at_once() -> None:
    """One error lists every problem with its setting, and says where the settings are explained."""
    with pytest.raises(ConfigError) as refused:
        Settings.load({"ENVIRONMENT": "staging", "PORT": "http", "QUEUE_SIZE": "-1", "JWT_SECRET": "short"})
    keys = ["DATABASE_URL", "REDIS_URL", "JWT_SECRET", "OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET", "ALLOWED_ORIGINS"]
    assert [*keys, "PORT", "QUEUE_SIZE"] == [problem.split(":")[0] for problem in refused.value.problems]
    assert str(refused.value).startswith("staging: 8 configuration problem(s):\n  - DATABASE_URL: missing, required in staging\n")
    assert "[fix: README.md" in str(refused.value)


def test_an_unknown_environment_is_refused_with_a_suggestion() -> None:
    """There is no default environment, and an alias is not guessed but named."""
    problems = {}
    for name in ("", "prod", "stg", "dev", "moon"):
        with pytest.raises(ConfigError) as refused:
            Settings.load({**COMPLETE, "ENVIRONMENT": name})
        problems[name] = refused.value.problems[0]
    allowed = "is no environment, allowed: development, test, staging, production"
    expected = {
        "": f"ENVIRONMENT: '' {allowed}",
        "prod": "ENVIRONMENT: 'prod' is no environment, say 'production'",
        "stg": "ENVIRONMENT: 'stg' is no environment, say 'staging'",
        "dev": "ENVIRONMENT: 'dev' is no environment, say 'development'",
        "moon": f"ENVIRONMENT: 'moon' {allowed}",
    }
    assert expected == problems


def test_staging_rules_are_silent_in_test() -> None:
    """The test environment takes loopback services, a test secret and no simulation key, and uses its own Redis port."""
    settings = Settings.load({"ENVIRONMENT": "test", "DATABASE_URL": SQLITE, "JWT_SECRET": "test" * 8})
    assert ("redis://127.0.0.1:6381/0", "", ()) == (settings.redis_url, settings.simulation_key, settings.allowed_origins)
    assert "redis://127.0.0.1:6380/0" == Settings.load({"ENVIRONMENT": "development", "JWT_SECRET": "d" * 32}).redis_url


def start(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``python`` with this environment alone."""
    inherited = {name: value for name, value in os.environ.items() if name in {"PATH", "SYSTEMROOT", "LD_LIBRARY_PATH"}}
    return subprocess.run(
        [sys.executable, *arguments],
        env={**inherited, "PYTHONPATH": SOURCES, **environment},
        capture_output=True,
        text=True,
        timeout=PROCESS_DEADLINE_S,
        check=False,
    )


@pytest.mark.service("process")
def test_production_does_not_start_with_a_simulation_key() -> None:
    """A process that is given a simulation key in production ends with 78 and does not show the key."""
    variables = {**COMPLETE, "ENVIRONMENT": "production", "E2E_OAUTH_SIMULATION_KEY": STRONG[::-1]}
    ended = start(variables, "-m", "agent_platform")
    assert 78 == ended.returncode
    assert "E2E_OAUTH_SIMULATION_KEY: set, but it must be absent in production" in ended.stderr
    assert STRONG[::-1] not in ended.stderr


def test_an_env_file_is_read_when_asked_for(tmp_path: Path) -> None:
    """The file's values count where the real environment says nothing."""
    path = tmp_path / ".env.test"
    path.write_text("# a comment\n\nENVIRONMENT=test\nJWT_SECRET='from the file, which is long enough'\nPORT=1234\n")
    settings = Settings.load({"DATABASE_URL": SQLITE, "PORT": "4321", "UNRELATED": "x"}, path)
    assert ("test", "from the file, which is long enough", 4321) == (settings.environment, settings.jwt_secret, settings.port)


def test_an_unknown_key_in_an_env_file_is_refused(tmp_path: Path) -> None:
    """A misspelt key is an error with the line and the likely name, not a setting that silently does nothing."""
    path = tmp_path / ".env.test"
    path.write_text("ENVIRONMENT=test\nREDIS_ULR=redis://127.0.0.1:6381/0\nno equals sign\n")
    with pytest.raises(ConfigError) as refused:
        Settings.load({"DATABASE_URL": SQLITE, "JWT_SECRET": "test" * 8}, path)
    expected = (
        ".env.test:2: 'REDIS_ULR' is no setting, did you mean 'REDIS_URL'?",
        ".env.test:3: 'no equals sign' is no setting, README.md lists the settings",
    )
    assert expected == refused.value.problems


def test_the_env_file_of_this_project_is_right() -> None:
    """The `.env.test` that lies in this project describes a test platform."""
    path = Path(__file__).parents[2] / ".env.test"
    assert ("test", "redis://127.0.0.1:6381/0") == (
        (settings := Settings.load({}, path)).environment,
        settings.redis_url,
    )


@pytest.mark.service("process")
def test_importing_reads_and_opens_nothing() -> None:
    """Every module can be imported with an empty environment, reads no variable of ours and opens no socket."""
    code = """
import os, pkgutil, importlib, sys
asked = []
class Watched(type(os.environ)):
    def __getitem__(self, key):
        asked.append(key)
        return super().__getitem__(key)
opened = []
opening = {"socket.connect", "socket.bind", "sqlite3.connect"}
sys.addaudithook(lambda event, args: opened.append(event) if event in opening else None)
os.environ.__class__ = Watched
import agent_platform
names = [info.name for info in pkgutil.iter_modules(agent_platform.__path__, "agent_platform.")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
from agent_platform.settings import RULES
ours = {rule.key for rule in RULES} | {"ENVIRONMENT"}
print(len(names) > 15, sorted(ours & set(asked)), opened)
"""
    ended = start({}, "-W", "error", "-c", code)
    assert ("True [] []\n", "", 0) == (ended.stdout, ended.stderr, ended.returncode)


def test_secrets_do_not_show() -> None:
    """Neither the settings' repr nor an error about them holds a secret's value."""
    settings = Settings.load({**COMPLETE, "ENVIRONMENT": "staging", "E2E_OAUTH_SIMULATION_KEY": STRONG[::-1]})
    with pytest.raises(ConfigError) as refused:
        Settings.load({**COMPLETE, "ENVIRONMENT": "staging", "JWT_SECRET": "hush-hush", "E2E_OAUTH_SIMULATION_KEY": "hush-hush"})
    shown = f"{settings!r} {refused.value} {refused.value!r}"
    assert [] == [secret for secret in (STRONG, STRONG[::-1], ":pw@", "hG7fD3sA", "hush-hush") if secret in shown]
    assert 2 == len(refused.value.problems)
