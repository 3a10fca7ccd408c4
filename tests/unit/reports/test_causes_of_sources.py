"""Causes across sources: one root is one cause however it was written down, and its near miss is another."""

import itertools
from collections.abc import Callable

import pytest
from report_sample import case

from ci_tools.model.case import Attempt, Case, ExceptionLink, Failure, Frame, Outcome, Phase
from ci_tools.model.report import RunReport
from ci_tools.reports.causes import find_causes
from ci_tools.reports.roots import links_of, root_of
from ci_tools.reports.signatures import signature_of

RULER = "_ " * 40
SITE = "/opt/venv/lib/python3.11/site-packages"


def journal(type_name: str, message: str, path: str, function: str, text: str = "") -> Failure:
    """As our own plugin records it."""
    frame = Frame(path=path, line=7, function=function)
    chain = (ExceptionLink(type_name=type_name, message=message, frame=frame),)
    return Failure(phase=Phase.CALL, type_name=type_name, message=message, chain=chain, frame=frame, text=text)


def said_of(type_name: str, message: str) -> str:
    """The line that Python ends a traceback with."""
    return f"{type_name}: {message}" if message else type_name


def long(type_name: str, message: str, path: str, function: str) -> Failure:
    """As pytest's JUnit file has it: the test's lines, the project's, and the short type at the end."""
    name = function.rpartition(".")[2]
    shown = "\n".join(f"E       {line}".rstrip() for line in said_of(type_name, message).splitlines())
    text = (
        f"    def test_it():\n>       {name}(1)\n\ntests/test_a.py:9: \n{RULER}\n\n    def {name}(x):\n>       do(x)\n{shown}\n\n"
        f"{path}:7: {type_name.rpartition('.')[2]}"
    )
    return Failure(phase=Phase.CALL, type_name="", message=said_of(type_name, message), text=text)


def short(type_name: str, message: str, path: str, function: str) -> Failure:
    """As with ``--tb=short``, with a library below the project's line."""
    name = function.rpartition(".")[2]
    shown = "\n".join(f"E   {line}".rstrip() for line in said_of(type_name, message).splitlines())
    text = (
        f"tests/test_b.py:9: in test_it\n    {name}(1)\n    ^^^^^\n{path}:7: in {name}\n    do(x)\n"
        f"{SITE}/lib/core.py:3: in do\n    raise it\n{shown}"
    )
    return Failure(phase=Phase.CALL, type_name="in", message=said_of(type_name, message), text=text)


def native(type_name: str, message: str, path: str, function: str) -> Failure:
    """As with ``--tb=native``, and as unittest's runners have it."""
    name = function.rpartition(".")[2]
    text = (
        'Traceback (most recent call last):\n  File "/w/shop/tests/test_c.py", line 9, in test_it\n    go(1)\n'
        f'  File "/w/shop/{path}", line 7, in {name}\n    do(x)\n    ^^^^^\n  File "{SITE}/lib/core.py", line 3, in do\n'
        f"    raise it\n{said_of(type_name, message)}\n"
    )
    return Failure(phase=Phase.CALL, type_name="", message=said_of(type_name, message), text=text)


SOURCES = (journal, long, short, native)

Said = tuple[str, str, str, str]


def causes_of(*failures: Failure) -> int:
    """How many causes these failures of as many tests have."""
    cases = tuple(case(f"t{number}", Outcome.FAILED, failures=(item,)) for number, item in enumerate(failures))
    return len(find_causes(RunReport(run_id="run-1", cases=cases)))


PYDANTIC = "1 validation error for Berth\n{}\n  Field required [type=missing, input_value={{'{}': '{}'}}, input_type=dict]"
SCHEMA = (
    "{} is not of type 'number'\n\nFailed validating 'type' in schema['properties']['{}']:\n    {{'type': 'number'}}"
    "\n\nOn instance['{}']:\n    {}"
)
HTTPX = "Server error '{} {}' for url 'http://127.0.0.1:41234/v1/{}'"
RPC = (
    'terminated with:\n\tstatus = StatusCode.UNAVAILABLE\n\tdetails = "ipv4:127.0.0.1:{}: Failed to connect: Connection refused"'
)

