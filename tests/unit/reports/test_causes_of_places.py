"""What the lines of a traceback say of who was asked: hosts, settings, folders; and what in them is a test's own data."""

import pytest
from report_sample import case
from test_causes_of_calls import causes_of, compared

from ci_tools.model.case import Failure, Outcome, Phase
from ci_tools.model.report import RunReport
from ci_tools.reports.causes import find_causes

REFUSED = "ConnectionRefusedError: [Errno 111] Connection refused"
STEP = "_ _ _ _ _ _ _ _"


def chain(*steps: tuple[str, str, str], said: str, phase: Phase = Phase.CALL) -> Failure:
    """An exception below some lines, the innermost last: each is path, function and source."""
    *above, (path, function, source) = steps
    shown = [f"    def {name}():\n>       {line}\n\n{where}:4: \n{STEP}\n" for where, name, line in above]
    type_name, _, message = said.partition(": ")
    shown.append(f"    def {function}():\n>       {source}\nE       {said}\n\n{path}:7: {type_name}")
    return Failure(phase=phase, type_name=type_name, message=message, text="\n".join(shown))


def asked(test_line: str, *between: tuple[str, str, str]) -> Failure:
    """A fixture of a test's file that asks a broker which is not there."""
    connect = ("shop/broker.py", "publish", "with socket.create_connection(address, 2) as connection:")
    return chain(("tests/test_a.py", "customer", test_line), *between, connect, said=REFUSED, phase=Phase.SETUP)


@pytest.mark.parametrize("line", ["broker.publish('orders', 1)", "broker.publish('meadow')", "broker.publish('ada', 24854)"])
def test_what_a_test_s_file_gives_to_the_code_under_test_is_no_server(line: str) -> None:
    """Neither a name nor a number: both are data."""
    assert causes_of(asked("broker.publish(order)"), asked(line)) == 1


@pytest.mark.parametrize(("names", "count"), [(("maps", ""), 1), (("maps", "rates"), 2)])
def test_a_server_that_the_project_s_own_line_names_is_one(names: tuple[str, str], count: int) -> None:
    """Where one way there says no name, it is the only one that the other ways name."""
    ways = [
        ("shop/broker.py", "announce", f"return publish('{name}', event)" if name else "return publish(event)") for name in names
    ]
    assert count == causes_of(*(asked("broker.announce(order)", way) for way in ways))


@pytest.mark.parametrize(("host", "count"), [("cache.internal", 1), ("queue.internal", 2)])
def test_a_host_by_its_name_is_a_server_whatever_its_port(host: str, count: int) -> None:
    """The ports were handed out: each checkout has others."""
    said = "redis.exceptions.ConnectionError: Error 111 connecting to {}:{}. Connection refused."
    line = ("shop/store.py", "load", "return client.get(key)")
    assert count == causes_of(chain(line, said=said.format("cache.internal", 40123)), chain(line, said=said.format(host, 51999)))


def test_a_host_that_nobody_can_resolve_is_one_through_all_clients() -> None:
    """Nobody has come to its port."""
    web = "aiohttp.client_exceptions.ClientConnectorDNSError: Cannot connect to host ledger.invalid:80 ssl:default"
    web = f"{web} [Name or service not known]"
    cache = "redis.exceptions.ConnectionError: Error -2 connecting to {}:6379. Name or service not known."
    line = ("shop/net.py", "ask", "return client.ask()")
    kin = chain(line, said=web), chain(line, said=cache.format("ledger.invalid"))
    assert [1, 2] == [causes_of(*kin), causes_of(*kin, chain(line, said=cache.format("stock.invalid")))]


@pytest.mark.parametrize(
    ("setting", "count"), [('os.environ["STOCK_PORT"]', 1), ('os.getenv("STOCK_PORT")', 1), ('os.environ["OFFERS_PORT"]', 2)]
)
def test_the_setting_that_the_asking_line_reads_says_which_server_it_is(setting: str, count: int) -> None:
    """Also where what was raised from it differs."""
    line = 'return socket.create_connection(("127.0.0.1", int({})), 1)'
    own = chain(("shop/stock.py", "count", line.format('os.environ["STOCK_PORT"]')), said=REFUSED)
    assert count == causes_of(own, chain(("shop/more.py", "look", line.format(setting)), said=REFUSED))


OPENED = 'with open(f"{ROOT}/fonts/{name}.ttf") as file:'


