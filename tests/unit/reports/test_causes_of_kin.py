"""One fault seen from several sides is one cause; what only looks alike is two."""

import pytest
from report_sample import case
from test_causes_of_calls import causes_of, compared
from test_causes_of_words import raised

from ci_tools.model.case import Failure, Outcome, Phase
from ci_tools.model.report import RunReport
from ci_tools.reports.causes import find_causes


def at(line: str, said: str = "assert 4 == 3") -> Failure:
    """A failed comparison of a test's own line."""
    return compared(f"assert {line} == 3", said)


@pytest.mark.parametrize(
    ("line", "other", "count"),
    [
        ("weather.beaufort(2)", "weather.beauforts([2])[0]", 1),
        ("weather.summary(2)", "weather.summaries([2])[0]", 1),
        ("loans.due(2)", "loans.due_text(2)", 1),
        ("inflect.ordinal(2)", "inflect.ordinalize(2)", 1),
        ("loans.due(2)", "due(2)", 1),
        ("loans.due(2)", "library.loans.due(2)", 1),
        ("loans.fine(2)", "client.get('/fine/9').json()", 1),
        ("loans.due(2)", "desk.due_text(2)", 2),
        ("loans.due(2)", "loans.fine(2)", 2),
        ("loans.due(2)", "loans.Loan(2)", 2),
    ],
)
def test_a_function_is_known_by_its_plural_its_page_and_what_is_named_after_it(line: str, other: str, count: int) -> None:
    """In one module, whichever part of its name a test has imported."""
    assert count == causes_of(at(line), at(other))


def test_of_two_functions_that_a_key_may_be_none_is_chosen() -> None:
    """`desk.lend(…)['due']` beside `due_day` and `due_text`."""
    assert causes_of(at("loans.due_day(2)"), at("loans.due_text(2)"), at("loans.new_loan(2)['due']")) == 3


@pytest.mark.parametrize(
    ("said", "other", "count"),
    [
        (
            "assert {'shelf': 'A-1', 'row': 1} == {'shelf': 'A1', 'row': 1}",
            "assert {'shelf': 'B-2', 'row': 7} == {'shelf': 'B2', 'row': 7}",
            1,
        ),
        (
            "assert [{'row':...] == [{'row':...]\n  \n  At index 0 diff: {'row': 1, 'shelf': 'A-1'} != {'row': 1, 'shelf': 'A1'}",
            "Lists differ: [{'r[9 chars]] != [{'r[8 chars]]\n\nFirst differing element 0:\n{'shelf': 'A-3'}\n{'shelf': 'A3'}\n",
            1,
        ),
        (
            "assert {'total': {'out': 1, 'back': 4}} == {'total': {'out': 1, 'back': 2}}",
            "assert {'total': {'out': 1, 'back': 6}} == {'total': {'out': 1, 'back': 3}}",
            1,
        ),
        (
            "assert {'shelf': 'A-1', 'row': 1} == {'shelf': 'A1', 'row': 1}",
            "assert {'shelf': 'A1', 'row': 2} == {'shelf': 'A1', 'row': 1}",
            2,
        ),
        (
            "assert Loan(...) == Loan(...)\n  \n  Differing attributes:\n  ['due']",
            "assert Loan(...) == Loan(...)\n  \n  Differing attributes:\n  ['reader']",
            2,
        ),
    ],
)
def test_the_keys_that_differ_tell_two_faults_of_one_call_apart_and_its_values_do_not(said: str, other: str, count: int) -> None:
    """On whichever level, and in whichever form the comparison shows them."""
    assert count == causes_of(compared("assert reports.rows(2) == want", said), compared("assert reports.rows(5) == want", other))


def test_what_stands_beside_a_call_of_a_known_function_is_data() -> None:
    """Its arguments, as pytest shows them below."""
    failures = [
        compared(
            f"assert words.plural({word!r}) == want",
            f"assert None == '{word}s'\n +  where None = <function plural at 0x7f>('{word}')"
            "\n +    where <function plural at 0x7f> = words.plural",
        )
        for word in ("person", "country")
    ]
    assert causes_of(*failures) == 1


def in_test(line: str, type_name: str, message: str, *, before: str = "") -> Failure:
    """An exception from a test's own line."""
    above = f"        {before}\n" if before else ""
    text = f"    def test_it(data):\n{above}>       {line}\nE       {type_name}: {message}\n\ntests/test_a.py:9: {type_name}"
    return Failure(phase=Phase.CALL, type_name=type_name, message=message, text=text)


