"""Causes: what belongs together is one, near misses stay apart, and the first thing to fix comes first."""

from dataclasses import replace

import pytest
from cause_sample import failures, precision_and_recall, report_of, roots
from report_sample import case, failure

from ci_tools.model.case import Attempt, Case, ExceptionLink, Failure, Frame, Outcome, Phase
from ci_tools.model.report import CollectionError, RunReport, ShardReport
from ci_tools.reports.causes import find_causes
from ci_tools.reports.masks import mask, names_in
from ci_tools.reports.roots import root_of
from ci_tools.reports.signatures import signature_of


def run_of(*cases: Case, shards: tuple[str, ...] = ("1/1",), errors: tuple[CollectionError, ...] = ()) -> RunReport:
    """A run of these cases in these shards."""
    reports = tuple(ShardReport(run_id="run-1", shard=label, cases=()) for label in shards)
    return RunReport(run_id="run-1", cases=cases, shards=reports, collection_errors=errors)


def said(message: str, type_name: str = "RuntimeError", **fields: object) -> Failure:
    """A failure that another tool wrote down: text only."""
    values = {"phase": Phase.CALL, **fields}
    return Failure(type_name=type_name, message=message, **values)  # type: ignore[arg-type] # the caller's fields


@pytest.mark.parametrize("table", ["first", "second"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_roots_are_found(table: str, seed: int) -> None:
    """Of 2,000 failures with known roots, pairs are put together and kept apart with 0.97 or more of each right."""
    report, truth = report_of(failures(seed, 2000, table=table))
    precision, recall = precision_and_recall([list(cause.tests) for cause in find_causes(report)], truth)
    assert (precision >= 0.97, recall >= 0.97) == (True, True), (precision, recall)


NEAR_MISSES = [
    ("redis refused", "postgres refused", "first"),
    ("http 500", "http 503", "first"),
    ("user_id", "tenant_id", "first"),
    ("exit 1", "exit 137", "first"),
    ("connect refused", "connect timed out", "first"),
    ("keyword retries", "keyword timeout", "first"),
    ("pod pending", "pod failed", "first"),
    ("unique run", "unique user", "first"),
    ("got pending", "got failed", "second"),
    ("sig11", "sig9", "second"),
    ("refused redis svc", "refused pg svc", "second"),
    ("http404", "http502", "second"),
    ("dns", "dns temp", "second"),
]


@pytest.mark.parametrize(("one", "other", "table"), NEAR_MISSES)
def test_near_misses_stay_apart(one: str, other: str, table: str) -> None:
    """Two roots that differ in one word, status, code or errno are two causes, and each is only one."""
    given = [(name, item) for name, item in failures(5, 2000, table=table) if name in {one, other}]
    report, truth = report_of(given)
    groups = [{truth[test_id] for test_id in cause.tests} for cause in find_causes(report)]
    assert sorted(map(sorted, groups)) == sorted([[one], [other]])


def test_every_root_is_used() -> None:
    """The sample really has all of its roots."""
    assert {name for name, _ in failures(1, 2000)} == set(roots("first"))


@pytest.mark.parametrize(
    ("message", "masked"),
    [
        ("Error 111 connecting to localhost:6391. Refused", "Error 111 connecting to localhost:<port>. Refused"),
        ("cannot reach localhost:5432", "cannot reach localhost:5432"),
        ("run 5f0c1b7a-91ab-4c3e-8d1f-aa0c5e1b2d3f failed", "run <id> failed"),
        ("took 1.25 s, 3 of 4", "took <n> of <n>"),
        ("exit code 137 after 12 tries", "exit code 137 after <n> tries"),
        ("HTTP 503 from 10.0.3.17:8123", "HTTP 503 from <ip>:<port>"),
        ("[Errno 2] no file '/tmp/a1/b2.txt'", "[Errno 2] no file '<path>'"),
        ("socket unix:///var/run/docker.sock", "socket unix:///var/run/docker.sock"),
        ("'run.completed' missing at 2026-11-02T09:15:00Z", "'run.completed' missing at <time>"),
        ("key 'session-9f3a1c2b' missing", "key 'session-<id>' missing"),
        ("pod worker-7d9f8b6c5-x2x9q gone", "pod worker-<id> gone"),
        ("<Lock object at 0x7f12ab34cd56 [locked]>", "<Lock>"),
        ("\x1b[31mred\x1b[0m 7", "red <n>"),
        ("assert 503 == 200", "assert 503 == 200"),
        ("assert 3 == 4", "assert <n> == <n>"),
        ("got [1, 2, 3]", "got [<n>]"),
        ("redis://user:secret@db-7.internal:6379/0", "redis://db<n>.internal:6379/<n>"),
    ],
)
def test_masks(message: str, masked: str) -> None:
    """Ids, times, paths, hosts' numbers and ports go; errno, status, exit codes, names and service ports stay."""
    assert mask(message)[0] == masked


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (said("no server on 127.0.0.1:6381", "ConnectionError"), "sig-v2:4dd44081aab6"),
        (said("'user_id'", "KeyError"), "sig-v2:3f2d962a0c5f"),
        (said("[Errno 111] Connect call failed ('127.0.0.1', 6381)", "ConnectionRefusedError"), "sig-v2:ee18599f0824"),
    ],
)
def test_signatures_are_stable(given: Failure, expected: str) -> None:
    """A signature ID is for ever: quarantine entries hold it. Who changes one changes its version."""
    assert signature_of(given).id == expected


