"""One fault in many forms: through other clients, with or without a message, with other values; and what is still two."""

import pytest
from report_sample import case

from ci_tools.model.case import Failure, Outcome, Phase
from ci_tools.model.report import RunReport
from ci_tools.reports.causes import find_causes

SITE = "/opt/venv/lib/python3.11/site-packages"
RULER = "_ " * 40


def causes_of(*failures: Failure) -> int:
    """How many causes these failures of as many tests have."""
    cases = tuple(case(f"t{number}", Outcome.FAILED, failures=(item,)) for number, item in enumerate(failures))
    return len(find_causes(RunReport(run_id="run-1", cases=cases)))


def asked(said: str, function: str, *, path: str = "shop/clients.py", source: str = "", owner: str = "") -> Failure:
    """A client's exception, as pytest shows it: through a function of the project, in a class of which ``owner`` is one."""
    shown = "".join(f"\nE       {line}" for line in said.splitlines())
    head = f"\nself = <{owner} object at 0x7f01>\n" if owner else ""
    text = (
        f"    def test_it():\n>       {function}(1)\n\ntests/test_a.py:9: \n{RULER}\n{head}\n    def {function}(x):\n"
        f">       {source or 'return fetch(x)'}\n\n{path}:7: \n{RULER}\n\n    def send(x):\n>       raise it{shown}\n\n"
        f"{SITE}/httpx/_api.py:3: {said.partition(':')[0].rpartition('.')[2]}"
    )
    return Failure(phase=Phase.CALL, type_name="", message=said, text=text)


def raised(said: str, function: str = "load") -> Failure:
    """What a function of the project raises itself."""
    text = (
        f"    def test_it():\n>       {function}(1)\n\ntests/test_a.py:9: \n{RULER}\n\n    def {function}(x):\n"
        f">       raise ShopError(words)\nE       {said}\n\nshop/stock.py:7: ShopError"
    )
    return Failure(phase=Phase.CALL, type_name="", message=said, text=text)


def compared(statement: str, said: str, *, before: str = "", path: str = "tests/test_a.py") -> Failure:
    """An assertion of a test's own, with the lines above it."""
    above = "".join(f"\n        {line}" for line in before.splitlines())
    shown = "".join(f"\nE       {line}" for line in f"AssertionError: {said}".splitlines())
    text = f"    def test_it():{above}\n>       {statement}{shown}\n\n{path}:9: AssertionError"
    return Failure(phase=Phase.CALL, type_name="", message=f"AssertionError: {said}", text=text)


ONE_FAULT = {
    "redirects": (
        "httpx.TooManyRedirects: Exceeded maximum allowed redirects.",
        "requests.exceptions.TooManyRedirects: Exceeded 30 redirects.",
    ),
    "tls": (
        "httpx.ConnectError: [SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)",
        "ssl.SSLError: [SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1129)",
    ),
    "cut short": (
        "httpx.RemoteProtocolError: peer closed connection without sending complete message body (received 9 bytes)",
        "requests.exceptions.ChunkedEncodingError: ('Connection broken: IncompleteRead(9 bytes read, 391 more expected)', x)",
        "aiohttp.client_exceptions.ClientPayloadError: Response payload is not completed",
    ),
    "silent": (
        "httpx.ReadTimeout: timed out",
        "requests.exceptions.ReadTimeout: HTTPConnectionPool(host='127.0.0.1', port=8080): Read timed out. (read timeout=1)",
    ),
}


@pytest.mark.parametrize("fault", ONE_FAULT)
def test_one_fault_is_one_cause_through_all_clients(fault: str) -> None:
    """A redirect loop, TLS that failed, an answer cut short, a silence: whichever library tells of it."""
    assert causes_of(*(asked(said, "fetch_order") for said in ONE_FAULT[fault])) == 1


def test_tls_that_failed_for_two_hosts_is_two_causes() -> None:
    """The name that a certificate lacks is what is to be mended."""
    said = "ssl.SSLCertVerificationError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate is not valid for '{}'. (_ssl.c:1006)"
    assert causes_of(asked(said.format("mail.internal"), "f"), asked(said.format("pay.internal"), "f")) == 2


STATUS = "httpx.HTTPStatusError: Client error '{} X' for url 'http://127.0.0.1:8080/{}/17'"


@pytest.mark.parametrize(("status", "causes"), [(429, 1), (401, 1), (404, 2), (422, 2)])
def test_a_status_about_the_server_is_one_cause_for_all_paths(status: int, causes: int) -> None:
    """Too many requests and a bad token are so whatever is asked for; a page that is not there is one page."""
    assert causes == causes_of(*(asked(STATUS.format(status, path), "fetch") for path in ("orders", "users")))


