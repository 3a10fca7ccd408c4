import json

import pytest
from summary_sample import REPORT, VERDICT

from ci_tools.model.case import Failure, Phase
from ci_tools.summary.masking import Mask


def test_a_given_secret_is_gone_in_every_form() -> None:
    """As it is, as repr or JSON writes it, and each line of a long one."""
    value = 'line "one"\nsecond\\line'
    mask = Mask([value])
    for shown in (value, repr(value), 'line \\"one\\"', "second\\\\line", "xx second\\line xx"):
        assert "one" not in mask.text(shown) or "line" not in mask.text(shown)
        assert "second" not in mask.text(shown)


def test_a_secret_with_signs_is_gone_in_every_form() -> None:
    """Quotes, backslashes and letters beyond ASCII: as Python and JSON show them."""
    value = "sé\\cr'et\"é"
    for shown in (value, repr(value), ascii(value), json.dumps(value), json.dumps(value, ensure_ascii=False), f"{[value]}"):
        assert "cr" not in Mask([value]).text(shown), shown


def test_the_longer_secret_goes_first() -> None:
    """A secret inside another leaves no rest of the longer one."""
    assert Mask(["hunter", "hunter2-long"]).text("x hunter2-long hunter") == "x *** ***"


def test_passwords_in_urls_are_masked_without_being_given() -> None:
    """A URL keeps its user, host and port."""
    assert Mask().text("redis://app:s3cr3t@127.0.0.1:6381/0") == "redis://app:***@127.0.0.1:6381/0"
    assert Mask().text("redis://:s3cr3t@h") == "redis://:***@h"


@pytest.mark.parametrize("text", ["http://h:80/a@b", "tests/a.py::test[x://y]", "a:b@c"])
def test_what_holds_no_password_stays(text: str) -> None:
    """Ports, paths with an at sign and test IDs are not touched."""
    assert Mask().text(text) == text


@pytest.mark.parametrize("secret", ["", "  ", "abc"])
def test_a_very_short_secret_blanks_nothing(secret: str) -> None:
    """An empty or three-letter value would blank the whole report."""
    assert Mask([secret]).text("abc a b c") == "abc a b c"


def test_a_whole_value_is_masked() -> None:
    """Texts inside dataclasses, tuples and mappings are masked; everything else is the same."""
    failure = Failure(phase=Phase.CALL, type_name="E", message="token=opensesame")
    masked = Mask(["opensesame"]).value((failure, {"k": "opensesame"}, 3))
    assert masked == (Failure(phase=Phase.CALL, type_name="E", message="token=***"), {"k": "***"}, 3)


def test_nothing_to_mask_gives_the_same_value() -> None:
    """Without a secret in it a value comes back unchanged."""
    mask = Mask(["not-in-there"])
    assert mask.value(VERDICT) is VERDICT
    assert mask.value(REPORT) is REPORT


@pytest.mark.parametrize(
    ("cut", "shown"),
    [
        ("refused: correct-horse-b...", "refused: ***..."),
        ("refused: correct-horse-b…", "refused: ***…"),
        ("'correct-hor...ttery-9' is", "'***...***' is"),
        ("...rse-battery-9", "...***"),
        ("correct… correct-hor...", "***… ***..."),
    ],
)
def test_what_an_ellipsis_left_of_a_secret_is_gone(cut: str, shown: str) -> None:
    """Pytest cuts lines to the terminal's width and long values in their middle: the part that is still there goes too."""
    assert Mask(["another-secret", "correct-horse-battery-9"]).text(cut) == shown


@pytest.mark.parametrize("text", ["corre...", "correct answers...", "correct-horses...", "...ttery 9", "correct-horse"])
def test_what_only_begins_like_a_secret_stays(text: str) -> None:
    """Five characters may be any word's, and without an ellipsis right beside it nothing was cut."""
    assert Mask(["correct-horse-battery-9"]).text(text) == text