@pytest.mark.parametrize(
    ("first", "other", "line", "count"),
    [
        ("/a/fonts/cobalt.ttf", "/b/fonts/lumen.ttf", OPENED, 1),
        ("/a/fonts/cobalt.ttf", "/b/fonts/lumen.ttf", "with open(path) as file:", 2),
        ("/a/fonts/cobalt.ttf", "/b/fonts/mail-41374.ttf", "with open(path) as file:", 1),
        ("/a/fonts/cobalt.ttf", "/b/icons/mail-41374.ttf", "with open(path) as file:", 2),
    ],
)
def test_files_of_one_folder_are_one_cause_where_they_are_many(first: str, other: str, line: str, count: int) -> None:
    """By the line that opens them, or by their names; two files that a project has by name are two."""
    failures = [
        chain(("shop/disk.py", "font", line), said=f"FileNotFoundError: [Errno 2] No such file or directory: '{path}'")
        for path in (first, other)
    ]
    assert count == causes_of(*failures)


@pytest.mark.parametrize(("call", "count"), [("discount(1000, 20)", 1), ("vat(1000)", 2), ("fn(1000)", 2)])
def test_what_a_helper_of_a_test_s_file_calls_is_what_is_wrong(call: str, count: int) -> None:
    """Not the helper; what was given to it to call is not known by the helper's name for it."""
    own = compared("assert discount(200, 50) == 100", "assert 150 == 100\n +  where 150 = discount(200, 50)")
    said = f"AssertionError: assert 980 == 800\n +  where 980 = {call}".replace("\n", "\nE       ")
    helper = (
        "    def test_it():\n>       _check_total(3)\n\ntests/test_b.py:9: \n_ _ _ _\n\n"
        f"    def _check_total(fn):\n>       assert {call} == 800\nE       {said}\n\ntests/test_b.py:4: AssertionError"
    )
    assert count == causes_of(
        own, Failure(phase=Phase.CALL, type_name="AssertionError", message="assert 980 == 800", text=helper)
    )


@pytest.mark.parametrize(
    ("said", "line", "count"),
    [
        ("assert 201 == 200\n +  where 201 = vat(1000)", "assert vat(1000) == 200", 1),
        ("assert 404 == 200\n +  where 404 = <Response [404]>.status_code", "assert client.get('/vat').status_code == 200", 2),
    ],
)
def test_a_number_that_a_function_gave_is_no_status(said: str, line: str, count: int) -> None:
    """However much it looks like one."""
    other = compared("assert vat(500) == 100", "assert 101 == 100\n +  where 101 = vat(500)")
    assert count == causes_of(other, compared(line, said))


def waited(fixture: str, port: int) -> Failure:
    """A session's fixture that waited for its server in vain, by a function that others use, too."""
    head = f'    @pytest.fixture(scope="session")\n    def {fixture}():\n>       return wait_for(port)\n\n'
    head = f"{head}tests/conftest.py:4: \n{STEP}\n\n"
    said = f"TimeoutError: port {port} not ready after 0.1 s"
    text = f"{head}    def wait_for(port):\n>       raise TimeoutError(said)\nE       {said}\n\ntests/waiting.py:9: TimeoutError"
    return Failure(phase=Phase.SETUP, type_name="TimeoutError", message=said.partition(": ")[2], text=text)


@pytest.mark.parametrize(("ports", "count"), [((41001, 41002), 2), ((41001, 41001), 1)])
def test_two_fixtures_that_wait_by_one_function_are_two_where_each_has_its_own_port(ports: tuple[int, int], count: int) -> None:
    """In every shard; with one port for both it is one server."""
    cases = [
        case(f"tests/test_a.py::test_{name}_{number}", Outcome.ERROR, failures=(waited(name, port),))
        for name, port in zip(("search", "broker"), ports, strict=True)
        for number in (1, 2)
    ]
    assert count == len(find_causes(RunReport(run_id="run-1", cases=tuple(cases))))


@pytest.mark.parametrize(("places", "count"), [(("shop/flow.py", "shop/flow.py"), 1), (("shop/stock.py", "shop/orders.py"), 2)])
def test_what_is_wrapped_in_the_file_where_it_went_wrong_is_one_cause(places: tuple[str, str], count: int) -> None:
    """Raised again elsewhere, it may be another's answer that could not be read."""
    said = "json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)"
    root = chain(("shop/flow.py", "_offers", "return json.loads(body)"), said=said).text
    joint = "\n\nThe above exception was the direct cause of the following exception:\n\n"
    failures = [
        Failure(
            phase=Phase.CALL,
            type_name=name,
            message="it failed",
            text=root + joint + chain((where, "guard", f"raise {name}('it failed')"), said=f"{name}: it failed").text,
        )
        for where, name in zip(places, ("shop.errors.ServiceError", "shop.errors.HandlerError"), strict=True)
    ]
    assert count == causes_of(*failures)
