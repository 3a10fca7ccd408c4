import pytest

from ci_tools.errors import DecodeError
from ci_tools.sharding.durations import parse_durations


@pytest.mark.parametrize("text", ['{"b": 2, "a": 1.5}', '[["b", 2], ["a", 1.5]]'])
def test_both_forms(text: str) -> None:
    """An object and the older list of pairs give the same pairs."""
    assert parse_durations(text) == (("a", 1.5), ("b", 2.0))


@pytest.mark.parametrize("text", ["", "3", '{"a": "fast"}', '{"a": true}', "[[1, 2]]", '[["a"]]'])
def test_anything_else_is_refused(text: str) -> None:
    """Whatever is not seconds by test ID is a DecodeError with a remedy."""
    with pytest.raises(DecodeError) as caught:
        parse_durations(text)
    assert caught.value.hint