ROOTS: tuple[tuple[str, tuple[Said, ...], tuple[Said, ...]], ...] = (
    # name · the root twice, in other words · its near miss
    (
        "await",
        (("TimeoutError", "", "shop/flow.py", "Consumer.take"),) * 2,
        (("TimeoutError", "", "shop/flow.py", "Consumer.confirm"),),
    ),
    (
        "json",
        tuple(
            ("json.decoder.JSONDecodeError", f"Expecting value: line {n} column 1 (char {n})", "shop/rates.py", "rates")
            for n in (1, 8)
        ),
        (("json.decoder.JSONDecodeError", "Expecting value: line 1 column 1 (char 0)", "shop/rates.py", "tariff"),),
    ),
    (
        "number",
        tuple(
            ("ValueError", f"invalid literal for int() with base 10: {text!r}", "shop/a.py", "count") for text in ("three", "4 x")
        ),
        (("ValueError", "invalid literal for int() with base 10: 'three'", "shop/a.py", "age"),),
    ),
    (
        "codec",
        tuple(
            (
                "UnicodeDecodeError",
                f"'utf-8' codec can't decode byte 0x{byte} in position {n}: invalid start byte",
                "shop/a.py",
                "label",
            )
            for byte, n in (("ff", 0), ("fe", 12))
        ),
        (("UnicodeDecodeError", "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte", "shop/a.py", "note"),),
    ),
    (
        "none",
        (("AttributeError", "'NoneType' object has no attribute 'name'", "shop/a.py", "owner"),) * 2,
        (("AttributeError", "'NoneType' object has no attribute 'name'", "shop/b.py", "slip"),),
    ),
    (
        "decimal",
        (("decimal.InvalidOperation", "[<class 'decimal.ConversionSyntax'>]", "shop/a.py", "price"),) * 2,
        (("decimal.InvalidOperation", "[<class 'decimal.ConversionSyntax'>]", "shop/a.py", "weight"),),
    ),
    (
        "field",
        tuple(
            ("pydantic_core._pydantic_core.ValidationError", PYDANTIC.format("port", "flag", flag), "shop/a.py", f)
            for flag, f in (("NL", "a"), ("PT", "b"))
        ),
        (("pydantic_core._pydantic_core.ValidationError", PYDANTIC.format("flag", "port", "NL"), "shop/a.py", "a"),),
    ),
    (
        "schema",
        tuple(
            ("jsonschema.exceptions.ValidationError", SCHEMA.format(v, "weight", "weight", v), "shop/a.py", "check")
            for v in ("'3 kg'", "'17'", "'heavy'")
        ),
        (("jsonschema.exceptions.ValidationError", SCHEMA.format("'3 kg'", "height", "height", "'3 kg'"), "shop/a.py", "check"),),
    ),
    (
        "address",
        tuple(
            ("httpx.HTTPStatusError", HTTPX.format(500, "Internal Server Error", path), "shop/http.py", "fetch")
            for path in ("orders/17", "orders?trace=9f3c", "orders/4/lines")
        ),
        (
            ("httpx.HTTPStatusError", HTTPX.format(503, "Service Unavailable", "orders/17"), "shop/http.py", "fetch"),
            ("httpx.HTTPStatusError", HTTPX.format(500, "Internal Server Error", "stock/17"), "shop/http.py", "fetch"),
        ),
    ),
    (
        "file",
        tuple(
            ("FileNotFoundError", f"[Errno 2] No such file or directory: '{folder}manifest.json'", "shop/files.py", f)
            for folder, f in (("/srv/ci/pytest-1/t0/", "a"), ("", "b"))
        ),
        (("FileNotFoundError", "[Errno 2] No such file or directory: '/srv/ci/pytest-1/t0/crew.csv'", "shop/files.py", "a"),),
    ),
    (
        "disk",
        tuple(
            ("OSError", f"[Errno 28] No space left on device: '/srv/{name}'", "shop/files.py", f)
            for name, f in (("part", "a"), ("ledger.db", "b"))
        ),
        (("OSError", "[Errno 24] Too many open files: '/srv/part'", "shop/files.py", "a"),),
    ),
    (
        "program",
        tuple(
            (
                "subprocess.CalledProcessError",
                f"Command '['/opt/{n}/git', 'clone', 'x{n}']' returned non-zero exit status 128.",
                "shop/a.py",
                "get",
            )
            for n in (1, 2)
        ),
        (
            (
                "subprocess.CalledProcessError",
                "Command '['/opt/1/git', 'fetch', 'x1']' returned non-zero exit status 128.",
                "shop/a.py",
                "get",
            ),
            (
                "subprocess.CalledProcessError",
                "Command '['/opt/1/git', 'clone', 'x1']' returned non-zero exit status 1.",
                "shop/a.py",
                "get",
            ),
            (
                "subprocess.CalledProcessError",
                "Command '['/opt/1/git', 'clone', 'x1']' died with <Signals.SIGKILL: 9>.",
                "shop/a.py",
                "get",
            ),
        ),
    ),
    (
        "rpc",
        (
            ("grpc._channel._InactiveRpcError", RPC.format(6077), "shop/a.py", "quote"),
            ("grpc._channel._InactiveRpcError", RPC.format(6077), "shop/a.py", "stock"),
        ),
        (("grpc._channel._InactiveRpcError", RPC.format(6078), "shop/a.py", "quote"),),
    ),
)