def test_the_journal_and_the_junit_file_say_the_same() -> None:
    """One exception has one signature, whether it comes as a chain or as pytest's text, in call or in set-up."""
    message = "cannot reach redis at redis://10.0.3.17:6391/0: refused"
    chain = (ExceptionLink(type_name="ConnectionError", message=message),)
    ours = Failure(phase=Phase.SETUP, type_name="ConnectionError", message=message, chain=chain)
    wrapped = said(f'failed on setup with "ConnectionError: {message}"', "")
    text = said(
        f"ConnectionError: {message}",
        "",
        text=f"    def test():\n>       ping()\nE       ConnectionError: {message}\n\nt.py:3: ConnectionError",
    )
    assert len({signature_of(item).id for item in (ours, wrapped, text)}) == 1


def test_the_root_of_a_chain_counts() -> None:
    """What was raised last is a consequence; the first exception is the cause."""
    inner = ExceptionLink(type_name="KeyError", message="'tenant_id'", frame=Frame(path="src/a.py", line=1))
    outer = ExceptionLink(type_name="StartError", message="start failed")
    assert root_of(failure(chain=(outer, inner))).type_name == "KeyError"


def test_the_root_is_found_in_pytests_text() -> None:
    """In a foreign file the first of several tracebacks is the cause of the others."""
    text = (
        ">       try: {}['a']\nE       KeyError: 'a'\n\nt.py:9: KeyError\n\n"
        "The above exception was the direct cause of the following exception:\n\n"
        ">       raise ValueError('bad')\nE       ValueError: bad\n\nt.py:10: ValueError"
    )
    origin = root_of(said("ValueError: bad", "", text=text))
    assert (origin.type_name, origin.message) == ("KeyError", "'a'")


@pytest.mark.parametrize(
    ("message", "masked", "hard"),
    [
        ("expected 201, got 422 after 62.17 s", "expected 201, got 422 after <n>", ("expected 201", "got 422")),
        ("got 200 rows, expected 300 rows", "got <n> rows, expected <n> rows", ()),
        ("got 404.5 of it", "got <n> of it", ()),
        ("upstream responded with 503.", "upstream responded with 503.", ("responded with 503",)),
        ("(404)", "(404)", ("(404)",)),
        ("request failed with 500", "request failed with 500", ("failed with 500",)),
        ("failed with 500 errors", "failed with <n> errors", ()),
        ("503 Server Error: no", "503 Server Error: no", ("503 Server Error",)),
        ("ApiException: (409)", "ApiException: (409)", ("Exception: (409)",)),
        ("slept 200 ms (201 in all)", "slept <n> (<n> in all)", ()),
    ],
)
def test_a_status_is_kept_and_a_count_is_not(message: str, masked: str, hard: tuple[str, ...]) -> None:
    """A status behind a word that announces one stays; the same number before a noun is a count."""
    assert mask(message) == (masked, hard)


