"""One fault told in several words is one cause: of programs, imports, calls, tracebacks that are a part of something else."""

import pytest
from test_causes_of_calls import causes_of, compared

from ci_tools.model.case import Failure, Phase


def raised(type_name: str, message: str, *, line: str = "", place: str = "shop/loans.py", function: str = "due") -> Failure:
    """An exception from a line of the project, as pytest's long traceback shows it."""
    shown = "\n".join(f"E       {text}" for text in f"{type_name}: {message}".split("\n"))
    body = f"    def {function}(day):\n>       {line}\n{shown}\n\n{place}:9: {type_name}" if line else ""
    return Failure(phase=Phase.CALL, type_name=type_name, message=message, text=body)


TRACEBACK = """Traceback (most recent call last):
  File "<string>", line 1, in <module>
  File "/srv/app/shop/settings.py", line 36, in secret
    return os.environ["{name}"]
KeyError: '{name}'
"""


@pytest.mark.parametrize(("name", "count"), [("SHOP_SECRET", 1), ("SHOP_REGION", 2)])
@pytest.mark.parametrize("type_name", ["AssertionError", "JobError"])
def test_a_traceback_inside_a_message_is_the_root(name: str, count: int, type_name: str) -> None:
    """What a program printed before it ended is why it ended, whoever shows it."""
    direct = raised(
        "KeyError", "'SHOP_SECRET'", line='return os.environ["SHOP_SECRET"]', place="shop/settings.py", function="secret"
    )
    said = TRACEBACK.format(name=name)
    if type_name == "AssertionError":
        assert count == causes_of(direct, compared("assert done.returncode == 0, done.stderr", f"{said}\nassert 1 == 0"))
    else:
        assert count == causes_of(direct, raised("shop.jobs.JobError", f"job failed: {said}"))


@pytest.mark.parametrize(
    ("words", "count"), [("KeyError('SHOP_SECRET')", 1), ("KeyError('SHOP_REGION')", 2), ("SystemExit(1)", 2)]
)
def test_what_a_runner_of_commands_shows_of_an_exception_is_the_root(words: str, count: int) -> None:
    """The result of click's and of typer's runner has the exception that ended the command."""
    direct = raised(
        "KeyError", "'SHOP_SECRET'", line='return os.environ["SHOP_SECRET"]', place="shop/settings.py", function="secret"
    )
    said = f"assert 1 == 0\n +  where 1 = <Result {words}>.exit_code"
    assert count == causes_of(direct, compared("assert result.exit_code == 0", said))


@pytest.mark.parametrize(
    ("type_name", "message", "count"),
    [
        ("ModuleNotFoundError", "No module named 'shop.printing'", 1),
        ("ImportError", "cannot import name 'printing' from 'shop' (/srv/app/shop/__init__.py)", 1),
        ("AttributeError", "module 'shop' has no attribute 'printing'", 1),
        ("ModuleNotFoundError", "No module named 'shop.scanning'", 2),
        ("ImportError", "cannot import name 'printing' from 'desk' (/srv/app/desk.py)", 2),
    ],
)
def test_a_module_that_is_not_there_is_one_cause_however_it_was_asked_for(type_name: str, message: str, count: int) -> None:
    """`import shop.printing`, `from shop import printing`, `shop.printing`."""
    assert count == causes_of(raised("ModuleNotFoundError", "No module named 'shop.printing'"), raised(type_name, message))


@pytest.mark.parametrize(("last", "count"), [("east", 1), ("south", 2)])
def test_modules_in_a_circle_are_one_cause_whichever_was_imported_first(last: str, count: int) -> None:
    """What is said names the one that was asked for first."""

    def circle(first: str, second: str) -> Failure:
        said = f"cannot import name 'X' from partially initialized module 'kit.{first}' (most likely due to a circular import)"
        lines = (("tests/test_a.py", f"from kit.{first} import X"), (f"kit/{first}.py", f"from kit.{second} import X"))
        text = "".join(
            f"{path}:1: in <module>\n    {source}\n"
            for path, source in (*lines, (f"kit/{second}.py", f"from kit.{first} import X"))
        )
        return Failure(phase=Phase.COLLECT, type_name="ImportError", message=said, text=f"{text}E   ImportError: {said}")

    assert count == causes_of(circle("east", "west"), circle("west", last))


