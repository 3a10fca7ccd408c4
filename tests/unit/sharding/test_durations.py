import pytest

from ci_tools.errors import DecodeError
from ci_tools.sharding.durations import parse_durations
from ci_tools.sharding.timings import from_pairs


@pytest.mark.parametrize("text", ['{"b": 2, "a": 1.5}', '[["b", 2], ["a", 1.5]]'])
def test_both_forms(text: str) -> None:
    """An object and the older list of pairs give the same pairs."""
    assert parse_durations(text) == (("a", 1.5), ("b", 2.0))


@pytest.mark.parametrize("text", ["", "3", "null", "[null]", '{"a": "fast"}', '{"a": true}', "[[1, 2]]", '[["a"]]'])
def test_anything_else_is_refused(text: str) -> None:
    """Whatever is not seconds by test ID is a DecodeError with a remedy."""
    with pytest.raises(DecodeError) as caught:
        parse_durations(text)
    assert caught.value.hint


def test_numbers_that_are_no_duration() -> None:
    """NaN, an infinite number and one of 400 digits are read as they are: timings leave them out."""
    text = '{"a": NaN, "b": Infinity, "c": 1' + "0" * 400 + ', "d": -1, "e": 2}'
    assert from_pairs(parse_durations(text)).of().keys() == {"e"}