@pytest.mark.parametrize(
    ("lines", "names"),
    [
        ('waiting for get_by_role("button", name="Place order")', ("'Place order'", "'button'")),
        ('{"kind":"Status","message":"pods \\"ci-8f3a\\" not found","reason":"NotFound"}', ("'NotFound'", "'Status'")),
        ("HTTP response headers: {'Server': 'nginx', 'Date': 'Sun, 22 Nov 2026 10:11:12 GMT'}", ()),
        ("[parameters: ('alice', 'pending')]", ()),
        ("assert 'alice' == 'bob'\n+ where 404 = <Response [404 Not Found]>", ("<Response [404",)),
        ("'a' 'b' 'c' 'd' 'e' 'f' 'g'", ("'a'", "'b'", "'c'", "'d'", "'e'", "'f'")),
        ("a quoted 'sentence that is far too long to be' and '/a/path'", ()),
    ],
)
def test_names_of_further_lines(lines: str, names: tuple[str, ...]) -> None:
    """Names and statuses of further lines count; keys, ids, headers, sent values and compared data do not."""
    assert names_in(lines) == names


def test_the_second_line_tells_causes_apart() -> None:
    """Two time-outs that differ in the button that never came are two causes, with the time masked one each."""
    words = "Timeout {}ms exceeded.\nCall log:\n  - waiting for get_by_role('button', name='{} order')"
    given = [said(words.format(number, name), "TimeoutError") for name in ("Place", "Cancel") for number in (5000, 30000)]
    place, place_later, cancel, cancel_later = (signature_of(item).id for item in given)
    assert (place == place_later, cancel == cancel_later, place == cancel) == (True, True, False)


def chained(*links: tuple[str, str]) -> Failure:
    """A failure of our journal with this chain, the root last."""
    chain = tuple(ExceptionLink(type_name=type_name, message=message) for type_name, message in links)
    return Failure(phase=Phase.CALL, type_name=chain[0].type_name, message=chain[0].message, chain=chain)


REFUSED = ("ConnectionRefusedError", "[Errno 111] Connect call failed ('127.0.0.1', 41234)")


def test_a_root_that_names_nothing_is_told_apart_by_what_was_raised_from_it() -> None:
    """What refused is said by the outer exception, whether it comes from a journal or from pytest's text."""
    search, broker = chained(("app.SearchDown", "no ping"), REFUSED), chained(("app.BrokerDown", "no ping"), REFUSED)
    text = (
        f"E   {REFUSED[0]}: {REFUSED[1]}\n\nThe above exception was the direct cause of the following exception:\n\n"
        "E   app.SearchDown: no ping"
    )
    foreign = said("app.SearchDown: no ping", "", text=text)
    assert signature_of(search).id == signature_of(foreign).id != signature_of(broker).id
    assert signature_of(search).rule.endswith("in app.SearchDown")


def test_the_context_ends_at_the_first_name() -> None:
    """Layers above the exception that names the host change nothing: one host that is not there is one cause."""
    root = ("socket.gaierror", "[Errno -2] Name or service not known")
    named = ("urllib3.exceptions.NameResolutionError", "Failed to resolve 'minio' ([Errno -2] Name or service not known)")
    assert signature_of(chained(("app.UploadFailed", "no"), named, root)) == signature_of(chained(named, root))
    redis, postgres = (("app.Down", f"no answer on localhost:{port}") for port in (6379, 5432))
    above = (("app.StartError", "no"), ("app.StopError", "no"))
    assert len({signature_of(chained(top, service, REFUSED)) for top in above for service in (redis, postgres)}) == 2
    other = (named[0], named[1].replace("minio", "vault"))
    assert signature_of(chained(other, root)).id != signature_of(chained(named, root)).id


def test_a_root_that_names_something_has_no_context() -> None:
    """A missing key is one cause whatever was raised from it."""
    root = ("KeyError", "'tenant_id'")
    assert signature_of(chained(("app.StartError", "no"), root)) == signature_of(chained(("app.StopError", "no"), root))


@pytest.mark.parametrize(
    ("contexts", "count"), [(("",), 1), (("app.A", ""), 1), (("app.A", "app.B"), 2), (("app.A", "app.B", ""), 3)]
)
def test_a_failure_without_context_joins_the_only_one(contexts: tuple[str, ...], count: int) -> None:
    """Who does not say what was raised belongs to the one context there is; of two, to none."""
    given = [chained((name, "went wrong"), REFUSED) if name else chained(REFUSED) for name in contexts]
    cases = [case(f"t{number}", Outcome.FAILED, failures=(item,)) for number, item in enumerate(given)]
    assert len(find_causes(run_of(*cases))) == count


