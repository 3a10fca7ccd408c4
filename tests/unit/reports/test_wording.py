"""What an exception says: the short way for plain sentences, and the long way for everything."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ci_tools.reports.wording import servers_in, wording_of

TYPES = ("RuntimeError", "app.Refused", "TimeoutError", "AssertionError", "OSError", "ValueError", "", "E401")
WORDS = (
    *(
        "to",
        "at",
        "on",
        "port",
        "address",
        "=",
        ":",
        "10.0.0.3:5432",
        "localhost:80",
        ":9000",
        "port=6379",
        "host=db,",
        "redis:41234",
    ),
    *("http://db:80/a/b?c=1", "a1b2c3d4e5", "0x7f12", "2.5 s", "/srv/x/y.json", "got 404", "(503)", "exit code 3", "refused"),
    *("timeout of 50ms exceeded", "not enough values to unpack", "lost", "the queue", "Command", "[type=", "assert 3 == 4", "4!"),
    *("is not a function", "RuntimeError", "E401", "2026-01-02 03:04:05", "7", "signal 9", "== 200", "of", "web-7d9f8b6c5-x2x9q"),
)


@given(st.sampled_from(TYPES), st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).map(" ".join))
@example("RuntimeError", "Command a timed out after 3 s")
@example("ValueError", "not enough values to unpack")
@example("AssertionError", "got 5 want 4")
@example("TimeoutError", f"timeout of {'1' * 44} exceeded")
@example("sqlite3.Error", "sqlite3.Error")
@example("RuntimeError", "Connection refused by 10.0.0.3:5432")
@example("RuntimeError", "no route to the bridge on 127.0.0.1:36716 after 0.118 s (request 204fc386bbc4)")
def test_a_sentence_says_the_same_by_itself_and_above_an_empty_line(type_name: str, message: str) -> None:
    """The short way that plain sentences take gives what the long way gives; a second line, though empty, takes the long one."""
    assert wording_of(type_name, message) == wording_of(type_name, f"{message}\n")


@pytest.mark.parametrize(
    ("text", "servers"),
    [
        ("no answer at address = db:5432 in 20 s", ("db:5432",)),
        ("no answer from  db:5432", ("db:5432",)),
        ("tried port = 4123", (":4123",)),
        ("host=the old one, port=6379", ("the old one:6379",)),
        ("dial tcp 10.0.0.3:5432: connect: refused; dial tcp cache.local:6379: no route", (":5432", "cache.local:6379")),
        ("http://user:secret@db:80/x after 30 tries", ("db:80",)),
        ("at src/app.py:80 after 30 s", ()),
    ],
)
def test_servers_of_a_text(text: str, servers: tuple[str, ...]) -> None:
    """Every server with its port is found, wherever in the text its host begins."""
    assert servers_in(text) == servers