@pytest.mark.parametrize(("same", "misses"), [found[1:] for found in ROOTS], ids=[found[0] for found in ROOTS])
def test_one_root_is_one_cause_in_every_source(same: tuple[Said, ...], misses: tuple[Said, ...]) -> None:
    """A root is one cause out of journals and all kinds of tracebacks together; each near miss is one of its own."""
    failures = [source(*said) for said in same for source in SOURCES]
    assert causes_of(*failures) == 1, [signature_of(item).rule for item in failures]
    missed = [source(*said) for said in misses for source in SOURCES]
    assert causes_of(*failures, *missed) == 1 + len(misses), [signature_of(item).rule for item in missed]


def refused(host_and_port: str, *outer: tuple[str, str]) -> Failure:
    """A refused connection with what was raised from it."""
    links = (*outer, ("ConnectionRefusedError", f"[Errno 111] Connect call failed {host_and_port}".rstrip()))
    chain = tuple(ExceptionLink(type_name=type_name, message=message) for type_name, message in links)
    return Failure(phase=Phase.CALL, type_name=links[0][0], message=links[0][1], chain=chain)


def test_a_server_that_is_down_is_one_cause_through_every_library() -> None:
    """The port that somebody chose names the server, whatever words, types and wrappers lie above it."""
    queue = (
        refused("('127.0.0.1', 6399)"),
        refused("", ("redis.exceptions.ConnectionError", "Error 111 connecting to localhost:6399. Connection refused.")),
        refused(
            "",
            ("shop.CacheGone", "no cache"),
            ("redis.exceptions.ConnectionError", "Error 111 connecting to 127.0.0.1:6399. Connection refused."),
        ),
        Failure(phase=Phase.CALL, type_name="", message="Error: connect ECONNREFUSED 127.0.0.1:6399"),
    )
    other = refused("('127.0.0.1', 4222)")
    assert [causes_of(*queue), causes_of(*queue, other)] == [1, 2]


@pytest.mark.parametrize(
    ("ports", "count"), [((9092, 4222), 2), ((41001, 43872), 1), (tuple(range(21000, 30000, 1000)), 1), ((5432, 6379, 40123), 3)]
)
def test_ports_that_were_handed_out_are_noise(ports: tuple[int, ...], count: int) -> None:
    """Low ports tell servers apart; ephemeral ones and many that never come again do not."""
    assert causes_of(*(refused(f"('127.0.0.1', {port})") for port in ports)) == count


def test_a_high_port_that_two_shards_share_was_chosen() -> None:
    """Two machines are not handed the same port: 50077 and 50088 in both shards are two servers."""
    cases = tuple(
        Case(
            test_id=f"t{port}{shard}",
            attempts=(Attempt(outcome=Outcome.FAILED, shard=shard, failures=(refused(f"('127.0.0.1', {port})"),)),),
        )
        for port, shard in itertools.product((50077, 50088), ("1/2", "2/2"))
    )
    assert len(find_causes(RunReport(run_id="run-1", cases=cases))) == 2