@pytest.mark.parametrize(
    ("message", "count"),
    [
        ("renew() missing 2 required positional arguments: 'day' and 'reader'", 1),
        ("renew() takes 1 positional argument but 2 were given", 1),
        ("renew() got an unexpected keyword argument 'days'", 2),
        ("lend() missing 1 required positional argument: 'day'", 2),
    ],
)
def test_a_function_called_otherwise_than_it_is_written_is_one_cause(message: str, count: int) -> None:
    """Unless the arguments that are named are others."""
    first = raised("TypeError", "renew() missing 1 required positional argument: 'day'")
    assert count == causes_of(first, raised("TypeError", message))


@pytest.mark.parametrize(
    ("message", "count"),
    [
        ("'tools/marcdump records b7' exited with 3: bad leader", 1),
        ("marcdump exited with status 3", 1),
        ("`marcdump records` failed (exit code 3)", 1),
        ("command 'marcdump records x' returned exit code 3", 1),
        ("'tools/marcdump records b7' exited with 137", 2),
        ("marcdump answered 3 times", 2),
        ("'marcdump records' failed with 503", 2),
    ],
)
def test_a_program_ended_as_the_project_says_it_and_as_python_does(message: str, count: int) -> None:
    """By its name, its sub-command where it is known, and its exit code."""
    python = raised(
        "subprocess.CalledProcessError", "Command '['/x/marcdump', 'records', 'a1']' returned non-zero exit status 3."
    )
    assert count == causes_of(python, raised("shop.ProgramError", message))


def test_what_stands_behind_a_programs_name_is_data_where_it_is_hardly_met_twice() -> None:
    """The names that it was given, not its sub-commands."""
    said = "Command '['labels', '{0}']' returned non-zero exit status 3."
    names, verbs = (
        [raised("subprocess.CalledProcessError", said.format(word)) for word in words]
        for words in (("park", "mill", "harbour"), ("index", "index", "index", "sort", "sort", "sort"))
    )
    assert [1, 2] == [causes_of(*names), causes_of(*verbs)]


@pytest.mark.parametrize(
    ("failure", "count"),
    [
        (
            compared(
                "assert 'too many' in str(caught.value)",
                "assert 'too many' in 'page limit'\n +  where 'page limit' = str(ValueError('page limit'))",
            ),
            1,
        ),
        (compared("self.fail()", '"too many" does not match "page limit"'), 1),
        (raised("ValueError", "page limit", line='raise ValueError("page limit")'), 1),
        (
            compared(
                "assert 'too many' in str(caught.value)",
                "assert 'too many' in 'no such page'\n +  where 'no such page' = str(ValueError('no such page'))",
            ),
            2,
        ),
    ],
)
def test_other_words_than_expected_are_the_exceptions_own(failure: Failure, count: int) -> None:
    """However a test looks at them, and where nothing caught it."""
    said = "Regex pattern did not match.\n  Expected regex: 'too many'\n  Actual message: 'page limit'"
    assert count == causes_of(compared("with pytest.raises(ValueError, match='too many'):", said), failure)


@pytest.mark.parametrize(
    ("line", "messages", "count"),
    [
        (
            'raise EventError(f"branch {branch} has another calendar")',
            ("branch park has another calendar", "branch old_town has another calendar"),
            1,
        ),
        ('raise EventError(f"order {order.id!r} was lost")', ("order 'ab' was lost", "order 'cd' was lost"), 1),
        ('raise EventError(f"variable {name} is not set")', ("variable SHOP_A is not set", "variable SHOP_B is not set"), 2),
        ('raise EventError(f"{what} is not there")', ("paper is not there", "ink is not there"), 2),
    ],
)
def test_what_a_statement_fills_in_is_data_where_the_word_before_says_what_it_is(
    line: str, messages: tuple[str, str], count: int
) -> None:
    """Things of which there are many, not names of which a project has few."""
    assert count == causes_of(*(raised("shop.EventError", message, line=line) for message in messages))


def test_a_fault_of_the_code_that_handles_an_exception_is_the_root() -> None:
    """What it was to handle was expected, and differs from test to test."""

    def handled(type_name: str, message: str) -> Failure:
        first = f"    def load(text):\n>       parse(text)\nE       {type_name}: {message}\n\nshop/loads.py:3: {type_name}"
        lacking = "AttributeError: 'Bad' object has no attribute 'texts'"
        second = f"    def load(text):\n>       text = error.texts\nE       {lacking}\n\nshop/loads.py:5: AttributeError"
        between = "\n\nDuring handling of the above exception, another exception occurred:\n\n"
        return Failure(
            phase=Phase.CALL,
            type_name="AttributeError",
            message="'Bad' object has no attribute 'texts'",
            text=first + between + second,
        )

    assert causes_of(handled("ValueError", "no number"), handled("shop.Unreadable", "cut short")) == 1