REFUSED = "requests.exceptions.ConnectionError: HTTPConnection(host='127.0.0.1', port={}): Connection refused"
NAMELESS = "httpx.ConnectError: [Errno 111] Connection refused"


def test_what_named_no_server_joins_the_one_that_its_class_asks() -> None:
    """Two servers refuse through one file: the object in the traceback says which of them it was."""
    claims = asked(REFUSED.format(8081), "claim", owner="shop.clients.Insurer")
    bills = asked(REFUSED.format(8082), "bill", owner="shop.clients.Billing")
    policy = asked(NAMELESS, "policy", owner="shop.clients.Insurer")
    assert causes_of(claims, bills, policy) == 2
    assert causes_of(claims, bills, asked(NAMELESS, "policy", owner="shop.clients.Postman")) == 3


def test_an_answer_that_is_no_json_is_one_cause_for_what_one_client_asks() -> None:
    """Whichever function read it, where the lines name one server; another server's is another cause."""
    said = "json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)"
    street, bridge, toll = (
        asked(said, function, source=f'return get(url("{server}", f"/{function}/{{x}}")).json()')
        for function, server in (("street", "maps"), ("bridge", "maps"), ("toll", "tolls"))
    )
    assert (1, 2) == (causes_of(street, bridge), causes_of(street, toll))


def test_what_was_requested_tells_the_projects_own_errors_apart() -> None:
    """A client of the project that says method, path and status: the path's first name counts, ids do not."""
    said = "shop.ApiError: GET /{}/{} was answered 500: boom"
    orders, more, users = (raised(said.format(*of), "send") for of in (("orders", 17), ("orders", 4), ("users", 17)))
    assert (1, 2) == (causes_of(orders, more), causes_of(orders, users))


def test_an_assertion_that_shows_what_was_found_is_as_one_without_words() -> None:
    """`assert answer.status_code == 200, answer.text` and the same without the text."""
    found = "assert 404 == 200\n +  where 404 = <Response [404 Not Found]>.status_code"
    asks = "answer = client.get('/beds/{}')"
    told = compared("assert answer.status_code == 200, answer.text", f"Not Found\n{found}", before=asks.format(1))
    plain = compared("assert answer.status_code == 200", found, before=asks.format("b7"))
    rooms = compared("assert answer.status_code == 200", found, before="answer = client.get('/rooms/3')")
    assert (1, 2) == (causes_of(told, plain), causes_of(plain, rooms))


def test_a_local_variable_stands_for_the_call_it_came_from() -> None:
    """What one function gets wrong is one cause, whether a test compares its call or a variable, with words or without."""
    call = compared("assert dose(15, 6) == 15 * 6", "assert 9 == (15 * 6)")
    variable = compared("assert given == kilos * 9", "assert 74 == (83 * 9)", before="given = dose(kilos, per_kilo=9)")
    worded = compared("assert dose(4, 2) == 8, f'wrong dose for {who}'", "wrong dose for P17\nassert 6 == 8")
    other = compared("assert given == kilos * 9", "assert 74 == (83 * 9)", before="given = price(kilos, per_kilo=9)")
    assert (1, 2) == (causes_of(call, variable, worded), causes_of(call, other))


@pytest.mark.parametrize(
    ("one", "other", "causes"),
    [
        ("/var/archive/P16231", "/var/archive/P7", 1),
        ("/var/archive/P16231", "/var/spool/letters/P16231", 2),
        ("/srv/a1/rates-2024.csv", "/srv/b2/rates-2025.csv", 1),
        ("/srv/a1/rates-2024.csv", "/srv/a1/crews-2024.csv", 2),
        ("/srv/spool/tmpx1v9j95x", "/srv/spool/tmpvc_gxi23", 1),
    ],
)
def test_a_numbered_file_is_known_by_its_words_or_its_folder(one: str, other: str, causes: int) -> None:
    """A number in a file's name is data; what it is of is none."""
    said = "FileNotFoundError: [Errno 2] No such file or directory: '{}'"
    assert causes == causes_of(asked(said.format(one), "f"), asked(said.format(other), "g"))


def test_two_libraries_that_cannot_be_loaded_are_two_causes() -> None:
    """A shared object's version is a number, its name is not."""
    said = "OSError: {}.so.1: cannot open shared object file: No such file or directory"
    assert causes_of(asked(said.format("libviewer"), "f"), asked(said.format("libscalpel"), "f")) == 2