def test_a_wrapped_root_joins_the_bare_one() -> None:
    """Who stood further out and wrapped the same time-out changes nothing, as long as there is no choice of wrappers."""
    frame = Frame(path="shop/flow.py", line=7, function="take")
    bare = ExceptionLink(type_name="TimeoutError", message="", frame=frame)
    cancelled = ExceptionLink(type_name="asyncio.exceptions.CancelledError", message="", frame=frame)
    wrapper = ExceptionLink(type_name="shop.flow.Stuck", message="worker-513 waited in vain")
    chains = ((bare,), (bare, cancelled), (wrapper, bare, cancelled))
    failures = (
        Failure(phase=Phase.CALL, type_name=chain[0].type_name, message=chain[0].message, chain=chain, frame=frame)
        for chain in chains
    )
    assert causes_of(*failures) == 1


@pytest.mark.parametrize("source", [journal, short])
def test_a_library_error_without_words_is_told_apart_by_its_place(source: Callable[[str, str, str, str], Failure]) -> None:
    """The standard library's type alone names nothing: two queues that are full are two causes, one of them met twice is one."""
    full = [source("asyncio.queues.QueueFull", "", "quay/signals.py", function) for function in ("receive", "send", "send")]
    assert 2 == causes_of(*full)


def test_one_server_without_a_known_port_is_one_cause() -> None:
    """Whoever called Redis first, on whatever port that was handed out: it is Redis that is down, and no other server."""
    said = "Error 111 connecting to 127.0.0.1:{}. Connection refused."
    failures = [
        short("redis.exceptions.ConnectionError", said.format(port), path, function)
        for port, path, function in ((41877, "quay/cache.py", "occupant"), (38465, "quay/locks.py", "take"))
    ]
    other = short("ConnectionRefusedError", "[Errno 111] Connect call failed ('127.0.0.1', 45011)", "quay/tides.py", "table")
    assert 1 == causes_of(*failures)
    assert 2 == causes_of(*failures, other)


def test_one_error_of_postgres_through_two_clients_is_one_cause() -> None:
    """What the server answers is the same, whichever client passes it on, SQLAlchemy in front or not."""
    said = 'relation "quays" does not exist'
    behind = f"(psycopg.errors.UndefinedTable) {said}\n[SQL: …]"
    failures = [
        short("psycopg.errors.UndefinedTable", said, "quay/store.py", "read"),
        short("asyncpg.exceptions.UndefinedTableError", said, "quay/feed.py", "read_now"),
        short("sqlalchemy.exc.ProgrammingError", behind, "quay/orm.py", "load"),
    ]
    assert 1 == causes_of(*failures)
    assert 2 == causes_of(
        *failures, short("psycopg.errors.UndefinedTable", 'relation "ships" does not exist', "quay/s.py", "read")
    )


def test_a_numbered_program_is_known_by_its_name() -> None:
    """Programs that are made for one test have a number each; what is in front of it tells two of them apart."""
    said = "Command '['/tmp/run-{}/{}']' returned non-zero exit status {}."
    of = {
        name: short("subprocess.CalledProcessError", said.format(*name), "quay/crane.py", "_run")
        for name in ((1, "lift-62", 1), (2, "lift-B-7", 1), (3, "lower-62", 1), (4, "lift-62", 137))
    }
    one, same, other, killed = of.values()
    assert [1, 2, 2] == [causes_of(one, same), causes_of(one, other), causes_of(one, killed)]


def directly(type_name: str, message: str, path: str, function: str, source: str) -> Failure:
    """As with ``--tb=short``, raised by this line of the project itself."""
    shown = said_of(type_name, message)
    marked = "\n".join(f"E   {line}" for line in shown.splitlines())
    text = f"tests/test_b.py:9: in test_it\n    {function}(1)\n{path}:7: in {function}\n    {source}\n{marked}"
    return Failure(phase=Phase.CALL, type_name="in", message=shown, text=text)