@pytest.mark.parametrize(
    "library", ["/opt/venv/lib/python3.12/site-packages/k/rest.py", "/usr/lib/python3.14/ssl.py", "C:\\Py\\Lib\\ssl.py"]
)
def test_the_place_lies_in_the_project(library: str) -> None:
    """A bare message is told apart by our line above the library's, which is the same in every Python."""
    text = f">       apply()\nsrc/cluster.py:12: \n_ _\n>       raise error\nE   RuntimeError: no\n\n{library}:9: RuntimeError"
    given = said("RuntimeError: no", "", text=text, frame=Frame(path=library, line=9))
    assert signature_of(given).place == "src/cluster.py:apply()"


def test_bare_assertions_are_told_apart_by_their_line() -> None:
    """``assert 3 == 4`` says nothing: the source line that raised is added."""
    one = said("assert 3 == 4", "AssertionError", text=">       assert len(events) == 4\nE       assert 3 == 4")
    other = said("assert 3 == 4", "AssertionError", text=">       assert users == 4\nE       assert 3 == 4")
    same = said("assert 5 == 4", "AssertionError", text=">       assert users == 4\nE       assert 5 == 4")
    assert signature_of(one).id != signature_of(other).id == signature_of(same).id


def test_a_fixture_is_one_cause_however_its_words_differ() -> None:
    """What one fixture raises with one type is one cause, titled by the fixture, with the tests it blocks."""
    words = ("no answer to PING yet", "the server closed the connection early", "wrong reply, expected PONG instead")
    cases = [
        case(
            f"tests/test_a.py::test_{number}",
            Outcome.ERROR,
            failures=(
                failure(
                    words[number % 3], "ConnectionError", phase=Phase.SETUP, fixture="redis_manager", fixture_scope="session"
                ),
            ),
        )
        for number in range(17)
    ]
    (cause,) = find_causes(run_of(*cases))
    assert (cause.title, cause.blocks, cause.errors) == (
        "fixture `redis_manager` (session): ConnectionError: no answer to PING yet",
        "blocks 17 tests",
        17,
    )
    assert len(cause.aliases) == 2


def test_a_fixture_is_found_in_pytests_text() -> None:
    """A foreign file has no fixture names, but the fixture's source stands in the traceback."""
    text = '@pytest.fixture(scope="session")\n    async def cluster():\n>       fill()\nE       OSError: no disk left here'
    cases = [
        case(f"t{number}", Outcome.ERROR, failures=(said("OSError: no disk left here", "", phase=Phase.SETUP, text=text),))
        for number in range(2)
    ]
    (cause,) = find_causes(run_of(*cases))
    assert cause.title == "fixture `cluster` (session): OSError: no disk left here"


def test_a_fixture_that_fails_for_two_reasons_is_two_causes() -> None:
    """HTTP 500 and 503 stay apart, also in one fixture."""
    cases = [
        case(f"t{status}", Outcome.ERROR, failures=(failure(f"got HTTP {status}", "ApiError", phase=Phase.SETUP, fixture="api"),))
        for status in (500, 503)
    ]
    assert len(find_causes(run_of(*cases))) == 2


def broken_import(path: str, message: str, frame: Frame | None = None) -> CollectionError:
    """A file that could not be imported."""
    return CollectionError(path=path, failure=failure(message, "ImportError", phase=Phase.COLLECT, frame=frame))


def test_an_import_error_is_one_cause_for_all_files_it_blocks() -> None:
    """Nine files that import one broken module are one cause: the module, and what it blocks."""
    message = "cannot import name 'create_test_app' from 'tests.fixtures' (/w/tests/fixtures/__init__.py)"
    errors = tuple(broken_import(f"tests/test_{number}.py", message) for number in range(9))
    (cause,) = find_causes(run_of(errors=errors), root="/w")
    assert (cause.title, cause.blocks, cause.command) == (
        f"`tests/fixtures/__init__.py` cannot be imported: {message}",
        "blocks 9 files",
        "python -m pytest tests/test_0.py",
    )