def test_what_a_test_cannot_use_is_what_the_call_before_it_got_wrong() -> None:
    """`None` instead of an answer: compared in one test, subscripted, measured and looped over in the next."""
    none = "'NoneType' object"
    failures = [
        at("loans.due(2)", "assert None == 3"),
        in_test("assert loans.due(2)['day'] == 3", "TypeError", f"{none} is not subscriptable"),
        in_test("assert found.year == 2", "AttributeError", f"{none} has no attribute 'year'", before="found = loans.due(2)"),
        in_test(
            "assert loan.year == 2", "AttributeError", f"{none} has no attribute 'year'", before="with loans.due(2) as loan:"
        ),
        in_test("assert day == 2", "TypeError", f"{none} is not iterable", before="first, day = loans.due(2)"),
    ]
    other = in_test("assert loans.fine(2)['day'] == 3", "TypeError", f"{none} is not subscriptable")
    assert [1, 2] == [causes_of(*failures), causes_of(*failures, other)]


def test_a_key_that_an_answer_lacks_is_what_its_function_got_wrong_under_this_key() -> None:
    """Renamed, it differs in one test and is missed in the next."""
    differing = compared("assert loans.card(2) == want", "assert {'fee': 2} == {'fine': 2}")
    missed, other = (in_test(f"assert loans.card(2)[{key!r}] == 2", "KeyError", repr(key)) for key in ("fine", "reader"))
    assert [1, 2] == [causes_of(differing, missed), causes_of(differing, other)]


def test_what_came_instead_of_a_pages_answer_is_why_it_was_refused() -> None:
    """`{"detail": …}` where a test looks at no status; not where two statuses are known, nor for other answers."""
    page = "client.get('/loans/7')"
    refused = compared(
        f"assert {page}.status_code == 200", "assert 400 == 200\n +  where 400 = <Response [400 Bad Request]>.status_code"
    )
    missing = compared(
        f"assert {page}.status_code == 200", "assert 404 == 200\n +  where 404 = <Response [404 Not Found]>.status_code"
    )
    told = compared(
        f"assert {page}.json() == want",
        "assert {'detail': 'too many'} == {'days': 3}\n  \n  Left contains 1 more item:\n  {'detail': 'too many'}",
    )
    wrong = compared(f"assert {page}.json() == want", "assert {'days': 4} == {'days': 3}")
    assert [1, 3, 2] == [causes_of(refused, told), causes_of(refused, missing, told), causes_of(refused, wrong)]


def test_a_line_that_tests_share_is_about_what_was_given_to_it() -> None:
    """Also where a fixture asked first, and nobody sees what it gave."""
    shared = (
        "    def check_book(found):\n>       assert found['pages'] > 0\nE       assert 0 > 0\n\ntests/checks.py:6: AssertionError"
    )
    asked = "    def test_it():\n>       checks.check_book(checks.make_book('Stars'))\n\ntests/test_a.py:8: \n_ _ _ _\n\n"
    of_fixture = "    def book():\n>       checks.check_book(found)\n\ntests/conftest.py:85: \n_ _ _ _\n\n"
    failures = [
        Failure(phase=phase, type_name="AssertionError", message="assert 0 > 0", text=before + shared)
        for phase, before in ((Phase.CALL, asked), (Phase.SETUP, of_fixture))
    ]
    report = RunReport(
        run_id="run-1",
        cases=tuple(
            case(f"tests/test_a.py::test_{number}", Outcome.FAILED, failures=(item,)) for number, item in enumerate(failures)
        ),
    )
    assert len(find_causes(report)) == 1


@pytest.mark.parametrize(
    ("shown", "count"),
    [
        ("<WrapperTestResponse streamed [404 NOT FOUND]>", 1),
        ("<Response [404]>", 1),
        ("<ClientResponse(http://127.0.0.1:36155/loans/7) [404 Not Found]>", 1),
        ("<Response [500 Internal Server Error]>", 2),
        ("<Response [200 OK]>", 2),
    ],
)
def test_an_answer_that_refused_is_its_status_whatever_a_test_looked_for_in_it(shown: str, count: int) -> None:
    """As the client shows it below the comparison; the path is the one that was asked for."""
    page = "client.get('/loans/7')"
    refused = compared(
        f"assert {page}.status_code == 200", "assert 404 == 200\n +  where 404 = <Response [404 Not Found]>.status_code"
    )
    looked = compared(
        f"assert {page}.get_json() == want",
        f"assert None == 3\n +  where None = get_json()\n +    where get_json = {shown}.get_json",
    )
    assert count == causes_of(refused, looked)