@pytest.mark.parametrize(
    ("kind", "words", "source"),
    [("quay.errors.QuayError", "not ready: H{}", "raise QuayError(ship)"), ("KeyError", "'berth_id'", 'return ship["berth_id"]')],
)
def test_what_shared_code_raises_itself_is_told_apart_by_its_place(kind: str, words: str, source: str) -> None:
    """The same words, or the same missed key, in two functions of the project are two things to fix; met twice, one."""
    raised = [
        directly(kind, words.format(number), "quay/berth.py", function, source)
        for number, function in enumerate(("moor", "moor", "leave"))
    ]
    assert [1, 2] == [causes_of(*raised[:2]), causes_of(*raised)]


def test_an_answer_of_nobody_knows_who_is_told_apart_by_its_client() -> None:
    """A status from a port that was handed out, of a path that varies, is that of the project's code that asked."""
    said = "Server error '503 Service Unavailable' for url 'http://127.0.0.1:{}/{}/x'"
    asked = [
        short("httpx.HTTPStatusError", said.format(40000 + number, number), path, "_get")
        for number, path in enumerate(("quay/tides.py", "quay/tides.py", "quay/pilots.py"))
    ]
    assert 2 == causes_of(*asked)


def test_what_a_test_gives_and_expects_may_stand_in_variables() -> None:
    """One function that answers wrongly is one cause, whether a test says the numbers or has them in variables."""
    lines = ("assert berths(73) == 73 * 2", "assert berths(ships) == ships * 2", "assert free(73) == 73 * 2")
    failures = [directly("AssertionError", "assert 147 == (73 * 2)", "tests/test_q.py", "test_it", line) for line in lines]
    assert [1, 2] == [causes_of(*failures[:2]), causes_of(*failures)]


def given_up(fixture: str, function: str, said: str = "RuntimeError: not ready after 30 probes") -> Failure:
    """A set-up that the project's own code ended, in a fixture's body or in what it calls."""
    text = f"tests/conftest.py:9: in {fixture}\n    wait()\ntests/probes.py:7: in {function}\n    raise RuntimeError(said)\n"
    if function == fixture:
        text = f"tests/conftest.py:9: in {fixture}\n    raise RuntimeError(said)\n"
    return Failure(phase=Phase.SETUP, type_name="RuntimeError", message=said, text=f"{text}E   {said}")


def test_what_a_fixture_says_itself_is_its_own_cause() -> None:
    """Two fixtures that give up with the same words are two causes, one that calls the same probe in both is one."""
    assert 2 == causes_of(given_up("dispatcher", "dispatcher"), given_up("radar", "radar"), given_up("radar", "radar"))
    assert 1 == causes_of(given_up("dispatcher", "probe"), given_up("radar", "probe"))


def compared(source: str, said: str, test: str) -> Case:
    """A test whose comparison failed, with the line that compared."""
    text = f"    def {test.partition('[')[0]}(x):\n>       {source}\nE       {said}\n\ntests/test_a.py:9: AssertionError"
    failure = Failure(phase=Phase.CALL, type_name="AssertionError", message=said, text=text)
    return Case(test_id=f"tests/test_a.py::{test}", attempts=(Attempt(outcome=Outcome.FAILED, failures=(failure,)),))


@pytest.mark.parametrize(
    ("cases", "count"),
    [
        ([("assert slug(x) == want", f"assert '{a}_b' == '{a}-b'", f"test_slug[{a}]") for a in ("a", "old", "red")], 1),
        ([("assert fee(3) == 6", "assert 7 == 6", "test_a"), ("assert fee(8) == 16", "assert 17 == 16", "test_b")], 1),
        ([("assert fee(3) == 6", "assert 7 == 6", "test_a"), ("assert tax(3) == 6", "assert 7 == 6", "test_b")], 2),
        ([("assert job(1).state == s", f"assert '{state}' == 'done'", f"test_{state}") for state in ("pending", "failed")], 1),
        ([("assert job.state == s", f"assert '{state}' == 'done'", f"test_{state}") for state in ("pending", "failed")], 2),
        ([("assert get(x).status_code == 200", f"assert {code} == 200", f"test_get[{code}]") for code in (500, 503)], 2),
    ],
)
def test_a_comparison_is_its_line(cases: list[tuple[str, str, str]], count: int) -> None:
    """One line of one test is one cause whatever its parameters; another call, status or state is another."""
    assert len(find_causes(RunReport(run_id="run-1", cases=tuple(compared(*item) for item in cases)))) == count