def test_the_cause_that_unblocks_most_comes_first() -> None:
    """Causes are ordered by the tests they give back."""
    cases = [case(f"a{number}", Outcome.FAILED, failures=(failure("small trouble here"),)) for number in range(2)]
    cases += [case(f"b{number}", Outcome.FAILED, failures=(failure("large trouble there"),)) for number in range(5)]
    assert [len(cause.tests) for cause in find_causes(run_of(*cases))] == [5, 2]


@pytest.mark.parametrize(
    ("places", "spread"),
    [(("1/2",), "code"), (("1/2", "1/2"), "machine"), (("1/2", "2/2"), "environment")],
)
def test_the_spread_says_where_to_look(places: tuple[str, ...], spread: str) -> None:
    """One test: its code. One shard of several: that machine. Every shard: the environment."""
    cases = [case(f"t{number}", Outcome.FAILED, shard=place) for number, place in enumerate(places)]
    (cause,) = find_causes(run_of(*cases, shards=("1/2", "2/2")))
    assert (cause.spread, cause.shards) == (spread, tuple(sorted(set(places))))


def test_a_cause_says_how_to_repeat_it() -> None:
    """The command names the example test, quoted for a shell; a foreign name that is no pytest test has none."""
    ours = find_causes(run_of(case("tests/test_a.py::test_x[a b]", Outcome.FAILED)))[0]
    foreign = find_causes(run_of(case("org.example.PaymentTest::charges", Outcome.FAILED)))[0]
    assert (ours.command, foreign.command) == ("python -m pytest 'tests/test_a.py::test_x[a b]'", "")


def test_two_hangs_in_one_place_are_one_cause() -> None:
    """Timed out tests are grouped by where they stood, not by the message that every timeout has."""
    place = 'File "src/bridge.py", line {}, in wait_for_event'
    cases = [
        Case(
            test_id=f"t{number}",
            attempts=(Attempt(outcome=Outcome.TIMED_OUT, stacks=place.format(line), reason="no end within 30 s"),),
        )
        for number, line in enumerate((5, 5))
    ]
    other = Case(
        test_id="t2",
        attempts=(Attempt(outcome=Outcome.TIMED_OUT, stacks='File "src/x.py", line 1, in loop', reason="no end within 30 s"),),
    )
    assert [cause.tests for cause in find_causes(run_of(*cases, other))] == [("t0", "t1"), ("t2",)]


def test_crashes_are_told_apart_by_how_they_ended() -> None:
    """Where nobody knows where a dead worker stood, its signal or exit code is the cause: of two killed ones it is one."""
    endings = ("killed by SIGKILL", "killed by SIGKILL", "killed by SIGSEGV", "exit code 3", "exit code 4")
    cases = [
        case(
            f"t{number}", Outcome.CRASHED, failures=(said(f"worker w{number} ended while this test ran: {how}", "WorkerCrashed"),)
        )
        for number, how in enumerate(endings)
    ]
    assert [("t0", "t1"), ("t2",), ("t3",), ("t4",)] == sorted(cause.tests for cause in find_causes(run_of(*cases)))


def test_lost_tests_have_their_shard_as_cause() -> None:
    """The tests of a shard that sent nothing are one cause."""
    cases = [
        Case(
            test_id=f"t{number}",
            attempts=(Attempt(outcome=Outcome.LOST, shard="2/2", reason="planned for shard 2/2, which sent no result of it"),),
        )
        for number in range(3)
    ]
    (cause,) = find_causes(run_of(*cases, shards=("1/2",)))
    assert (cause.title, cause.errors, cause.shards) == ("lost: planned for shard 2/2, which sent no result of it", 3, ("2/2",))


def test_a_test_with_two_failures_is_in_two_causes() -> None:
    """A call and a tear-down that broke for different reasons are two things to fix."""
    both = (failure("first trouble in call"), failure("later trouble in tear-down", phase=Phase.TEARDOWN))
    assert [(cause.failures, cause.errors) for cause in find_causes(run_of(case("t", Outcome.FAILED, failures=both)))] in (
        [(1, 0), (0, 1)],
        [(0, 1), (1, 0)],
    )