def test_one_sentence_with_values_in_its_gaps_is_one_cause() -> None:
    """Words that hardly come back, in one sentence that one function raises, are values: names come back."""
    said = "shop.ShopError: {} must not be sold with {}"
    goods = ("salt", "pepper", "sugar", "flour-3")
    assert causes_of(*(raised(said.format(one, "17 eggs")) for one in goods)) == 1
    assert causes_of(*(raised(said.format(one, "eggs")) for one in goods[:2])) == 2
    assert causes_of(*(raised(said.format(one, "eggs")) for one in goods[:3] * 3)) == 3
    names = ("user_id", "tenant_id", "order_id", "crew_id")
    assert causes_of(*(raised(said.format(one, "eggs")) for one in names)) == 4


def test_what_stands_in_quotes_is_a_name_unless_it_is_never_the_same() -> None:
    """Five stations, each met once, are values; four are names."""
    said = "shop.ShopError: no reading came from station '{}' today"
    stations = ("harbour", "meadow", "tower", "bridge", "mill")
    assert (1, 4) == (
        causes_of(*(raised(said.format(one)) for one in stations)),
        causes_of(*(raised(said.format(one)) for one in stations[:4])),
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "RuntimeError: <asyncio.locks.Lock object at 0x7f01 [unlocked]> is bound to a different event loop",
            "RuntimeError: <asyncio.locks.Lock object at 0x7f09 [locked]> is bound to a different event loop",
        ),
        ("shop.ShopError: anna@shop.test may not order", "shop.ShopError: bert.b@mail.shop.test may not order"),
        ("RecursionError: maximum recursion depth exceeded", "RecursionError: maximum recursion depth exceeded in comparison"),
        (
            "AssertionError: expected call not found.\nExpected: send('a@b.c', 17)\n  Actual: send('x@y.z', 17)",
            "AssertionError: expected call not found.\nExpected: send('q@b.c', 19)\n  Actual: send('x@y.z', 19)",
        ),
    ],
)
def test_what_is_shown_beside_the_words_is_data(one: str, other: str) -> None:
    """The state of an object, an address of mail, where a recursion ended, the arguments of a call that was not made."""
    assert causes_of(asked(one, "load"), asked(other, "load")) == 1


ABOUT_ONE_CALL = (
    compared("assert dose(15, 6) == 90", "assert 9 == 90"),
    compared("assert round(dose(4, per_kilo=2), 1) == pytest.approx(8)", "assert 6 == 8 ± 8e-06"),
    compared("assert [dose(kilos, 2) for kilos in (1, 2)] == [2, 4]", "assert [1, 3] == [2, 4]\n  At index 0 diff: 1 != 2"),
    compared("assert str(given).startswith('9')", "assert False\n +  where False = x", before="given = await dose(15, 6)"),
    compared("self.assertEqual(dose(15, 6), 90)", "9 != 90"),
    compared("np.testing.assert_allclose(dose(15, 6), 90)", "\nNot equal to tolerance rtol=1e-07, atol=0\n\nMismatched: 1 / 1"),
)


def test_a_comparison_is_about_the_call_whose_outcome_it_looks_at() -> None:
    """Whatever stands around it: rounding, a list, a method of a plain value, an assertion of unittest or numpy."""
    other = compared("assert price(15, 6) == 90", "assert 9 == 90")
    assert (1, 2) == (causes_of(*ABOUT_ONE_CALL), causes_of(*ABOUT_ONE_CALL, other))


def test_the_key_that_is_looked_at_tells_comparisons_of_one_call_apart() -> None:
    """`low` and `high` of one summary are two mends, asked for in the line or shown in the difference."""
    line = compared("assert summary(3)['low'] == 4", "assert 5 == 4")
    shown = compared(
        "assert summary(3) == {'low': 4}", "assert {'low': 5} == {'low': 4}\n  Differing items:\n  {'low': 5} != {'low': 4}"
    )
    high = compared("assert summary(3)['high'] == 4", "assert 5 == 4")
    assert (1, 2) == (causes_of(line, shown), causes_of(line, high))


def test_a_helper_of_the_tests_compares_what_it_was_given() -> None:
    """`expect_close(total(cart), 3)` is about the total, and not about the helper."""
    total, price = (
        Failure(
            phase=Phase.CALL,
            type_name="",
            message="assert 3 == 4",
            text=f"tests/test_{call}.py:9: in test_it\n    expect_close({call}(cart), 4)\ntests/factories.py:7: in expect_close\n"
            "    assert found == expected\nE   assert 3 == 4",
        )
        for call in ("total", "price")
    )
    assert (1, 2) == (causes_of(total, compared("assert total(cart) == 4", "assert 3 == 4")), causes_of(total, price))