def test_a_missing_fixture_is_one_cause_in_journal_and_file() -> None:
    """The journal's exception and the words of a JUnit file name one fixture; another name is another cause."""
    said = (
        "file /w/tests/test_a.py, line 9\n  def test_x({0}):\nE       fixture '{0}' not found\n>       available fixtures: cart"
    )
    texts = [
        Failure(
            phase=Phase.CALL,
            type_name="",
            message=f'failed on setup with "{said.format(name)}',
            text=f"{said.format(name)}\n\nt.py:9",
        )
        for name in ("client", "clients")
    ]
    ours = journal(
        "_pytest.fixtures.FixtureLookupError", "('client', <FixtureRequest for <Function test_y>>)", f"{SITE}/p.py", "f"
    )
    assert [causes_of(ours, texts[0]), causes_of(ours, *texts)] == [1, 2]


def test_a_collection_error_has_the_same_root_in_journal_and_file() -> None:
    """The journal's text without a type and pytest's JUnit text tell of one ImportError."""
    text = (
        "tests/test_a.py:3: in <module>\n    from shop import nothing\nE   ImportError: cannot import name 'nothing' from 'shop'"
    )
    ours = Failure(phase=Phase.COLLECT, type_name="", message=text.rpartition("\n")[2], text=text)
    file = Failure(phase=Phase.COLLECT, type_name="ImportError", message="cannot import name 'nothing' from 'shop'", text=text)
    assert signature_of(ours) == signature_of(file)
    assert root_of(ours).type_name == "ImportError"


def test_a_miss_in_a_cache_is_no_root() -> None:
    """A key that was not cached led to the call that failed; a wrapper raised in its place keeps its root."""
    first = "shop/a.py:3: in cached\n    return known[key]\nE   KeyError: 'k17'\n\n"
    during = "During handling of the above exception, another exception occurred:\n"
    call = "shop/a.py:5: in cached\n    return ask(key)\nshop/b.py:9: in ask\n    do()\nE   shop.Down: the bridge is gone"
    wrap = "shop/a.py:5: in cached\n    raise Down(key)\nE   shop.Down: the bridge is gone"
    roots = [
        root_of(
            Failure(phase=Phase.CALL, type_name="", message="shop.Down: the bridge is gone", text=f"{first}{during}{rest}")
        ).type_name
        for rest in (call, wrap)
    ]
    assert roots == ["shop.Down", "KeyError"]


def test_an_exception_group_has_the_root_of_its_first_part() -> None:
    """A task group's exception is what one of its tasks raised."""
    text = (
        '  + Exception Group Traceback (most recent call last):\n  |   File "/w/a.py", line 3, in go\n  |     async with g:\n'
        "  | ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)\n  +-+---------------- 1 ----------------\n"
        '    | Traceback (most recent call last):\n    |   File "/w/shop/a.py", line 9, in go\n    |     raise Error()\n'
        "    | ValueError: berth is taken\n    +------------------------------------\n"
    )
    chain = (ExceptionLink(type_name="ExceptionGroup", message="unhandled errors in a TaskGroup (1 sub-exception)"),)
    found = root_of(Failure(phase=Phase.CALL, type_name="ExceptionGroup", message="unhandled errors", chain=chain, text=text))
    assert (found.type_name, found.message) == ("ValueError", "berth is taken")


def stack(fn: str) -> str:
    """A stack of node."""
    return f"TypeError: x\n    at {fn} (/w/src/{fn}.js:12:8)\n    at run (node:internal/main:3:1)"


def java(port: int, message: str) -> Failure:
    """A failure of surefire with its root below."""
    text = (
        f"java.lang.RuntimeException: {message}\n\tat com.acme.Db.open(Db.java:4)\n"
        f"Caused by: java.net.ConnectException: Connection refused: localhost:{port}\n\tat java.base/sun.Net.poll(Net.java)"
    )
    return Failure(phase=Phase.CALL, type_name="java.lang.RuntimeException", message=message, text=text)


