"""What one call got wrong, by whichever key or line a test sees it; and what is still two."""

from report_sample import case

from ci_tools.model.case import Failure, Outcome, Phase
from ci_tools.model.report import RunReport
from ci_tools.reports.causes import find_causes


def compared(line: str, said: str, *, before: str = "") -> Failure:
    """A failed comparison of a test's own line, as pytest shows it; ``before`` is the line above."""
    marked, *further = line.split("\n")
    above = f"        {before}\n" if before else ""
    rest = "".join(f"{text}\n" for text in further)
    shown = "\n".join(f"E       {text}" for text in f"AssertionError: {said}".split("\n"))
    text = f"    def test_it():\n{above}>       {marked}\n{rest}{shown}\n\ntests/test_a.py:9: AssertionError"
    return Failure(phase=Phase.CALL, type_name="AssertionError", message=said, text=text)


def causes_of(*failures: Failure) -> int:
    """How many causes these failures of as many tests have."""
    cases = tuple(
        case(f"tests/test_a.py::test_{number}", Outcome.FAILED, failures=(item,)) for number, item in enumerate(failures)
    )
    return len(find_causes(RunReport(run_id="run-1", cases=cases)))


def key_of(call: str, key: str) -> Failure:
    """One key of what a call gives is wrong."""
    return compared(f"assert {call}['{key}'] == 3", "assert 4 == 3")


def test_what_a_call_gets_wrong_is_one_cause_under_more_and_fewer_of_its_keys() -> None:
    """Where each line looks at more of the same keys than the one before; two keys apart are two causes."""
    whole, part = (
        key_of("loans.circulation(2)", "total"),
        compared("assert loans.circulation(5)['total']['back'] == 3", "assert 4 == 3"),
    )
    assert [1, 2] == [causes_of(whole, part), causes_of(whole, key_of("loans.circulation(5)", "kinds"))]


def test_a_wrong_key_is_what_the_function_of_its_name_gets_wrong() -> None:
    """`new_loan(…)['due']` beside `due(…)` in one module; not beside a function of another name or module."""
    own = compared("assert loans.due(2) == 3", "assert 4 == 3")
    kin, other, elsewhere = (
        key_of("loans.new_loan(1)", "due"),
        key_of("loans.new_loan(1)", "reader"),
        key_of("desk.lend(1)", "due"),
    )
    assert [1, 2, 2] == [causes_of(own, kin), causes_of(own, other), causes_of(own, elsewhere)]


def test_what_a_command_line_says_last_tells_its_failures_apart() -> None:
    """Its whole output is the message of an assertion that all of them share."""
    line = "assert result.exit_code == 0, result.output"
    said = "Usage: main {0} [OPTIONS]\nTry 'main {0} --help' for help.\n\nError: {1}\nassert 2 == 0"
    outputs = (("find", "No such option '--branch'."), ("lend", "No such option '--branch'."), ("lend", "reader is blocked"))
    failures = [compared(line, said.format(*words)) for words in outputs]
    assert [1, 2] == [causes_of(*failures[:2]), causes_of(*failures)]


def test_a_line_that_goes_on_below_is_about_the_call_that_its_variable_was_taken_from() -> None:
    """Also where it took only the first of what came out."""
    failures = [
        compared(
            "assert first == {\n            'shelf': 3,\n        }",
            f"assert {{'shelf': 4}} == {{'shelf': {number}}}",
            before=before,
        )
        for number, before in ((3, "first, *_ = reports.shelves('north')"), (5, "first = reports.shelves('mill')"))
    ]
    assert [1, 2] == [
        causes_of(*failures),
        causes_of(
            failures[0],
            compared(
                "assert first == {\n            'shelf': 3,\n        }",
                "assert {'shelf': 4} == {'shelf': 3}",
                before="first, *_ = reports.readers(2)",
            ),
        ),
    ]


def test_a_date_that_is_expected_is_no_call_of_the_project() -> None:
    """Two functions that both give a wrong date are two causes."""
    said = "assert datetime.date(2026, 6, 30) == datetime.date(2026, 6, 29)"
    one, other = (
        compared("assert found == date(2026, 6, 29)", said, before=f"found = {call}") for call in ("due(1)", "opened(1)")
    )
    assert causes_of(one, other) == 2
    bare, more = (compared(f"assert {name} == date(2026, 6, 29)", said) for name in ("due", "opened"))
    assert causes_of(bare, more) == 2


def test_the_fields_that_an_object_shows_of_itself_are_data() -> None:
    """The same attribute of what one call gives, for two readers."""
    failures = [
        compared(
            "assert loan.due == 3",
            f"assert 4 == 3\n +  where 4 = Loan(reader='{reader}', title='{title}', due=4).due",
            before="loan = loans.new_loan(1)",
        )
        for reader, title in (("Emre", "Bread"), ("Amira", "Poems"))
    ]
    assert causes_of(*failures) == 1


def handed(raises: str, function: str, said: str) -> Failure:
    """A function handed to `raises` that raised nothing."""
    line = f"{raises}(ValueError, loans.{function}, 166)"
    text = f"    def test_it():\n>       {line}\nE       {said}\n\ntests/test_a.py:9: Failed"
    return Failure(phase=Phase.CALL, type_name=said.partition(":")[0], message=said, text=text)


def test_a_function_that_was_handed_over_and_raised_nothing_is_named() -> None:
    """`raises(ValueError, function)` and unittest's `assertRaises` say it in their own words."""
    failures = (
        handed("pytest.raises", "check_copies", "Failed: DID NOT RAISE ValueError"),
        handed("self.assertRaises", "check_copies", "AssertionError: ValueError not raised by check_copies"),
        handed("pytest.raises", "check_weeks", "Failed: DID NOT RAISE ValueError"),
    )
    assert [1, 2] == [causes_of(*failures[:2]), causes_of(*failures)]


def absent(name: str, folder: str = "exports") -> Failure:
    """A file that is not where it should be."""
    said = f"FileNotFoundError: [Errno 2] No such file or directory: '/srv/shop/{folder}/{name}'"
    return Failure(phase=Phase.CALL, type_name="FileNotFoundError", message=said, text=f"E   {said}")


def test_a_folder_that_was_never_filled_is_one_cause() -> None:
    """Three files of one kind are not there, each asked for once; two files, or files that come back, are their own causes."""
    one, two, three = absent("Stars.csv"), absent("Trains.csv"), absent("Letters.csv")
    counts = [causes_of(one, two), causes_of(one, two, three), causes_of(*[one] * 3, *[two] * 3, *[three] * 3)]
    assert counts == [2, 1, 3]
    assert causes_of(one, two, absent("Letters.csv", "imports")) == 3