def test_of_answers_that_did_not_refuse_the_expected_status_tells_faults_apart() -> None:
    """200 instead of 201 is one fault, 200 instead of 409 another."""
    said = "assert 200 == {0}\n +  where 200 = <Response [200 OK]>.status_code"
    created, again, refused = (
        compared(f"assert client.post('/loans/{number}').status_code == {status}", said.format(status))
        for number, status in ((1, 201), (2, 201), (3, 409))
    )
    assert [1, 2] == [causes_of(created, again), causes_of(created, refused)]


def test_one_line_that_cannot_use_what_it_is_given_is_one_cause_whatever_was_raised_from_it() -> None:
    """Called directly, through a wrapper of the project, or in another process; another function's line is another cause."""
    broken = [
        raised("ZeroDivisionError", "division by zero", line="return whole / part", function=function)
        for function in ("ratio", "ratio", "share")
    ]
    wrapped = Failure(
        phase=Phase.CALL,
        type_name="shop.StageError",
        message="ratio failed",
        text=f"{broken[1].text}\n\nThe above exception was the direct cause of the following exception:\n\n"
        "    def run(day):\n>       raise StageError(day)\nE       shop.StageError: ratio failed\n\nshop/run.py:5: StageError",
    )
    assert [1, 2] == [causes_of(broken[0], wrapped), causes_of(broken[0], wrapped, broken[2])]


@pytest.mark.parametrize(
    "said",
    [
        "404 != 200",
        "404 != 302 : Response didn't redirect as expected: Response code was 404 (expected 302)",
    ],
)
def test_unittests_and_djangos_ways_to_compare_a_status(said: str) -> None:
    """One page, one status; where nothing says that it is a status, it is a number."""
    page = "self.client.get('/loans/7')"
    plain = compared(f"assert {page}.status_code == 200", "assert 404 == 200")
    assert 1 == causes_of(plain, compared(f"self.assertEqual({page}.status_code, 200)", said))
    assert 2 == causes_of(plain, compared("self.assertEqual(loans.count(), 200)", "404 != 200"))


@pytest.mark.parametrize(("keys", "count"), [(("'a'", "7"), 1), (("'load17'", "'x'"), 1), (("'fee'", "'rate'"), 2)])
def test_keys_that_one_place_misses_are_data_where_one_of_them_is(keys: tuple[str, str], count: int) -> None:
    """A number, or a text with one in it: names of fields have none."""
    assert count == causes_of(*(raised("KeyError", key, line="return seen[name]") for key in keys))


def test_a_key_missed_in_the_project_and_in_what_a_test_was_given_is_one_cause() -> None:
    """The table lacks it; another key is another cause."""
    inside = raised("KeyError", "'SEK'", line="return rates[currency]", place="shop/money.py", function="convert")
    given, other = (in_test(f"assert files.rates()['{key}'] == 2", "KeyError", f"'{key}'") for key in ("SEK", "NOK"))
    assert [1, 2] == [causes_of(inside, given), causes_of(inside, other)]


def test_a_helper_that_says_in_words_what_it_found_is_about_what_it_was_given() -> None:
    """`check_near(geo.distance(…), 3)` beside `geo.distance(…) == 3`."""

    def asked(call: str) -> Failure:
        text = (
            f"    def test_it():\n>       checks.check_near({call}, 3)\n\ntests/test_a.py:8: \n_ _ _ _\n\n"
            '    def check_near(found, wanted):\n>       raise AssertionError(f"{found} is not within 1 of {wanted}")\n'
            "E       AssertionError: 5 is not within 1 of 3\n\ntests/checks.py:56: AssertionError"
        )
        return Failure(phase=Phase.CALL, type_name="AssertionError", message="5 is not within 1 of 3", text=text)

    compared_directly = at("geo.distance(1, 2)")
    assert [1, 2] == [
        causes_of(compared_directly, asked("geo.distance(4, 5)")),
        causes_of(compared_directly, asked("geo.area(4)")),
    ]