UNDEFINED = "Cannot read properties of undefined (reading 'name')"


@pytest.mark.parametrize(
    ("same", "miss"),
    [
        (
            [Failure(phase=Phase.CALL, type_name="TypeError", message=UNDEFINED, text=stack("owner"))] * 2,
            Failure(phase=Phase.CALL, type_name="TypeError", message=UNDEFINED, text=stack("label")),
        ),
        ([java(5432, "no orders"), java(5432, "no report")], java(6379, "no orders")),
        (
            [
                Failure(
                    phase=Phase.CALL,
                    type_name="",
                    message="Failed",
                    text=f"    {f}_test.go:{n}: dial tcp 127.0.0.1:5432: connect: connection refused\n",
                )
                for f, n in (("cart", 3), ("fees", 8))
            ],
            Failure(
                phase=Phase.CALL,
                type_name="",
                message="Failed",
                text="    cart_test.go:3: dial tcp 127.0.0.1:6379: connect: connection refused\n",
            ),
        ),
    ],
    ids=["node", "surefire", "go"],
)
def test_other_languages_have_places_and_roots(same: list[Failure], miss: Failure) -> None:
    """Stacks and causes of other languages' runners are read too."""
    assert [causes_of(*same), causes_of(*same, miss)] == [1, 2]


def test_the_order_of_failures_changes_nothing() -> None:
    """Whatever comes first, the same tests lie together under the same signatures."""
    failures = [source(*said) for _, same, misses in ROOTS for said in (*same, *misses) for source in SOURCES]
    cases = [case(f"t{number}", Outcome.FAILED, failures=(item,)) for number, item in enumerate(failures)]

    def groups(ordered: list[Case]) -> set[tuple[str, frozenset[str]]]:
        return {(cause.signature, frozenset(cause.tests)) for cause in find_causes(RunReport(run_id="r", cases=tuple(ordered)))}

    assert groups(cases) == groups(cases[::-1])


def test_every_failure_has_a_root() -> None:
    """Also one that says nothing at all."""
    assert len(links_of(Failure(phase=Phase.CALL, type_name="", message=""))) == 1


@pytest.mark.parametrize("path", [f"{SITE}/_pytest/outcomes.py", f"{SITE}/ci_tools/pytest_plugin/phases.py"])
def test_a_cause_is_placed_in_the_project(path: str) -> None:
    """Where only a library or a guard raised, the test's file is the place to begin; where the project did, its line."""
    placed = [
        find_causes(RunReport(run_id="r", cases=(case("tests/test_a.py::test_b", Outcome.FAILED, failures=(failure,)),)))
        for failure in (journal("Failed", "declared redis, 0 commands", path, "f"), journal("Failed", "no", "shop/a.py", "f"))
    ]
    assert ["tests/test_a.py", "shop/a.py:7"] == [cause.location for (cause,) in placed]


AT = "http://127.0.0.1:41234/rates/17"
ANSWERS = (
    (
        "httpx.HTTPStatusError",
        "Server error '{0} Service Unavailable' for url '{1}'\nFor more information check: https://m.io/{0}",
    ),
    ("requests.exceptions.HTTPError", "{0} Server Error: Service Unavailable for url: {1}"),
    ("aiohttp.client_exceptions.ClientResponseError", "{0}, message='Service Unavailable', url='{1}'"),
    ("aiohttp.client_exceptions.ClientResponseError", "{0}, message='Service Unavailable', url=URL('{1}')"),
)


@pytest.mark.parametrize("source", SOURCES)
def test_one_answer_through_four_clients_is_one_cause(source: Callable[[str, str, str, str], Failure]) -> None:
    """A status is what the server said; another status, or another path of a server that answers, is another cause."""
    said = [source(kind, words.format(503, AT), "quay/web.py", "get") for kind, words in ANSWERS]
    assert 1 == causes_of(*said)
    kind, words = ANSWERS[0]
    assert 2 == causes_of(*said, source(kind, words.format(500, AT), "quay/web.py", "get"))
    assert 2 == causes_of(*said, source(kind, words.format(503, AT.replace("rates", "tides")), "quay/web.py", "get"))