def test_what_is_not_in_a_page_is_known_by_the_page_and_the_words() -> None:
    """In two files of tests, a line that looks into an answer is about what was asked for."""
    said = "assert 'Wind' in 'a page'\n +  where 'a page' = answer.text"
    wind, more, rain = (
        compared(f"assert '{word}' in answer.text", said, before=f"answer = client.get('{path}')", path=file)
        for word, path, file in (
            ("Wind", "/maps/7", "tests/test_a.py"),
            ("Wind", "/maps/9", "tests/test_b.py"),
            ("Rain", "/maps/7", "tests/test_a.py"),
        )
    )
    assert (1, 2) == (causes_of(wind, more), causes_of(wind, rain))


POSTGRES = (
    'psycopg.OperationalError: connection failed: connection to server at "127.0.0.1", port 44875 failed: FATAL:  {}',
    'psycopg2.OperationalError: connection to server at "127.0.0.1", port 44875 failed: FATAL:  {}',
)


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ('database "hydro" does not exist', "InvalidCatalogNameError"),
        ('role "clerk" does not exist', "InvalidAuthorizationSpecificationError"),
        ('password authentication failed for user "clerk"', "InvalidPasswordError"),
        ("sorry, too many clients already", "TooManyConnectionsError"),
    ],
)
def test_postgres_turns_every_client_away_for_one_cause(words: str, kind: str) -> None:
    """The words of psycopg and the type of asyncpg say the same."""
    said = [client.format(words) for client in POSTGRES] + [f"asyncpg.exceptions.{kind}: {words}"]
    assert causes_of(*(asked(one, "load") for one in said)) == 1
    assert causes_of(asked(said[0], "load"), asked(POSTGRES[0].format('database "mail" does not exist'), "load")) == 2


def test_a_program_that_failed_is_one_cause_in_the_projects_words_too() -> None:
    """`` `tool arguments` ended with 3 `` and CalledProcessError tell of one program; another exit code is another cause."""
    plain = "subprocess.CalledProcessError: Command '['/a/tools/degrib', 'surface', 'x.grib']' returned non-zero exit status {}."
    told = "shop.ProgramError: `tools/degrib surface g15.grib` ended with {}: degrib: no table"
    one, other, killed = asked(plain.format(1), "run"), raised(told.format(1), "shell"), raised(told.format(137), "shell")
    assert (1, 2) == (causes_of(one, other), causes_of(one, killed))


def test_what_should_have_raised_is_known_by_its_words() -> None:
    """Of two calls that raise nothing, the words that were expected tell which."""
    depth, wind = (
        Failure(
            phase=Phase.CALL,
            type_name="",
            message="Failed: DID NOT RAISE ValueError",
            text=f"    def test_it():\n>       with pytest.raises(ValueError, match='{word}'):\n"
            "E       Failed: DID NOT RAISE ValueError\n\ntests/test_a.py:7: Failed",
        )
        for word in ("depth", "wind")
    )
    assert (1, 2) == (causes_of(depth, depth), causes_of(depth, wind))


def test_a_call_that_was_never_made_is_one_cause_in_all_of_mocks_words() -> None:
    """`assert_called_once`, `assert_called_once_with` and `assert_any_call` say it in three ways."""
    said = (
        "Expected 'send' to have been called once. Called 0 times.",
        "Expected 'send' to be called once. Called 0 times.",
        "expected call not found.\nExpected: send('a')\n  Actual: not called.",
    )
    twice = "Expected 'send' to have been called once. Called 2 times."
    failures = [asked(f"AssertionError: {words}", "work") for words in (*said, twice)]
    assert (1, 2) == (causes_of(*failures[:3]), causes_of(*failures))


def test_a_client_is_known_by_the_class_that_a_line_makes() -> None:
    """Two servers are silent through one base class: the class that the test's line makes says which."""
    said = "httpx.ReadTimeout: timed out"
    silent = "tests/test_a.py:9: in test_it\n    {}(url).{}(3)\nshop/base.py:7: in fetch\n    return get(path)\nE   "
    one, more, other = (
        Failure(phase=Phase.CALL, type_name="", message=said, text=silent.format(*of) + said)
        for of in (("Glacier", "depth"), ("Glacier", "layers"), ("Buoy", "depth"))
    )
    assert (1, 2) == (causes_of(one, more), causes_of(one, other))


def test_a_server_that_answers_one_status_is_one_cause_unless_it_is_about_a_page() -> None:
    """500 and 403 are the server's; a page that is not there is one page."""
    words = "httpx.HTTPStatusError: Client error '{} X' for url 'http://127.0.0.1:8080/{}/17'"
    counts = [causes_of(*(asked(words.format(status, path), "get") for path in ("a", "b"))) for status in (500, 403, 404)]
    assert [1, 1, 2] == counts