def test_green_tests_have_no_cause() -> None:
    """Skips, expected failures and flaky passes are not causes."""
    flaky = replace(case("f"), attempts=(*case("f", Outcome.FAILED).attempts, *case("f").attempts))
    assert find_causes(run_of(case("a"), case("s", Outcome.SKIPPED), case("x", Outcome.XFAILED), flaky)) == ()


def test_a_huge_message_is_cut() -> None:
    """A message of a megabyte gives a title of one line."""
    (cause,) = find_causes(run_of(case("t", Outcome.FAILED, failures=(failure("x" * 1_000_000),))))
    assert len(cause.title) == 160


def test_messages_of_another_length_are_joined_when_only_data_is_added() -> None:
    """One more filled-in value in a long sentence is no other cause; one more word is."""
    sentence = (
        "the bridge could not deliver all of the events that the engine wrote for this run before its deadline passed on node{}"
    )
    messages = (sentence.format("-a1"), sentence.format("-a1 x7y8"), sentence.format("-a1 again"))
    cases = [case(f"t{number}", Outcome.FAILED, failures=(failure(message),)) for number, message in enumerate(messages)]
    assert [cause.tests for cause in find_causes(run_of(*cases))] == [("t0", "t1"), ("t2",)]


@pytest.mark.parametrize(
    ("message", "masked"),
    [
        ("cannot open /etc/ssl/cert", "cannot open /etc/ssl/cert"),
        ("cannot open C:\\Users\\me\\report.json", "cannot open <path>/report.json"),
        ("at http:///nowhere/7", "at http:///nowhere"),
        ("at http://shop.test/v1/orders/17?trace=9f", "at http://shop.test/v1/orders"),
        ("at http://shop.test/v1/orders?at=2026-11-02", "at http://shop.test/v1/orders"),
        ("8f3a9c21-xk2 is gone", "<id>-xk<n> is gone"),
        ("listening on ::1:8080 or fe80:0:0:0:1:2:3:4", "listening on <ip> or <ip>"),
        ("seen at 09:15:00 and 2026-11-02 09:15:00,123", "seen at <time> and <time>"),
        ("port 49152 and port 5432", "port <port> and port 5432"),
        ("9092 messages, 443 left", "9092 messages, <n> left"),
        ("token eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9 refused", "token <id> refused"),
    ],
)
def test_more_masks(message: str, masked: str) -> None:
    """Windows paths, addresses, tokens and times in their other forms."""
    assert mask(message)[0] == masked


def test_wrappers_are_taken_off_one_by_one() -> None:
    """A wrapper in a wrapper is taken off too, and a wrapped nothing stays nothing."""
    wrapped = "Also parent suite teardown failed:\nParent suite setup failed:\nConnectionError: no route to host"
    nested = said('failed on setup with "' * 5 + "x" + '"' * 5, "")
    assert root_of(said(wrapped, "")).type_name == "ConnectionError"
    assert "failed on setup" not in root_of(said(wrapped, "")).message
    assert root_of(nested).message.count("failed on setup") == 1


def test_a_long_error_block_begins_with_its_type() -> None:
    """Of several lines marked with E, the first of the last block names the exception."""
    text = "E   ValueError: first\n\nsome source\nE   KeyError: 'a'\nE     more of it\nE     and more"
    origin = root_of(said("", "", text=text))
    assert (origin.type_name, origin.message) == ("KeyError", "'a'\n  more of it\n  and more")


def test_a_chain_in_text_without_marked_lines_keeps_its_message() -> None:
    """Where the first traceback has no line that says what was raised, the message itself is the root."""
    text = "nothing here\n\nDuring handling of the above exception, another exception occurred:\n\nE   ValueError: bad"
    assert root_of(said("ValueError: bad", "", text=text)).type_name == "ValueError"


def test_an_announced_message_is_read_on() -> None:
    """A first line that ends with a colon says nothing without the second."""
    one = said("2 problems were found:\nno server on the test port", "ConfigError")
    other = said("2 problems were found:\nno key in the environment", "ConfigError")
    assert signature_of(one).id != signature_of(other).id


def test_a_place_without_a_frame_is_the_source_line() -> None:
    """An assertion of a foreign tool without any place is told apart by what stands in its text."""
    assert signature_of(said("1 != 2", "", text="> expect(a)")).place == "expect(a)"