def in_shards(*failures: Failure) -> int:
    """How many causes these failures have, met in two shards each."""
    cases = tuple(
        Case(
            test_id=f"tests/test_{shard}.py::test_{number}",
            attempts=(Attempt(outcome=Outcome.FAILED, failures=(failure,), shard=f"{shard}/2"),),
        )
        for shard in (1, 2)
        for number, failure in enumerate(failures)
    )
    return len(find_causes(RunReport(run_id="run-1", cases=cases)))


@pytest.mark.parametrize("source", SOURCES)
def test_a_server_that_two_shards_name_is_known_to_all(source: Callable[[str, str, str, str], Failure]) -> None:
    """A port that two shards speak of was chosen: what cannot answer there is one cause, whatever was asked for, and by whom."""
    kind, words = ANSWERS[1]
    down = [source(kind, words.format(503, AT.replace("rates", path)), f"quay/{path}.py", "get") for path in ("rates", "tides")]
    other = source(kind, words.format(503, AT.replace("41234", "41235")), "quay/rates.py", "get")
    assert [1, 2] == [in_shards(*down), in_shards(*down, other)]


@pytest.mark.parametrize("source", [journal, short])
def test_a_server_that_is_not_named_is_the_only_one_of_its_file(source: Callable[[str, str, str, str], Failure]) -> None:
    """A client that names no server had the only one that the same file could not reach; of two it is neither."""
    unnamed = source("httpx.ConnectError", "[Errno 111] Connection refused", "quay/web.py", "_httpx")
    named = [
        source("ConnectionRefusedError", f"[Errno 111] Connect call failed ('127.0.0.1', {port})", "quay/web.py", "_dial")
        for port in (41234, 41235)
    ]
    elsewhere = source("httpx.ConnectError", "[Errno 111] Connection refused", "quay/mail.py", "send")
    assert 1 == in_shards(unnamed, named[0])
    assert 3 == in_shards(unnamed, *named)
    assert 2 == in_shards(elsewhere, named[0])


def test_what_clients_say_in_many_ways_is_one_cause() -> None:
    """Hang-ups, unknown hosts and a full Redis are told alike, whoever tells of them; two unknown hosts are two."""
    hung = [
        short("httpx.RemoteProtocolError", "Server disconnected without sending a response.", "quay/web.py", "one"),
        short("http.client.RemoteDisconnected", "Remote end closed connection without response", "quay/web.py", "two"),
        short("aiohttp.client_exceptions.ServerDisconnectedError", "Server disconnected", "quay/web.py", "three"),
    ]
    pool = "HTTPConnectionPool(host='{0}', port=80): Max retries (Caused by NameResolutionError(\"Failed to resolve '{0}'"
    pool += ' ([Errno -2] Name or service not known)"))'
    unknown = [
        short("requests.exceptions.ConnectionError", pool.format(host), "quay/web.py", "_get") for host in ("vault", "minio")
    ]
    full = "command not allowed when used memory > 'maxmemory'."
    pipelined = f"Command # 3 (HSET berth:7 ship 5) of pipeline caused error: {full}"
    redis = [
        short("redis.exceptions.OutOfMemoryError", full, "quay/cache.py", "one"),
        short("valkey.exceptions.OutOfMemoryError", pipelined, "quay/cache.py", "two"),
    ]
    assert [1, 2, 1] == [causes_of(*hung), causes_of(*unknown), causes_of(*redis)]


def test_of_two_dictionaries_the_key_tells_what_differs() -> None:
    """What two results have in common as a key is what is wrong; the values are data."""
    differing = "assert {{'n': 1}} == {{'n': 1}}\n  \n  Differing items:\n  {{'{0}': None}} != {{'{0}': '{1}'}}"
    failures = [
        directly("AssertionError", differing.format(key, name), "tests/test_q.py", "test_it", "assert row(x) == expected")
        for key, name in (("holder", "Bram"), ("holder", "Halina"), ("zone", "Bram"))
    ]
    assert [1, 2] == [causes_of(*failures[:2]), causes_of(*failures)]