@pytest.mark.parametrize(
    ("said", "count"),
    [
        ("""1 errors, first: stage trim failed: AttributeError("'str' object has no attribute 'trim'")""", 1),
        ("""['stage trim failed: AttributeError("\\'str\\' object has no attribute \\'trim\\'")']\nassert False""", 1),
        ("1 errors, first: stage trim failed: KeyError('it')", 2),
        ("""assert 3 == 4\n +  where 3 = len(AttributeError("'str' object has no attribute 'trim'"))""", 2),
    ],
)
def test_an_exception_that_an_assertion_tells_of_is_the_root(said: str, count: int) -> None:
    """Collected, shown, and not raised; what pytest shows of a comparison's parts is none."""
    direct = raised("AttributeError", "'str' object has no attribute 'trim'", line="return row.trim()")
    assert count == causes_of(direct, compared("assert result.is_good, result.errors", said))


def refused_by(library: str, *, path: str = "", address: str = "") -> Failure:
    """A refusal through a client library, in one file of the project."""
    text = (
        f"tests/test_a.py:3: in test_it\n    links.ask()\nshop/links.py:22: in ask{path}\n    client.call()\n"
        f"/opt/venv/lib/python3.11/site-packages/{library}/client.py:5: in call\n    connect()\n"
        f"E   ConnectionRefusedError: [Errno 111] Connection refused{address}"
    )
    message = f"[Errno 111] Connection refused{address}"
    return Failure(phase=Phase.CALL, type_name="ConnectionRefusedError", message=message, text=text)


def test_a_client_that_names_no_server_asks_none_that_speaks_otherwise() -> None:
    """In one file, one asks over HTTP and says whom; the next asks a cache. Two clients of one cache are one."""
    known = refused_by("aiohttp", address=" ('127.0.0.1', 5000)")
    assert [2, 1, 1] == [
        causes_of(known, refused_by("pymemcache", path="_cache")),
        causes_of(known, refused_by("requests", path="_page")),
        causes_of(refused_by("pymemcache", path="_one"), refused_by("aiomcache", path="_two")),
    ]


@pytest.mark.parametrize(
    ("type_name", "said", "other", "count"),
    [
        ("sqlite3.OperationalError", "table guest has no column named company", "no such column: guest.company", 1),
        ("sqlite3.OperationalError", "table guest has no column named company", "no such column: guest.phone", 2),
        ("ValueError", "'skipped' is not a valid State", "'late' is not a valid State", 1),
        ("ValueError", "'skipped' is not a valid State", "'skipped' is not a valid Kind", 2),
    ],
)
def test_what_is_missing_is_known_by_its_name(type_name: str, said: str, other: str, count: int) -> None:
    """A column in both of SQLite's sentences; the enumeration that has no such member, wherever it was asked."""
    assert count == causes_of(raised(type_name, said, line="a()"), raised(type_name, other, line="b()", function="other"))


MUCH = 60_000
"""Characters: what is read of one traceback."""


def shown(lines: str) -> Failure:
    """A failed comparison with these lines above it."""
    text = f"    def test_it():\n{lines}\n>       assert x == 2\nE       assert 1 == 2\n\ntests/test_a.py:3: AssertionError"
    return Failure(phase=Phase.CALL, type_name="AssertionError", message="assert 1 == 2", text=text)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "failure",
    [
        shown("\n" * MUCH),
        shown(" " * MUCH),
        shown("    for " + "a, " * (MUCH // 3)),
        shown("    with " + "as a " * (MUCH // 5)),
        raised("AssertionError", 'AnError("' * (MUCH // 9)),
        raised("AssertionError", "assert {" + "'a': 1} != {" * 500),
        raised("ImportError", "cannot import name 'a' from 'b' (" * 2000),
        raised("shop.ProgramError", "'" * MUCH),
    ],
    ids=["lines", "blanks", "loop", "with", "exceptions", "braces", "imports", "quotes"],
)
def test_a_text_made_to_be_slow_is_read_all_the_same(failure: Failure) -> None:
    """What took minutes, or for ever, takes as long as any other text."""
    assert causes_of(failure) == 1
